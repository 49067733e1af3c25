"""What a growing set of operations makes visible, kept up to date: a join costs what comes in [OS-8, OS-9].

Adds, removes and attests never take back what another made of the set: the order in which they come in changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.crdt.garbage_collector import paused
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.policy import counts
from mergealgebra.crdt.records import Record


class Visibility:
    """What the effective ones of the records that were taken say.

    adds: by contribution. removes: by the operation that they name, here or not. attested: model roots by merge id.
    visible: the contributions with an add that no remove names.
    """

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._added: dict[str, str] = {}  # the contribution of each add that stands
        self._standing: dict[str, dict[str, Record]] = {}  # the adds of each contribution that stand
        self.adds: dict[str, list[Record]] = {}
        self.removes: dict[str, list[Record]] = {}
        self.attested: dict[str, set[str]] = {}
        self.visible: set[str] = set()

    def take(self, records: Iterable[Record]) -> None:
        """Take in further operations, each of which comes once."""
        with paused():
            for record in records:
                if counts(self._genesis, record):
                    self._take(record)

    def standing(self, contribution: str) -> list[Record]:
        """The adds of a contribution that no remove names [OS-9]."""
        return list(self._standing.get(contribution, {}).values())

    def _take(self, record: Record) -> None:
        match record.kind:
            case "add":
                self._add(record, record.says[0])
            case "remove":
                self._remove(record)
            case "attest":
                self.attested.setdefault(record.says[0], set()).add(record.says[1])
            case _:
                raise ValueError(record)

    def _add(self, record: Record, contribution: str) -> None:
        self.adds.setdefault(contribution, []).append(record)
        if record.id not in self.removes:
            self._added[record.id] = contribution
            self._standing.setdefault(contribution, {})[record.id] = record
            self.visible.add(contribution)

    def _remove(self, record: Record) -> None:
        for name in record.names:
            self.removes.setdefault(name, []).append(record)
            contribution = self._added.pop(name, None)
            if contribution is not None:
                del self._standing[contribution][name]
                if not self._standing[contribution]:
                    self.visible.discard(contribution)
