"""Geneses and operations of signed workspaces: encodings, ids, and what may not enter a set [SG-3 to SG-7]."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference import ed25519 as ed
from generator.reference import signed
from generator.reference.canonical import encode, read_value, show_value
from generator.reference.hashes import H
from generator.reference.operations import workspace_id
from generator.topics import operations as open_topic

Json = Any
SEEDS = {name: H("model", name.encode()) for name in ("maintainer", "second maintainer", "ada", "bob", "eve")}
KEYS = {name: ed.public_key(seed) for name, seed in SEEDS.items()}
MAINTAINERS = sorted([KEYS["maintainer"], KEYS["second maintainer"]])
BASE = bytes.fromhex(open_topic.BASE)
GENESIS = signed.make_genesis(BASE, "team", open_topic.TIES, MAINTAINERS)
WORKSPACE = workspace_id(GENESIS)
ELSEWHERE = workspace_id(signed.make_genesis(BASE, "other", open_topic.TIES, MAINTAINERS))
SMALL, AGAIN = bytes([1]) + bytes(31), (ed.P + 1).to_bytes(32, "little")
LOW, HIGH = bytes.fromhex(open_topic.LOW), bytes.fromhex(open_topic.HIGH)
NONCE = bytes(range(16))
MANY = sorted(H("model", b"%d" % i)[:31] + b"\0" for i in range(257))


def genesis(i: str, why: str, says: Json, maintainers: list[bytes], name: str = "team") -> Case:
    given = {"base": BASE.hex(), "name": name, "recipe": open_topic.TIES, "maintainers": [k.hex() for k in maintainers]}
    return Case("signed-genesis", f"signed-genesis-{i}", "SG-3", why, given, says)


def read_genesis(i: str, why: str, rule: str, **changes: Any) -> Case:
    fields = {"base": BASE, "maintainers": MAINTAINERS, "name": "team", "policy": "signed", "spec": 1}
    recipe = {"method": "mean", "lambda": "1"}
    changed = {key: x for key, x in {**fields, "recipe": recipe, **changes}.items() if x is not None}
    return Case(
        "read-signed-genesis", f"read-signed-genesis-{i}", "SG-3", why, {"genesis": encode(changed).hex()}, rule
    )


GENESES = [
    genesis("two", "two maintainers", {"workspace": WORKSPACE.hex()}, MAINTAINERS),
    genesis("one", "one maintainer: another workspace", None, MAINTAINERS[:1]),
    genesis("most", "256 of them", None, [key for key in MANY if signed.is_key(key)][:256]),
    genesis("refused-descending", "keys in descending order", "GenesisError", MAINTAINERS[::-1]),
    genesis("refused-twice", "a key twice", "GenesisError", [MAINTAINERS[0]] * 2),
    genesis("refused-none", "nobody maintains it", "GenesisError", []),
    genesis("refused-many", "257 of them", "GenesisError", MANY),
    genesis("refused-small", "a key of small order", "GenesisError", sorted([SMALL, *MAINTAINERS])),
    genesis("refused-again", "a key that is not canonical", "GenesisError", sorted([AGAIN, *MAINTAINERS])),
    read_genesis("refused-open", "maintainers of an open workspace", "GenesisError", policy="open"),
    read_genesis("refused-lacking", "a signed workspace without maintainers", "GenesisError", maintainers=None),
    read_genesis("refused-short", "a key of 31 bytes", "GenesisError", maintainers=[bytes(31)]),
    read_genesis("refused-bytes", "one key without an array", "GenesisError", maintainers=MAINTAINERS[0]),
    read_genesis("refused-policy", "another policy", "GenesisError", policy="closed"),
    read_genesis("refused-extra", "a key too many", "GenesisError", nonce=NONCE),
]

ADD = {"manifest": read_value(open_topic.manifest()), "nonce": NONCE}
GRANT = {"key": KEYS["ada"], "name": "Ada", "nonce": NONCE}


def body(kind: str = "add", fields: Any = None, by: str = "maintainer", **changes: Any) -> dict[str, Any]:
    """A body of a signed workspace; None takes a key away."""
    made = {"version": 3, "workspace": WORKSPACE, "kind": kind, "fields": ADD if fields is None else fields}
    made["author"] = KEYS[by]
    return {key: x for key, x in {**made, **changes}.items() if x is not None}


def bare(**changes: Any) -> dict[str, Any]:
    return {key: x for key, x in body("k", **changes).items() if key != "fields"}


MADE: dict[str, tuple[dict[str, Any], str, str]] = {
    "add": (body(), "SG-4 SG-5", "an add by a maintainer"),
    "add-grant": (body(by="ada", grant=LOW), "SG-4", "an add under a grant"),
    "named": (body(name="Ada", time=5, note="why"), "SG-4", "a name, a time and a note: version 3 still"),
    "remove": (body("remove", {"operations": [LOW, HIGH]}), "SG-5", "a remove"),
    "attest": (body("attest", {"merge_id": LOW, "model_root": HIGH}), "SG-5", "an attest"),
    "grant": (body("grant", GRANT), "SG-5", "a grant"),
    "grant-long": (body("grant", {**GRANT, "name": "n" * 256}), "SG-5", "256 bytes of name"),
    "grant-by-writer": (body("grant", GRANT, "ada", grant=LOW), "SG-5 SG-7", "a writer's grant: it enters the set"),
    "revoke": (body("revoke", {"grants": [LOW, HIGH]}), "SG-5", "a revoke of two grants"),
    "keep": (body("keep", {"revoke": LOW, "operations": [LOW, HIGH]}), "SG-5", "a keep of two operations"),
    "later-kind": (body("poll", {"question": "?"}), "SG-6", "a kind of a later version"),
    "later-kind-named": (body("poll", {}, name="Ada", time=0, note="n"), "SG-6", "and what an operation may have"),
    "later-version": (
        body("add", 5, version=4, colour="red", time=-1),
        "SG-6",
        "version 4: nothing is asked of the rest",
    ),
    "later-bare": (bare(version=2**31 - 1), "SG-6", "the last version, and nothing but what every one has"),
    "later-grant": (body("grant", GRANT, version=4), "SG-6", "a grant of version 4"),
}

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "version-1": (body(version=1), "SG-4", "version 1 is of open workspaces"),
    "version-2": (body(version=2, name="Ada"), "SG-4", "so is version 2"),
    "version-true": (body(version=True), "SG-4", "true is no version"),
    "version-2-31": (body(version=2**31), "SG-6", "a version of 2^31"),
    "no-author": (body(author=None), "SG-4", "no author"),
    "author-small": (body(author=SMALL), "SG-1 SG-4", "an author of small order"),
    "author-again": (body(author=AGAIN), "SG-1 SG-4", "an author that is not canonical"),
    "author-short": (body(author=bytes(31)), "SG-4", "31 bytes of author"),
    "grant-short": (body(grant=bytes(31)), "SG-4", "31 bytes of grant"),
    "grant-string": (body(grant=LOW.hex()), "SG-4", "a grant in hexadecimal digits"),
    "extra-key": (body(colour="red"), "SG-4", "a key too many"),
    "extra-key-later-kind": (body("poll", {}, colour="red"), "SG-6", "a key too many, of another kind"),
    "fields-later-kind": (body("poll", []), "SG-6", "fields that are no map, of another kind"),
    "kind-empty": (body("", {}), "SG-6", "a kind without a letter"),
    "kind-long": (body("k" * 65, {}), "SG-6", "65 bytes of kind"),
    "kind-control": (body("a\nb", {}), "SG-6", "a control character"),
    "kind-long-later": (body("k" * 65, version=4), "SG-6", "65 bytes of kind, version 4"),
    "kind-integer": (body(kind=1), "SG-4", "a kind that is no string"),
    "kind-map-later": (body(kind={}, version=4), "SG-6", "a kind that is no string, version 4"),
    "no-kind-later": (body(kind=None, version=4), "SG-6", "no kind, version 4"),
    "no-workspace-later": (body(workspace=None, version=4), "SG-6", "no workspace, version 4"),
    "time-negative": (body(time=-1), "SG-4", "before 1970"),
    "name-empty": (body(name=""), "SG-4", "an empty name"),
    "note-long": (body(note="n" * 4097), "SG-4", "4,097 bytes of note"),
    "grant-key-small": (body("grant", {**GRANT, "key": SMALL}), "SG-1 SG-5", "a grant to a key of small order"),
    "grant-key-again": (body("grant", {**GRANT, "key": AGAIN}), "SG-1 SG-5", "a grant to a key that is not canonical"),
    "grant-no-name": (body("grant", {**GRANT, "name": ""}), "SG-5", "a grant to nobody"),
    "grant-name-long": (body("grant", {**GRANT, "name": "n" * 257}), "SG-5", "257 bytes of name"),
    "grant-name-control": (body("grant", {**GRANT, "name": "\x1b"}), "SG-5", "a control character"),
    "grant-nonce": (body("grant", {**GRANT, "nonce": bytes(15)}), "SG-5", "15 bytes of nonce"),
    "grant-extra": (body("grant", {**GRANT, "more": 1}), "SG-5", "a field too many"),
    "revoke-none": (body("revoke", {"grants": []}), "SG-5", "nothing to revoke"),
    "revoke-descending": (body("revoke", {"grants": [HIGH, LOW]}), "SG-5", "grants in descending order"),
    "revoke-twice": (body("revoke", {"grants": [LOW, LOW]}), "SG-5", "a grant twice"),
    "revoke-bytes": (body("revoke", {"grants": LOW}), "SG-5", "one grant without an array"),
    "keep-none": (body("keep", {"revoke": LOW, "operations": []}), "SG-5", "nothing to keep"),
    "keep-descending": (body("keep", {"revoke": LOW, "operations": [HIGH, LOW]}), "SG-5", "in descending order"),
    "keep-no-revoke": (body("keep", {"operations": [LOW]}), "SG-5", "a keep of no revoke"),
    "keep-short": (body("keep", {"revoke": LOW[1:], "operations": [LOW]}), "SG-5", "a revoke of 31 bytes"),
}


def signature_of(name: str, **changes: Any) -> bytes:
    return bytes(ed.sign(SEEDS[name], signed.message(body(by=name, **changes))))


def whole(body: Any, signature: Any) -> bytes:
    return encode({"body": body, "signature": signature})


GOOD = signature_of("maintainer")
FORGED: dict[str, tuple[bytes, str, str, str]] = {
    "not-signed": (encode({"body": body()}), "OperationError", "SG-4", "no signature"),
    "open": (encode({"body": {k: x for k, x in body(version=1).items() if k != "author"}}), "OperationError", "SG-4",
             "an operation of an open workspace"),
    "other-note": (whole(body(note="changed"), GOOD), "OperationError", "SG-2 SG-7", "a note that was not signed"),
    "other-author": (whole(body(by="eve"), GOOD), "OperationError", "SG-2 SG-7", "a signature under another's key"),
    "wrong-key": (whole(body(), signature_of("eve")), "OperationError", "SG-2 SG-7", "a maintainer's name on Eve's"),
    "no-prefix": (whole(body(), ed.sign(SEEDS["maintainer"], encode(body()))), "OperationError", "SG-2",
                  "the body signed without the text before it"),
    "s-and-l": (whole(body(), GOOD[:32] + (int.from_bytes(GOOD[32:], "little") + ed.L).to_bytes(32, "little")),
                "OperationError", "SG-2", "S + L"),
    "short": (whole(body(), GOOD[:63]), "OperationError", "SG-2", "63 bytes of signature"),
    "string": (whole(body(), GOOD.hex()), "OperationError", "SG-2", "a signature in hexadecimal digits"),
    "later-unsigned": (whole(body("add", version=4), bytes(64)), "OperationError", "SG-6", "a later version, forged"),
    "extra": (encode({"body": body(), "signature": GOOD, "more": 1}), "OperationError", "SG-4", "a key too many"),
    "replayed": (signed.sign(SEEDS["maintainer"], body(workspace=ELSEWHERE)), "WrongWorkspace", "SG-7",
                 "a good operation of another workspace"),
    "replayed-later": (signed.sign(SEEDS["maintainer"], body(workspace=ELSEWHERE, version=4)), "WrongWorkspace",
                       "SG-6 SG-7", "one of a later version and another workspace"),
    "trailing": (whole(body(), GOOD) + b"\0", "EncodingError", "SG-7", "a byte behind it"),
}  # fmt: skip


def sign(i: str, made: dict[str, Any], clauses: str, why: str) -> Case:
    by = next(name for name, key in KEYS.items() if key == made["author"])
    given = {"workspace": WORKSPACE.hex(), "seed": SEEDS[by].hex(), "body": show_value(made)}
    return Case("sign", f"sign-{i}", clauses + " SG-2", why, given)


def read(i: str, operation: bytes, clauses: str, why: str, says: Json) -> Case:
    given = {"workspace": WORKSPACE.hex(), "operation": operation.hex()}
    return Case("read-signed", f"read-signed-{i}", clauses, why, given, says)


def signed_anyhow(made: dict[str, Any]) -> bytes:
    """Signed by whom it names, or where that is nobody by the maintainer."""
    by = next((name for name, key in KEYS.items() if key == made.get("author")), "maintainer")
    return bytes(signed.sign(SEEDS[by], made))


OPERATIONS = [
    *GENESES,
    *(sign(i, made, clauses, why) for i, (made, clauses, why) in MADE.items()),
    *(
        read(i, signed_anyhow(made), clauses, why, {"later": i.startswith("later")})
        for i, (made, clauses, why) in MADE.items()
    ),
    *(
        read(f"refused-{i}", signed_anyhow(made), clauses, why, "OperationError")
        for i, (made, clauses, why) in BAD.items()
    ),
    *(read(f"refused-{i}", data, clauses, why, rule) for i, (data, rule, clauses, why) in FORGED.items()),
    Case("read-operation", "read-operation-refused-signed", "OS-5 SG-4", "a signed operation in an open workspace",
         {"workspace": WORKSPACE.hex(), "operation": signed_anyhow(body()).hex()}, "OperationError"),
]  # fmt: skip
