"""Trim: keep the largest magnitudes of a task vector, by an exact threshold found while streaming [TI-2 to TI-5].

The threshold is the m-th largest magnitude. Read as an integer, the fp32 bits of a magnitude have the order of
the magnitudes, so it is found by counting: first by the high 16 bits, then by the low 16 bits of the one bin that
holds it. Counts do not depend on the order in which blocks are counted; nothing is sorted and nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, int_bits

HIGH_BINS: Final = 1 << 15
LOW_BINS: Final = 1 << 16
Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Threshold:
    """What trim keeps of a group: all magnitudes above `bits`, and of those equal to it the first `ties`.

    bits: the fp32 bits of the least magnitude kept, at least 1, so that a zero is never kept.
    ties: how many equal to it are kept; None for all of them.
    """

    bits: int = 1
    ties: int | None = None


def kept_count(density: Fraction, elements: int) -> int:
    """m = max(1, floor(density * d)), exactly, for d > 0 elements [TI-3]."""
    return max(1, int(density * elements))


def high_counts(tau: Array) -> Array:
    """How many elements have each value of the high bits of their magnitude. tau: (n,) fp32. Returns (2^15,)."""
    xp = array_namespace(tau)
    return xp.bincount(magnitude_bits(tau) >> 16, minlength=HIGH_BINS)


def low_counts(tau: Array, high: int) -> Array:
    """The same for the low bits, among the elements whose high bits are `high`. Returns (2^16,)."""
    xp = array_namespace(tau)
    bits = magnitude_bits(tau)
    return xp.bincount(bits[(bits >> 16) == high] & 0xFFFF, minlength=LOW_BINS)


def locate(counts: Counts, rank: int) -> tuple[int, int]:
    """The bin that holds the rank-th largest element (from 1), and its rank within that bin."""
    from_above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_above, rank))
    bin_ = counts.size - 1 - place
    return bin_, rank - int(from_above[place] - counts[bin_])


def threshold(high: int, low: int, rank: int, equal: int, boundary: str) -> Threshold:
    """The threshold in bin (high, low), of whose `equal` elements the first `rank` lie within m [TI-4, TI-5]."""
    bits = high << 16 | low
    if bits == 0:  # fewer non-zero elements than m: all of them are kept
        return Threshold()
    return Threshold(bits, rank if boundary == "lowest_index" and rank < equal else None)


def trim(tau: Array, threshold: Threshold, ties_before: int = 0) -> Array:
    """tau where it is kept, +0 elsewhere [TI-4, TI-5].

    tau: (n,) fp32, a block of a group. ties_before: how many elements of the blocks before it equal the
    threshold. Returns (n,) fp32.
    """
    xp = array_namespace(tau)
    bits = magnitude_bits(tau)
    kept = bits >= threshold.bits
    if threshold.ties is not None:
        equal = bits == threshold.bits
        kept = kept & ~(equal & (ties_before + xp.cumsum(equal, axis=0) > threshold.ties))
    return xp.where(kept, tau, 0.0)


def tie_count(tau: Array, threshold: Threshold) -> int:
    """How many elements of a block equal the threshold."""
    xp = array_namespace(tau)
    return int(xp.count_nonzero(magnitude_bits(tau) == threshold.bits))


def magnitude_bits(tau: Array) -> Array:
    """The bits of |tau| as int32: their order is the order of magnitudes. tau: (n,) fp32."""
    return int_bits(tau) & 0x7FFFFFFF
