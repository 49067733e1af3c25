"""In which order mergekit 0.1.5 adds the elements of a tensor: as torch 2.13 adds them on x86-64 [NA-14].

One thread adds lanes of 32 bytes. Sums do so in four groups of lanes and in four levels of blocks, so that small
numbers meet small ones; sums of squares run from the first element to the last.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

_LANE_BYTES: Final = 32
_GROUPS: Final = 4
_LEVELS: Final = 4
#: A block has at least two to the power of this many numbers of each lane.
_LEAST_POWER: Final = 4
#: Half a vector of binary32.
_HALF: Final = 4
#: What parts a binary64 number into two of 26 bits.
_SPLIT: Final = 2.0**27 + 1
#: Rows that are added at a time: what is in memory stays small.
_AT_ONCE: Final = 1 << 14


def sums(rows: Array) -> Array:
    """The sum of each row. rows: (r, c), binary32 or binary64. Returns (r,)."""
    lanes = _LANE_BYTES // rows.itemsize
    if rows.shape[1] < lanes:  # too few for vectors: the numbers themselves are dealt to the groups
        lanes = 1
    vectors = rows.shape[1] // lanes
    whole = vectors // _GROUPS * _GROUPS * lanes
    groups = _in_blocks(rows[:, :whole].reshape(len(rows), -1, _GROUPS * lanes)).reshape(len(rows), _GROUPS, lanes)
    rest = rows[:, whole : vectors * lanes].reshape(len(rows), -1, lanes)
    total = np.zeros((len(rows), lanes), rows.dtype) + groups[:, 0]
    for vector in (*rest.swapaxes(0, 1), *groups.swapaxes(0, 1)[1:]):
        total = total + vector
    return _one_by_one(np.concatenate([rows[:, vectors * lanes :], total], axis=1))


def _in_blocks(items: Array) -> Array:
    """The sum over the second axis: blocks first, then blocks of blocks; what is left over of each level last."""
    power = max(_LEAST_POWER, max(items.shape[1] - 1, 0).bit_length() // _LEVELS)
    left = []
    for level in range(_LEVELS):
        blocks = items.shape[1] >> power if level < _LEVELS - 1 else 0
        whole = blocks << power
        left.append(_one_by_one(items[:, whole:]))
        inside = items[:, :whole].reshape(-1, 1 << power, items.shape[2])
        items = _one_by_one(inside).reshape(len(items), blocks, -1) if blocks else items[:, :0]
    return _one_by_one(np.stack(left, axis=1))


def _one_by_one(items: Array) -> Array:
    """The sum over the second axis, from the first to the last."""
    total = np.zeros_like(items[:, 0] if items.shape[1] else np.empty((len(items), *items.shape[2:]), items.dtype))
    for i in range(items.shape[1]):
        total = total + items[:, i]
    return total


def squares(rows: Array) -> Array:
    """The sum of the squares of each row. rows: (r, c), binary32 or binary64. Returns (r,).

    Of the last elements that fill no vector, those of binary32 that fill half of one are squared first; the others are
    multiplied and added with one rounding.
    """
    lanes = _LANE_BYTES // rows.itemsize
    whole = rows.shape[1] // lanes * lanes
    total = np.zeros((len(rows), lanes), rows.dtype)
    for start in range(0, whole, _AT_ONCE * lanes):
        part = rows[:, start : min(start + _AT_ONCE * lanes, whole)].reshape(len(rows), -1, lanes)
        total = np.add.accumulate(np.concatenate([total[:, None], part * part], axis=1), axis=1)[:, -1]
    found = _one_by_one(total)
    half = _HALF if rows.itemsize == 4 else lanes
    halves = whole + (rows.shape[1] - whole) // half * half
    for i in range(whole, halves):
        found = found + rows[:, i] * rows[:, i]
    for i in range(halves, rows.shape[1]):
        found = _fused_square(rows[:, i], found)
    return found


def _fused_square(x: Array, total: Array) -> Array:
    """x x + total with one rounding, but for what is lost beyond twice the precision."""
    if x.dtype != np.float64:
        wide = x.astype(np.float64)
        return (wide * wide + total).astype(x.dtype)
    high = x * _SPLIT - (x * _SPLIT - x)  # Dekker: two halves, whose products are exact
    low, square = x - high, x * x
    below = ((high * high - square) + 2 * high * low) + low * low
    found = square + total
    back = found - square
    return np.asarray(found + (((square - (found - back)) + (total - back)) + below))
