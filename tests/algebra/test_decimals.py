"""Decimals: the grammar, one rounding, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import decimals
from mergealgebra.errors import CoefficientError, DecimalError
from tests.algebra.numbers import finite_fp32

CANONICAL = {"0.20": "0.2", "1.000": "1", "-0": "0", "-0.0": "0", "-1.50": "-1.5", "12": "12", "0.1": "0.1"}
REFUSED = {
    "empty": "",
    "plus": "+1",
    "exponent": "1e3",
    "lone point": ".5",
    "point at the end": "1.",
    "leading zero": "01",
    "space": " 1",
    "line feed": "1\n",
    "fraction": "1/5",
    "word": "abc",
    "not a number": "nan",
    "other digits": "١",
    "a long whole part": "1" * 42,
    "a long fraction": "0." + "1" * 61,
    "a float": 0.2,
    "an int": 1,
    "nothing": None,
}


@pytest.mark.clause("RC-1")
@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_canonical_form(text, canonical):
    assert decimals.canonical_decimal(text, "density") == canonical


@pytest.mark.clause("RC-1")
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused(text):
    with pytest.raises(DecimalError, match=r"^density: .*decimal; write"):
        decimals.canonical_decimal(text, "density")


@pytest.mark.clause("RC-2")
def test_rounding_happens_once():
    """Through a double, this decimal would land on a tie and go the other way."""
    assert float(np.float32("1.0000001788139343")) != decimals.fp32("1.0000001788139343", "lambda")
    assert decimals.fp32("1.0000001788139343", "lambda") == 1.0 + 2.0**-23


@pytest.mark.clause("RC-2")
@given(st.fractions(-(2**130), 2**130, max_denominator=10**30))
def test_rounding_is_to_nearest_even(value):
    rounded = decimals.round_to_fp32(value)
    if abs(rounded) == float("inf"):
        assert abs(value) >= Fraction(2**24 - 1) * 2**104 + Fraction(2**103)
        return
    below, above = (float(np.nextafter(np.float32(rounded), np.float32(side))) for side in ("-inf", "inf"))
    error = abs(Fraction(rounded) - value)
    for neighbour in (below, above):
        if abs(neighbour) != float("inf"):
            distance = abs(Fraction(neighbour) - value)
            even = np.float32(rounded).view(np.uint32) % 2 == 0
            assert error < distance or (error == distance and even)


@given(finite_fp32())
def test_hex_round_trip(value):
    assert decimals.from_hex(decimals.to_hex(value)) == value


@pytest.mark.clause("RC-2")
@pytest.mark.parametrize("text", ["1" + "0" * 39, "-" + "9" * 40])
def test_a_number_beyond_fp32_is_refused(text):
    with pytest.raises(DecimalError, match="beyond the largest fp32"):
        decimals.fp32(text, "lambda")


@pytest.mark.clause("RC-3")
@pytest.mark.parametrize("text", ["0", "-0.1", "2", "1.0000000001"])
def test_a_density_outside_its_range_is_refused(text):
    with pytest.raises(DecimalError, match="not above 0 and at most 1"):
        decimals.exact_density(text)


@pytest.mark.clause("RC-6")
def test_coefficients():
    assert decimals.check_coefficient(-1.0, "x", negative=True) == -1.0
    for bad in (0.0, float("inf"), float("nan")):
        with pytest.raises(CoefficientError):
            decimals.check_coefficient(bad, "x", negative=True)
    with pytest.raises(CoefficientError, match="negative"):
        decimals.check_coefficient(-1.0, "x", negative=False)
