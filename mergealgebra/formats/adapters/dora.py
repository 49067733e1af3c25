"""DoRA: a product of factors, and a magnitude for each output, which the base's weights enter too [AD-15].

It is no product of factors, so what is stored is the task vector; it is computed when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.low_rank import product
from mergealgebra.errors import AdapterError, ShapeError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, Shown
from mergealgebra.formats.adapters.keys import Module
from mergealgebra.formats.adapters.layers import Turning, other_shape, pair, rank_of
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.form_names import SUFFIXES, TASK_VECTOR
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location

Host = np.ndarray[Any, Any]

#: Rows that are computed at a time, for the norms.
_ROWS: Final = 256


def magnitude_change(
    name: str, module: Module, scale: float, base: Checkpoint, file: Checkpoint, turning: Turning
) -> dict[str, Part]:
    """What is stored of a linear layer with a magnitude. Raises AdapterError or ShapeError, naming file and tensor."""
    magnitude, shape = module.tensors[keys.MAGNITUDE], base.records[name].shape
    if len(shape) != 2 or keys.EMBEDDING_DOWN in module.tensors:
        raise AdapterError(
            f"{location(magnitude.path, magnitude.name)} belongs to DoRA of a layer that is not linear: merge it "
            "into its model with peft (merge_and_unload), and contribute that model"
        )
    up, down = pair(module, keys.UP, keys.DOWN)
    rank_of(up, down)
    made = (up.shape[0], down.shape[-1])
    if shape not in (made, made[::-1]) or len(up.shape) != 2:
        raise other_shape(up, made, name, shape)
    if magnitude.size != up.shape[0]:
        raise ShapeError(
            f"{location(magnitude.path, magnitude.name)} has {magnitude.size} elements, expected one for each of "
            f"{up.shape[0]} outputs; get the adapter again"
        )
    turned = turning.decide(name, shape == made, shape == made[::-1])
    shown = _Change(base, file, name, up, down, magnitude, scale, turned)
    return {name + SUFFIXES[TASK_VECTOR][0]: Shown(shown, "F32", shape)}


@dataclass(frozen=True)
class _Change:
    """Shows m (w + d) / |w + d| - w, d the product, m the magnitudes, and the norms those of outputs."""

    base: Checkpoint
    file: Checkpoint
    name: str
    up: TensorRecord
    down: TensorRecord
    magnitude: TensorRecord
    scale: float
    turned: bool

    def fill(self, buffer: memoryview, begin: int) -> None:
        """As of Made."""
        width = self.base.records[self.name].shape[1]
        start, stop = begin // 4, (begin + len(buffer)) // 4
        first, last = start // width, -(-stop // width)
        weights, changed = self._rows(first, last)
        ratio = self._ratios[None, :] if self.turned else self._ratios[first:last, None]
        with np.errstate(all="ignore"):
            tau = (ratio * changed - weights).astype(np.float32) + np.float32(0)
        buffer[:] = tau.reshape(-1)[start - first * width : stop - first * width].view(np.uint8).data

    @cached_property
    def _ratios(self) -> Host:
        """The magnitude of each output divided by its norm, fp64; the squares are added in ascending order."""
        rows = self.base.records[self.name].shape[0]
        sums: list[Host] = []
        for first in range(0, rows, _ROWS):
            squares = np.square(self._rows(first, min(first + _ROWS, rows))[1])
            along = squares if self.turned else squares.T
            total = sums.pop() if self.turned and sums else np.zeros(along.shape[1])
            for line in np.ascontiguousarray(along):
                total = total + line
            sums.append(total)
        magnitudes = self.file.read(self.magnitude.name).astype(np.float64)
        with np.errstate(all="ignore"):
            ratios: Host = magnitudes / np.sqrt(np.concatenate(sums))
        return ratios

    def _rows(self, first: int, last: int) -> tuple[Host, Host]:
        """So many rows of the base, and of the base with the product added, fp64."""
        width = self.base.records[self.name].shape[1]
        up, down = (self.file.read(r.name).astype(np.float32).reshape(r.shape) for r in (self.up, self.down))
        if self.turned:
            up, down = down.T, up.T
        weights = self.base.read(self.name, first * width, last * width).astype(np.float64).reshape(-1, width)
        with np.errstate(all="ignore"):
            return weights, weights + product(up[first:last], down, self.scale)
