"""Whether two answers are the same, bit for bit or but for rounding; any NaN is like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]

#: Units in the last place that the sum of a few numbers, rounded each time, may be off.
UNITS: Final = 4


def same_bits(found: Array, wanted: Array) -> bool:
    """Whether dtypes, shapes and bits are the same; of NaN, the kind alone."""
    return found.dtype == wanted.dtype and found.shape == wanted.shape and bool(where_same(found, wanted).all())


def where_same(found: Array, wanted: Array) -> Array:
    """Where two arrays of one shape have the same bits, or NaN. Of different dtypes, nowhere."""
    if found.dtype != wanted.dtype:
        return np.zeros(wanted.shape, bool)
    integers = f"u{found.dtype.itemsize}"
    return np.asarray((found.view(integers) == wanted.view(integers)) | (np.isnan(found) & np.isnan(wanted)))


def near(left: Any, right: Any) -> bool:
    """Whether arrays, or all in dicts and lists of them, are the same but for last digits, or the sign of a zero."""
    if isinstance(right, Mapping):
        return left.keys() == right.keys() and all(near(left[name], right[name]) for name in right)
    if isinstance(right, list):
        return len(left) == len(right) and all(map(near, left, right))
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(where_near(left, right).all())


def where_near(left: Any, right: Any, *others: Any) -> Any:
    """Where arrays of one shape and dtype are `near`. others: what they are sums of, whose last digits count too."""
    with np.errstate(invalid="ignore"):
        a, b = (np.asarray(side, np.float64) for side in (left, right))
        return (np.abs(a - b) <= slack(left, right, *others)) | (a == b) | (np.isnan(a) & np.isnan(b))


def slack(one: Any, *others: Any) -> Any:
    """How far apart two numbers may be by rounding alone; nothing where one is infinite."""
    about = ml_dtypes.finfo(np.float32 if one.dtype == np.float64 else one.dtype)  # F64 is often computed in fp32
    largest = np.max([np.abs(np.asarray(side, np.float64)) for side in (one, *others)], axis=0)
    return np.where(np.isinf(largest), 0, UNITS * (float(about.eps) * largest + float(about.smallest_subnormal)))
