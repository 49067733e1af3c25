"""The merged model: base + lambda * tau_m, its two roundings, and where the base is copied."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra.apply import apply, changed
from tests.algebra.numbers import finite_fp32, rn32, rn64

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
#: 1 + 2^-23 and its neighbours, between which RN64 puts a tie that the exact sum is not.
ODD, NEXT = 1 + 2.0**-23, 1 + 2.0**-22


def moderate() -> st.SearchStrategy[float]:
    """fp32 numbers whose products and sums overflow nothing."""
    return finite_fp32().map(lambda x: float(np.float32(x * 2.0**-66)))


def exact(base: float, tau_m: float, lambda32: float) -> Fraction:
    return Fraction(base) + Fraction(lambda32) * Fraction(tau_m)


@pytest.mark.clause("MG-3")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(st.lists(st.tuples(moderate(), moderate()), min_size=1, max_size=6), moderate())
def test_the_sum_is_rounded_to_fp64_and_then_to_the_base(array, pairs, lambda32):
    base, tau_m = np.array(pairs, np.float32).T
    once = [rn64(exact(*pair, lambda32)) for pair in pairs]
    narrow = apply(array(base.copy()), array(tau_m.copy()), lambda32)
    wide = apply(array(base.astype(np.float64)), array(tau_m.copy()), lambda32)
    assert narrow.dtype == array(np.empty(0, np.float32)).dtype
    assert wide.dtype == array(np.empty(0, np.float64)).dtype
    assert narrow.tolist() == [rn32(Fraction(value)) for value in once]
    assert wide.tolist() == once


@pytest.mark.clause("MG-3")
def test_rounding_twice_is_what_the_clause_says():
    """The exact sum is below the middle of ODD and NEXT; RN64 puts it there, and the tie goes to the even one."""
    tau_m, lambda32 = 2.0**-24 * (1 - 2.0**-23), 1 + 2.0**-23
    assert rn32(exact(ODD, tau_m, lambda32)) == ODD
    assert apply(np.float32([ODD]), np.float32([tau_m]), lambda32).tolist() == [NEXT]


@pytest.mark.clause("MG-4")
def test_signs_of_zeros():
    """A sum of exactly 0 is +0; what underflows keeps its sign."""
    merged = apply(np.float32([2, -0.0, 0]), np.float32([-1, -(2.0**-149), 2.0**-149]), 2.0)
    assert np.signbit(merged).tolist() == [False, True, False]
    least = apply(np.float32([0, 0]), np.float32([-(2.0**-149), 2.0**-149]), 2.0**-10)
    assert (np.abs(least) == 0).all()
    assert np.signbit(least).tolist() == [True, False]


@pytest.mark.clause("MG-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_changed_is_where_neither_factor_is_zero(array):
    tau_m = array(np.float32([0, -0.0, 1, -(2.0**-149)]))
    assert changed(tau_m, 0.5).tolist() == [False, False, True, True]
    assert changed(tau_m, -0.5).tolist() == [False, False, True, True]
    assert changed(tau_m, 0.0).tolist() == [False] * 4


def test_inputs_are_left_as_they_are():
    base, tau_m = np.float32([1, 2]), np.float32([3, 4])
    apply(base, tau_m, 2.0)
    assert (base.tolist(), tau_m.tolist()) == ([1, 2], [3, 4])
