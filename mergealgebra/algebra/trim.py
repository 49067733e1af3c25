"""Trim: keep the largest magnitudes of a task vector, by an exact threshold found while streaming [TI-2 to TI-5].

The threshold is the m-th largest magnitude. Read as an integer, the fp32 bits of a magnitude have the order of
the magnitudes, so it is found by counting them in the bins of a window, and then, if the bins are wide, in a window
inside the one bin that holds it. Counts do not depend on the order of blocks; nothing is sorted, nothing is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, int_bits, kept, to_numpy

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Threshold:
    """What trim keeps of a tensor: magnitudes above `bits`, and of those equal to it the ones before a position.

    bits: the fp32 bits of the least magnitude kept, at least 1, so that a zero is never kept.
    ties: that position, in elements of the tensor; None when all that equal the threshold are kept.
    """

    bits: int = 1
    ties: int | None = None

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """The same for the elements [start, stop): the bits, and how many of the elements lie before the position."""
        size = stop - start
        return self.bits, size if self.ties is None else min(max(0, self.ties - start), size)


@dataclass(frozen=True)
class Window:
    """Bins of magnitudes: bin k of `bins` holds the bits b with (b - low) >> shift = k."""

    low: int
    shift: int
    bins: int

    def inside(self, bin_: int) -> Window:
        """The window whose bins are the single magnitudes of one bin of this one."""
        return Window(self.low + (bin_ << self.shift), 0, 1 << self.shift)


#: Every finite magnitude, by its high 16 bits.
ALL: Final = Window(0, 16, 1 << 15)


def around(bits: int, half: int = 1 << 16) -> Window:
    """The single magnitudes within `half` of one, which is in the middle; 2^16 are at most 0.8% of its value."""
    return Window(max(0, bits - half), 0, 2 * half)


def guess(sample: Array, share: Fraction) -> Window:
    """Where the threshold lies that keeps a share of a vector, by a sample of its magnitudes [TI-3].

    sample: (n,) magnitude bits, n > 0, on the host. The window reaches as far as four deviations of the sample's rank
    do, which is far where the values lie on a grid; then few of its bins are in use.
    """
    n, p = sample.shape[0], float(share)
    spread = math.ceil(4 * math.sqrt(n * p * (1 - p)))
    middle = n - min(n, max(1, round(n * p)))
    low, high = max(0, middle - spread), min(n - 1, middle + spread)
    ordered = np.partition(sample, (low, middle, high))
    bits = int(ordered[middle])
    half = max(_LEAST_HALF, bits - int(ordered[low]), int(ordered[high]) - bits + 1)
    return around(bits, min(half, _MOST_HALF))


_LEAST_HALF: Final = 1 << 16
_MOST_HALF: Final = 1 << 19


def kept_count(density: Fraction, elements: int) -> int:
    """m = max(1, floor(density * d)), exactly, for d > 0 elements [TI-3]."""
    return max(1, int(density * elements))


def window_counts(tau: Array, window: Window) -> Array:
    """How many elements have a magnitude in each bin of a window, and last, above it.

    tau: (n,) fp32. Returns (bins + 1,) integers; what lies below the window is not counted.
    """
    xp = array_namespace(tau)
    bits = magnitude_bits(tau)
    bins = (bits[bits >= window.low] - window.low) >> window.shift
    return xp.bincount(xp.clip(bins, None, window.bins), minlength=window.bins + 1)


def add_counts(tau: Array, window: Window, counts: Counts) -> None:
    """Add those of `window_counts` to counts. A window passes over nearly all elements, unless it is of all of them."""
    if not isinstance(tau, np.ndarray) or window == ALL:
        counts += to_numpy(window_counts(tau, window))
        return
    bins = (magnitude_bits(tau) - window.low) >> window.shift
    counts[window.bins] += np.count_nonzero(bins >= window.bins)
    inside = bins[np.flatnonzero(bins.view(np.uint32) < window.bins)]
    if inside.size < window.bins // 8:
        np.add.at(counts, inside, 1)
    else:
        counts[:-1] += np.bincount(inside, minlength=window.bins)


def locate(counts: Counts, rank: int) -> tuple[int, int] | None:
    """The bin that holds the rank-th largest element (from 1), and its rank within that bin.

    counts: as `window_counts` gives them. None when it lies above or below the window.
    """
    from_above = np.cumsum(counts[::-1])
    at = int(np.searchsorted(from_above, rank))
    if at in (0, counts.size):
        return None
    return counts.size - 1 - at, rank - int(from_above[at - 1])


def holds(threshold: int, cut: bool, boundary: str, m: int, kept: int, above: int) -> bool:
    """Whether a threshold was the right one, by what it kept and what lay above it in the whole group [TI-3].

    cut: whether its ties are kept only up to some position. above < m <= those not below says that it is the m-th
    largest magnitude; if it is cut, exactly m are kept. Where there are fewer than m non-zero elements, the least
    threshold is right, uncut.
    """
    if above >= m:
        return False
    if cut:
        return boundary == "lowest_index" and kept == m
    return threshold == 1 if kept < m else kept == m or boundary == "keep_all"


def trim(tau: Array, bits: int, ties: int) -> Array:
    """tau where it is kept, +0 elsewhere [TI-4, TI-5].

    tau: (n,) fp32, a block of a tensor. ties: elements that equal the threshold are kept before this position of
    the block. Returns (n,) fp32.
    """
    magnitudes = magnitude_bits(tau)
    keeps = magnitudes >= bits
    if ties < tau.shape[0]:
        keeps[max(0, ties) :] = (magnitudes > bits)[max(0, ties) :]
    return kept(tau, keeps)


def magnitude_bits(tau: Array) -> Array:
    """The bits of |tau| as int32: their order is the order of magnitudes. tau: (n,) fp32."""
    return int_bits(tau) & 0x7FFFFFFF
