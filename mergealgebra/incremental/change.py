"""The changes from the contributions that an aggregate holds to those that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.incremental.header import Entry


@dataclass(frozen=True)
class Change:
    """The changes. unread: the entries of those that stay, by index; added: indices; retracted: what goes."""

    unread: Mapping[int, Entry]
    added: Sequence[int]
    retracted: Sequence[Manifest]

    @classmethod
    def between(cls, entries: Sequence[Entry], wanted: Sequence[Manifest]) -> Change:
        before = {entry.manifest.id: entry for entry in entries}
        after = {manifest.id for manifest in wanted}
        unread = {index: before[m.id] for index, m in enumerate(wanted) if m.id in before}
        added = [index for index in range(len(wanted)) if index not in unread]
        return cls(unread, added, [entry.manifest for id_, entry in before.items() if id_ not in after])

    @property
    def size(self) -> int:
        """How many contributions come or go."""
        return len(self.added) + len(self.retracted)
