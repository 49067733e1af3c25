"""Tensors that are computed range by range when they are read, and hashed as what they show [TK-3].

A checkpoint whose records say so shows them as if they lay in a file, so nothing that reads one knows the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np

from mergealgebra.algebra.exact import Sums
from mergealgebra.algebra.method import Terms
from mergealgebra.algebra.rounded import quotient
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import TensorRecord

Host = np.ndarray[Any, Any]

#: In place of a source: the row is zeros, or the mean of several rows.
ZEROS: Final = -1
MEAN: Final = -2


class Made(Protocol):
    """What a derived tensor shows."""

    def fill(self, buffer: memoryview, begin: int) -> None:
        """Fill a buffer with its bytes from `begin` on; both are whole elements."""
        ...


class Readable(Protocol):
    """Where rows come from."""

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Host: ...


@dataclass(frozen=True, slots=True)
class DerivedRecord(TensorRecord):
    """A tensor that lies nowhere: `made` shows it. path and identity are those of what it is mostly made from."""

    made: Made


def derived(of: TensorRecord, dtype: str, rows: int, made: Made) -> DerivedRecord:
    """A record in the place of another: with this dtype, and so many rows of the same shape."""
    known = {field.name: getattr(of, field.name) for field in fields(TensorRecord)}
    shape = (rows, *of.shape[1:])
    nbytes = int(np.prod(shape, dtype=object)) * DTYPES[dtype].itemsize
    return DerivedRecord(**{**known, "dtype": dtype, "shape": shape, "nbytes": nbytes}, made=made)


def wider(one: str, other: str) -> str:
    """The least float dtype that holds all numbers of both.

    >>> [wider("F16", "F16"), wider("BF16", "F16"), wider("F32", "F64")]
    ['F16', 'F32', 'F64']
    """
    if one == other:
        return one
    return "F64" if "F64" in (one, other) else "F32"


@dataclass(frozen=True)
class Rows:
    """Rows of several tensors of one width, one after the other.

    sources: the tensors. which: for each row its source, or ZEROS or MEAN. at: its number there; of a mean, its number
    in `means`, the sources and rows of which it is the mean [TK-4]. Elements are widened exactly to the dtype, or
    rounded to it once, F64 by way of fp32 [MG-3].
    """

    dtype: str
    width: int
    sources: Sequence[tuple[Readable, str]]
    which: Host
    at: Host
    means: Sequence[Sequence[tuple[int, int]]] = ()

    @cached_property
    def _starts(self) -> Host:
        """The first row of each run that is read at once, and the number of rows."""
        which, at = self.which, self.at
        cut = (which[1:] != which[:-1]) | (at[1:] != at[:-1] + 1) | (which[1:] == MEAN)
        return np.concatenate(([0], np.flatnonzero(cut) + 1, [len(which)]))

    def fill(self, buffer: memoryview, begin: int) -> None:
        """As of Made. Raises as the sources do."""
        if not self.width or not len(buffer):
            return
        dtype = DTYPES[self.dtype]
        out = np.frombuffer(buffer, dtype.numpy)
        first = begin // dtype.itemsize
        position, end = first, first + out.size
        while position < end:
            row = position // self.width
            stop = int(self._starts[np.searchsorted(self._starts, row, "right")]) * self.width
            stop = min(stop, end)
            out[position - first : stop - first] = self._elements(row, position - row * self.width, stop - position)
            position = stop

    def _elements(self, row: int, offset: int, count: int) -> Host | int:
        """So many elements of a row and those after it in its run, from an offset in it."""
        which, at = int(self.which[row]), int(self.at[row])
        if which == ZEROS:
            return 0
        if which == MEAN:
            rows = [self._read(source, number, offset, count) for source, number in self.means[at]]
            return _cast(mean_of(rows), self.dtype)
        return _cast(self._read(which, at, offset, count), self.dtype)

    def _read(self, source: int, row: int, offset: int, count: int) -> Host:
        tensors, name = self.sources[source]
        start = row * self.width + offset
        return tensors.read(name, start, start + count)


def mean_of(rows: Sequence[Host]) -> Host:
    """The mean of rows in fp32, exact before it is rounded [TK-4]. What is not finite is told where it is merged."""
    terms = [np.where(np.isfinite(row), row, np.float32(0)) for row in (_cast(row, "F32") for row in rows)]
    sums = Sums.of(Terms((terms[0],)))
    for term in terms[1:]:
        sums = sums.combine(Sums.of(Terms((term,))))
    mean: Host = quotient(sums.total(), float(len(rows)))
    return mean


def _cast(array: Host, dtype: str) -> Host:
    numpy = DTYPES[dtype].numpy
    with np.errstate(all="ignore"):
        if array.dtype == np.float64 and dtype != "F64":
            array = array.astype(np.float32)
        return array.astype(numpy, copy=False)


def named(records: Mapping[str, TensorRecord]) -> list[str]:
    """The tensors that are derived."""
    return [name for name, record in records.items() if isinstance(record, DerivedRecord)]
