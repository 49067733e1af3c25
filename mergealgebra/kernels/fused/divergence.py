"""The divergence of rows around exp and log, which are NumPy's, and the counts of importances [AF-2 to AF-4].

Rows are added in the fixed tree [DT-2, DT-3]. What has no certificate of exp or log is left to the equations [EF-3].
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mergealgebra.kernels.fused.dots import CHUNK
from mergealgebra.kernels.fused.memory import INFINITY, bits_of, compiled, magnitude_of, number_of
from mergealgebra.kernels.fused.theta import read_fp32

#: As in `algebra.elementary` and `algebra.divergence`, which compiled code does not import.
_BELOW: Final = 1 - 2.0**-48
_ABOVE: Final = 1 + 2.0**-48
_EPSILON: Final = 1e-8
_LARGEST: Final = float(np.finfo(np.float32).max)
_LEAST: Final = np.int32(-0x80000000)


@compiled
def centred(base, change, columns, wide, old):
    """Each number of base + change, and of the base, less the largest of its row; False when one is not finite.

    base: address and dtype. change: (n,) fp32. wide: (2, n) fp64, for the results. old: (n,) fp32, memory.
    """
    read_fp32(base[0], base[1], old)
    largest = np.int32(0)
    for i in range(old.size):
        largest = max(largest, magnitude_of(old[i]), magnitude_of(old[i] + change[i]))
    if largest >= INFINITY:
        return False
    for start in range(0, old.size, columns):
        most, most_old = _LEAST, _LEAST
        for i in range(start, start + columns):
            most, most_old = max(most, _ordered(old[i] + change[i])), max(most_old, _ordered(old[i]))
        largest_new, largest_old = np.float64(_number(most)), np.float64(_number(most_old))
        for i in range(start, start + columns):
            wide[0, i] = np.float64(old[i] + change[i]) - largest_new
            wide[1, i] = np.float64(old[i]) - largest_old
    return True


@compiled
def shares(powers, columns, folded):
    """Of powers the share p of the first and p / q of both, in their place; False when one has no certificate."""
    for which in range(2):
        if not _settle(powers[which]):
            return False
        for start in range(0, powers.shape[1], columns):
            row = powers[which, start : start + columns]
            whole = _row_sum(row, folded)
            whole = whole if whole != 0 else 1.0
            for i in range(columns):
                row[i] = row[i] / whole + _EPSILON
    for i in range(powers.shape[1]):
        powers[1, i] = powers[0, i] / powers[1, i]
    return True


@compiled
def divergences(shares_and_logs, columns, folded, out):
    """The sum of p log(p / q) of each row; False when a logarithm has no certificate. The memory is used up."""
    p, logs = shares_and_logs[0], shares_and_logs[1]
    if not _settle(logs):
        return False
    for i in range(p.size):
        p[i] = np.float64(np.float32(p[i] * logs[i]))
    for row in range(out.size):
        out[row] = _row_sum(p[row * columns : (row + 1) * columns], folded)
    return True


@compiled
def count_importances(change, columns, moved, highs, counts):
    """Count importances by the high halves of their bits, or by the low ones of those with a high half that is asked.

    moved: the divergence of each row. highs: a row for each such half. counts: (rows, 65536).
    """
    for row in range(moved.size):
        for i in range(row * columns, (row + 1) * columns):
            magnitude = abs(change[i]) if magnitude_of(change[i]) < INFINITY else np.float32(0.0)
            found = min(max(np.float64(magnitude) * moved[row], -_LARGEST), _LARGEST)
            ordered = _ordered(np.float32(found) + np.float32(0.0))
            high = np.int64(ordered >> np.int32(16)) + 32768
            if not highs.shape[0]:
                counts[0, high] += 1
            for k in range(highs.shape[0]):
                if highs[k, 0] == high:
                    counts[k, ordered & np.int32(0xFFFF)] += 1


@compiled
def _ordered(x):
    """An int32 for each number, in the order of the numbers."""
    bits = bits_of(x)
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def _number(ordered):
    """The inverse."""
    return number_of(np.int32(ordered ^ np.int32(np.int32(ordered >> np.int32(31)) & np.int32(0x7FFFFFFF))))


@compiled
def _settle(y):
    """RN32 of what a routine gave, in its place [EF-3]; False when some number has no certificate."""
    apart = np.int32(0)
    for i in range(y.size):
        low, high = np.float32(y[i] * _BELOW), np.float32(y[i] * _ABOVE)
        apart |= np.int32(low != high)
        y[i] = np.float64(low + np.float32(0.0))
    return apart == 0


@compiled
def _row_sum(x, folded):
    """The sum of a row in the tree of a tensor of its own. folded: half a chunk, and a number for each chunk."""
    width = 1
    while width < min(x.size, CHUNK):
        width *= 2
    chunks, count = folded[CHUNK // 2 :], 0
    for start in range(0, x.size, width):
        chunks[count] = _chunk_sum(x[start : start + width], width, folded)
        count += 1
    while count > 1:
        for k in range(count // 2):
            chunks[k] = chunks[2 * k] + chunks[2 * k + 1]
        if count % 2:
            chunks[count // 2] = chunks[count - 1]
        count = (count + 1) // 2
    return chunks[0]


@compiled
def _chunk_sum(x, width, folded):
    """The sum of a chunk, filled up with zeros to a width, by halves."""
    half = width // 2
    if not half:
        return x[0]
    both = max(x.size - half, 0)
    for i in range(both):
        folded[i] = x[i] + x[half + i]
    for i in range(both, half):
        folded[i] = (x[i] if i < x.size else 0.0) + 0.0
    half //= 2
    while half:
        for i in range(half):
            folded[i] += folded[i + half]
        half //= 2
    return folded[0]
