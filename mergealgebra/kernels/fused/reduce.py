"""Reducing a block, tile by tile.

The sums of a tile are S = sum of v, A = sum of |v|, V and W likewise of the coefficients with the signs of the v, and
the bits of the least |v|. While A is certified all of them are exact, and so are S+ = (A + S) / 2 and the like [EX-2].
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mergealgebra.kernels.fused.apply import apply
from mergealgebra.kernels.fused.cut import cut
from mergealgebra.kernels.fused.finalize import finalize
from mergealgebra.kernels.fused.memory import (
    INFINITY,
    ahead,
    compiled,
    double_of,
    magnitude_of,
    number_of,
    read,
)
from mergealgebra.kernels.fused.table import (
    CEILING,
    COEFFICIENT,
    COPIED,
    F64,
    NO_CEILING,
    TAU,
    THRESHOLD,
    TIES,
    TILE,
    UNKNOWN_METHOD,
)
from mergealgebra.kernels.fused.theta import copy_alike, put
from mergealgebra.kernels.fused.vector import find_vector

NONE: Final = np.int32(0x7FFFFFFF)  # above the bits of every magnitude


@compiled
def reduce(size, method, model, parts, how, numbers, counts, scratch):
    """Reduce a block. Returns how many coordinates have no certificate, -1 when a number is not finite.

    model: address and dtype of the base, address of the result. parts: of each a row, as `entries` has them.
    how: as `find_vector` takes it. numbers: sum of the coefficients, lambda, and the unit of V and W. counts: kept,
    above, positions without certificate, cut, not below the ceiling. scratch: tiles, those of V and W once in fp32 and
    once in fp64, of which one at least is empty.
    """
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        (old, tau, low, words), doubles, whole, wide = scratch
        sums = *_tile(doubles, 0, n), _tile(whole, 0, n), _tile(wide, 0, n), low[:n]
        _clear(sums)
        base, out = _at(model, start)
        if base[1] != F64:
            read(base[0], base[1], old[:n])
        tiles = old[:n], tau[:n], words
        if not _take_all(parts, 0, parts.shape[0], start, base, how, tiles, numbers[2], sums, counts):
            return -1
        found = _finish(start, method, how[0], numbers, sums, base, out, tiles, counts[2][missed:])
        if found < 0:
            return found
        if how[0] == COPIED:
            copy_alike(parts, start, base, out, tau[:n], low[:n])
        missed += found
    return missed


@compiled
def update(size, method, model, held, retracted, parts, how, numbers, counts, scratch):
    """Bring the sums of a block up to date, and reduce it. Returns as `reduce` does.

    held: S and A, V and W once as int16 and once as fp64, grids, as in `StoredSums`. retracted: so many parts, the
    first, are taken out before the others are put in; so what certifies the final sums certifies all on the way.
    """
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        held_sums, held_whole, held_wide, grid = held
        (old, tau, low, words), _, whole, wide = scratch
        sums = *_tile(held_sums, start, n), _tile(whole, 0, n), _tile(wide, 0, n), low[:n]
        narrow = _tile(held_whole, start, n), _tile(held_wide, start, n), grid[start : start + n]
        _load(narrow, sums)
        base, out = _at(model, start)
        if base[1] != F64:
            read(base[0], base[1], old[:n])
        tiles = old[:n], tau[:n], words
        if retracted:
            _negate(sums)  # s - v = -(-s + v), exactly
            if not _take_all(parts, 0, retracted, start, base, how, tiles, numbers[2], sums, counts):
                return -1
            _negate(sums)
        if not _take_all(parts, retracted, parts.shape[0], start, base, how, tiles, numbers[2], sums, counts):
            return -1
        _store(narrow, sums)
        found = _finish(start, method, how[0], numbers, sums, base, out, tiles, counts[2][missed:])
        if found < 0:
            return found
        missed += found
    return missed


@compiled
def _at(model, start):
    """The base from an element on, with its dtype, and where the result of that element goes."""
    address, code, out = model
    return (ahead(address, code, start), code), ahead(out, code, start)


@compiled
def _take_all(parts, first, last, start, base, how, tiles, unit, sums, counts):
    """Add parts of a tile to the sums, and to the counts of what is kept; False when a number is not finite."""
    for i in range(first, last):
        kept, above, over, not_below, largest = _take(parts[i], start, base, how, tiles, unit, sums)
        if largest >= INFINITY:
            return False
        counts[0][i] += kept
        counts[1][i] += above
        counts[3][i] += over
        counts[4][i] += not_below
    return True


@compiled
def _finish(start, method, on, numbers, sums, base, out, tiles, uncertified):
    """The result of a tile from its sums; where those have no certificate, of sums of 0. Returns as `reduce` does."""
    old, tau_m, _ = tiles
    found = without_certificate(sums, uncertified)
    if not finalize(method, sums, numbers, tau_m):
        return UNKNOWN_METHOD
    for i in range(found):
        tau_m[uncertified[i]] = 0.0
        uncertified[i] += start
    finite = apply(base, out, old, tau_m, numbers[1]) if on == TAU else put(base[1], out, tau_m)
    return found if finite else -1


@compiled
def _tile(pair, start, n):
    """A tile of both arrays; of empty ones an empty one."""
    x, y = pair
    return x[start : start + n], y[start : start + n]


@compiled
def _clear(sums):
    s, a, whole, wide, low = sums
    low[:] = NONE
    for x in (s, a, *wide):
        x[:] = 0.0
    for x in whole:
        x[:] = 0.0


@compiled
def _load(narrow, sums):
    """Widen what is kept narrow of a tile: V and W, and grids. S and A are used where they lie."""
    kept_whole, kept_wide, grid = narrow
    _, _, whole, wide, low = sums
    for i in range(grid.size):
        low[i] = np.int32(grid[i]) << np.int32(23)
    _copy(kept_whole, whole)
    _copy(kept_wide, wide)


@compiled
def _store(narrow, sums):
    kept_whole, kept_wide, grid = narrow
    _, _, whole, wide, low = sums
    for i in range(grid.size):
        grid[i] = max(low[i] >> np.int32(23), np.int32(1))
    _copy(whole, kept_whole)
    _copy(wide, kept_wide)


@compiled
def _copy(pair, into):
    for i in range(pair[0].size):
        into[0][i], into[1][i] = pair[0][i], pair[1][i]


@compiled
def _negate(sums):
    s, a, whole, wide, _ = sums
    _negate_both((s, a))
    _negate_both(whole)
    _negate_both(wide)


@compiled
def _negate_both(pair):
    x, y = pair
    for i in range(x.size):  # 0 - x has no negative zeros
        x[i], y[i] = 0 - x[i], 0 - y[i]


@compiled
def _take(part, start, base, how, tiles, unit, sums):
    """Add one part of a tile to the sums. Returns as `_trim`, and `cut` before the last, the largest of |tau| and |v|.

    Each loop is over one width of numbers, so that it fills the registers.
    """
    s, a, whole, wide, low = sums
    old, tau, words = tiles
    coefficient = number_of(np.int32(part[COEFFICIENT]))
    largest = find_vector(part, start, base, old, how, words, tau)
    over, not_below = np.int32(0), np.int32(0)
    if part[CEILING] != NO_CEILING:
        over, not_below = cut(np.int32(part[CEILING]), tau)
    ties = np.int32(min(max(part[TIES] - start, 0), TILE))
    kept, above, scaled = _trim(tau, np.int32(part[THRESHOLD]), ties, coefficient)
    add(tau, s, a)
    _add_votes(tau, coefficient / unit, whole)
    _add_votes(tau, coefficient / unit, wide)
    refine(tau, low)
    return kept, above, over, not_below, max(largest, scaled)


@compiled
def _trim(tau, threshold, ties, coefficient):
    """v, the task vector of a tile trimmed and scaled, in its place [TI-4 to TI-6].

    Returns how many are kept, how many lie above the threshold, and the bits of the largest |v|.
    """
    kept, above, largest = np.int32(0), np.int32(0), np.int32(0)
    for i in range(tau.size):
        magnitude = magnitude_of(tau[i])
        over = magnitude > threshold
        keep = over | ((magnitude == threshold) & (np.int32(i) < ties))
        kept = np.int32(kept + np.int32(keep))
        above = np.int32(above + np.int32(over))
        tau[i] = tau[i] * coefficient if keep else np.float32(0.0)
        largest = max(largest, magnitude_of(tau[i]))
    return kept, above, largest


@compiled
def add(x, s, a):
    for i in range(x.size):
        wide = np.float64(x[i])
        s[i] += wide
        a[i] += abs(wide)


@compiled
def _add_votes(x, coefficient, votes):
    """Add a coefficient, in the unit of V and W, with the signs of x; nothing where those are empty."""
    v, w = votes
    one = v.dtype.type(coefficient)
    for i in range(v.size):
        vote = math.copysign(one, v.dtype.type(x[i])) if x[i] != 0 else v.dtype.type(0)
        v[i] += vote
        w[i] += abs(vote)


@compiled
def refine(x, low):
    """The bits of the least |x| so far."""
    for i in range(x.size):
        bits = magnitude_of(x[i])
        low[i] = min(low[i], bits if bits != 0 else NONE)


@compiled
def without_certificate(sums, found):
    """The positions in a tile of coordinates without certificate [EX-2]; returns how many."""
    _, a, _, _, low = sums
    count = np.int64(0)
    for i in range(a.size):
        count += np.int64(a[i] >= limit(low[i]))
    if count:
        count = np.int64(0)
        for i in range(a.size):
            if a[i] >= limit(low[i]):
                found[count] = i
                count += 1
    return count


@compiled
def limit(bits):
    """2^53 grids of the fp32 number with these bits [EX-2]."""
    exponent = max(bits >> np.int32(23), np.int32(1))
    return double_of((np.int64(exponent) - 97 + 1023) << 52)
