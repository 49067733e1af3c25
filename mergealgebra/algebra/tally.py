"""A statistic for whoever only wants to count: one pass, whole numbers, no proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mergealgebra.algebra import plain
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.method import Group, View
from mergealgebra.errors import MethodError
from mergealgebra.text import shown

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Tally:
    """A `Statistic` of whole numbers, counted block by block and added up: no order can be seen in them.

    count: a view to (bins,) whole numbers, NumPy; `algebra.to_numpy` brings what torch computed. answer: the sums over
    a group, and how many elements it has, to what the stage gets as `found`. key: what both depend on, as texts.
    scope: whether a group is one tensor of a contribution, or all of them.
    """

    bins: int
    count: Callable[[View], Any]
    answer: Callable[[Counts, int], Any]
    key: Sequence[str]
    scope: Literal["model", "tensor"] = "tensor"
    proved: Literal[False] = False

    def first(self, group: Group, sample: Array | None) -> None:
        """As `Statistic.first`: there is one look, at all of it."""

    def reads(self, look: None, tensor: str, start: int, stop: int) -> bool:
        """As `Statistic.reads`."""
        return True

    def nothing(self, look: None) -> Counts:
        """As `Statistic.nothing`."""
        return np.zeros(self.bins, np.int64)

    def observe(self, look: None, view: View, seen: Counts) -> Counts:
        """As `Statistic.observe`. Raises MethodError for what are not whole numbers."""
        found = np.asarray(self.count(view))
        if found.shape != seen.shape or found.dtype.kind not in "iu":
            raise MethodError(
                f"a count of {shown(list(self.key))} gave {found.dtype} of shape {list(found.shape)}, expected whole "
                f"numbers of shape [{self.bins}]: sums of other numbers depend on their order"
            )
        return seen + found.astype(np.int64)

    def combine(self, look: None, one: Counts, other: Counts) -> Counts:
        """As `Statistic.combine`."""
        return one + other

    def nbytes(self, look: None) -> int:
        """As `Statistic.nbytes`."""
        return 8 * self.bins

    def settle(self, look: None, group: Group, seen: Counts) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        return True, self.answer(seen, group.size)

    def within(self, answer: Any, tensor: str, start: int, stop: int) -> Any:
        """As `Statistic.within`: the whole answer."""
        return answer

    def witness(self, before: View, after: View, found: Any) -> tuple[int, ...]:
        """As `Statistic.witness`: nothing is proved."""
        return ()

    def proves(self, answer: Any, group: Group, witness: tuple[int, ...]) -> bool:
        """As `Statistic.proves`, which nobody asks."""
        return False

    def packed(self, answer: Any) -> Any:
        """As `Statistic.packed`: it is kept beside sums that it led to; None for what is no number, text or tuple."""
        return plain.packed(answer)

    def unpacked(self, data: Any) -> Any:
        """As `Statistic.unpacked`."""
        return plain.unpacked(data)
