"""Dot products of each two parts of a block, chunk by chunk [DT-1, DT-2]."""

from __future__ import annotations

from typing import Final

import numpy as np

from mergealgebra.kernels.fused.memory import INFINITY, ahead, compiled, read
from mergealgebra.kernels.fused.table import F64, TILE
from mergealgebra.kernels.fused.vector import find_vector

#: As `algebra.dots.CHUNK`, which compiled code does not import.
CHUNK: Final = 1 << 12
_QUARTER: Final = CHUNK // 4


@compiled
def dots(size, base, parts, how, known, squares, out, scratch):
    """The sums of the chunks of a block, by pair of parts; False when some number is not finite.

    known: so many of the first parts are left out with each other. squares: each is taken with itself alone. out:
    (pairs, chunks). scratch: a tile of the base, random words, a chunk of each part, and a quarter of one in fp64.
    """
    old, words, vectors, folded = scratch
    for chunk in range(out.shape[1]):
        for at in range(0, CHUNK, TILE):
            start = chunk * CHUNK + at
            if not _find_all(start, min(max(size - start, 0), TILE), base, parts, how, old, words, vectors[:, at:]):
                return False
        pair = 0
        for i in range(parts.shape[0]):
            for j in range(max(i, known), i + 1 if squares else parts.shape[0]):
                out[pair, chunk] = _dot(vectors[i], vectors[j], folded)
                pair += 1
    return True


@compiled
def _find_all(start, n, base, parts, how, old, words, vectors):
    """The vectors of a tile of n elements, their zeros +0, filled up with zeros. False when a number is not finite."""
    here = (ahead(base[0], base[1], start), base[1])
    if base[1] != F64:
        read(here[0], here[1], old[:n])
    for i in range(parts.shape[0]):
        vector = vectors[i, :TILE]
        if find_vector(parts[i], start, here, old[:n], how, words, vector[:n]) >= INFINITY:
            return False
        for k in range(n):
            vector[k] = vector[k] + np.float32(0.0)
        for k in range(n, TILE):
            vector[k] = np.float32(0.0)
    return True


@compiled
def _dot(x, y, folded):
    """The sum of a chunk [DT-2]: the products are exact, and two levels are folded at once."""
    for i in range(_QUARTER):
        even = _product(x, y, i) + _product(x, y, i + 2 * _QUARTER)
        odd = _product(x, y, i + _QUARTER) + _product(x, y, i + 3 * _QUARTER)
        folded[i] = even + odd
    half = _QUARTER // 2
    while half:
        for i in range(half):
            folded[i] += folded[i + half]
        half //= 2
    return folded[0]


@compiled
def _product(x, y, i):
    return np.float64(x[i]) * np.float64(y[i])
