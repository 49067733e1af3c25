"""A statistic for whoever only wants to count: one pass, whole numbers, no proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.unproved import Unproved
from mergealgebra.errors import MethodError
from mergealgebra.text import shown

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Tally(Unproved):
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
