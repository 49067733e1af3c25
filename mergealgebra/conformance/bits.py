"""Whether arrays are the same, bit for bit; any NaN is like any other."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def same_bits(found: Array, wanted: Array) -> bool:
    """Whether dtypes, shapes and bits are the same; of NaN, the kind alone."""
    return found.dtype == wanted.dtype and found.shape == wanted.shape and bool(where_same(found, wanted).all())


def where_same(found: Array, wanted: Array) -> Array:
    """Where two arrays of one shape have the same bits, or NaN. Of different dtypes, nowhere."""
    if found.dtype != wanted.dtype:
        return np.zeros(wanted.shape, bool)
    integers = f"u{found.dtype.itemsize}"
    return np.asarray((found.view(integers) == wanted.view(integers)) | (np.isnan(found) & np.isnan(wanted)))
