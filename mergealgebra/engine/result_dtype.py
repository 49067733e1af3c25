"""A merged model in another dtype than the base's: what kernels compute in, and the last rounding [RC-15].

A block is merged in fp32 or fp64, which hold the base and what the rounding begins with, and then rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mergealgebra.engine.sources import Record, Source
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.reference import Host
from mergealgebra.methods.method import Method
from mergealgebra.tensors.dtypes import DTYPES, name_of, narrow, widen


@dataclass(frozen=True)
class Result:
    """A tensor of a merged model: as the base's, perhaps in another dtype."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def nbytes(self) -> int:
        """What it takes in a file."""
        return self.size * DTYPES[self.dtype].itemsize


def results(base: Source, recipe: Method) -> Mapping[str, Result]:
    """The tensors of the merged model, by name, in the order of the base's."""
    return {name: _result(name, record, recipe.out_dtype) for name, record in base.records.items()}


def _result(name: str, record: Record, out: str) -> Result:
    dtype = out if out and DTYPES[record.dtype].is_float else record.dtype
    return Result(name, dtype, tuple(record.shape), record.size)


def widened(base: Host, parts: Sequence[Part], out: str) -> tuple[Host, list[Part]]:
    """A block as it is merged where the result is of the dtype `out`; as it is where that is the base's.

    In fp64 where the base or the result is, else in fp32. Task vectors stay the same: a difference of fp32 numbers that
    is rounded to fp64 first is rounded to the same fp32 number, as 53 bits are more than twice 24.
    """
    own = name_of(base)
    if own == out or not DTYPES[own].is_float:
        return base, list(parts)
    wide = "F64" if "F64" in (own, out) else "F32"
    if own == wide:
        return base, list(parts)
    of_base = [part.values.dtype == base.dtype for part in parts]  # which bits are compared to the base's [TV-3, MG-14]
    both = zip(parts, of_base, strict=True)
    return _exact(base, wide), [replace(p, values=_exact(p.values, wide)) if same else p for p, same in both]


def _exact(array: Host, wide: str) -> Host:
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return np.asarray(widen(array).astype(DTYPES[wide].numpy))


def rounded(merged: Host, out: str) -> Host:
    """A merged block in the dtype of the result, to nearest even; NaN becomes the one that is quiet and positive."""
    own = name_of(merged)
    if own == out or not DTYPES[own].is_float:
        return merged
    found = widen(merged)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = found.astype(np.float64) if out == "F64" else np.asarray(narrow(found.astype(np.float32), out))
    nan = np.isnan(widen(merged))
    return np.where(nan, np.array(np.nan, np.float32).astype(found.dtype), found) if nan.any() else np.asarray(found)


def overflowed(merged: Host, found: Host) -> Host:
    """Where the last rounding made a number infinite. found: `merged`, rounded. Returns (n,) bool."""
    return np.asarray(np.isfinite(widen(merged)) & ~np.isfinite(widen(found)))
