"""What is the same for all methods: scale, lift, combine."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given

from mergealgebra.algebra import mean, reducer, ties
from mergealgebra.algebra.exact import Coefficients
from tests.algebra.numbers import finite_fp32, rn32

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
#: fp64 adds the first, and not the second.
CERTIFIED, UNCERTIFIED = Coefficients((1.0, 3.0)), Coefficients((1.0, 2.0**40))


@pytest.mark.clause("TI-6", "ME-1", "TA-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(tau=finite_fp32(), coefficient=finite_fp32().filter(bool))
def test_v_is_the_product_rounded_once(array, tau, coefficient):
    with np.errstate(over="ignore", under="ignore"):
        v = reducer.scale(array(np.float32([tau])), coefficient)
    assert v.tolist() == [rn32(Fraction(tau) * Fraction(coefficient))]
    assert v.dtype == array(np.float32([0])).dtype


@pytest.mark.clause("TI-6")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_v_of_zero_is_positive(array):
    v = reducer.scale(array(np.float32([0, 2.0**-149, -(2.0**-149)])), -0.25)
    assert v.tolist() == [0, 0, 0]
    assert not np.signbit(v.tolist()).any()


def test_a_coefficient_of_one_copies_nothing():
    tau = np.float32([1, -2])
    assert reducer.scale(tau, 1.0) is tau


@pytest.mark.clause("EX-3")
def test_sums_of_coefficients_that_fp64_cannot_hold_are_integers_from_the_start():
    v = np.float32([1, -2, 0])
    assert reducer.lift(ties, v, 3.0, CERTIFIED).uncertified.size == 0
    assert reducer.lift(ties, v, 3.0, UNCERTIFIED).uncertified.tolist() == [0, 1, 2]
    assert reducer.lift(mean, v, 3.0, UNCERTIFIED).uncertified.size == 0
    assert reducer.lift(mean, v, 3.0, CERTIFIED).uncertified.size == 0


@pytest.mark.clause("EX-3", "TI-8")
def test_weights_far_apart_add_up_exactly():
    """fp64 would lose each 1 that meets 2^53 alone."""
    coefficients = Coefficients((2.0**53, 1.0, 1.0))
    lifts = [reducer.lift(ties, np.float32([1]), c, coefficients) for c in coefficients.values]
    for order in permutations(lifts):
        assert reducer.combine(order).rounded(2).tolist() == [2.0**53 + 2]


@pytest.mark.clause("EX-4")
def test_combine_takes_sums_in_the_order_given_one_or_many():
    a, b, c = (mean.lift(np.float32([x]), 1.0) for x in (1, 2, -4))
    assert reducer.combine(iter([a])) is a
    assert reducer.combine([a, b, c]).total().tolist() == [-1]
    with pytest.raises(TypeError):
        reducer.combine([])
