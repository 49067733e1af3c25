"""Scalars are RN64 of the real function; the vectors hold their corners."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import scalars
from tests.algebra.numbers import by_mpmath, rn64

ANY = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(-30, 30), st.floats(-1e-3, 1e-3))
ABOVE_ZERO = st.one_of(ANY.map(abs), st.floats(0.5, 2)).filter(bool)
DOMAINS = {
    "sqrt": ABOVE_ZERO,
    "exp": st.one_of(st.floats(-750, 709.7), ANY.filter(lambda x: -750 < x < 709.7)),
    "log": ABOVE_ZERO,
    "tanh": st.one_of(st.floats(-25, 25), ANY.filter(lambda x: abs(x) < 1000)),
    "sin": ANY,
    "cos": ANY,
    "acos": st.floats(-1, 1),
}
OUTSIDE = {
    "sqrt": (-1e-300, "sqrt of -1e-300: expected 0 or more"),
    "log": (0.0, "log of 0.0: expected above 0"),
    "acos": (1.0000000000000002, "acos of 1.0000000000000002: expected from -1 to 1"),
    "acos below": (-1.5, "acos of -1.5: expected from -1 to 1"),
}
#: What is asked of a number first, where it is not whether it is finite.
FIRST = {("log", -math.inf): "above 0", ("log", math.nan): "above 0"}
#: Where a function is 0, and no number of bits would decide.
ZEROS = {"sqrt": 0.0, "log": 1.0, "tanh": 0.0, "sin": 0.0, "acos": 1.0}


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize("name", DOMAINS)
@given(st.data())
def test_answers_are_those_of_mpmath(name, data):
    x = data.draw(DOMAINS[name])
    # Sine of the greatest numbers takes as many bits; so does what differs from a tiny argument.
    assert getattr(scalars, name)(x) == rn64(by_mpmath(name, x, 2600))


@pytest.mark.clause("EF-4")
@given(st.fractions(0))
def test_the_root_of_a_fraction_is_between_those_around_it(q):
    root = scalars.sqrt(q)
    below, above = math.nextafter(root, -math.inf), math.nextafter(root, math.inf)
    assert max(Fraction(root) + Fraction(below), 0) ** 2 <= 4 * q <= (Fraction(root) + Fraction(above)) ** 2


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize(("name", "x"), ZEROS.items(), ids=ZEROS)
def test_zeros_are_exact(name, x):
    assert getattr(scalars, name)(x).hex() == (0.0).hex()


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize(("half", "below", "even", "above"), [(1, 0, 0, 2), (3, 2, 4, 4)])
def test_a_root_halfway_between_two_numbers_goes_to_the_even_one_and_beside_it_to_the_nearest(half, below, even, above):
    root, little = 1 + Fraction(half, 2**53), Fraction(1, 2**300)
    roots = [scalars.sqrt(root**2 + step) for step in (-little, 0, little)]
    assert roots == [1 + step * 2.0**-53 for step in (below, even, above)]


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize(("name", "case"), OUTSIDE.items(), ids=OUTSIDE)
def test_what_is_outside_is_refused(name, case):
    x, message = case
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(scalars, name.split()[0])(x)


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan], ids=str)
@pytest.mark.parametrize("name", DOMAINS)
def test_what_is_not_finite_is_refused(name, x):
    expected = "from -1 to 1" if name == "acos" else FIRST.get((name, x), "a finite number")
    with pytest.raises(ValueError, match=f"{name} of {x}: expected {expected};"):
        getattr(scalars, name)(x)
