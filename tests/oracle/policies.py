"""Sets of operations as the oracle is asked of them."""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.attestations import witnesses
from mergealgebra.crdt.authority import Grant, Keep, Later, Revoke
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from tests.oracle.program import Json, Oracle


def ask(oracle: Oracle, state: ORSet, peer: ORSet) -> Json:
    """What the proofs say of the operations of a state, and of what goes from it to a peer."""
    answer = oracle.ask(request(state.genesis, state.operations, peer.operations))
    return {
        "admissible": set(answer["admissible"]),
        "effective": set(answer["effective"]),
        "visible": answer["visible"],
        "witnesses": {(merge_id, root): set(keys) for merge_id, root, *keys in answer["witnesses"] if keys},
        "carried": set(answer["carried"]),
    }


def library(state: ORSet, peer: ORSet) -> Json:
    """The same of the code."""
    return {
        "admissible": set(state.admissible.by_id()),
        "effective": {operation.id for operation in state.effective},
        "visible": list(state.visible()),
        "witnesses": {
            (merge_id, root): keys for merge_id in state.attested() for root, keys in witnesses(state, merge_id).items()
        },
        "carried": {one.id for one in (state | peer).admissible.operations & state.operations},
    }


def request(genesis: Genesis, operations: Iterable[Operation], peer: Iterable[Operation]) -> Json:
    return {
        "check": "policy",
        "base": genesis.base,
        "maintainers": list(genesis.maintainers),
        "operations": [written(one) for one in operations],
        "peer": [written(one) for one in peer],
    }


def written(operation: Operation) -> Json:
    return {
        "id": operation.id,
        "signed": [operation.author, "right"] if operation.author else [],
        "under": [operation.grant] if operation.grant else [],
        "action": action(operation),
    }


def action(operation: Operation) -> Json:
    match operation.payload:
        case Add(manifest=manifest):
            return ["add", manifest.base, manifest.id]
        case Attest(merge_id=merge_id, model_root=root):
            return ["attest", merge_id, root]
        case Grant(key=key):
            return ["grant", key]
        case Remove(operations=names) | Revoke(grants=names):
            return [operation.kind, list(names)]
        case Keep(revoke=revoke, operations=names):
            return ["keep", revoke, list(names)]
        case Later():
            return ["later"]
    raise TypeError(f"the oracle has no word for {operation.payload!r}")
