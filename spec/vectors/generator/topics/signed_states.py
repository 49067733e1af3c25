"""Who may write, and what that makes visible, in whatever order operations arrived [SG-8 to SG-12]."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference import signed
from generator.reference.contributions import contribution_id
from generator.reference.hashes import H
from generator.reference.operations import operation_id
from generator.topics.signed_operations import BASE, GENESIS, KEYS, SEEDS, WORKSPACE

Json = Any
M, N = "maintainer", "second maintainer"


def manifest(label: str, base: bytes = BASE) -> dict[str, Any]:
    fields = {"base": base, "coefficient": "3f800000", "elements": 4, "form": "finetuned", "format": 1}
    return {**fields, "tensors": H("model", label.encode())}


def nonce(n: int) -> bytes:
    return n.to_bytes(16, "big")


def said(by: str, kind: str, fields: Any, grant: bytes | None = None, **extra: Any) -> bytes:
    """The bytes of an operation. grant: the bytes of the grant under which it is made."""
    body = {"version": 3, "workspace": WORKSPACE, "kind": kind, "fields": fields, "author": KEYS[by], **extra}
    if grant is not None:
        body["grant"] = operation_id(grant)
    return signed.sign(SEEDS[by], body)


def add(by: str, label: str, grant: bytes | None = None, n: int = 0, base: bytes = BASE, **extra: Any) -> bytes:
    return said(by, "add", {"manifest": manifest(label, base), "nonce": nonce(n)}, grant, **extra)


def ids(operations: tuple[bytes, ...]) -> list[bytes]:
    return sorted(set(map(operation_id, operations)))


def remove(by: str, *operations: bytes, grant: bytes | None = None) -> bytes:
    return said(by, "remove", {"operations": ids(operations)}, grant)


def grant(to: str, n: int = 0, by: str = M, under: bytes | None = None) -> bytes:
    return said(by, "grant", {"key": KEYS[to], "name": to, "nonce": nonce(n)}, under)


def revoke(*grants: bytes, by: str = M, under: bytes | None = None, **extra: Any) -> bytes:
    return said(by, "revoke", {"grants": ids(grants)}, under, **extra)


def keep(revoked: bytes, *operations: bytes, by: str = M, under: bytes | None = None) -> bytes:
    return said(by, "keep", {"revoke": operation_id(revoked), "operations": ids(operations)}, under)


def attest(by: str, merge: str, root: str, grant: bytes | None = None, **extra: Any) -> bytes:
    fields = {"merge_id": H("merge", merge.encode()), "model_root": H("model", root.encode())}
    return said(by, "attest", fields, grant, **extra)


TO_ADA, TO_BOB, AGAIN = grant("ada"), grant("bob"), grant("ada", n=1)
A, B, MINE = add("ada", "a", TO_ADA), add("bob", "b", TO_BOB), add(M, "m")
A_BY_BOB = add("bob", "a", TO_BOB)
EVE, EVE_UNDER_ADAS = add("eve", "e"), add("eve", "e", TO_ADA)
OUT, OUT_TOO = revoke(TO_ADA), revoke(TO_ADA, by=N)
A_BACK = remove("ada", A, grant=TO_ADA)
LATER = signed.sign(
    SEEDS[M], {"version": 4, "workspace": WORKSPACE, "kind": "revoke", "author": KEYS[M], "grants": ids((TO_ADA,))}
)
POLL = said("ada", "poll", {}, TO_ADA)
FOREIGN = add(M, "f", base=H("model", b"another base"))


def names(*labels: str) -> list[str]:
    return sorted(contribution_id(manifest(label)).hex() for label in labels)


def state(i: str, clauses: str, why: str, operations: list[bytes], *labels: str, **says: Any) -> Case:
    given = {"genesis": GENESIS.hex(), "operations": [operation.hex() for operation in operations]}
    return Case("signed-state", f"signed-state-{i}", clauses, why, given, {"visible": names(*labels), **says})


def hexes(*operations: bytes) -> list[str]:
    return sorted(operation_id(operation).hex() for operation in operations)


HAND = [
    state("empty", "SG-8", "nothing", [], admissible=[], effective=[]),
    state("maintainer", "SG-8", "a maintainer needs no grant", [MINE], "m"),
    state("maintainer-grant", "SG-8", "nor is one looked at: it names nothing", [add(M, "m", POLL)], "m"),
    state("granted", "SG-8", "an add under a grant", [TO_ADA, A], "a", effective=hexes(TO_ADA, A)),
    state("grant-late", "SG-8", "an add whose grant is not here", [A], admissible=[], effective=[]),
    state("no-grant", "SG-8", "an add that names none", [TO_ADA, add("ada", "a")], admissible=hexes(TO_ADA)),
    state("grant-of-another", "SG-8", "an add under another's grant", [TO_ADA, EVE_UNDER_ADAS],
          admissible=hexes(TO_ADA)),
    state("grant-no-grant", "SG-8", "an add under what is no grant", [MINE, add("ada", "a", MINE)], "m"),
    state("grant-by-writer", "SG-8", "a grant by a writer: passed on, and it lets nobody in",
          [TO_ADA, g := grant("eve", by="ada", under=TO_ADA), e := add("eve", "e", g)],
          admissible=hexes(TO_ADA, g), effective=hexes(TO_ADA)),
    state("grant-by-stranger", "SG-8", "a grant by nobody", [g := grant("eve", by="eve"), add("eve", "e", g)],
          admissible=[]),
    state("two-grants", "SG-8", "revoked under one, writing under the other", [TO_ADA, AGAIN, revoke(TO_ADA), A,
          add("ada", "c", AGAIN)], "c"),
    state("revoked", "SG-8", "a revoke without a keep", [TO_ADA, A, OUT], admissible=hexes(TO_ADA, OUT)),
    state("revoked-kept", "SG-8", "a keep of it", [TO_ADA, A, OUT, keep(OUT, A)], "a"),
    state("revoked-kept-other", "SG-8", "a keep of something else", [TO_ADA, A, add("ada", "c", TO_ADA), OUT,
          keep(OUT, A)], "a"),
    state("keeps-join", "SG-8", "two keeps of one revoke", [TO_ADA, A, c := add("ada", "c", TO_ADA), OUT, keep(OUT, A),
          keep(OUT, c, by=N)], "a", "c"),
    state("revokes-meet", "SG-8", "two revokes, and only one keeps it", [TO_ADA, A, OUT, OUT_TOO, keep(OUT, A)]),
    state("revokes-kept", "SG-8", "two revokes, and both keep it", [TO_ADA, A, OUT, OUT_TOO, keep(OUT, A),
          keep(OUT_TOO, A, by=N)], "a"),
    state("keep-alone", "SG-8", "a keep whose revoke is not here", [TO_ADA, A, keep(OUT, A)], "a"),
    state("keep-of-no-revoke", "SG-8", "a keep of what is no revoke", [TO_ADA, A, OUT, keep(MINE, A), MINE], "m"),
    state("keep-by-writer", "SG-8", "a writer's keep keeps nothing", [TO_ADA, TO_BOB, A, OUT,
          keep(OUT, A, by="bob", under=TO_BOB)]),
    state("revoke-by-writer", "SG-8", "a writer's revoke revokes nothing", [TO_ADA, TO_BOB, A,
          revoke(TO_ADA, by="bob", under=TO_BOB)], "a"),
    state("revoke-by-itself", "SG-8", "nor does one's own", [TO_ADA, A, revoke(TO_ADA, by="ada", under=TO_ADA)], "a"),
    state("revoke-early", "SG-8", "a revoke that comes before its grant", [OUT, TO_ADA, A]),
    state("revoke-of-add", "SG-8", "a revoke that names an add", [TO_ADA, A, revoke(A)], "a"),
    state("revoke-of-maintainer", "SG-8", "no revoke touches a maintainer", [MINE, g := grant(N), revoke(g),
          add(N, "n", g)], "m", "n"),
    state("grant-again", "SG-8", "revoked, and let in again", [TO_ADA, OUT, AGAIN, A, add("ada", "a", AGAIN)], "a"),
    state("keep-stranger", "SG-8", "a keep of what was never under that grant", [TO_ADA, OUT, EVE, keep(OUT, EVE)]),
    state("later", "SG-6", "a revoke of version 4 says nothing here, and is passed on", [TO_ADA, A, LATER], "a",
          admissible=hexes(TO_ADA, A, LATER), effective=hexes(TO_ADA, A)),
    state("later-kind", "SG-6", "nor does another kind", [TO_ADA, POLL], admissible=hexes(TO_ADA, POLL),
          effective=hexes(TO_ADA)),
    state("other-base", "SG-8", "an add for another base is passed on, without effect", [FOREIGN],
          admissible=hexes(FOREIGN), effective=[]),
    state("remove-own", "SG-9", "one's own add", [TO_ADA, A, A_BACK]),
    state("remove-of-another", "SG-9", "another's add stays", [TO_ADA, TO_BOB, A, remove("bob", A, grant=TO_BOB)], "a"),
    state("remove-by-name", "SG-9", "of two adds, one's own alone", [TO_ADA, TO_BOB, A, B,
          remove("bob", A, B, grant=TO_BOB)], "a"),
    state("remove-maintainer", "SG-9", "a maintainer takes back anybody's", [TO_ADA, TO_BOB, A, B, remove(M, A, B)]),
    state("remove-of-maintainer", "SG-9", "and nobody a maintainer's", [TO_ADA, MINE,
          remove("ada", MINE, grant=TO_ADA)], "m"),
    state("remove-between-maintainers", "SG-9", "but another maintainer", [MINE, remove(N, MINE)]),
    state("remove-stranger", "SG-9", "nobody's remove", [MINE, remove("eve", MINE)], "m"),
    state("remove-other-grant", "SG-9", "an add under an earlier grant", [TO_ADA, AGAIN, A,
          remove("ada", A, grant=AGAIN)]),
    state("remove-one-of-two", "SG-9", "another's add of the same contribution stands", [TO_ADA, TO_BOB, A, A_BY_BOB,
          A_BACK], "a"),
    state("remove-both", "SG-9", "both are taken back", [TO_ADA, TO_BOB, A, A_BY_BOB, A_BACK,
          remove("bob", A_BY_BOB, grant=TO_BOB)]),
    state("remove-not-kept", "SG-8 SG-9", "a remove that is revoked and not kept: its add is back", [TO_ADA, A, A_BACK,
          OUT, keep(OUT, A)], "a"),
    state("remove-kept", "SG-8 SG-9", "a remove that is kept with its add", [TO_ADA, A, A_BACK, OUT,
          keep(OUT, A, A_BACK)]),
    state("remove-of-grant", "SG-9", "a remove acts on adds alone", [TO_ADA, A, remove(M, TO_ADA)], "a"),
    state("remove-of-revoke", "SG-9", "a revoke stays, too", [TO_ADA, A, OUT, remove(M, OUT)]),
    state("remove-of-remove", "SG-9", "and nothing comes back", [TO_ADA, A, A_BACK, remove(M, A_BACK)]),
]  # fmt: skip


def root(label: str) -> str:
    return H("model", label.encode()).hex()


def witnessed(i: str, why: str, operations: list[bytes], **counts: int) -> Case:
    merge = {H("merge", b"m").hex(): {root(label): n for label, n in sorted(counts.items(), key=lambda x: root(x[0]))}}
    return state(f"witness-{i}", "SG-12", why, [TO_ADA, TO_BOB, *operations], witnesses=merge)


ADA_R, BOB_R, BOB_S = attest("ada", "m", "r", TO_ADA), attest("bob", "m", "r", TO_BOB), attest("bob", "m", "s", TO_BOB)
WITNESSES = [
    witnessed("one", "one key", [ADA_R], r=1),
    witnessed("two", "two keys", [ADA_R, BOB_R], r=2),
    witnessed("differ", "two keys that differ", [ADA_R, BOB_S], r=1, s=1),
    witnessed("twice", "one key twice", [ADA_R, attest("ada", "m", "r", TO_ADA, time=5)], r=1),
    witnessed("two-roots", "a key with two roots counts for neither", [ADA_R, BOB_R, BOB_S], r=1),
    witnessed("nobody", "and then nobody may be left", [BOB_R, BOB_S]),
    witnessed("stranger", "a stranger does not count", [ADA_R, attest("eve", "m", "s")], r=1),
    witnessed("maintainer", "a maintainer does", [ADA_R, attest(M, "m", "s")], r=1, s=1),
    witnessed("revoked", "nor who was revoked", [ADA_R, BOB_S, revoke(TO_BOB)], r=1),
]


def retract(i: str, why: str, by: str, operations: list[bytes], says: Json) -> Case:
    given = {"genesis": GENESIS.hex(), "operations": [operation.hex() for operation in operations]}
    given |= {"author": KEYS[by].hex(), "seed": SEEDS[by].hex(), "contribution": names("a")[0]}
    return Case("signed-retract", f"signed-retract-{i}", "SG-9 OS-10", why, given, says)


BOTH = [TO_ADA, TO_BOB, A, A_BY_BOB]
RETRACTS = [
    retract("own", "one's own add of it alone", "ada", BOTH, {"operations": hexes(A)}),
    retract("maintainer", "a maintainer names all", M, BOTH, {"operations": hexes(A, A_BY_BOB)}),
    retract("refused-another", "of another's alone", "bob", [TO_ADA, TO_BOB, A], "NotAllowed"),
    retract("refused-gone", "taken back already", "ada", [TO_ADA, A, A_BACK], "NothingToRetract"),
]


def revoked(i: str, why: str, operations: list[bytes], says: Json, key: str = "ada") -> Case:
    given = {"genesis": GENESIS.hex(), "operations": [operation.hex() for operation in operations]}
    given |= {"key": KEYS[key].hex(), "seed": SEEDS[M].hex()}
    return Case("revoke", f"revoke-{i}", "SG-11", why, given, says)


REVOKES = [
    revoked("nothing-made", "a grant under which nothing was done", [TO_ADA, TO_BOB, B],
            {"grants": hexes(TO_ADA), "kept": []}),
    revoked("all", "all grants, and all that the key did, its remove too", [TO_ADA, AGAIN, TO_BOB, A, A_BACK, B],
            {"grants": hexes(TO_ADA, AGAIN), "kept": hexes(A, A_BACK)}),
    revoked("again", "a second time: the grants that are revoked too", [TO_ADA, A, OUT],
            {"grants": hexes(TO_ADA), "kept": hexes(A)}),
    revoked("again-kept", "a second time: what is kept and not here stays kept", [TO_ADA, A, OUT, OUT_TOO, TO_BOB,
            keep(OUT_TOO, A_BACK, A), keep(OUT, add("ada", "c", TO_ADA), by=N),
            BY_ADA := keep(OUT, B, by="ada", under=TO_ADA),
            keep(revoke(TO_BOB), MINE), revoke(TO_BOB)],
            {"grants": hexes(TO_ADA), "kept": hexes(A, A_BACK, add("ada", "c", TO_ADA), BY_ADA)}),
    revoked("refused-none", "a key without a grant", [TO_BOB, grant("ada", by="eve")], "NotAllowed"),
    revoked("refused-maintainer", "a maintainer's key, whatever it was granted", [grant(N)], "NotAllowed", N),
]  # fmt: skip


def breadth() -> list[Case]:
    """Random sets: a few of everything that anybody can say, of which some is not here."""
    random, cases = Random(15), []
    grants = [TO_ADA, AGAIN, TO_BOB, grant("eve", by="ada", under=TO_ADA)]
    adds = [A, A_BY_BOB, B, MINE, add("ada", "b", AGAIN), EVE, EVE_UNDER_ADAS]
    pool = [*grants, *adds, A_BACK, remove("bob", A, B, grant=TO_BOB), remove(N, B, MINE), remove("eve", MINE)]
    revokes = [OUT, OUT_TOO, revoke(AGAIN, TO_BOB), revoke(TO_BOB, by="ada", under=TO_ADA)]
    for one in revokes:
        pool += [one, *(keep(one, *(x for x in [*adds, A_BACK] if random.below(2)), A, by=by) for by in (M, N))]
    pool += [keep(OUT, A, by="bob", under=TO_BOB), LATER, POLL, ADA_R, BOB_S]
    for n in range(10):
        chosen = [x for x in pool if random.below(3)]
        for i in range(len(chosen) - 1, 0, -1):
            j = random.below(i + 1)
            chosen[i], chosen[j] = chosen[j], chosen[i]
        given = {"genesis": GENESIS.hex(), "operations": [operation.hex() for operation in chosen]}
        cases.append(Case("signed-state", f"signed-state-random-{n}", "SG-8 SG-9 SG-12", "random", given, None))
    return cases


STATES = [*HAND, *WITNESSES, *RETRACTS, *REVOKES, *breadth()]
