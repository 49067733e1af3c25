"""The mean: the exact sum of v over the exact sum of all coefficients."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.exact import Coefficients, Sums, combine
from mergealgebra.algebra.method import View
from mergealgebra.methods import mean
from tests.algebra.lifts import sums_of
from tests.algebra.numbers import exact_sum, finite_fp32, rn32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.mark.clause("ME-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(
    v=task_vectors(count=3, size=3), coefficients=st.lists(finite_fp32().map(abs).filter(bool), min_size=3, max_size=3)
)
def test_it_is_what_the_clause_says(array, v, coefficients):
    known = Coefficients(tuple(min(c, 2.0**60) for c in coefficients))
    with np.errstate(over="ignore"):
        tau_m = mean.average(combine(sums_of(array(row.copy())) for row in v), known)
    w = Fraction(rn64(exact_sum(known.values)))
    expected = [rn32(Fraction(rn64(Fraction(rn64(exact_sum(column))) / w))) for column in v.T.tolist()]
    assert tau_m.tolist() == expected
    assert tau_m.dtype == array(v).dtype


@pytest.mark.clause("ME-1")
def test_a_mean_is_rounded_by_way_of_fp64():
    """S / W is just below the middle of two fp32 numbers; RN64 puts it there, and the tie goes to the even one."""
    v, coefficients = [1 + 2.0**-23, 2.0**-24 + 2.0**-40], Coefficients((1.0, 2.0**-40))
    assert rn32(exact_sum(v) / exact_sum(coefficients.values)) == 1 + 2.0**-23
    sums = combine(sums_of(np.float32([x])) for x in v)
    assert mean.average(sums, coefficients).tolist() == [1 + 2.0**-22]


@pytest.mark.clause("ME-1")
def test_w_counts_all_contributions_held_or_not():
    sums = sums_of(np.float32([6]))
    assert mean.average(sums, Coefficients((1.0, 2.0))).tolist() == [2]


def test_lift_has_no_sums_of_coefficients():
    sums = Sums.of(mean.lift(View(np.float32([2, -3, 0]), 7.0)), ma.Mean().rounds[0].columns.votes)
    assert [column.tolist() for column in sums.columns] == [[14, 0, 0], [0, -21, 0]]
    assert sums.grids[0].tolist() == [130, 131, 255]
    assert not sums.weighs
