"""Dot products in the fixed tree: exact products, chunks by halves, chunks by neighbours; whatever the blocks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra.dots import CHUNK, chunk_sums, dot, fold

SIZES = st.sampled_from([0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])


def vectors(size: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    scales = np.exp2(random.integers(-60, 60, (2, size)))
    return [(random.normal(size=size) * scale).astype(np.float32) for scale in scales]


def by_hand(x, y) -> float:
    """The tree in Python numbers: recursion on halves in a chunk, then neighbours."""
    products = [float(Fraction(float(a)) * Fraction(float(b))) for a, b in zip(x, y, strict=True)]
    products += [0.0] * (-len(products) % CHUNK)

    def halves(terms):
        while len(terms) > 1:
            half = len(terms) // 2
            terms = [a + b for a, b in zip(terms[:half], terms[half:], strict=True)]
        return terms[0]

    sums = [halves(products[start : start + CHUNK]) for start in range(0, len(products), CHUNK)]
    while len(sums) > 1:
        sums = [sum(sums[i : i + 2]) for i in range(0, len(sums), 2)]
    return sums[0] if sums else 0.0


@pytest.mark.clause("DT-1", "DT-2", "DT-3")
@given(SIZES, st.integers(0, 99))
def test_the_tree_is_the_one_that_is_written(size, seed):
    x, y = vectors(size, seed)
    assert dot(x, y) == by_hand(x, y)


@pytest.mark.clause("DT-4")
@given(SIZES, st.integers(0, 99), st.integers(1, 4))
def test_blocks_of_whole_chunks_and_libraries_change_no_bit(size, seed, chunks):
    x, y = vectors(size, seed)
    step = chunks * CHUNK
    parts = [chunk_sums(x[i : i + step], y[i : i + step]) for i in range(0, size, step)]
    assert fold(np.concatenate([np.empty(0), *parts])) == dot(x, y) == dot(y, x)
    assert dot(torch.from_numpy(x), torch.from_numpy(y)) == dot(x, y)
