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
#: Numbers about the ends of fp32, and what they round to.
ROUNDED = {
    "zero": (Fraction(0), 0.0),
    "the largest": ((2**24 - 1) * Fraction(2) ** 104, float(np.finfo(np.float32).max)),
    "just below the middle above it": (Fraction(2) ** 128 - Fraction(2) ** 103 - 1, float(np.finfo(np.float32).max)),
    "the middle above it": (Fraction(2) ** 128 - Fraction(2) ** 103, float("inf")),
    "beyond, below": (-(Fraction(2) ** 128), float("-inf")),
    "2^127": (Fraction(2) ** 127, 2.0**127),
    "the least normal": (Fraction(2) ** -126, 2.0**-126),
    "the largest subnormal": ((2**23 - 1) * Fraction(2) ** -149, (2**23 - 1) * 2.0**-149),
    "the least subnormal": (Fraction(2) ** -149, 2.0**-149),
    "a middle among subnormals, to the even one": (5 * Fraction(2) ** -150, 2.0**-148),
    "half the least": (Fraction(2) ** -150, 0.0),
    "a little more than half the least": (Fraction(2) ** -150 + Fraction(2) ** -200, 2.0**-149),
    "a third": (Fraction(1, 3), float(np.float32(1 / 3))),
    "just below a power of two": (1 - Fraction(2) ** -25, 1.0),
    "of 25 bits, to the even one": (Fraction(2**25 - 3), 2.0**25 - 4),
    "of 25 bits, to the even one above": (Fraction(2**25 - 1), 2.0**25),
}


@given(finite_fp32())
def test_the_shortest_decimal_reads_back_to_the_same_number(value):
    text = decimals.shortest(float(value))
    assert decimals.canonical_decimal(text, "it") == text
    assert decimals.fp32(text, "it") == value


#: Decimals with the fewest digits that give their fp32 number; the last is not the one nearest to it.
SHORTEST = ["0.3", "-0.1", "1", "0", "16777216", "0.33333334", "0.00000000001", "154742510000000000000000000"]


@pytest.mark.parametrize("text", SHORTEST)
def test_the_shortest_decimal_has_no_digit_too_many(text):
    assert decimals.shortest(decimals.fp32(text, "it")) == text


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


@pytest.mark.clause("RC-2")
@pytest.mark.parametrize(("value", "rounded"), ROUNDED.values(), ids=ROUNDED)
def test_rounding_at_the_ends_of_fp32(value, rounded):
    assert decimals.round_to_fp32(value) == rounded
    assert decimals.round_to_fp32(-value) == -rounded


@pytest.mark.clause("RC-2")
@given(finite_fp32(), st.integers(1, 99))
def test_rounding_among_neighbours(value, hundredths):
    """A point between two fp32 numbers goes to the nearer one, of all magnitudes alike."""
    above = float(np.nextafter(np.float32(value), np.float32("inf")))
    if hundredths != 50 and above != float("inf"):
        point = Fraction(value) + (Fraction(above) - Fraction(value)) * hundredths / 100
        assert decimals.round_to_fp32(point) == (value if hundredths < 50 else above)


@pytest.mark.clause("CT-2")
@given(finite_fp32())
def test_hex_round_trip(value):
    assert decimals.from_hex(decimals.to_hex(value)) == value
    assert decimals.to_hex(value) == f"{np.float32(value).view(np.uint32):08x}"


@pytest.mark.clause("RC-2")
@pytest.mark.parametrize("text", ["1" + "0" * 39, "-" + "9" * 40])
def test_a_number_beyond_fp32_is_refused(text):
    with pytest.raises(DecimalError) as caught:
        decimals.fp32(text, "lambda")
    assert str(caught.value) == f"lambda: {text} is beyond the largest fp32 number, about 3.4e38"


@pytest.mark.clause("RC-3")
@pytest.mark.parametrize("text", ["0", "-0.1", "2", "1.0000000001"])
def test_a_density_outside_its_range_is_refused(text):
    with pytest.raises(DecimalError) as caught:
        decimals.exact_density(text)
    message = f"density: {text} is not above 0 and at most 1; it is the fraction of elements kept"
    assert str(caught.value) == message


@pytest.mark.clause("RC-3")
@pytest.mark.parametrize("text", ["1", "0.2", "0.000000001"])
def test_a_density_is_used_exactly(text):
    assert decimals.exact_density(text) == Fraction(text)


#: What stands behind the value in the message about something that is not a decimal.
ADVICE = {
    "digits": 'write digits and at most one point, like "0.2"',
    0.2: 'write it as a string, like "0.2", so that it is read exactly',
    3: 'write it as a string, like "3", so that it is read exactly',
    None: 'write digits and at most one point, like "0.2"',
}


@pytest.mark.clause("RC-1")
@pytest.mark.parametrize(("value", "advice"), ADVICE.items(), ids=repr)
@pytest.mark.parametrize(
    ("read", "what"),
    [
        (decimals.canonical_decimal, ("lambda",)),
        (decimals.exact, ("a coefficient",)),
        (decimals.fp32, ("lambda",)),
        (decimals.exact_density, ()),
    ],
)
def test_the_message_begins_with_what_it_is_and_ends_with_what_to_do(read, what, value, advice):
    with pytest.raises(DecimalError) as caught:
        read(value, *what)
    assert str(caught.value) == f"{(*what, 'density')[0]}: {value!r} is not a decimal; {advice}"


@pytest.mark.clause("RC-6")
def test_coefficients():
    assert decimals.check_coefficient(-1.0, "x", negative=True, method="m") == -1.0
    assert decimals.check_coefficient(2.0**-149, "x", negative=False, method="m") == 2.0**-149
    for bad in (0.0, float("inf"), float("nan")):
        with pytest.raises(CoefficientError) as caught:
            decimals.check_coefficient(bad, "x", negative=True, method="m")
        message = f"x: the coefficient is {bad!r} as an fp32 number; it must be finite and not zero"
        assert str(caught.value) == message
    with pytest.raises(CoefficientError) as caught:
        decimals.check_coefficient(-1.0, "x", negative=False, method="ties")
    assert str(caught.value) == (
        "x: coefficient -1.0 is negative, and ties takes no negative coefficients; task_arithmetic takes them"
    )
