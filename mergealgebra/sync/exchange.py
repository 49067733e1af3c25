"""One sync: what was moved so far, and what was refused on the way [SY-4]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mergealgebra.crdt.records import Record
from mergealgebra.errors import ForeignOperation, MergeAlgebraError
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.held import Holder
from mergealgebra.sync.peer import Peer


@dataclass(eq=False)
class Moved:
    """One sync of a store with a peer of some name, and what it has done so far.

    closed: why nothing may be taken. gives: whether the peer is given anything [PR-24]. not_given: why it could not be
    given what it lacks. not_admissible: how many operations came and stay outside until they are admissible [PR-10].
    """

    store: Store
    name: str
    holder: Holder
    closed: MergeAlgebraError | None
    gives: bool = True
    refused: list[MergeAlgebraError] = field(default_factory=list)
    not_given: list[MergeAlgebraError] = field(default_factory=list)
    taken_operations: list[str] = field(default_factory=list)
    given_operations: list[str] = field(default_factory=list)
    taken_blobs: list[str] = field(default_factory=list)
    given_blobs: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    not_admissible: int = 0

    def give_nothing(self, error: MergeAlgebraError) -> None:
        """Note that the peer takes nothing, once."""
        if not self.not_given:
            self.refused.append(error)
        self.not_given.append(error)

    def readable(self, records: Iterable[Record]) -> list[Record]:
        """Those of this store's operations whose bytes can be read; each other, which rotted since, is a refusal."""
        found = list[Record]()
        for record in records:
            try:
                if record.encoded:
                    found.append(record)
            except MergeAlgebraError as error:
                self.refused.append(error)
        return found

    def result(self, lost: tuple[str, ...], passed_over: Sequence[ForeignOperation] = ()) -> SyncResult:
        """What there is to say of it in the end."""
        return SyncResult(
            tuple(sorted(self.taken_operations)),
            tuple(self.taken_blobs),
            tuple(sorted(self.given_operations)),
            tuple(self.given_blobs),
            tuple(self.mended),
            tuple(self.refused),
            (),
            lost,
            tuple(self.not_given[:1]),
            tuple(passed_over),
            self.not_admissible + self.holder.look().held_back,
        )


@dataclass(eq=False)
class Exchange(Moved):
    """One sync with a live peer. dropped: whether it lied, or was not reached, and is asked for nothing more.

    is_fast: whether its connection is so fast that packing leaves would cost more time than it saves. came_bytes: those
    of the operations that it gave.
    """

    peer: Peer = field(kw_only=True)
    dropped: bool = False
    is_fast: bool = False
    came_bytes: int = 0
