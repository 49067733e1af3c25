"""Random masks depend on seed, root, name and position, and on nothing else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import masks
from mergealgebra.algebra.arrays import array_namespace

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
KEYS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
STARTS = st.one_of(st.integers(0, 40), st.integers(2**34 - 20, 2**34 + 20), st.integers(0, 2**62))


@pytest.mark.clause("RM-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(KEYS, STARTS, st.integers(0, 30))
def test_words_in_a_row_are_the_words_of_their_positions(array, key, start, n):
    positions = array(np.arange(start, start + n, dtype=np.int64))
    row = masks.words_from(key, start, n, array_namespace(positions), positions.device)
    assert row.tolist() == masks.words(key, positions).tolist()
    assert all(0 <= word < 2**32 for word in row.tolist())


@pytest.mark.clause("RM-2", "MG-8")
@given(KEYS, STARTS, st.lists(st.integers(0, 200), min_size=1, max_size=20))
def test_the_mask_of_a_part_is_the_part_of_the_mask_in_both_libraries(key, start, at):
    whole = masks.words_from(key, start, 201)
    positions = start + np.array(at, np.int64)
    assert masks.words(key, positions).tolist() == whole[at].tolist()
    assert masks.words(key, torch.from_numpy(positions)).tolist() == whole[at].tolist()


@pytest.mark.clause("RM-1")
def test_a_key_follows_from_seed_root_and_name_and_each_of_them_counts():
    seeds, roots, names = ("0", "1", "10", str(2**64 - 1)), ("00" * 32, "01" + "00" * 31), ("w", "v", "")
    keys = {masks.mask_key(seed, root, name) for seed in seeds for root in roots for name in names}
    assert len(keys) == len(seeds) * len(roots) * len(names)
    assert all(0 <= word < 2**32 for key in keys for word in key)


@pytest.mark.clause("RM-3")
@given(st.integers(1, 2**32), st.integers(1, 10**6))
def test_the_bound_is_the_exact_product_rounded_down(bound, parts):
    assert masks.keep_below(Fraction(bound, 2**32)) == bound
    assert masks.keep_below(Fraction(bound, 2**32) - Fraction(1, parts * 2**64)) == bound - 1


@pytest.mark.clause("RM-3")
@pytest.mark.parametrize("share", ["0.1", "0.5", "0.9"])
def test_a_mask_keeps_about_its_share(share):
    n = 100_000
    kept = int((masks.words_from((1, 2), 0, n) < masks.keep_below(Fraction(share))).sum())
    assert abs(kept - n * float(share)) < 5 * (n * float(share) * (1 - float(share))) ** 0.5
