"""The tensors of an adapter as the contribution stores them: under the base's names, as its file has them [AD-2]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.derived import DerivedRecord, Made
from mergealgebra.tensors.dtypes import DTYPES, name_of
from mergealgebra.tensors.form_names import LOW_RANK, SUFFIXES
from mergealgebra.tensors.forms import Formed
from mergealgebra.tensors.header import TensorRecord

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Turned:
    """A tensor of a file whose axes stand in another order. sizes: its shape before that.

    chosen: which part of it is meant then, as NumPy indexes it.
    """

    source: TensorRecord
    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    chosen: tuple[int | slice, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of that part."""
        whole = tuple(self.sizes[axis] for axis in self.axes)
        sizes = [
            len(range(*at.indices(size))) for at, size in zip(self.chosen, whole, strict=False) if isinstance(at, slice)
        ]
        return (*sizes, *whole[len(self.chosen) :])


@dataclass(frozen=True)
class Shown:
    """A tensor that is computed when it is read."""

    made: Made
    dtype: str
    shape: tuple[int, ...]


#: What is stored of a tensor: as it lies in the file, with its axes turned, computed, or what no file holds.
Part = TensorRecord | Turned | Shown | Host


def as_shape(record: TensorRecord, shape: Sequence[int]) -> TensorRecord:
    """A tensor of as many elements with another shape: the same bytes."""
    return replace(record, shape=tuple(shape))


def turned(
    record: TensorRecord, *axes: int, sizes: Sequence[int] | None = None, chosen: tuple[int | slice, ...] = ()
) -> Turned:
    """A tensor with its axes in this order. sizes: the shape before that, its own if left out. chosen: as of Turned."""
    return Turned(record, tuple(record.shape if sizes is None else sizes), axes, chosen)


def factors(name: str, up: Part, down: Part, scale: float) -> dict[str, Part]:
    """What is stored of a tensor of this name whose change is scale * (up @ down) [CT-13, CT-14]."""
    of = dict(zip(SUFFIXES[LOW_RANK], (up, down, np.array(scale, np.float64)), strict=True))
    return {name + suffix: part for suffix, part in of.items()}


def as_formed(file: Checkpoint, parts: Mapping[str, Part]) -> Formed:
    """These parts by the names under which they are stored. file: where the adapter's tensors lie.

    Raises as Formed does.
    """
    records = {name: _record(name, part, file) for name, part in parts.items()}
    return Formed(file.with_derived(records).only(records))


_OF_A_RECORD: Final = tuple(field.name for field in fields(TensorRecord))


def _record(name: str, part: Part, file: Checkpoint) -> TensorRecord:
    if isinstance(part, TensorRecord):
        return replace(part, name=name)
    if isinstance(part, Turned):
        nbytes = math.prod(part.shape) * DTYPES[part.source.dtype].itemsize
        return _made(part.source, _Turning(file, part), name=name, shape=part.shape, nbytes=nbytes)
    near = next(iter(file.records.values()))  # in whose file it would lie
    if isinstance(part, Shown):
        nbytes = math.prod(part.shape) * DTYPES[part.dtype].itemsize
        return _made(near, part.made, name=name, dtype=part.dtype, shape=part.shape, nbytes=nbytes)
    host = np.ascontiguousarray(part).reshape(-1)
    return _made(near, _Held(host), name=name, dtype=name_of(part), shape=part.shape, nbytes=host.nbytes)


def _made(of: TensorRecord, made: Made, **other: Any) -> DerivedRecord:
    return DerivedRecord(**{**{name: getattr(of, name) for name in _OF_A_RECORD}, **other}, made=made)


@dataclass(frozen=True)
class _Turning:
    """Shows a turned tensor."""

    file: Checkpoint
    part: Turned

    def fill(self, buffer: memoryview, begin: int) -> None:
        """As of Made. All of it is read each time: factors are small."""
        whole = self.file.read(self.part.source.name).reshape(self.part.sizes).transpose(self.part.axes)
        found = np.ascontiguousarray(whole[self.part.chosen]).reshape(-1).view(np.uint8)
        buffer[:] = found[begin : begin + len(buffer)].data


@dataclass(frozen=True)
class _Held:
    """Shows what no file holds."""

    array: Host

    def fill(self, buffer: memoryview, begin: int) -> None:
        """As of Made."""
        buffer[:] = self.array.view(np.uint8)[begin : begin + len(buffer)].data
