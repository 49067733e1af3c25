"""What a growing set of operations makes visible, kept up to date: a join costs what comes in [OS-8, OS-9, SG-8].

Adds, removes and attests never take back what another made of the set: the order in which they come in changes nothing.
What maintainers say of grants can: then all is counted anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.policy import Authority
from mergealgebra.crdt.records import Record


class Visibility:
    """What the effective ones of the records that were taken say.

    authority: who may write. adds: by contribution. attested: model roots, by merge id and by the key that attests.
    visible: the contributions with an add that no remove takes back.
    """

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._taken: list[Record] = []
        self._begin()

    def take(self, records: Iterable[Record]) -> None:
        """Take in further operations, each of which comes once."""
        fresh = list(records)
        self._taken += fresh
        if any(map(self.authority.changes_with, fresh)):
            self._begin()
            fresh = self._taken
        for record in fresh:
            if self.authority.counts(record):
                self._take(record)

    def standing(self, contribution: str) -> list[Record]:
        """The adds of a contribution that no remove takes back [OS-9, SG-9]."""
        return [add for add in self.adds.get(contribution, ()) if add.id in self._standing]

    def removes(self, add: Record) -> list[Record]:
        """The removes that take an add back [SG-9]."""
        return [one for one in self._removes.get(add.id, ()) if self.authority.takes_back(one.author, add)]

    def _begin(self) -> None:
        self.authority = Authority.of(self._genesis, self._taken)
        self._standing: dict[str, Record] = {}  # the adds that stand
        self._count: Counter[str] = Counter()  # how many of each contribution do
        self._removes: dict[str, list[Record]] = {}  # by the operation that they name, here or not
        self.adds: dict[str, list[Record]] = {}
        self.attested: dict[str, dict[str | None, set[str]]] = {}
        self.visible: set[str] = set()

    def _take(self, record: Record) -> None:
        match record.kind:
            case "add":
                self._add(record, record.says[0])
            case "remove":
                self._remove(record)
            case "attest":
                merge_id, root = record.says
                self.attested.setdefault(merge_id, {}).setdefault(record.author, set()).add(root)
            case "grant" | "revoke" | "keep":
                pass  # the authority has them
            case _:
                raise ValueError(record)

    def _add(self, record: Record, contribution: str) -> None:
        self.adds.setdefault(contribution, []).append(record)
        if not self.removes(record):
            self._standing[record.id] = record
            self._count[contribution] += 1
            self.visible.add(contribution)

    def _remove(self, record: Record) -> None:
        for name in record.names:
            self._removes.setdefault(name, []).append(record)
            add = self._standing.get(name)
            if add is not None and self.authority.takes_back(record.author, add):
                del self._standing[name]
                (contribution,) = add.says
                self._count[contribution] -= 1
                if not self._count[contribution]:
                    self.visible.discard(contribution)
