"""A set of operations that is never changed, and grows at the cost of what comes in.

Sets that come from each other by growing share one log. Each is a beginning of it, so to grow the longest is to append;
any other is copied first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from itertools import islice

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.records import Record
from mergealgebra.crdt.visibility import Visibility
from mergealgebra.errors import OperationError, WrongWorkspace


class _Log:
    """Records in the order in which they came, each once. Only its end grows, and one thread at a time."""

    def __init__(self, genesis: Genesis, records: Iterable[Record] = ()) -> None:
        once = {record.id: record for record in records}
        self.genesis = genesis
        self.records = list(once.values())
        self.places = dict(zip(once, range(len(once)), strict=True))
        self.visibility, self._seen = Visibility(genesis), 0
        self.lock = threading.RLock()

    def beginning(self, length: int) -> _Log:
        """A log of its own that begins alike."""
        log = _Log(self.genesis)
        log.records, log.places = self.records[:length], dict(islice(self.places.items(), length))
        return log

    def append(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.id not in self.places:
                self.places[record.id] = len(self.records)
                self.records.append(record)

    def catch_up(self) -> Visibility:
        """What all records make visible."""
        if self._seen == len(self.records):
            return self.visibility
        fresh = self.records[self._seen :]
        if self.visibility.outlives(fresh):
            self.visibility.take(fresh)
        else:
            self.visibility = Visibility(self.genesis, self.records)
        self._seen = len(self.records)
        return self.visibility


class OperationSet(Set[Operation]):
    """Operations of one workspace, by id. Their bodies are read when they are asked for."""

    def __init__(self, log: _Log, length: int) -> None:
        self._log, self._length = log, length
        self._visibility: Visibility | None = None

    @classmethod
    def of(cls, genesis: Genesis, operations: Iterable[Operation | Record] = ()) -> OperationSet:
        """The set of these operations; itself if it is one already.

        Raises WrongWorkspace for one of another workspace, and OperationError for one without an author in a signed
        workspace, or with one in an open one.
        """
        if isinstance(operations, cls) and operations.workspace == genesis.workspace_id:
            return operations
        log = _Log(genesis, (one if isinstance(one, Record) else _record(one, genesis) for one in operations))
        return cls(log, len(log.records))

    # A set

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Operation]:
        return (record.operation for record in self.records())

    def __contains__(self, operation: object) -> bool:
        return isinstance(operation, Operation) and self.has(operation.id)

    def __le__(self, other: Set[object]) -> bool:
        if not isinstance(other, OperationSet):
            return super().__le__(other)
        return len(self) <= len(other) and not any(True for _ in self.lacking_in(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Set) and len(self) == len(other) and self <= other

    def __sub__(self, other: Set[object]) -> frozenset[Operation]:
        if not isinstance(other, OperationSet):
            return frozenset(one for one in self if one not in other)
        return frozenset(record.operation for record in self.lacking_in(other))

    def __hash__(self) -> int:
        return hash(frozenset(record.id for record in self.records()))

    def __repr__(self) -> str:
        return f"OperationSet({len(self)} of workspace {self.workspace[:12]}...)"

    @classmethod
    def _from_iterable(cls, operations: Iterable[Operation]) -> frozenset[Operation]:  # type: ignore[override]
        return frozenset(operations)

    # By id

    @property
    def workspace(self) -> str:
        """The id of the workspace."""
        return self._log.genesis.workspace_id

    def has(self, name: str) -> bool:
        """Whether the operation with this id is in the set."""
        return self._log.places.get(name, self._length) < self._length

    def record(self, name: str) -> Record | None:
        """The record of the operation with this id, if it is in the set."""
        return self._log.records[self._log.places[name]] if self.has(name) else None

    def records(self) -> Iterator[Record]:
        """All records, in the order in which they came in; no body is read."""
        return iter(self._log.records[: self._length])

    def lacking_in(self, other: OperationSet) -> Iterator[Record]:
        """The records that another set lacks; if this one grew from it, only those that came later are looked at."""
        if self._log is other._log:
            return iter(self._log.records[other._length : self._length])
        places, end = other._log.places, other._length
        return (record for record in self.records() if places.get(record.id, end) >= end)

    def joined(self, records: Iterable[Record]) -> OperationSet:
        """This set with further operations; itself when it has them all."""
        places, end = self._log.places, self._length
        fresh = [record for record in records if places.get(record.id, end) >= end]
        if not fresh:
            return self
        with self._log.lock:
            if self._length != len(self._log.records):
                return OperationSet._made(self._log.beginning(self._length), fresh)
            return OperationSet._made(self._log, fresh)

    @classmethod
    def _made(cls, log: _Log, fresh: Iterable[Record]) -> OperationSet:
        log.append(fresh)
        return cls(log, len(log.records))

    @contextmanager
    def seen(self) -> Iterator[Visibility]:
        """What the set makes visible, for as long as the body runs; nobody else grows the log meanwhile."""
        with self._log.lock:
            if self._length == len(self._log.records):
                yield self._log.catch_up()
                return
            if self._visibility is None:
                self._visibility = Visibility(self._log.genesis, self.records())
            yield self._visibility


def _record(operation: Operation, genesis: Genesis) -> Record:
    workspace = genesis.workspace_id
    if operation.workspace != workspace:
        raise WrongWorkspace(f"operation {operation.id} belongs to workspace {operation.workspace}, not to {workspace}")
    if (operation.author is not None) != genesis.is_signed:
        has = "an" if operation.author else "no"
        raise OperationError(f"operation {operation.id} has {has} author, and its workspace is {genesis.policy}")
    return Record.of(operation)
