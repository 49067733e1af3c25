"""What a growing set of operations makes visible, kept up to date: a join costs what comes in [OS-8, OS-9, SG-9].

Adds, removes and attests never take back what another made of the set: the order in which they come in changes nothing.
What a maintainer says about who may write can change what all others count for: then all is looked at anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.crdt.garbage_collector import paused
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.payloads import Add, Attest, Remove
from mergealgebra.crdt.policy import MAINTAINERS_ONLY, Authority
from mergealgebra.crdt.records import Record


class Visibility:
    """What the effective ones of the records that were taken say.

    authority: who may write. adds: by contribution. removes: by the operation that they name, here or not, whether they
    take effect on it or not. attested: by merge id, the model roots that each author attests. visible: the
    contributions with an add that no remove takes back.
    """

    def __init__(self, genesis: Genesis, records: Iterable[Record] = ()) -> None:
        records = list(records)
        self.authority = Authority.of(genesis, records)
        self._added: dict[str, str] = {}  # the contribution of each add that stands
        self._standing: dict[str, dict[str, Record]] = {}  # the adds of each contribution that stand
        self.adds: dict[str, list[Record]] = {}
        self.removes: dict[str, list[Record]] = {}
        self.attested: dict[str, dict[str | None, set[str]]] = {}
        self.visible: set[str] = set()
        self.take(records)

    def outlives(self, records: Iterable[Record]) -> bool:
        """Whether further operations leave it as it is who may write; else all is to be looked at anew [SG-8]."""
        return self.authority.is_open or not any(record.kind in MAINTAINERS_ONLY for record in records)

    def take(self, records: Iterable[Record]) -> None:
        """Take in further operations, each of which comes once, and which it outlives."""
        of_kind: dict[str, list[Record]] = {}
        with paused():
            for record in records:
                if self.authority.counts(record):
                    of_kind.setdefault(record.kind, []).append(record)
            self._remove(of_kind.pop(Remove.kind, ()))  # first: what it takes back need not stand meanwhile
            self._add(of_kind.pop(Add.kind, ()))
            self._attest(of_kind.pop(Attest.kind, ()))
        if unknown := of_kind.keys() - MAINTAINERS_ONLY:
            raise ValueError(unknown)

    def standing(self, contribution: str) -> list[Record]:
        """The adds of a contribution that no remove takes back [OS-9, SG-9]."""
        return list(self._standing.get(contribution, {}).values())

    def taken_back(self, add: Record) -> list[Record]:
        """The removes that take effect on an effective add."""
        return [one for one in self.removes.get(add.id, ()) if self.authority.takes_back(one.author, add)]

    def _remove(self, removes: Iterable[Record]) -> None:
        for record in removes:
            for name in record.names:
                self.removes.setdefault(name, []).append(record)
                contribution = self._added.get(name)
                if contribution is not None:
                    standing = self._standing[contribution]
                    if self.authority.takes_back(record.author, standing[name]):
                        del standing[name], self._added[name]
                        if not standing:
                            self.visible.discard(contribution)

    def _add(self, adds: Iterable[Record]) -> None:
        for record in adds:
            contribution = record.says[0]
            self.adds.setdefault(contribution, []).append(record)
            if not self._is_taken_back(record):
                self._added[record.id] = contribution
                self._standing.setdefault(contribution, {})[record.id] = record
                self.visible.add(contribution)

    def _is_taken_back(self, add: Record) -> bool:
        for remove in self.removes.get(add.id, ()):  # noqa: SIM110 - any() takes twice as long as all the rest
            if self.authority.takes_back(remove.author, add):
                return True
        return False

    def _attest(self, attests: Iterable[Record]) -> None:
        for record in attests:
            by_author = self.attested.setdefault(record.says[0], {})
            by_author.setdefault(record.author, set()).add(record.says[1])
