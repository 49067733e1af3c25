"""Products that are rounded once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given

from mergealgebra.algebra.rounded import product, quotient, scaled
from tests.algebra.numbers import finite_fp32, rn32, rn64

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.mark.clause("TI-6", "ME-1", "TA-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(tau=finite_fp32(), coefficient=finite_fp32().filter(bool))
def test_v_is_the_product_rounded_once(array, tau, coefficient):
    with np.errstate(over="ignore", under="ignore"):
        v = scaled(array(np.float32([tau])), coefficient)
    assert v.tolist() == [rn32(Fraction(tau) * Fraction(coefficient))]
    assert v.dtype == array(np.float32([0])).dtype


@pytest.mark.clause("TI-6")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_v_of_zero_is_positive(array):
    v = scaled(array(np.float32([0, 2.0**-149, -(2.0**-149)])), -0.25)
    assert v.tolist() == [0, 0, 0]
    assert not np.signbit(v.tolist()).any()


def test_a_coefficient_of_one_copies_nothing():
    tau = np.float32([1, -2])
    assert scaled(tau, 1.0) is tau


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(x=finite_fp32(), y=finite_fp32())
def test_a_product_is_rounded_once_and_its_zeros_are_positive(array, x, y):
    with np.errstate(over="ignore", under="ignore"):
        found = product(array(np.float32([x])), array(np.float32([y])))
    assert found.tolist() == [rn32(Fraction(x) * Fraction(y))]
    assert found.tolist() != [0] or not np.signbit(found.tolist()).any()
    assert found.dtype == array(np.float32([0])).dtype


@pytest.mark.clause("ME-1", "TI-8")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(x=finite_fp32(), y=finite_fp32().filter(bool))
def test_a_quotient_is_rounded_by_way_of_fp64(array, x, y):
    expected = [rn32(Fraction(rn64(Fraction(x) / Fraction(y))))]
    with np.errstate(over="ignore", under="ignore"):
        assert quotient(array(np.float32([x])), y).tolist() == expected
        found = quotient(array(np.float64([x])), array(np.float64([y])))
    assert found.tolist() == expected
    assert found.dtype == array(np.float32([0])).dtype
