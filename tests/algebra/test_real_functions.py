"""Enclosures of real functions are far narrower than what they claim, at any precision."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import real_functions
from mergealgebra.algebra.real_functions import nearest, rn64
from tests.algebra.numbers import by_mpmath

NUMBERS = st.one_of(st.floats(-60, 60), st.floats(-1, 1), st.floats(-1e-5, 1e-5))
DOMAINS = {
    "exp": st.one_of(NUMBERS, st.floats(-1000, 1000)),
    "log": st.one_of(NUMBERS.map(abs).filter(bool), st.floats(2.0**-1074, 1e308), st.floats(0.6, 1.5)),
    "tanh": NUMBERS,
    "sin": st.one_of(NUMBERS, st.floats(-1e300, 1e300)),
    "cos": st.one_of(NUMBERS, st.floats(-1e300, 1e300)),
    "acos": st.floats(-1, 1),
}


@pytest.mark.clause("EF-3", "EF-4")
@pytest.mark.parametrize("name", DOMAINS)
@given(st.data(), st.sampled_from([64, 160, 700]))
def test_values_are_off_by_less_than_a_part_of_the_margin(name, data, bits):
    x = data.draw(DOMAINS[name])
    value, scale = getattr(real_functions, name)(Fraction(x), bits)
    assert abs(Fraction(value) - by_mpmath(name, x, 4000) * Fraction(2) ** scale) < 1 << 14


@pytest.mark.clause("EF-3", "EF-4")
@pytest.mark.parametrize(
    "x", [Fraction(4, 7), Fraction(8, 15), Fraction(2**60, 2**61 - 1), Fraction(2, 3), Fraction(4, 3)]
)
def test_a_logarithm_is_that_of_any_rational_number(x):
    value, scale = real_functions.log(x, 160)
    (above, of_above), (below, of_below) = (real_functions.log(Fraction(n), 160) for n in (x.numerator, x.denominator))
    assert scale == of_above == of_below
    assert abs(value - (above - below)) < 1 << 14


@pytest.mark.clause("EF-3")
def test_bits_are_doubled_until_an_answer_is_certain():
    asked = []

    def almost_a_tie(x: Fraction, bits: int) -> tuple[int, int]:
        asked.append((x, bits))
        return ((1 << 400) + (1 << 347) + 1) << bits >> 400, bits

    x = Fraction(1, 3)
    assert nearest(almost_a_tie, x, rn64) == 1 + 2.0**-52
    assert asked == [(x, 160), (x, 320), (x, 640)]


@pytest.mark.clause("EF-4")
@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [(3, 1, 1.5), (3, -2, 12.0), (1, 1075, 0.0), (3, 1075, 2.0**-1073), (1, -1024, float("inf")), (-3, 0, -3.0)],
)
def test_ratios_are_rounded_once(value, scale, expected):
    assert rn64(value, scale) == expected
