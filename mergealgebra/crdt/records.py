"""Records: what decides about an operation, without its body, which is read when somebody asks for it.

A set of 100,000 operations opens fast because what is visible follows from records alone. A record says what its
operation says: it is made of an operation that was checked, here or by an earlier command of this workspace [PK-6].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from mergealgebra.crdt.operations import Add, Attest, Operation

#: What is written first, where several operations are: a keep before its revoke, or what is kept would be hidden; a
#: revoke before the grant that it names, and removes before adds, or what was taken back would be shown [SY-8].
_FIRST: Final = ("keep", "revoke", "remove", "grant")


class Source(Protocol):
    """Where operations can be read again, such as a pack."""

    def read(self, name: str) -> Operation:
        """The operation with this id. Raises OperationError when it is not there any more, or damaged."""

    def encoded(self, name: str) -> bytes:
        """Its encoding, of which the id is the hash. Raises OperationError."""


class Record(NamedTuple):
    """An operation without its body, and what policy.py wants to know of it.

    author, grant: who signed it and under what; None in an open workspace. names, about: as of the operation. says: of
    an `add` the contribution, of an `attest` the merge id and the model root. source: the operation itself, or where
    it is read.
    """

    id: str
    kind: str
    author: str | None
    grant: str | None
    names: tuple[str, ...]
    about: str
    says: tuple[str, ...]
    source: Operation | Source

    @classmethod
    def of(cls, operation: Operation) -> Record:
        """The record of an operation that was checked."""
        own = operation
        return cls(own.id, own.kind, own.author, own.grant, own.names, own.about, _said(own), own)

    @property
    def operation(self) -> Operation:
        """The operation, read now unless it is at hand. Raises OperationError when it cannot be read."""
        return self.source if isinstance(self.source, Operation) else self.source.read(self.id)

    @property
    def encoded(self) -> bytes:
        """Its encoding. Raises OperationError when it cannot be read."""
        return self.source.encode() if isinstance(self.source, Operation) else self.source.encoded(self.id)


def in_writing_order(records: Iterable[Record]) -> list[Record]:
    """Records in the order in which they are written, so that whoever dies halfway shows what was or what will be."""
    rank = {kind: number for number, kind in enumerate(_FIRST)}
    return sorted(records, key=lambda record: (rank.get(record.kind, len(_FIRST)), record.id))


def _said(operation: Operation) -> tuple[str, ...]:
    match operation.payload:
        case Add(manifest=manifest):
            return (manifest.id,)
        case Attest(merge_id=merge_id, model_root=model_root):
            return merge_id, model_root
    return ()
