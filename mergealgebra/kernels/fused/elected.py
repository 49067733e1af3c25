"""The weighed mean of what has the elected sign, tile by tile: a sum elects, two more are divided [SC-3 to SC-5]."""

from __future__ import annotations

import numpy as np

from mergealgebra.kernels.fused.apply import apply
from mergealgebra.kernels.fused.memory import INFINITY, ahead, compiled, magnitude_of, number_of, read
from mergealgebra.kernels.fused.reduce import NONE, add, limit, refine
from mergealgebra.kernels.fused.table import COEFFICIENT, F64, KEY, TILE
from mergealgebra.kernels.fused.vector import find_vector


@compiled
def elected_mean(size, model, parts, how, lambda32, uncertified, scratch):
    """Reduce a block. Returns how many coordinates have no certificate, -1 when a number is not finite.

    model: address and dtype of the base, address of the result. parts: of each a row; KEY has the fp32 bits of its
    weight in the mean, COEFFICIENT those of the coefficient with which it elects. uncertified: for positions. scratch:
    tiles of the base, of what is merged, and of random words; of a vector for each part; what was elected and what is
    left of weights, fp32; whether there is no certificate; and S, A and the bits of the least of both sums.
    """
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        (old, merged, words), vectors, (elected, weights), failed, first, second = scratch
        base = ahead(model[0], model[1], start), model[1]
        if base[1] != F64:
            read(base[0], base[1], old[:n])
        sums = _tile(first, n), _tile(second, n)
        if not _elect(parts, start, base, old[:n], how, words, vectors, merged[:n], sums[0], elected[:n]):
            return -1
        _certify(sums[0], failed[:n], False)
        if not _average(parts, vectors, elected[:n], weights[:n], sums, merged[:n]):
            return -1
        _certify(sums[0], failed[:n], True)
        _certify(sums[1], failed[:n], True)
        missed += _leave_out(failed[:n], start, merged[:n], uncertified[missed:])
        if not apply(base, ahead(model[2], model[1], start), old[:n], merged[:n], lambda32):
            return -1
    return missed


@compiled
def _tile(sums, n):
    s, a, low = sums
    return s[:n], a[:n], low[:n]


@compiled
def _clear(sums):
    s, a, low = sums
    s[:] = 0.0
    a[:] = 0.0
    low[:] = NONE


@compiled
def _elect(parts, start, base, old, how, words, vectors, term, sums, elected):
    """1 where the sum of c tau is 0 or more, else -1 [SC-3]; vectors are kept. False when a number is not finite."""
    s, a, low = sums
    _clear(sums)
    for at in range(parts.shape[0]):
        vector, largest = vectors[at, : old.size], np.int32(0)
        if find_vector(parts[at], start, base, old, how, words, vector) >= INFINITY:
            return False
        coefficient = number_of(np.int32(parts[at, COEFFICIENT]))
        for i in range(term.size):
            term[i] = vector[i] * coefficient
            largest = max(largest, magnitude_of(term[i]))
        if largest >= INFINITY:
            return False
        add(term, s, a)
        refine(term, low)
    for i in range(elected.size):
        elected[i] = np.float32(1.0) if s[i] >= 0 else np.float32(-1.0)
    return True


@compiled
def _average(parts, vectors, elected, weights, sums, merged):
    """V / W, of what has the elected sign [SC-5]; 0 where W is. False when a number is not finite."""
    (s, a, low), (s_of_weights, a_of_weights, low_of_weights) = sums
    _clear(sums[0])
    _clear(sums[1])
    for at in range(parts.shape[0]):
        weight, vector, largest = number_of(np.int32(parts[at, KEY])), vectors[at], np.int32(0)
        for i in range(merged.size):
            agrees = vector[i] * elected[i] > 0
            merged[i] = vector[i] * weight if agrees else np.float32(0.0)
            weights[i] = weight if agrees else np.float32(0.0)
            largest = max(largest, magnitude_of(merged[i]), magnitude_of(weights[i]))
        if largest >= INFINITY:
            return False
        add(merged, s, a)
        refine(merged, low)
        add(weights, s_of_weights, a_of_weights)
        refine(weights, low_of_weights)
    for i in range(merged.size):
        whole = s_of_weights[i]
        merged[i] = np.float32(s[i] / (whole if whole != 0 else 1.0))
    return True


@compiled
def _certify(sums, failed, also):
    """Where a sum has no certificate [EX-2]. also: whether another one had none is not forgotten."""
    _, a, low = sums
    for i in range(failed.size):
        before = failed[i] if also else np.int32(0)
        failed[i] = np.int32(before | np.int32(a[i] >= limit(low[i])))


@compiled
def _leave_out(failed, start, merged, uncertified):
    """The positions in a block of what has no certificate, which counts as 0; returns how many."""
    found = np.int64(0)
    for i in range(failed.size):
        found += np.int64(failed[i])
    if found:
        found = np.int64(0)
        for i in range(failed.size):
            if failed[i]:
                uncertified[found] = start + i
                merged[i] = np.float32(0.0)
                found += 1
    return found
