"""Reducing a block, tile by tile.

The sums of a tile are S = sum of v, A = sum of |v|, V and W likewise of the coefficients with the signs of the v, and
the bits of the least |v|. While A is certified all of them are exact, and so are S+ = (A + S) / 2 and the like [EX-2].
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.memory import (
    INFINITY,
    MAGNITUDE,
    ahead,
    bits_of,
    compiled,
    double_of,
    number_of,
    pointer,
    read,
    to_bf16,
    to_fp16,
)
from mergealgebra.kernels.fused.table import (
    ADDRESS,
    BF16,
    COEFFICIENT,
    DTYPE,
    F32,
    F64,
    FINETUNED,
    MEAN,
    THRESHOLD,
    TIES,
    TIES_MERGING,
    TILE,
)
from mergealgebra.kernels.fused.tau import find_tau

_NONE: Final = np.int32(0x7FFFFFFF)  # above the bits of every magnitude


@compiled
def reduce(size, method, model, parts, numbers, counts, scratch):
    """Reduce a block. Returns how many coordinates have no certificate, -1 when a number is not finite.

    model: address and dtype of the base, address of the result. parts: of each a row, as `entries` has them.
    numbers: sum of all coefficients, and lambda. counts: kept, above, positions without certificate. scratch: tiles.
    """
    kept, above, uncertified = counts
    code = model[1]
    tiles, whole = scratch
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        base, out = (ahead(model[0], code, start), code), ahead(model[2], code, start)
        old, tau, low = tiles[0][:n], tiles[1][:n], tiles[2][:n]
        sums = (whole[0][:n], whole[1][:n], whole[2][:n], whole[3][:n], low)
        if code != F64:
            read(base[0], code, old)
        _clear(sums)
        for i in range(parts.shape[0]):
            counted = _take(parts, i, start, base, old, tau, sums)
            if counted[2] >= INFINITY:
                return -1
            kept[i] += counted[0]
            above[i] += counted[1]
        found = _without_certificate(sums, uncertified[missed:])
        _finalize(method, sums, numbers[0], tau)
        for i in range(missed, missed + found):
            tau[uncertified[i]] = 0.0
            uncertified[i] += start
        missed += found
        if not _apply(base, out, old, tau, numbers[1]):
            return -1
    return missed


@compiled
def update(size, method, model, held, retracted, parts, numbers, counts, scratch):
    """Bring the sums of a block up to date, and reduce it. Returns as `reduce` does.

    held: S, A, V, W and grids, as in `KeptSums`. retracted: so many parts, the first, are taken out before the others
    are put in; so what certifies the final sums certifies all on the way.
    """
    kept, above, uncertified = counts
    code = model[1]
    tiles, votes = scratch
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        base, out = (ahead(model[0], code, start), code), ahead(model[2], code, start)
        old, tau, low = tiles[0][:n], tiles[1][:n], tiles[2][:n]
        stop, voters = start + n, min(start + n, held[2].size)
        sums = (held[0][start:stop], held[1][start:stop], votes[0][:n], votes[1][:n], low)
        narrow = (held[2][start:voters], held[3][start:voters], held[4][start:stop])
        if code != F64:
            read(base[0], code, old)
        _load(narrow, sums)
        if retracted:
            _negate(sums)  # s - v = -(-s + v), exactly
        for i in range(parts.shape[0]):
            counted = _take(parts, i, start, base, old, tau, sums)
            if counted[2] >= INFINITY:
                return -1
            kept[i] += counted[0]
            above[i] += counted[1]
            if i + 1 == retracted:
                _negate(sums)
        _store(narrow, sums)
        found = _without_certificate(sums, uncertified[missed:])
        _finalize(method, sums, numbers[0], tau)
        for i in range(missed, missed + found):
            tau[uncertified[i]] = 0.0
            uncertified[i] += start
        missed += found
        if not _apply(base, out, old, tau, numbers[1]):
            return -1
    return missed


@compiled
def _clear(sums):
    s, a, v, w, low = sums
    for i in range(s.size):
        s[i] = a[i] = v[i] = w[i] = 0.0
        low[i] = _NONE


@compiled
def _load(narrow, sums):
    """Widen what is kept narrow of a tile: V and W, if it has votes, and grids. S and A are used where they lie."""
    signs, weights, grid = narrow
    _, _, v, w, low = sums
    for i in range(grid.size):
        low[i] = np.int32(grid[i]) << np.int32(23)
    for i in range(signs.size):
        v[i], w[i] = np.float64(signs[i]), np.float64(weights[i])


@compiled
def _store(narrow, sums):
    signs, weights, grid = narrow
    _, _, v, w, low = sums
    for i in range(grid.size):
        grid[i] = max(low[i] >> np.int32(23), np.int32(1))
    for i in range(signs.size):
        signs[i], weights[i] = v[i], w[i]


@compiled
def _negate(sums):
    s, a, v, w, _ = sums
    for i in range(s.size):  # 0 - x has no negative zeros
        s[i], a[i], v[i], w[i] = 0.0 - s[i], 0.0 - a[i], 0.0 - v[i], 0.0 - w[i]


@compiled
def _take(parts, i, start, base, old, tau, sums):
    """Add one part of a tile to the sums. Returns as `_accumulate`, but of the largest |tau| and |v|."""
    code, coefficient = parts[i, DTYPE], number_of(np.int32(parts[i, COEFFICIENT]))
    largest = find_tau((ahead(parts[i, ADDRESS], code, start), code, parts[i, FINETUNED]), base, old, tau)
    cut = min(max(parts[i, TIES] - start, 0), TILE)
    kept, above, scaled = _accumulate(tau, parts[i, THRESHOLD], cut, coefficient, sums)
    return kept, above, max(largest, scaled)


@compiled
def _accumulate(tau, threshold, ties, coefficient, sums):
    """Trim, scale and add the task vector of a tile [TI-4 to TI-6].

    Returns how many are kept, how many lie above the threshold, and the bits of the largest |v|.
    """
    s, a, v, w, low = sums
    kept, above, largest = np.int32(0), np.int32(0), np.int32(0)
    threshold, ties, wide = np.int32(threshold), np.int32(ties), np.float64(coefficient)
    for i in range(tau.size):
        magnitude = bits_of(tau[i]) & MAGNITUDE
        keep = magnitude >= threshold + np.int32(np.int32(i) >= ties)
        kept += np.int32(keep)
        above += np.int32(magnitude > threshold)
        x = tau[i] * coefficient if keep else np.float32(0.0)
        bits = bits_of(x) & MAGNITUDE
        largest = max(largest, bits)
        low[i] = min(low[i], bits if bits > 0 else _NONE)
        y = np.float64(x)
        vote = math.copysign(wide, y) if x != 0 else 0.0
        s[i] += y
        a[i] += abs(y)
        v[i] += vote
        w[i] += abs(vote)
    return kept, above, largest


@compiled
def _without_certificate(sums, found):
    """The positions in a tile of coordinates without certificate [EX-2]; returns how many."""
    _, a, _, _, low = sums
    count = np.int64(0)
    for i in range(a.size):
        count += np.int64(a[i] >= _limit(low[i]))
    if count:
        count = np.int64(0)
        for i in range(a.size):
            if a[i] >= _limit(low[i]):
                found[count] = i
                count += 1
    return count


@compiled
def _limit(bits):
    """2^53 grids of the fp32 number with these bits [EX-2]."""
    exponent = max(bits >> np.int32(23), np.int32(1))
    return double_of((np.int64(exponent) - 97 + 1023) << 52)


@compiled
def _finalize(method, sums, total, tau_m):
    """The merged task vector of a tile whose sums are exact [TI-7, TI-8, ME-1, TA-1]."""
    s, a, v, w, _ = sums
    if method == TIES_MERGING:
        for i in range(s.size):
            agreeing = (s[i] + a[i] if s[i] > 0 else s[i] - a[i]) * 0.5
            weight = (w[i] + v[i] if s[i] > 0 else w[i] - v[i]) * 0.5
            tau_m[i] = np.float32(agreeing / weight if s[i] != 0 else 0.0)
    elif method == MEAN:
        for i in range(s.size):
            tau_m[i] = np.float32(s[i] / total)
    else:
        for i in range(s.size):
            tau_m[i] = np.float32(s[i])


@compiled
def _apply(base, out, old, tau_m, lambda32):
    """base + lambda * tau_m, rounded, where that moves it [MG-2, MG-3, MG-4]. False when a number is not finite."""
    largest = np.int32(0)
    for i in range(tau_m.size):
        largest = max(largest, bits_of(tau_m[i]) & MAGNITUDE)
    if largest >= INFINITY:
        return False
    if base[1] == F64:
        return _apply_to_fp64(base[0], out, tau_m, lambda32)
    if base[1] == F32:
        return _apply_to_fp32(base[0], out, tau_m, lambda32)
    bits, merged = carray(pointer(base[0], np.uint16), tau_m.size), carray(pointer(out, np.uint16), tau_m.size)
    infinity = np.int32(0x7F80 if base[1] == BF16 else 0x7C00)
    largest = np.int32(0)
    for i in range(tau_m.size):
        x = np.float32(np.float64(old[i]) + np.float64(tau_m[i]) * lambda32)
        half = to_bf16(x) if base[1] == BF16 else to_fp16(x)
        moved = tau_m[i] != 0 and lambda32 != 0
        finite = (half & np.int32(0x7FFF)) < infinity and (bits_of(x) & MAGNITUDE) < INFINITY
        largest = max(largest, np.int32(moved and not finite))
        merged[i] = np.uint16(half) if moved else bits[i]
    return largest == 0


@compiled
def _apply_to_fp32(base, out, tau_m, lambda32):
    bits, merged = carray(pointer(base, np.int32), tau_m.size), carray(pointer(out, np.int32), tau_m.size)
    largest = np.int32(0)
    for i in range(tau_m.size):
        old = number_of(bits[i])
        x = bits_of(np.float32(np.float64(old) + np.float64(tau_m[i]) * lambda32))
        moved = tau_m[i] != 0 and lambda32 != 0
        largest = max(largest, x & MAGNITUDE if moved else np.int32(0))
        merged[i] = x if moved else bits[i]
    return largest < INFINITY


@compiled
def _apply_to_fp64(base, out, tau_m, lambda32):
    old, merged = carray(pointer(base, np.float64), tau_m.size), carray(pointer(out, np.float64), tau_m.size)
    bits, moved_bits = carray(pointer(base, np.int64), tau_m.size), carray(pointer(out, np.int64), tau_m.size)
    for i in range(tau_m.size):
        moved_bits[i] = bits[i]
        if tau_m[i] != 0 and lambda32 != 0:
            merged[i] = old[i] + np.float64(tau_m[i]) * lambda32
            if not math.isfinite(merged[i]):
                return False
    return True
