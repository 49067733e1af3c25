"""The tensors of an adapter as the contribution stores them: under the base's names, where they lie in its file."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES, name_of
from mergealgebra.tensors.form_names import LOW_RANK, SUFFIXES
from mergealgebra.tensors.header import TensorRecord

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Turned:
    """A tensor of a file whose axes stand in another order. sizes: its shape before that."""

    source: TensorRecord
    sizes: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with the axes in their order."""
        return tuple(self.sizes[axis] for axis in self.axes)

    def turn(self, stored: Host) -> Host:
        """The elements in C order of the new shape. stored: those of the file."""
        turned: Host = np.ascontiguousarray(stored.reshape(self.sizes).transpose(self.axes))
        return turned.reshape(-1)


#: What is stored of a tensor: as it lies in the file, with its axes turned, or what no file holds.
Part = TensorRecord | Turned | Host


def as_shape(record: TensorRecord, shape: Sequence[int]) -> TensorRecord:
    """A tensor of as many elements with another shape: the same bytes."""
    return replace(record, shape=tuple(shape))


def turned(record: TensorRecord, *axes: int, sizes: Sequence[int] | None = None) -> Turned:
    """A tensor with its axes in this order. sizes: the shape before that, its own if left out."""
    return Turned(record, tuple(record.shape if sizes is None else sizes), axes)


def factors(name: str, up: Part, down: Part, scale: float) -> dict[str, Part]:
    """What is stored of a tensor of this name whose change is scale * (up @ down) [CT-13, CT-14]."""
    of = dict(zip(SUFFIXES[LOW_RANK], (up, down, np.array(scale, np.float64)), strict=True))
    return {name + suffix: part for suffix, part in of.items()}


#: The bytes of a file that a turned tensor was made of are kept until the next one, by thread.
_MADE: Final = -1


class AdapterCheckpoint(Checkpoint):
    """These parts, by the names under which they are stored, as a checkpoint [AD-2].

    path: of the adapter, for messages. file: where its tensors lie.
    """

    def __init__(self, path: Path, file: Checkpoint, parts: Mapping[str, Part]) -> None:
        super().__init__(path, dict(file.records))
        self.folder = None
        self._made: list[Turned | Host] = []
        origin = next(iter(file.records.values()))
        self.records = {name: self._record_of(name, parts[name], origin) for name in sorted(parts, key=str.encode)}
        self._own = threading.local()
        self._from = (path, file, dict(parts))

    def __reduce__(self) -> Any:
        """Another process makes it anew from the same file: a view, the part of it that was chosen."""
        path, file, parts = self._from
        return _again, (path, file, parts, dict(self.records))

    def _record_of(self, name: str, part: Part, origin: TensorRecord) -> TensorRecord:
        if isinstance(part, TensorRecord):
            return replace(part, name=name)
        self._made.append(part)
        dtype = part.source.dtype if isinstance(part, Turned) else name_of(part)
        nbytes = part.source.nbytes if isinstance(part, Turned) else part.nbytes
        # Where it lies is its number, below zero, as no file has such an offset.
        return replace(
            origin, name=name, dtype=dtype, shape=tuple(part.shape), offset=_MADE - (len(self._made) - 1), nbytes=nbytes
        )

    def _fill(self, buffer: memoryview, record: TensorRecord, begin: int) -> None:
        if record.offset >= 0:
            super()._fill(buffer, record, begin)
            return
        number = _MADE - record.offset
        buffer[:] = self._bytes_of(number)[begin : begin + len(buffer)].data

    def _bytes_of(self, number: int) -> Host:
        """The bytes of what no file holds as it is stored; the last is at hand."""
        held: tuple[int, Host] | None = getattr(self._own, "made", None)
        if held is None or held[0] != number:
            part = self._made[number]
            self._own.made = None  # one at a time
            host = part.turn(self._stored(part.source)) if isinstance(part, Turned) else np.ascontiguousarray(part)
            held = number, host.reshape(-1).view(np.uint8)
            self._own.made = held
        return held[1]

    def _stored(self, source: TensorRecord) -> Host:
        array = np.empty(source.size, DTYPES[source.dtype].numpy)
        super()._fill(array.view(np.uint8).data, source, 0)
        return array


def _again(path: Path, file: Checkpoint, parts: dict[str, Part], records: dict[str, TensorRecord]) -> AdapterCheckpoint:
    checkpoint = AdapterCheckpoint(path, file, parts)
    checkpoint.records = records
    return checkpoint
