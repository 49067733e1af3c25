"""Auxiliary tensors: what some methods need to know of a contribution beside its task vector [CT-15].

`fisher` estimates the Fisher information of each parameter; `gram` is the sum of x x^T over the inputs x of a linear
layer, with the number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.errors import AuxiliaryError, DtypeError, NamesError, NonFinite, ShapeError
from mergealgebra.tensors.block_vectors import index_in
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location, shown

FISHER: Final = "fisher"
GRAM: Final = "gram"
#: Behind the name of a Gram matrix: how many rows it sums.
ROWS: Final = ".gram_rows"

#: Elements that are looked at at a time.
_STEP: Final = 1 << 20

Host = np.ndarray[Any, Any]
#: The shapes of the tensors that a contribution holds, or may hold, by name.
Shapes = Mapping[str, tuple[int, ...]]


def check_headers(kind: str, given: Checkpoint, shapes: Shapes, *, whole: bool = True) -> None:
    """Refuse auxiliary tensors that cannot be those of a contribution with tensors of these shapes [CT-15].

    whole: whether all that a contribution holds is known, else only what its base has. Raises NamesError, DtypeError or
    ShapeError, naming file and tensor.
    """
    if not given.records:
        raise NamesError(f"{location(given.path)} holds no tensor; leave {kind} out, or name the file that has it")
    _HEADERS[kind](given, shapes, whole)


def check_values(kind: str, given: Checkpoint) -> None:
    """Read auxiliary tensors and refuse numbers that their kind cannot have [CT-15].

    Raises NonFinite or AuxiliaryError, naming file, tensor and index, and what reading raises.
    """
    _VALUES[kind](given)


def names_for(kind: str, names: Iterable[str]) -> frozenset[str]:
    """The names that auxiliary tensors of a kind may have beside tensors of these names."""
    return frozenset(name + suffix for name in names for suffix in (("", ROWS) if kind == GRAM else ("",)))


# Headers


def _check_fisher_headers(given: Checkpoint, shapes: Shapes, whole: bool) -> None:
    for name, record in given.records.items():
        where = location(given.path, name)
        _refuse_unknown(name, where, shapes, FISHER)
        _refuse_no_float(record, where)
        if record.shape != shapes[name]:
            raise ShapeError(f"{where} has shape {list(record.shape)}, the parameters' {list(shapes[name])}: {_AGAIN}")
    missing = sorted(shapes.keys() - given.records.keys(), key=str.encode) if whole else []
    if missing:
        raise NamesError(
            f"{location(given.path, missing[0])} is missing, which the contribution holds: give fisher for all of its "
            "tensors, or leave this one out of both"
        )


def _check_gram_headers(given: Checkpoint, shapes: Shapes, whole: bool) -> None:
    for own in sorted({name.removesuffix(ROWS) for name in given.records}, key=str.encode):
        where = location(given.path, own)
        _refuse_unknown(own, where, shapes, GRAM)
        for name in (own, own + ROWS):
            if name not in given.records:
                raise NamesError(f"{location(given.path, name)} is missing beside the rest of {shown(own)}: {_AGAIN}")
        matrix, rows = given.records[own], given.records[own + ROWS]
        _refuse_no_float(matrix, where)
        shape = shapes[own]
        if len(shape) != 2 or matrix.shape != 2 * shape[1:]:
            expected = list(2 * shape[1:]) if len(shape) == 2 else "none: its parameters are not a matrix"
            raise ShapeError(f"{where} has shape {list(matrix.shape)}, expected {expected}; give one for linear layers")
        if rows.dtype != "I64":
            raise DtypeError(f"{location(given.path, own + ROWS)} is {rows.dtype}; write the number of rows as I64")
        if rows.shape != ():
            raise ShapeError(f"{location(given.path, own + ROWS)} has shape {list(rows.shape)}; write one number")


def _refuse_unknown(name: str, where: str, shapes: Shapes, kind: str) -> None:
    if name not in shapes:
        raise NamesError(f"{where} is {kind} of no tensor of the contribution; leave it out")


def _refuse_no_float(record: TensorRecord, where: str) -> None:
    if not DTYPES[record.dtype].is_float:
        raise DtypeError(f"{where} is {record.dtype}; write it as floats")


# Values


def _check_fisher_values(given: Checkpoint) -> None:
    for name, record in given.records.items():
        for start in range(0, record.size, _STEP):
            values = _fp32(given.read(name, start, min(start + _STEP, record.size)))
            _refuse_not_finite(given, name, values, start)
            if (values < 0).any():
                index = index_in(record.shape, start + int(np.argmax(values < 0)))
                raise AuxiliaryError(
                    f"{location(given.path, name)} at index {index}: fisher is {values[values < 0][0]}, and cannot be "
                    "below zero; give squares of gradients"
                )


def _check_gram_values(given: Checkpoint) -> None:
    for name in given.records:
        if not name.endswith(ROWS):
            _check_symmetric(given, name)
            rows = int(given.read(name + ROWS)[0])
            if rows < 1:
                raise AuxiliaryError(f"{location(given.path, name + ROWS)} is {rows}; give how many inputs were summed")


def _check_symmetric(given: Checkpoint, name: str) -> None:
    """Compare a band of rows at a time with the columns of the same numbers."""
    size = given.records[name].shape[0]
    band = max(1, 4 * _STEP // max(1, size))
    for first in range(0, size, band):
        last = min(first + band, size)
        rows = _fp32(given.read(name, first * size, last * size))
        _refuse_not_finite(given, name, rows, first * size)
        rows = rows.reshape(last - first, size)
        for row in range(first, size):  # those above were compared in an earlier band
            column = _fp32(given.read(name, row * size + first, row * size + last))
            unequal = rows[:, row] != column
            if unequal.any():
                index = sorted([row, first + int(np.argmax(unequal))], reverse=True)
                raise AuxiliaryError(
                    f"{location(given.path, name)} at index {index}: the Gram matrix is not symmetric; sum x x^T in "
                    "one dtype, or mirror one half of it"
                )


def _refuse_not_finite(given: Checkpoint, name: str, values: Host, start: int) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        index = index_in(given.records[name].shape, start + int(np.argmax(bad)))
        raise NonFinite(f"{location(given.path, name)} at index {index}: it is not finite in fp32; repair it")


def _fp32(array: Host) -> Host:
    with np.errstate(all="ignore"):
        return array.astype(np.float32)


_AGAIN: Final = "estimate it for this model"
_HEADERS: Final[Mapping[str, Callable[[Checkpoint, Shapes, bool], None]]] = MappingProxyType(
    {FISHER: _check_fisher_headers, GRAM: _check_gram_headers}
)
_VALUES: Final[Mapping[str, Callable[[Checkpoint], None]]] = MappingProxyType(
    {FISHER: _check_fisher_values, GRAM: _check_gram_values}
)
