"""What a run gives, span by span, and what it counts and hashes on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mergealgebra.encoding import TensorTree
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import Input
from mergealgebra.engine.sources import Span
from mergealgebra.kernels.blocks import Witnesses
from mergealgebra.kernels.reference import Host


class Stale(Exception):
    """What was found before is not true of what was merged: it was kept from other data, or a file has changed.

    Nobody sees it: the merge is made again.
    """


@dataclass(frozen=True)
class MergedSpan:
    """A span of the merged model, in the base's dtype, with what was counted and hashed on the way.

    kept, witnesses: by index, as in `Reduced`. leaves: by input, and of the result.
    """

    span: Span
    data: Host
    kept: Mapping[int, int]
    witnesses: Mapping[int, Witnesses]
    uncertified: int
    leaves: Mapping[Input, list[bytes]]


@dataclass
class Totals:
    """What was counted and hashed over a whole run.

    kept, witnesses: by index and tensor. known: how many elements were kept of the contributions that are not read, by
    index. answers: what the statistics found of those that are.
    """

    known: Mapping[int, int] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    kept: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    witnesses: dict[tuple[int, str], Witnesses] = field(default_factory=dict)
    uncertified: int = 0
    _trees: dict[tuple[Input, str], TensorTree] = field(default_factory=lambda: defaultdict(TensorTree))

    def take(self, merged: MergedSpan) -> None:
        """Count one span; they come in order. Raises Stale when a statistic read other bytes than were merged."""
        name, start = merged.span.name, merged.span.start
        for index, kept in merged.kept.items():
            self.kept[index, name] += kept
        for index, counts in merged.witnesses.items():
            before = self.witnesses.get((index, name))
            self.witnesses[index, name] = counts if before is None else added(before, counts)
        for what, leaves in merged.leaves.items():
            if self.answers.read and self.answers.read.get((what, name, start), leaves) != leaves:
                raise Stale(f"{name} was not what it had been")
            self._trees[what, name].extend(leaves)
        self.uncertified += merged.uncertified

    def kept_by(self, index: int) -> int:
        """How many elements were kept of one contribution."""
        if index in self.known:
            return self.known[index]
        return sum(kept for (whose, _), kept in self.kept.items() if whose == index)

    def root(self, what: Input, name: str) -> str:
        """The root of one tensor of an input, or of the result."""
        return self._trees[what, name].root()


def added(one: Witnesses, other: Witnesses) -> Witnesses:
    """The counts of two blocks together."""
    return tuple(tuple(x + y for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True))
