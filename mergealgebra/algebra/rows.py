"""The rows of a tensor: what stands beside each other along its last axis; a vector is one row, a scalar too [BC-1].

For rounds whose `unit` is a row, so that a view holds whole rows. Only integers are sorted, and of equal ones no index
is looked at, so that all libraries and devices agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mergealgebra.algebra import trim
from mergealgebra.algebra.arrays import Array, array_namespace, kept
from mergealgebra.algebra.method import View
from mergealgebra.algebra.outliers import cut, outlier_count


def row_length(view: View) -> int:
    """How many elements a row has, at least 1: without elements there are no rows."""
    return max(1, view.shape[-1]) if view.shape else 1


@dataclass(frozen=True)
class TrimRows:
    """Keep the largest magnitudes of each row: a `Stage` that is `Trim` with rows for groups [BC-3]."""

    density: Fraction

    @property
    def statistic(self) -> None:
        """A row is seen in one piece, so nothing has to be found first."""

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return ("trim rows", str(self.density))

    def __call__(self, view: View, found: None) -> Array:
        """tau where it is kept, +0 elsewhere."""
        rows = _rows(view)
        threshold = _largest(rows, trim.kept_count(self.density, row_length(view)))
        return kept(rows, trim.magnitude_bits(rows) >= threshold).reshape((-1,))


@dataclass(frozen=True)
class CutLargestOfRows:
    """Leave out the largest magnitudes of each row: a `Stage` that is `CutLargest` with rows for groups [BC-2]."""

    gamma: Fraction

    @property
    def statistic(self) -> None:
        """A row is seen in one piece, so nothing has to be found first."""

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return ("cut rows", str(self.gamma))

    def __call__(self, view: View, found: None) -> Array:
        """tau, +0 where it is cut."""
        g = outlier_count(self.gamma, row_length(view))
        if g == 0:
            return view.tau
        rows = _rows(view)
        return cut(rows, _largest(rows, g + 1)).reshape((-1,))


def _rows(view: View) -> Array:
    return view.tau.reshape((-1, row_length(view)))


def _largest(rows: Array, m: int) -> Array:
    """The bits of the m-th largest magnitude of each row. rows: (r, c) fp32. Returns (r, 1) int32."""
    at = rows.shape[1] - m
    return array_namespace(rows).sort(trim.magnitude_bits(rows), axis=1)[:, at : at + 1]


def by_rank(view: View, of_rank: np.ndarray[Any, Any]) -> Array:
    """For each element the number that belongs to its rank in its row [DE-2].

    The least magnitude has the first rank; of equal ones the first in the row has the lower. of_rank: a number for each
    rank of a row. Returns (n,) of its dtype.

    >>> view = View(np.float32([3, -1, 0, 1, -9, 9, 9, 0]), 1.0, shape=(2, 4))
    >>> by_rank(view, np.arange(4)).tolist()
    [3, 1, 0, 2, 1, 2, 3, 0]
    """
    xp, device, columns = array_namespace(view.tau), view.tau.device, row_length(view)
    magnitudes = xp.astype(trim.magnitude_bits(view.tau).reshape((-1, columns)), xp.int64)
    # A magnitude and a position in one number: no two are equal, so that there is one way to sort them.
    ordered = xp.sort(magnitudes << 32 | xp.arange(columns, dtype=xp.int64, device=device), axis=1)
    first = xp.arange(0, view.tau.shape[0], columns, dtype=xp.int64, device=device)
    places = (ordered & 0xFFFFFFFF) + first[:, None]
    numbers = xp.asarray(of_rank, device=device)
    found = xp.empty(view.tau.shape, dtype=numbers.dtype, device=device)
    found[places.reshape((-1,))] = xp.broadcast_to(numbers, places.shape).reshape((-1,))
    return found
