"""One sync with a live peer: what was moved so far, and what was refused on the way [SY-4]."""

from __future__ import annotations

from dataclasses import dataclass, field

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.objects import Store
from mergealgebra.sync.held import Holder
from mergealgebra.sync.peer import Peer


@dataclass
class Exchange:
    """One sync of a store with a peer, and what it has done so far.

    closed: why nothing may be taken. not_given: why the peer could not be given what it lacks. not_admissible: how
    many operations came and stay outside until they are admissible [PR-10].
    """

    store: Store
    peer: Peer
    holder: Holder
    closed: MergeAlgebraError | None
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
