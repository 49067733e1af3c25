"""What surrounds the equations of any method, tile by tile: vectors, exact sums, and the merged block."""

from __future__ import annotations

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.apply import apply
from mergealgebra.kernels.fused.memory import INFINITY, ahead, compiled, double_of, magnitude_of, pointer, read
from mergealgebra.kernels.fused.reduce import NONE, add, refine, without_certificate
from mergealgebra.kernels.fused.table import ADDRESS, F32, F64, KEY, TAU, TILE
from mergealgebra.kernels.fused.theta import put
from mergealgebra.kernels.fused.vector import find_vector


@compiled
def vectors(size, base, parts, how, out, scratch):
    """The vectors of all parts of a block, their zeros +0; False when a number is not finite.

    how: as `find_vector` takes it. out: (parts, size) fp32. scratch: a tile of the base, and random words.
    """
    old, words = scratch
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        here = (ahead(base[0], base[1], start), base[1])
        if base[1] != F64:
            read(here[0], here[1], old[:n])
        for i in range(parts.shape[0]):
            vector = out[i, start : start + n]
            if find_vector(parts[i], start, here, old[:n], how, words, vector) >= INFINITY:
                return False
            for k in range(n):
                vector[k] = vector[k] + np.float32(0.0)
    return True


@compiled
def exact_sums(size, terms, out, votes, uncertified, scratch):
    """The sums of the positive and of the negative terms, and their grids [EX-1, EX-2].

    Returns at how many coordinates there is no certificate, -1 when a term is not finite. terms: a row of each. out:
    both sums and the grids. votes: the sums of the votes of positive and of negative terms, or empty. scratch: a tile
    of terms, of S and of A, and of the bits of the least.
    """
    positive, negative, grids = out
    missed = 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        term, s, a, low = scratch[0][:n], scratch[1][:n], scratch[2][:n], scratch[3][:n]
        s[:] = -0.0  # to which anything can be added without a change, -0 included
        a[:] = 0.0
        low[:] = NONE
        for i in range(terms.shape[0]):
            read(ahead(terms[i, ADDRESS], F32, start), F32, term)
            if _largest(term) >= INFINITY:
                return -1
            add(term, s, a)
            refine(term, low)
            _vote(term, double_of(terms[i, KEY]), votes[0][start : start + n], votes[1][start : start + n])
        for k in range(n):
            positive[start + k] = (a[k] + s[k]) * 0.5
            negative[start + k] = (s[k] - a[k]) * 0.5
            grids[start + k] = max(low[k] >> np.int32(23), np.int32(1))
        found = without_certificate((s, a, votes, votes, low), uncertified[missed:])
        for k in range(found):
            uncertified[missed + k] += start
        missed += found
    return missed


@compiled
def _largest(x):
    largest = np.int32(0)
    for i in range(x.size):
        largest = max(largest, magnitude_of(x[i]))
    return largest


@compiled
def _vote(x, vote, plus, minus):
    """Add a vote to the sums of those with the sign of x; nothing where they are empty."""
    for i in range(plus.size):
        plus[i] += vote if x[i] > 0 else 0.0
        minus[i] -= vote if x[i] < 0 else 0.0


@compiled
def put_merged(size, base, on, merged, out, lambda32, scratch):
    """Write the merged block; False when a number of it is not finite. merged: (size,) fp32, tau or a model."""
    old, tau_m = scratch
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        here, there = (ahead(base[0], base[1], start), base[1]), ahead(out, base[1], start)
        if base[1] != F64:
            read(here[0], here[1], old[:n])
        tau_m[:n] = carray(pointer(ahead(merged, F32, start), np.float32), n)
        if on == TAU:
            if not apply(here, there, old[:n], tau_m[:n], lambda32):
                return False
        elif not put(base[1], there, tau_m[:n]):
            return False
    return True
