"""States: which contributions a set of operations makes visible, in whatever order it arrived."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.canonical import encode
from generator.reference.contributions import contribution_id
from generator.reference.hashes import H
from generator.reference.operations import make_genesis, operation_id, workspace_id

Json = Any
BASE, ELSEWHERE = H("model", b"base"), H("model", b"another base")
GENESIS = make_genesis(BASE, "team", {"method": "ties", "density": "0.2"})
WORKSPACE = workspace_id(GENESIS)
OTHER_GENESIS = make_genesis(BASE, "other team", {"method": "ties", "density": "0.2"})


def manifest(label: str, coefficient: str = "3f800000", base: bytes = BASE) -> dict[str, Any]:
    """A manifest whose tensors root comes from a label."""
    return {
        "base": base,
        "coefficient": coefficient,
        "elements": 4,
        "form": "finetuned",
        "format": 1,
        "tensors": H("model", label.encode()),
    }


def operation(kind: str, fields: dict[str, Any], workspace: bytes = WORKSPACE, **extra: Any) -> bytes:
    return encode({"body": {"version": 1, "workspace": workspace, "kind": kind, "fields": fields, **extra}})


def add(
    label: str, nonce: int = 0, coefficient: str = "3f800000", base: bytes = BASE, workspace: bytes = WORKSPACE
) -> bytes:
    fields = {"manifest": manifest(label, coefficient, base), "nonce": nonce.to_bytes(16, "big")}
    return operation("add", fields, workspace)


def remove(*operations: bytes, **extra: Any) -> bytes:
    return operation("remove", {"operations": sorted(map(operation_id, operations))}, **extra)


def attest(merge: str, root: str) -> bytes:
    return operation("attest", {"merge_id": H("merge", merge.encode()), "model_root": H("model", root.encode())})


def contribution(label: str, coefficient: str = "3f800000") -> str:
    return contribution_id(manifest(label, coefficient)).hex()


def seen(*ids: str) -> Json:
    return {"visible": sorted(ids)}


def state(i: str, clauses: str, why: str, operations: list[bytes], says: Json) -> Case:
    inputs = {"genesis": GENESIS.hex(), "operations": [op.hex() for op in operations]}
    return Case("state", f"state-{i}", clauses, why, inputs, says)


A0, A1, A2, B0, C0 = add("a"), add("a", 1), add("a", 2), add("b"), add("c")
A, B, C = contribution("a"), contribution("b"), contribution("c")
UNKNOWN = add("nobody has it", 7)
FOREIGN = add("f", base=ELSEWHERE)
HALF = add("a", coefficient="3f000000")

STATES = [
    state("empty", "OS-9 OS-11", "no operations: nothing visible; the merge id is that of the empty list", [],
          seen()),
    state("one", "OS-9 OS-11", "one add", [A0], seen(A)),
    state("two", "OS-9 OS-11", "two adds", [A0, B0], seen(A, B)),
    state("two-swapped", "OS-7 OS-11", "the same in another order", [B0, A0], seen(A, B)),
    state("twice", "OS-7", "one operation twice is one operation", [A0, A0], seen(A)),
    state("two-nonces", "OS-9", "two adds of one contribution: visible once", [A0, A1], seen(A)),
    state("coefficient", "CT-3 OS-9 OS-13", "one tensors root with two coefficients: two contributions, a warning",
          [A0, HALF],
          {**seen(A, contribution("a", "3f000000")), "shared_tensors": [H("model", b"a").hex()]}),
    state("removed", "OS-9", "an add and its remove", [A0, remove(A0)], seen()),
    state("remove-first", "OS-9", "the remove arrives before its add", [remove(A0), A0], seen()),
    state("remove-alone", "OS-9", "a remove without its add is a state", [remove(A0), B0], seen(B)),
    state("add-wins", "OS-9", "a second add that the remove does not name: the add wins", [A0, remove(A0), A1],
          seen(A)),
    state("remove-both", "OS-9", "a remove that names both", [A0, A1, remove(A0, A1)], seen()),
    state("two-removes", "OS-9", "two removes, one for each add", [A0, A1, remove(A0), remove(A1)], seen()),
    state("removed-twice", "OS-9", "two removes of one add", [A0, remove(A0), remove(A0, note="again")], seen()),
    state("added-again", "OS-9", "removed, added again with a new nonce", [A0, remove(A0), A1, remove(A1), A2],
          seen(A)),
    state("remove-unknown", "OS-9", "a remove that names an unknown id besides", [A0, B0, remove(A0, UNKNOWN)],
          seen(B)),
    state("remove-of-remove", "OS-9", "a remove that names a remove: nothing comes back",
          [A0, remove(A0), remove(remove(A0))],
          seen()),
    state("remove-of-attest", "OS-9", "a remove that names an attest: nothing happens", [A0, attest("m", "r"),
          remove(attest("m", "r"))], seen(A)),
    state("remove-contribution-id", "OS-9",
          "a remove that names the contribution's id, not the add's: nothing happens",
          [A0, operation("remove", {"operations": [bytes.fromhex(A)]})], seen(A)),
    state("other-base", "OS-8", "an add of another base has no effect", [A0, FOREIGN], seen(A)),
    state("other-base-alone", "OS-8 OS-11", "and alone leaves the merge id of the empty list", [FOREIGN], seen()),
    state("attest", "OS-12", "an attest changes nothing that is visible", [A0, attest("m", "r")],
          {**seen(A), "contradicted_merge_ids": []}),
    state("attest-agree", "OS-12", "two attests that agree",
          [attest("m", "r"), operation("attest", {"merge_id": H("merge", b"m"), "model_root": H("model", b"r")},
                                       time=5)],
          {**seen(), "contradicted_merge_ids": []}),
    state("attest-disagree", "OS-12", "two attests that do not: some machine is broken",
          [attest("m", "r"), attest("m", "s"),
          attest("n", "r")], {**seen(), "contradicted_merge_ids": [H("merge", b"m").hex()]}),
    state("attest-removed", "OS-9 OS-12", "a remove that names an attest does not silence the contradiction",
          [attest("m", "r"), attest("m", "s"), remove(attest("m", "s"))],
          {**seen(), "contradicted_merge_ids": [H("merge", b"m").hex()]}),
    state("attests-removed", "OS-9 OS-12", "nor does one that names both, and an add besides",
          [A0, attest("m", "r"), attest("m", "s"), remove(A0, attest("m", "r"), attest("m", "s"))],
          {**seen(), "contradicted_merge_ids": [H("merge", b"m").hex()]}),
    state("many", "OS-9 OS-11", "ids in ascending order", [add(f"many {i}") for i in range(9)], None),
    state("refused-operation", "OS-6", "what is malformed enters no state", [A0, b"\x80"], "OperationError"),
    state("refused-workspace", "OS-6", "nor does an operation of another workspace",
          [A0, add("b", workspace=workspace_id(OTHER_GENESIS))], "WrongWorkspace"),
]  # fmt: skip


def retract(i: str, why: str, operations: list[bytes], contribution: str, named: list[bytes]) -> Case:
    inputs = {"genesis": GENESIS.hex(), "operations": [op.hex() for op in operations], "contribution": contribution}
    says = {"operations": sorted(operation_id(op).hex() for op in named)}
    return Case("retract", f"retract-{i}", "OS-10", why, inputs, says)


RETRACTS = [
    retract("one", "one add", [A0, B0], A, [A0]),
    retract("two", "every add of it, in ascending order", [A0, A1, A2, B0], A, [A0, A1, A2]),
    retract("removed", "not one that a remove names already", [A0, A1, remove(A0)], A, [A1]),
    retract("coefficient", "not one with another coefficient", [A0, HALF], A, [A0]),
]


def nothing_to_retract(i: str, why: str, operations: list[bytes]) -> Case:
    inputs = {"genesis": GENESIS.hex(), "operations": [op.hex() for op in operations]}
    foreign = contribution_id(manifest("f", base=ELSEWHERE)).hex()
    inputs["contribution"] = foreign if FOREIGN in operations else A
    return Case("retract", f"retract-refused-{i}", "OS-10", why, inputs, "NothingToRetract")


NOTHING = [
    nothing_to_retract("empty", "an empty state", []),
    nothing_to_retract("unknown", "a contribution that nobody added", [B0, HALF]),
    nothing_to_retract("removed", "every add of it is removed", [A0, A1, B0, remove(A0), remove(A1)]),
    nothing_to_retract("remove-alone", "a remove whose add is not there", [remove(A0)]),
    nothing_to_retract("other-base", "an add of another base is not effective", [A0, FOREIGN]),
]


def joined(left: list[bytes], right: list[bytes], right_genesis: bytes = GENESIS) -> Json:
    return {
        "left": {"genesis": GENESIS.hex(), "operations": [op.hex() for op in left]},
        "right": {"genesis": right_genesis.hex(), "operations": [op.hex() for op in right]},
    }


JOINS = [
    Case("join", "join-disjoint", "OS-7", "two states", joined([A0], [B0]), seen(A, B)),
    Case("join", "join-swapped", "OS-7", "the same the other way round", joined([B0], [A0]), seen(A, B)),
    Case("join", "join-overlap", "OS-7", "operations that both hold", joined([A0, B0], [B0, C0]), seen(A, B, C)),
    Case("join", "join-empty", "OS-7", "with the empty state", joined([], [A0]), seen(A)),
    Case("join", "join-itself", "OS-7", "with itself", joined([A0, B0], [A0, B0]), seen(A, B)),
    Case("join", "join-remove", "OS-7 OS-9", "a remove that the other replica made",
         joined([A0, B0], [A0, remove(A0)]), seen(B)),
    Case("join", "join-add-wins", "OS-7 OS-9", "a remove on one side, a new add on the other",
         joined([A0, remove(A0)], [A0, A1]), seen(A)),
    Case("join", "join-backup", "OS-7", "a restored backup is a smaller set", joined([], [A0, remove(A0), A1]),
         seen(A)),
    Case("join", "join-refused-workspace", "OS-7", "two workspaces", joined([], [], OTHER_GENESIS), "WrongWorkspace"),
]  # fmt: skip


def breadth() -> list[Case]:
    """Random sets: any operations of a few adds and removes of any of them."""
    random, cases = Random(12), []
    adds = [add(label, nonce) for label in "abc" for nonce in range(3)] + [FOREIGN]
    for n in range(16):
        operations = [x for x in adds if random.below(2)]
        operations += [remove(*chosen) for _ in range(4) if (chosen := [x for x in adds if random.below(4) == 0])]
        for i in range(len(operations) - 1, 0, -1):
            j = random.below(i + 1)
            operations[i], operations[j] = operations[j], operations[i]
        cases.append(state(f"random-{n}", "OS-8 OS-9 OS-11", "random", operations, None))
    return cases


CASES = [*STATES, *RETRACTS, *NOTHING, *JOINS, *breadth()]
