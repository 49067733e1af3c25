"""The mean: the exact sum of v over the exact sum of all coefficients."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import mean, reducer
from mergealgebra.algebra.exact import Coefficients
from tests.algebra.numbers import exact_sum, finite_fp32, rn32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.mark.clause("ME-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(
    v=task_vectors(count=3, size=3), coefficients=st.lists(finite_fp32().map(abs).filter(bool), min_size=3, max_size=3)
)
def test_it_is_what_the_clause_says(array, v, coefficients):
    known = Coefficients(tuple(min(c, 2.0**60) for c in coefficients))
    lifts = [reducer.lift(mean, array(row.copy()), c, known) for row, c in zip(v, known.values, strict=True)]
    with np.errstate(over="ignore"):
        tau_m = mean.finalize(reducer.combine(lifts), known)
    w = Fraction(rn64(exact_sum(known.values)))
    expected = [rn32(Fraction(rn64(Fraction(rn64(exact_sum(column))) / w))) for column in v.T.tolist()]
    assert tau_m.tolist() == expected
    assert tau_m.dtype == array(v).dtype


@pytest.mark.clause("ME-1")
def test_a_mean_is_rounded_by_way_of_fp64():
    """S / W is just below the middle of two fp32 numbers; RN64 puts it there, and the tie goes to the even one."""
    v, coefficients = [1 + 2.0**-23, 2.0**-24 + 2.0**-40], Coefficients((1.0, 2.0**-40))
    assert rn32(exact_sum(v) / exact_sum(coefficients.values)) == 1 + 2.0**-23
    sums = reducer.combine(mean.lift(np.float32([x]), 1.0) for x in v)
    assert mean.finalize(sums, coefficients).tolist() == [1 + 2.0**-22]


@pytest.mark.clause("ME-1")
def test_w_counts_all_contributions_held_or_not():
    sums = mean.lift(np.float32([6]), 1.0)
    assert mean.finalize(sums, Coefficients((1.0, 2.0))).tolist() == [2]


def test_lift_has_no_sums_of_coefficients():
    sums = mean.lift(np.float32([2, -3, 0]), 7.0)
    assert [column.tolist() for column in sums.columns] == [[2, 0, 0], [0, -3, 0]]
    assert sums.grid.tolist() == [128, 128, 255]
    assert not sums.weighs
