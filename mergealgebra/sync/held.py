"""The operations of a store as peers are told of them: by the sets that are reconciled [PR-10]."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.records import Record
from mergealgebra.errors import MergeAlgebraError, PeerError
from mergealgebra.store.objects import Store
from mergealgebra.store.reading import Reading
from mergealgebra.sync.messages import ADMISSIBLE, MAINTAINERS
from mergealgebra.sync.ranges import IdSet


@dataclass(frozen=True)
class Held:
    """The operations that a store had at some moment."""

    reading: Reading

    @property
    def state(self) -> ORSet:
        """Those in files that are what their names promise."""
        return self.reading.state

    @property
    def damaged(self) -> Mapping[str, MergeAlgebraError]:
        """Why other files of one operation are not, by its id."""
        return self.reading.damaged

    @property
    def held_back(self) -> int:
        """How many operations are not admissible, and stay where they are [SG-10]."""
        return len(self.state.operations) - len(self.ids(ADMISSIBLE))

    def ids(self, of: str) -> IdSet:
        """One of the sets that are reconciled."""
        if of not in self._sets:
            raise PeerError(f"there is no set {of!r}")
        return self._sets[of]

    def encoded(self, id_: str) -> bytes | None:
        """The encoding of an operation; None where it is not here, or cannot be read any more."""
        record = self.state.record(id_)
        with suppress(MergeAlgebraError):
            return None if record is None else record.encoded
        return None

    @cached_property
    def _sets(self) -> Mapping[str, IdSet]:
        genesis = self.state.genesis
        admissible = (self.state.admissible if genesis.is_signed else self.state).records().values()
        of_maintainers = (record for record in admissible if record.author in genesis.maintainers)
        return {MAINTAINERS: _ids(of_maintainers), ADMISSIBLE: _ids(admissible)}

    def admissible(self, operations: Iterable[Operation]) -> tuple[list[Record], list[Record]]:
        """Of further operations, those that are admissible once all of them are here, and the others [SG-10]."""
        new = [Record.of(operation) for operation in operations]
        authority = self.state.authority
        if any(one.author in authority.maintainers for one in new):  # nobody else changes who may write
            authority = self.state.joined(new).authority
        return [one for one in new if authority.admits(one)], [one for one in new if not authority.admits(one)]


def entering(here: ORSet, theirs: ORSet, held: Collection[str]) -> ORSet:
    """What of a peer's operations may come: those that are admissible then, as in a sync [PR-10], or were here."""
    admissible = here.join(theirs).admissible
    found = theirs.records().values()
    return ORSet(here.genesis).joined(record for record in found if record.id in held or admissible.has(record.id))


def _ids(records: Iterable[Record]) -> IdSet:
    return IdSet(bytes.fromhex(record.id) for record in records)


class Holder:
    """Looks again at a store before each answer; only what is new is read. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: Held | None = None
        self._lock = threading.Lock()

    def look(self, checked: Iterable[Record] = ()) -> Held:
        """What the store has now. Raises WorkspaceError when its folder cannot be read.

        checked: records of operations that were checked here, which are not decoded again.
        """
        with self._lock:
            reading = self.store.read(ORSet(self.store.genesis).joined(checked))
            if self._held is None or not _alike(self._held.reading, reading):
                self._held = Held(reading)
            return self._held


def _alike(one: Reading, other: Reading) -> bool:
    """Whether two readings say the same to peers, so that ids need not be sorted again."""
    return one.state is other.state and one.damaged.keys() == other.damaged.keys()
