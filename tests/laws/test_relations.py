"""When two sides agree: the rules for NaN and for the sign of zero, and the cases that turn on them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.laws.arrangements import three
from mergealgebra.laws.cases import case
from mergealgebra.laws.relations import same_bits, same_values, within

NAN = np.float32("nan")
OTHER_NAN = np.uint32(0xFFC00001).view(np.float32)


def f4(*values):
    """A side of a law: one fp32 tensor."""
    return {"w": np.array(values, np.float32)}


#: Two sides; whether they have the same bits, and the same values.
SIDES = {
    "equal": (f4(1, 2), f4(1, 2), True, True),
    "other values": (f4(1, 2), f4(1, 3), False, False),
    "zeros of two signs": (f4(0), f4(-0.0), False, True),
    "equal zeros": (f4(-0.0), f4(-0.0), True, True),
    "one bit apart": (f4(1), f4(1 + 2.0**-23), False, False),
    "subnormals": (f4(2.0**-149), f4(0), False, False),
    "two NaNs": (f4(NAN), f4(OTHER_NAN), True, True),
    "a NaN and none": (f4(NAN), f4(1), False, False),
    "other names": (f4(1), {"v": np.float32([1])}, False, False),
    "a name too many": ({**f4(1), "v": np.float32([1])}, f4(1), False, False),
    "other shapes": (f4(1), {"w": np.float32([[1]])}, False, False),
    "other dtypes": (f4(1), {"w": np.float64([1])}, False, True),
    "bfloat16": ({"w": np.array([0.0], ml_dtypes.bfloat16)}, {"w": np.array([-0.0], ml_dtypes.bfloat16)}, False, True),
    "no elements": (f4(), f4(), True, True),
}


@pytest.mark.parametrize(("left", "right", "bits", "values"), SIDES.values(), ids=SIDES)
def test_bits_and_values(left, right, bits, values):
    assert (same_bits(left, right), same_bits(right, left)) == (bits, bits)
    assert (same_values(left, right), same_values(right, left)) == (values, values)


def test_lists_are_as_long_as_each_other():
    assert same_bits([f4(1), f4(2)], [f4(1), f4(2)])
    assert not same_bits([f4(1)], [f4(1), f4(2)])
    assert not same_bits([f4(1), f4(3)], [f4(1), f4(2)])


def test_limits_belong_to_what_lies_within():
    limits = {"w": [np.float32([0, -1]), np.float32([2, 1])]}
    assert within(f4(2, -1), limits)
    assert within(f4(-0.0, 1), limits)
    for outside in (f4(2.5, 0), f4(-0.5, 0), f4(NAN, 0), {}):
        assert not within(outside, limits)


def test_opposites_are_taken_out_and_zeros_keep_their_sign():
    vectors = case([{"w": [3, -0.0]}, {"w": [-3, 0]}, {"w": [3, -0.0]}])
    found = three(vectors, lambda choices: 0)
    assert same_bits([found[name] for name in "abc"], [f4(3, -0.0), f4(0, 0), f4(3, -0.0)])
