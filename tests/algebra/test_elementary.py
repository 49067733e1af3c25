"""exp, log and tanh are RN32 of the real function, whatever library's routine they start from."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numba
import numpy as np
import pytest
import torch

from mergealgebra.algebra import elementary, real_functions
from mergealgebra.algebra.elementary import ABOVE, BELOW, settled
from tests.algebra.numbers import by_mpmath, rn32

FUNCTIONS = ("exp", "log", "tanh")
INVERSES = {"exp": np.log, "log": np.exp, "tanh": np.arctanh}
ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
ROUTINES: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {
    "numpy": lambda name, x: getattr(np, name)(x),
    "torch": lambda name, x: getattr(torch, name)(torch.from_numpy(x)).numpy(),
    "torch, one by one": lambda name, x: np.array([float(getattr(torch, name)(torch.tensor(a).double())) for a in x]),
    "math": lambda name, x: np.array([getattr(math, name)(a) for a in x.tolist()]),
}


def arguments(name: str, n: int) -> np.ndarray:
    """All over the range in which the answer is neither zero nor infinite, and around where it is 0 or 1."""
    random = np.random.default_rng(5)
    small = random.normal(size=n) * 2.0 ** random.uniform(-40, 2, n)
    wide = {
        "exp": random.uniform(-104, 89, n),
        "log": np.exp(random.uniform(-700, 700, n)),
        "tanh": random.uniform(-12, 12, n),
    }
    return np.concatenate([wide[name], np.abs(1 + small) if name == "log" else small])


def near_ties(name: str, n: int) -> np.ndarray:
    """Arguments whose answers are, within rounding, halfway between two fp32 numbers."""
    random = np.random.default_rng(6)
    halfway = (random.integers(1 << 23, 1 << 24, n) * 2.0 + 1) * 2.0 ** random.integers(-34, -25, n)
    return INVERSES[name](halfway)


def bits(x: np.ndarray | torch.Tensor) -> list[int]:
    return np.asarray(x).view(np.int32).tolist()


def in_a_numba_loop(name: str, x: np.ndarray) -> np.ndarray:
    """What a kernel would do: its own routine and the certificate in one loop, then integers where it fails."""
    routine, below, above = getattr(math, name), BELOW, ABOVE

    @numba.njit
    def loop(x, found, y):
        for i in range(x.size):
            y[i] = routine(x[i])
            low, high = np.float32(y[i] * below), np.float32(y[i] * above)
            found[i] = low if low == high else np.nan

    found, y = np.empty(x.size, np.float32), np.empty(x.size)
    loop(x, found, y)
    apart = np.isnan(found)
    found[apart] = settled(getattr(real_functions, name), x[apart], y[apart])
    return found + np.float32(0)


@pytest.mark.clause("EF-1", "EF-3", "MG-8")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_libraries_give_equal_bits(name):
    x = np.concatenate([arguments(name, 200_000), near_ties(name, 300)])
    ours = getattr(elementary, name)
    expected = bits(ours(x))
    assert bits(ours(torch.from_numpy(x))) == expected
    assert bits(in_a_numba_loop(name, x)) == expected


@pytest.mark.clause("EF-1", "EF-3")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_answers_are_those_of_mpmath(name):
    x = np.concatenate([arguments(name, 1000), near_ties(name, 1000)])
    assert getattr(elementary, name)(x).tolist() == [rn32(by_mpmath(name, a, 300)) for a in x.tolist()]


@pytest.mark.clause("EF-2")
@pytest.mark.parametrize("routine", ROUTINES.values(), ids=ROUTINES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_routines_are_far_closer_than_they_have_to_be(name, routine):
    x = arguments(name, 1000)
    worst = Fraction(0)
    for argument, y in zip(x.tolist(), routine(name, x).tolist(), strict=True):
        value, scale = getattr(real_functions, name)(Fraction(argument), 240)
        exact = Fraction(value) / Fraction(2) ** scale
        worst = max(worst, abs(Fraction(y) / exact - 1))
    assert worst < Fraction(1, 2**51)


@pytest.mark.clause("EF-2", "EF-3")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_routine_may_be_off_by_as_much_as_is_allowed_and_not_by_more(name):
    x = np.concatenate([arguments(name, 50_000), near_ties(name, 300)])
    function, y = getattr(real_functions, name), getattr(np, name)(x)
    expected = bits(settled(function, x, y))
    for error in (2.0**-50, -(2.0**-50), 1.5 * 2.0**-50):
        assert bits(settled(function, x, y * (1 + error))) == expected
    assert bits(settled(function, x, y * (1 + 2.0**-40))) != expected


@pytest.mark.clause("EF-3")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_near_ties_the_rounded_answer_of_a_library_is_wrong(name):
    x = near_ties(name, 300)
    assert bits(getattr(np, name)(x).astype(np.float32)) != bits(getattr(elementary, name)(x))


@pytest.mark.clause("EF-3")
def test_products_of_short_numbers_ask_for_hardly_any_integers(monkeypatch):
    """They are halfway between two fp32 numbers a thousand times as often as others, and tanh of small ones is near."""
    random, asked = np.random.default_rng(7), []
    short = random.integers(1 << 7, 1 << 8, (2, 20_000)) * 2.0 ** random.integers(-60, -20, (2, 20_000))
    x = np.concatenate([short[0] * (short[0] + short[1]), [-(2.0**-30) * (1 + 2.0**-24)] * 99])
    slowly = np.array([elementary._rn32(real_functions.tanh, a) for a in x[-300:].tolist()], np.float32)
    integers = elementary._rn32
    monkeypatch.setattr(elementary, "_rn32", lambda function, a: asked.append(a) or integers(function, a))
    assert bits(elementary.tanh(x)[-300:]) == bits(slowly)
    low, high = ((np.tanh(x) * factor).astype(np.float32) for factor in (BELOW, ABOVE))
    assert len(asked) <= 1
    assert (low != high).sum() > 100  # so many without a certificate


@pytest.mark.clause("EF-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_any_shape_keep_it_and_fp32_is_taken_as_it_is(array):
    x = near_ties("exp", 12)
    flat = bits(elementary.exp(x))
    assert elementary.exp(array(x.reshape(3, 4))).shape == (3, 4)
    assert bits(elementary.exp(array(x.reshape(3, 4))).reshape(-1)) == flat
    assert bits(elementary.exp(array(np.repeat(x, 2)[::2].copy().reshape(4, 3)).T).T.reshape(-1)) == flat
    assert elementary.exp(array(x[:0])).shape == (0,)
    narrow = x.astype(np.float32)
    assert bits(elementary.exp(array(narrow))) == bits(elementary.exp(narrow.astype(np.float64)))


@pytest.mark.clause("EF-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.filterwarnings("error")
def test_what_has_no_answer_is_not_finite_without_a_warning(array):
    assert elementary.log(array(np.array([0.0, -0.0, np.inf]))).tolist() == [-np.inf, -np.inf, np.inf]
    assert elementary.exp(array(np.array([89.0, 1e308, np.inf, -np.inf]))).tolist() == [np.inf, np.inf, np.inf, 0]
    nothing = array(np.array([np.nan, -np.inf, -1.0]))
    assert np.isnan(np.asarray(elementary.log(nothing))).all()
