"""The threshold of trim as a statistic, and trim as a stage [TI-2 to TI-5].

A threshold is guessed from a sample, and one pass counts the magnitudes around the guess, which gives it exactly.
Where the guess was too far off, and for small groups, two passes find it: by the high bits, then by the low ones. Where
ties are cut, two more find where: in which span the last one lies that is kept, and where in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Final, Literal

import numpy as np

from mergealgebra.algebra import trim
from mergealgebra.algebra.arrays import Array, array_namespace, to_numpy
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.trim import Threshold, Window

Scope = Literal["model", "tensor"]
Boundary = Literal["keep_all", "lowest_index"]

#: Elements by which the ties of a group are counted, to find where the last one lies that is kept.
_SPAN: Final = 1 << 20


@dataclass(frozen=True)
class Cut:
    """The threshold of a group. position: the tensor, and where in it ties are kept no more; None where all are."""

    bits: int
    position: tuple[str, int] | None = None

    def of(self, tensor: str) -> Threshold:
        """The threshold of one of the group's tensors."""
        if self.position is None:
            return Threshold(self.bits)
        cut, at = self.position
        if tensor == cut:
            return Threshold(self.bits, at)
        return Threshold(self.bits, None if tensor.encode() < cut.encode() else 0)


@dataclass(frozen=True)
class TiesBySpan:
    """A look for the span in which the rank-th element lies that ties with the threshold, in canonical order."""

    bits: int
    rank: int


@dataclass(frozen=True)
class TiesInSpan:
    """A look into one span, for the rank-th of its ties."""

    bits: int
    rank: int
    tensor: str
    start: int


Look = Window | TiesBySpan | TiesInSpan


@dataclass(frozen=True)
class Thresholds:
    """The m-th largest magnitude of each group, and where its ties are cut: a `Statistic` whose answers are proved.

    least: the bits of the answer where fewer than m elements are not zero, and all that are have to be kept.
    """

    density: Fraction
    scope: Scope
    boundary: Boundary
    proved: bool = True
    least: ClassVar[int] = 1

    @property
    def key(self) -> Sequence[str]:
        """As `Statistic.key`."""
        return str(self.density), self.scope, self.boundary

    def first(self, group: Group, sample: Array | None) -> Look:
        """As `Statistic.first`."""
        if sample is None:
            return trim.ALL
        return trim.guess(trim.magnitude_bits(sample), Fraction(self._m(group), group.size))

    def reads(self, look: Look, tensor: str, start: int, stop: int) -> bool:
        """As `Statistic.reads`."""
        if isinstance(look, TiesInSpan):
            return tensor == look.tensor and start < look.start + _SPAN and stop > look.start
        return True

    def nothing(self, look: Look) -> Any:
        """As `Statistic.nothing`: counts of a window; of each span; or positions."""
        if isinstance(look, Window):
            return np.zeros(look.bins + 1, np.int64)
        return {} if isinstance(look, TiesBySpan) else []

    def observe(self, look: Look, view: View, seen: Any) -> Any:
        """As `Statistic.observe`."""
        if isinstance(look, Window):
            trim.add_counts(view.tau, look, seen)
            return seen
        ties = view.start + np.flatnonzero(to_numpy(trim.magnitude_bits(view.tau) == look.bits))
        if isinstance(look, TiesBySpan):
            for span, count in zip(*np.unique(ties // _SPAN, return_counts=True), strict=True):
                key = view.tensor, int(span)
                seen[key] = seen.get(key, 0) + int(count)
            return seen
        return [*seen, ties[ties // _SPAN == look.start // _SPAN]]

    def combine(self, look: Look, one: Any, other: Any) -> Any:
        """As `Statistic.combine`."""
        if isinstance(look, TiesBySpan):
            return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}
        if isinstance(look, Window):
            one += other
            return one
        return one + other

    def nbytes(self, look: Look) -> int:
        """As `Statistic.nbytes`."""
        return 8 * (look.bins + 1) if isinstance(look, Window) else 8 * _SPAN

    def settle(self, look: Look, group: Group, seen: Any) -> tuple[bool, Look | Cut]:
        """As `Statistic.settle`."""
        if isinstance(look, Window):
            return self._settle_window(look, group, seen)
        if isinstance(look, TiesBySpan):
            return False, _span_of(look, group, seen)
        positions = np.sort(np.concatenate(seen)) if seen else np.empty(0, np.int64)
        if positions.size < look.rank:
            raise LookupError("the ties of a threshold are not there any more")
        return True, Cut(look.bits, (look.tensor, int(positions[look.rank - 1]) + 1))

    def _settle_window(self, window: Window, group: Group, counts: trim.Counts) -> tuple[bool, Look | Cut]:
        """What the counts tell: the threshold, where to look more closely, or to look everywhere."""
        at = trim.locate(counts, self._m(group))
        if at is None:
            if window == trim.ALL:
                raise LookupError("there are fewer elements than the group has")
            return False, trim.ALL
        bin_, rank = at
        if window.shift:
            return False, window.inside(bin_)
        bits = window.low + bin_
        if bits < self.least:  # fewer non-zero elements than m: all of them are kept
            return True, Cut(self.least)
        if self.boundary == "lowest_index" and rank < counts[bin_]:
            return False, TiesBySpan(bits, rank)
        return True, Cut(bits)

    def within(self, answer: Cut, tensor: str, start: int, stop: int) -> tuple[int, int]:
        """The bits, and how many of these elements lie before the position at which ties are cut."""
        return answer.of(tensor).within(start, stop)

    def witness(self, before: View, after: View, found: tuple[int, int]) -> tuple[int, int]:
        """How many elements are kept, and how many lie above the threshold."""
        xp = array_namespace(before.tau)
        above = xp.count_nonzero(trim.magnitude_bits(before.tau) > found[0])
        return int(xp.count_nonzero(after.tau != 0)), int(above)

    def proves(self, answer: Cut, group: Group, witness: tuple[int, ...]) -> bool:
        """As `Statistic.proves`: by what was kept of the group, and what lay above the threshold [TI-3]."""
        kept, above = witness
        return trim.holds(answer.bits, answer.position is not None, self.boundary, self._m(group), kept, above)

    def packed(self, answer: Cut) -> list[int | str]:
        """As `Statistic.packed`."""
        return [answer.bits, *(answer.position or ())]

    def unpacked(self, data: Any) -> Cut | None:
        """As `Statistic.unpacked`."""
        match data:
            case [int(bits)] if self.least <= bits < 1 << 31:
                return Cut(bits)
            case [int(bits), str(tensor), int(position)] if 0 < bits < 1 << 31 and position >= 0:
                return Cut(bits, (tensor, position))
        return None

    def _m(self, group: Group) -> int:
        return trim.kept_count(self.density, group.size)


def _span_of(look: TiesBySpan, group: Group, counts: dict[tuple[str, int], int]) -> TiesInSpan:
    """The span of the rank-th tie, in canonical order. Raises LookupError when there are fewer."""
    left = look.rank
    order = {name: i for i, name in enumerate(group.names)}
    for (tensor, span), count in sorted(counts.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        if count >= left:
            return TiesInSpan(look.bits, left, tensor, span * _SPAN)
        left -= count
    raise LookupError("the ties of a threshold are not there any more")


@dataclass(frozen=True)
class Trim:
    """Keep the largest magnitudes of a task vector: a `Stage` [TI-4, TI-5].

    density: the share that is kept, above 0 and at most 1. What is zero is never kept.
    """

    density: Fraction
    scope: Scope = "model"
    boundary: Boundary = "keep_all"

    @cached_property
    def statistic(self) -> Thresholds | None:
        """The threshold of each group. With density 1 there is nothing to find: all that is not zero is kept."""
        return None if self.density == 1 else Thresholds(self.density, self.scope, self.boundary)

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return str(self.density), self.scope, self.boundary

    def __call__(self, view: View, found: tuple[int, int] | None) -> Array:
        """tau where it is kept, +0 elsewhere."""
        if found is None:
            return view.tau
        bits, ties = found
        if view.at is not None:
            ties = int(np.searchsorted(view.at, ties))
        return trim.trim(view.tau, bits, ties)
