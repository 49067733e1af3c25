"""When two sides of a law agree. A counterexample prints the function it used, so each needs nothing but NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np


def same_bits(left: Any, right: Any) -> bool:
    """Equal names, shapes, dtypes and bits; all NaNs are equal, -0 and +0 are not."""
    if isinstance(right, dict):
        return left.keys() == right.keys() and all(same_bits(left[name], right[name]) for name in right)
    if isinstance(right, list):
        return len(left) == len(right) and all(map(same_bits, left, right))
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    alike = (left == right) & (np.signbit(left) == np.signbit(right))
    return bool((alike | (np.isnan(left) & np.isnan(right))).all())


def same_values(left: Any, right: Any) -> bool:
    """Equal names, shapes and values; all NaNs are equal, and so are -0 and +0."""
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name], equal_nan=True) for name in right
    )


def within(left: Any, right: Any) -> bool:
    """Every value lies within its limits; a NaN lies within none."""
    return left.keys() == right.keys() and all(
        bool(((low <= left[name]) & (left[name] <= high)).all()) for name, (low, high) in right.items()
    )


def equal(left: Any, right: Any) -> bool:
    """Equal as Python values."""
    return bool(left == right)
