"""Which operations count: decided from the genesis and the set alone, so all replicas agree [OS-8]."""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Add, Operation


def effective(genesis: Genesis, operations: Iterable[Operation]) -> frozenset[Operation]:
    """The operations that count in an open workspace: all but an add for another base [OS-8].

    Monotone: more operations never make one of them ineffective.
    """
    return frozenset(operation for operation in operations if not _adds_to_another_base(genesis, operation))


def _adds_to_another_base(genesis: Genesis, operation: Operation) -> bool:
    return isinstance(operation.payload, Add) and operation.payload.manifest.base != genesis.base
