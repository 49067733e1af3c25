"""TIES after trim: one vote each, the sign of the exact sum, the mean of those who agree."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.exact import Coefficients, Sums, combine, prepared
from mergealgebra.algebra.method import View
from mergealgebra.methods import ties
from tests.algebra.lifts import sums_of
from tests.algebra.numbers import exact_sum, finite_fp32, rn32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
#: v at one coordinate, the coefficients, and tau_m.
CASES = {
    "one vote": ([3], [1], 3),
    "all agree": ([1, 2, 6], [1, 1, 1], 3),
    "the sum decides, not the number of votes": ([-1, -1, 3], [1, 1, 1], 3),
    "negative wins": ([-5, 1, -3], [1, 1, 1], -4),
    "a zero sum elects nothing": ([2, -2], [1, 1], 0),
    "zeros do not vote": ([4, 0, 0], [1, 1, 1], 4),
    "nobody votes": ([0, 0], [1, 1], 0),
    "coefficients are weights": ([6, 1], [3, 1], 1.75),
    "of the losers no coefficient counts": ([6, -1], [3, 64], 2),
    "of the losers no coefficient counts, below": ([-6, 1], [3, 64], -2),
    "a small remainder elects": ([2.0**53, 1, -(2.0**53)], [1, 1, 1], 2.0**52),
    "and elects below": ([2.0**53, -1, -(2.0**53)], [1, 1, 1], -(2.0**52)),
}


def merged(array, v: np.ndarray, coefficients: list[float]):
    """v: (n, d) fp32, already scaled."""
    known = Coefficients(tuple(coefficients))
    lifts = [prepared(sums_of(array(row.copy()), c), known) for row, c in zip(v, coefficients, strict=True)]
    return ties.merge(combine(lifts), known)


def by_the_clauses(v: list[float], coefficients: list[float]) -> float:
    """TI-7 and TI-8, word by word."""
    total = exact_sum(v)
    gamma = (total > 0) - (total < 0)
    agreeing = [(x, c) for x, c in zip(v, coefficients, strict=True) if gamma and np.sign(x) == gamma]
    if not agreeing:
        return 0.0
    s, w = (exact_sum(column) for column in zip(*agreeing, strict=True))
    return rn32(Fraction(rn64(Fraction(rn64(s)) / Fraction(rn64(w)))))


@pytest.mark.clause("TI-7", "TI-8")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize(("v", "coefficients", "expected"), CASES.values(), ids=CASES)
def test_case(array, v, coefficients, expected):
    """Each case twice, so that a coordinate does not answer for its neighbour."""
    column = np.array(v, np.float32)
    found = merged(array, np.stack([column, -column], axis=1), coefficients)
    assert found.tolist() == [expected, -expected]
    assert found.dtype == array(column).dtype
    assert by_the_clauses(v, coefficients) == expected


@pytest.mark.clause("TI-7", "TI-8")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(
    v=task_vectors(count=4, size=3), coefficients=st.lists(finite_fp32().map(abs).filter(bool), min_size=4, max_size=4)
)
def test_it_is_what_the_clauses_say(array, v, coefficients):
    coefficients = [min(c, 2.0**60) for c in coefficients]
    expected = [by_the_clauses(column, coefficients) for column in v.T.tolist()]
    with np.errstate(over="ignore"):
        assert merged(array, v, coefficients).tolist() == expected


@pytest.mark.clause("TI-8")
def test_a_mean_is_rounded_by_way_of_fp64():
    """S / W is just below the middle of two fp32 numbers; RN64 puts it there, and the tie goes to the even one."""
    v, coefficients = [1 + 2.0**-23, 2.0**-24 + 2.0**-40], [1, 2.0**-40]
    assert rn32(exact_sum(v) / exact_sum(coefficients)) == 1 + 2.0**-23
    assert merged(np.asarray, np.float32([[x] for x in v]), coefficients).tolist() == [1 + 2.0**-22]


@pytest.mark.clause("TI-6")
def test_lift_has_one_column_for_each_side_and_its_votes():
    terms = ties.lift(View(np.float32([4, -6, 0, 2.0**-148]), 0.5))
    sums = Sums.of(terms, ma.Ties().rounds[0].columns.votes)
    assert [column.tolist() for column in sums.columns] == [
        [2, 0, 0, 2.0**-149],
        [0, -3, 0, 0],
        [0.5, 0, 0, 0.5],
        [0, -0.5, 0, 0],
    ]
    assert all(column.dtype == np.float64 for column in sums.columns)
    assert sums.grids[0].tolist() == [128, 128, 255, 1]
    assert sums.weighs


@pytest.mark.clause("TI-7")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_elect_gives_signs(array):
    sums = combine(sums_of(array(np.float32(row)), 1.0) for row in ([1, -1, 1, 0], [1, -1, -1, 0]))
    gamma = ties.elect(sums)
    assert gamma.tolist() == [1, -1, 0, 0]
    assert gamma.dtype == array(np.empty(0, np.int8)).dtype


@pytest.mark.clause("TI-8")
def test_disjoint_mean_follows_the_signs_it_is_given():
    sums = combine(sums_of(np.float32(row), c) for row, c in (([6, 6, 6], 3.0), ([-1, -1, -1], 4.0)))
    assert ties.disjoint_mean(sums, np.int8([1, -1, 0])).tolist() == [2, -0.25, 0]


def test_no_warning_where_nobody_votes():
    with np.errstate(all="raise"):
        assert merged(np.asarray, np.float32([[0, 1], [0, -1]]), [1.0, 1.0]).tolist() == [0, 0]
