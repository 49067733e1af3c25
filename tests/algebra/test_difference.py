"""Task vectors: the difference rounded once, and what counts as unchanged."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra.difference import difference, stored
from tests.algebra.numbers import finite_fp32, rn32, rn64

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
INF, NAN = float("inf"), float("nan")
DTYPES = {
    "fp32": (np.float32, np.float32),
    "fp64, fp32": (np.float64, np.float32),
    "fp32, fp64": (np.float32, np.float64),
}


def halved() -> st.SearchStrategy[float]:
    """fp32 numbers whose differences overflow nothing."""
    return finite_fp32().map(lambda x: float(np.float32(x / 2)))


def taus(array, finetuned: np.ndarray, base: np.ndarray, same_bits: list[bool] | None = None):
    """The difference, of arrays of one library; nothing has the same bits unless it is said."""
    same = np.zeros(len(base), bool) if same_bits is None else np.array(same_bits)
    with np.errstate(invalid="ignore", over="ignore"):
        return difference(array(finetuned), array(base), array(same))


@pytest.mark.clause("TV-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("dtypes", DTYPES.values(), ids=DTYPES)
@given(st.lists(st.tuples(halved(), halved()), min_size=1, max_size=6))
def test_the_exact_difference_is_rounded_once_and_by_way_of_fp64_where_that_comes_in(array, dtypes, pairs):
    finetuned, base = (np.array(column, dtype) for column, dtype in zip(zip(*pairs, strict=True), dtypes, strict=True))
    tau = taus(array, finetuned, base)
    exact = [Fraction(a) - Fraction(b) for a, b in pairs]
    once = exact if dtypes == (np.float32, np.float32) else [Fraction(rn64(value)) for value in exact]
    assert tau.dtype == array(np.empty(0, np.float32)).dtype
    assert tau.tolist() == [rn32(value) for value in once]
    assert not np.signbit(np.asarray(tau)[np.asarray(tau) == 0]).any()


@pytest.mark.clause("TV-2")
def test_an_fp64_fine_tune_is_not_narrowed_first():
    """Both round to 1 in fp32, and differ by 2^-40."""
    wide = np.array([1 + 2.0**-40])
    assert taus(np.asarray, wide, np.float32([1])).tolist() == [2.0**-40]
    assert taus(np.asarray, np.float32([1]), wide).tolist() == [-(2.0**-40)]


@pytest.mark.clause("TV-2")
def test_with_fp64_the_difference_is_rounded_twice():
    """1 + 2^-24 + 2^-60 is above the middle of two fp32 numbers; RN64 puts it there, and the tie goes to 1."""
    base = np.array([-(2.0**-24) - 2.0**-60])
    assert rn32(1 - Fraction(base[0])) == 1 + 2.0**-23
    assert taus(np.asarray, np.array([1.0]), base).tolist() == [1]


@pytest.mark.clause("TV-3", "TV-4")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_what_is_unchanged_is_zero_and_nothing_else_hides(array):
    finetuned, base = (
        np.float32([INF, -INF, NAN, NAN, INF, 1, 3e38]),
        np.float32([INF, -INF, NAN, NAN, -INF, NAN, -3e38]),
    )
    tau = taus(array, finetuned, base, [False, False, True, False, False, False, False]).tolist()
    assert tau[:3] == [0, 0, 0]
    assert tau[4] == tau[6] == INF
    assert np.isnan([tau[3], tau[5]]).all()
    assert not np.signbit(tau[:3]).any()


@pytest.mark.clause("TV-6")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_zero_is_positive(array):
    finetuned, base = np.float32([0.0, -0.0, -0.0, 5]), np.float32([-0.0, 0.0, -0.0, 5])
    assert not np.signbit(taus(array, finetuned, base).tolist()).any()
    assert not np.signbit(stored(array(np.float32([-0.0, 0.0]))).tolist()).any()
    assert not np.signbit(stored(array(np.array([-(2.0**-200), -0.0]))).tolist()).any()


@pytest.mark.clause("TV-5")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(st.lists(finite_fp32(), min_size=1, max_size=6))
def test_a_stored_task_vector_is_itself_and_fp64_is_rounded(array, values):
    narrow, wide = np.array(values, np.float32), np.array(values) * (1 + 2.0**-40)
    assert stored(array(narrow)).tolist() == narrow.tolist()
    assert stored(array(wide)).tolist() == [rn32(Fraction(value)) for value in wide.tolist()]
    assert stored(array(wide)).dtype == array(narrow).dtype


def test_inputs_are_left_as_they_are():
    values = np.float32([-0.0, 1])
    stored(values)
    taus(np.asarray, values, values)
    assert np.signbit(values).tolist() == [True, False]
