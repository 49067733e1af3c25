"""Numbers that dialects take from all elements of a tensor, with the same bits on every machine [NA-6].

No library adds here: what NumPy's sums and dot products give depends on the machine.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

#: ln 2 as a binary64 number whose last 32 bits are 0, and what is missing; so whole multiples of the first are exact.
_LN2_HIGH: Final = float.fromhex("0x1.62e42feep-1")
_LN2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
_TERMS: Final = 12


def total(values: Array) -> float:
    """RN64 of the exact sum; what is not finite is as addition has it."""
    if not np.isfinite(values).all():
        return float(values.sum())
    return math.fsum(values.reshape(-1).tolist())


def dot(a: Array, b: Array) -> float:
    """The sum of the products, each of which is rounded."""
    return total(a.reshape(-1) * b.reshape(-1))


def norm(values: Array) -> float:
    """The square root of the sum of the squares."""
    return math.sqrt(dot(values, values))


def mean(values: Array) -> float:
    """The sum over the number of elements."""
    return total(values) / values.size


def deviation(values: Array) -> float:
    """The square root of the mean squared distance to the mean."""
    return math.sqrt(mean((values - mean(values)) ** 2))


def log(x: Array) -> Array:
    """The natural logarithm of positive normal numbers, within 2 units in the last place.

    ln m = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1) and m from sqrt(1/2) to sqrt(2).
    """
    m, exponent = np.frexp(x)
    small = m < math.sqrt(0.5)
    m, exponent = np.where(small, 2.0 * m, m), exponent - small
    s = (m - 1.0) / (m + 1.0)
    square, series = s * s, np.zeros_like(s)
    for k in range(_TERMS, 0, -1):
        series = series * square + 1.0 / (2 * k + 1)
    tail = 2.0 * s * square * series + exponent * _LN2_LOW
    return np.asarray(exponent * _LN2_HIGH + (2.0 * s + tail))
