"""The numbers of mergekit 0.1.5: one dtype for a merge, each operation on elements rounded once [NA-13].

Between arrays of one dtype NumPy's operators do that by themselves, narrow ones by way of binary32, as torch's do. What
they do otherwise is here: numbers beside arrays, and sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np

from mergealgebra.algebra import scalars
from mergealgebra.dialects import mergekit_order
from mergealgebra.dialects.arithmetic import F32, F64

Array = np.ndarray[Any, Any]
Dtype = np.dtype[Any]

#: By mergekit's names.
DTYPES: Final[dict[str, Dtype]] = {
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
    "float32": F32,
    "float64": F64,
}


@dataclass(frozen=True)
class Numbers:
    """Of one dtype. wide: binary64 for binary64, else binary32."""

    dtype: Dtype

    @property
    def wide(self) -> Dtype:
        """In what narrow numbers are computed, and some methods compute all along."""
        return F64 if self.dtype == F64 else F32

    def cast(self, values: Any) -> Array:
        """Values in the dtype; from binary64 to a narrow one by way of binary32."""
        return np.asarray(np.asarray(values).astype(self.wide).astype(self.dtype))

    def times(self, values: Array, factor: float) -> Array:
        """Values times a number, which keeps the precision of binary32."""
        return self.cast(values.astype(self.wide) * self.wide.type(factor))

    def over(self, values: Array, divisor: float) -> Array:
        """Values over such a number."""
        return self.cast(values.astype(self.wide) / self.wide.type(divisor))

    def plus(self, values: Array, other: float) -> Array:
        """Values plus a number, which is rounded first, unlike a factor."""
        return np.asarray(values + self.dtype.type(self.wide.type(other)))

    def total(self, rows: Array) -> Array:
        """The sum over the first axis, in order, rounded once at the end for narrow ones."""
        running = rows.astype(self.wide)
        total = np.zeros_like(running[0])
        for row in running:
            total = total + row
        return self.cast(total)

    def sums(self, rows: Array) -> Array:
        """The sum of each row of (r, c), (r, 1), computed in `wide` and rounded [NA-14]."""
        return self.cast(mergekit_order.sums(rows.astype(self.wide))[:, None])

    def norms(self, rows: Array) -> Array:
        """The length of each row of (r, c), (r, 1), computed so too."""
        return self.cast(np.sqrt(mergekit_order.squares(rows.astype(self.wide)))[:, None])

    def sin(self, values: Array) -> Array:
        """Elementwise, correctly rounded to binary64 and then to the dtype; so the next."""
        return self._each(scalars.sin, values)

    def cos(self, values: Array) -> Array:
        """As `sin`."""
        return self._each(scalars.cos, values)

    def acos(self, values: Array) -> Array:
        """As `sin`."""
        return self._each(scalars.acos, values)

    def _each(self, function: Any, values: Array) -> Array:
        found = [function(float(x)) for x in values.reshape(-1).tolist()]
        return self.cast(np.array(found, F64).reshape(values.shape))


def clamped(values: Array, low: float | None = None, high: float | None = None) -> Array:
    """Values from low to high, both rounded to their dtype."""
    kind = values.dtype.type
    if low is not None:
        values = np.where(values < kind(low), kind(low), values)
    if high is not None:
        values = np.where(values > kind(high), kind(high), values)
    return values


def promoted(dtypes: Sequence[Dtype]) -> Dtype:
    """The narrowest float dtype that holds all of these, as torch promotes."""
    if len(set(dtypes)) == 1:
        return dtypes[0]
    return F64 if F64 in dtypes else F32
