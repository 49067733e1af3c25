"""Which operations count: decided from the genesis and the set alone, so all replicas agree [OS-8]."""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.records import Record


def effective(genesis: Genesis, operations: Iterable[Operation]) -> frozenset[Operation]:
    """The operations that count in an open workspace: all but an add for another base [OS-8].

    Monotone: more operations never make one of them ineffective.
    """
    return frozenset(operation for operation in operations if counts(genesis, Record.of(operation)))


def counts(genesis: Genesis, record: Record) -> bool:
    """Whether the operation of a record counts in an open workspace."""
    return record.kind != "add" or record.about == genesis.base
