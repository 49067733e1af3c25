"""The model of signed workspaces: who said what, and what that comes to for who has heard some of it [SG-8 to SG-12].

It knows people and facts by the simulator's names; no keys, ids, bytes, order or time. It is written from the clauses,
each of them as it reads, and is slow.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

Facts = frozenset[str]

RULINGS = ("grant", "revoke", "keep")
#: An add for another base than the workspace's is of this.
ANOTHER_BASE = "base"


@dataclass(frozen=True)
class Said:
    """One fact. by: whose key signed it. under: the fact that it names as its grant, if it names one.

    what: of an add the contribution, of a grant to whom, of a keep the revoke, of an attest the root. names: the facts
    that a remove, revoke or keep names; of an attest, the contributions that are merged.
    """

    kind: str
    by: str
    under: str | None = None
    what: str = ""
    names: Facts = frozenset()


@dataclass
class TeamModel:
    """maintainers: the people who may do everything. said: what each fact says."""

    maintainers: frozenset[str]
    said: dict[str, Said] = field(default_factory=dict)
    _admissible: dict[Facts, Facts] = field(default_factory=dict)

    def rulings(self, heard: Set[str], kind: str) -> dict[str, Said]:
        """The grants, revokes or keeps that count: a maintainer signed them."""
        return {
            fact: self.said[fact]
            for fact in heard
            if self.said[fact].kind == kind and self.said[fact].by in self.maintainers
        }

    def grants_to(self, heard: Set[str], who: str) -> Set[str]:
        """The grants that count and are to somebody."""
        return {fact for fact, grant in self.rulings(heard, "grant").items() if grant.what == who}

    def live(self, heard: Set[str], who: str) -> Set[str]:
        """Those of them that no revoke names."""
        revoked = {name for revoke in self.rulings(heard, "revoke").values() for name in revoke.names}
        return self.grants_to(heard, who) - revoked

    def may_write(self, heard: Set[str], who: str) -> bool:
        """Whether what somebody writes now is admissible."""
        return who in self.maintainers or bool(self.live(heard, who))

    def admissible(self, heard: Set[str]) -> Facts:
        """What is passed on to others."""
        heard = Facts(heard)
        if heard not in self._admissible:  # facts do not change, so what follows from some of them does not
            self._admissible[heard] = self._admissible_of(heard)
        return self._admissible[heard]

    def _admissible_of(self, heard: Facts) -> Facts:
        grants, revokes = self.rulings(heard, "grant"), self.rulings(heard, "revoke")
        keeps = self.rulings(heard, "keep").values()

        def stands(fact: str) -> bool:
            one = self.said[fact]
            if one.by in self.maintainers:
                return True
            if one.under not in grants or grants[one.under].what != one.by:
                return False
            against = [revoke for revoke, said in revokes.items() if one.under in said.names]
            return all(any(keep.what == revoke and fact in keep.names for keep in keeps) for revoke in against)

        return frozenset(filter(stands, heard))

    def effective(self, heard: Set[str]) -> Facts:
        """What counts."""
        return frozenset(fact for fact in self.admissible(heard) if self._counts(self.said[fact]))

    def standing(self, heard: Set[str]) -> dict[str, Said]:
        """The adds that count and that nobody took back who may."""
        counted = {fact: self.said[fact] for fact in self.effective(heard)}
        adds = {fact: one for fact, one in counted.items() if one.kind == "add"}
        removes = [one for one in counted.values() if one.kind == "remove"]
        return {
            fact: add
            for fact, add in adds.items()
            if not any(fact in one.names and self._may_take_back(one.by, add) for one in removes)
        }

    def visible(self, heard: Set[str]) -> Facts:
        """The contributions of the adds that stand."""
        return frozenset(add.what for add in self.standing(heard).values())

    def observed(self, heard: Set[str], who: str, contribution: str) -> Facts:
        """What somebody's retraction takes back: what stands, is known to them, and is theirs to take back."""
        standing = self.standing(heard).items()
        return frozenset(fact for fact, add in standing if add.what == contribution and self._may_take_back(who, add))

    def done(self, heard: Set[str], who: str) -> Facts:
        """All that somebody signed."""
        return frozenset(fact for fact in heard if self.said[fact].by == who)

    def to_keep(self, heard: Set[str], who: str) -> Facts:
        """What a revoke of somebody keeps: all they signed, and what is kept of it already, here or not [SG-11]."""
        grants, revokes = self.grants_to(heard, who), self.rulings(heard, "revoke")
        keeps = self.rulings(heard, "keep").values()
        kept = [keep.names for keep in keeps if keep.what in revokes and revokes[keep.what].names & grants]
        return self.done(heard, who).union(*kept)

    def kept(self, heard: Set[str]) -> dict[str, Facts]:
        """What the keeps that count name, by each revoke that counts."""
        keeps = self.rulings(heard, "keep").values()
        revokes = self.rulings(heard, "revoke")
        return {one: Facts().union(*(keep.names for keep in keeps if keep.what == one)) for one in revokes}

    def hidden(self, heard: Set[str], who: str) -> Facts:
        """What somebody signed under a grant that was revoked, and that is not admissible [SG-16]."""
        grants, revokes = self.rulings(heard, "grant"), self.rulings(heard, "revoke").values()
        revoked = {name for revoke in revokes for name in revoke.names} & grants.keys()
        return frozenset(fact for fact in self.done(heard, who) if self.said[fact].under in revoked) - self.admissible(
            heard
        )

    def witnesses(self, heard: Set[str]) -> dict[str, Facts]:
        """Who attests each root of what is visible now; nobody who attests two."""
        visible = self.visible(heard)
        attests = [self.said[fact] for fact in self.effective(heard) if self.said[fact].kind == "attest"]
        said = {(one.by, one.what) for one in attests if one.names == visible}
        honest = {who for who, _ in said if len([1 for other, _ in said if other == who]) == 1}
        return {root: frozenset(who for who, its in said if its == root) & honest for _, root in said}

    def _counts(self, one: Said) -> bool:
        return not (
            one.kind == "later"
            or (one.kind == "add" and one.what == ANOTHER_BASE)
            or (one.kind in RULINGS and one.by not in self.maintainers)
        )

    def _may_take_back(self, who: str, add: Said) -> bool:
        return who == add.by or who in self.maintainers
