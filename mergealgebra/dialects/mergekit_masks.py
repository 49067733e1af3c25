"""Masks that mergekit drew, captured while it ran, in a safetensors file [NA-15]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mergealgebra.errors import CheckpointError, RecipeError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import location

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Masks:
    """The masks of a file: tensors N/NAME of 0 and 1, for tensor NAME of the contribution that is Nth in the order.

    N counts from 0. root: of all of them, which a recipe names.
    """

    held: Checkpoint
    root: str

    @classmethod
    def open(cls, path: Path) -> Self:
        """Those of a file. Raises CheckpointError."""
        held = Checkpoint.open(path)
        for record in held.records.values():
            if record.dtype not in ("BOOL", "U8"):
                raise CheckpointError(
                    f"{location(path, record.name)} is {record.dtype}; masks are BOOL or U8: write them by "
                    "spec/conformance/mergekit_files/capture.py"
                )
        return cls(held, held.root())

    def of(
        self, name: str, shape: tuple[int, ...], method: str, own: Sequence[Mapping[str, Any]], held: Sequence[int]
    ) -> list[Array | None]:
        """The masks of a tensor; None where none is drawn, as the density is 1, or of DELLA 0. Raises RecipeError.

        own: the settings of those that hold it. held: which in the order these are.
        """
        if method.startswith("della"):
            _check_chances(name, method, own)
        least = 0.0 if method.startswith("della") else -1.0
        drawn = (least < values["density"] < 1 for values in own)
        return [self._read(f"{i}/{name}", shape) if one else None for i, one in zip(held, drawn, strict=True)]

    def _read(self, key: str, shape: tuple[int, ...]) -> Array:
        record = self.held.records.get(key)
        if record is None:
            raise RecipeError(
                f"{location(self.held.path)} has no mask {key!r}; capture the masks of this very merge, or leave the "
                "tensor out, as mergekit may"
            )
        if tuple(record.shape) != shape:
            raise RecipeError(
                f"{location(self.held.path, key)} has the shape {tuple(record.shape)}, the tensor {shape}; capture the "
                "masks of this very merge"
            )
        return np.asarray(self.held.read(key).reshape(shape) != 0)


def _check_chances(name: str, method: str, own: Sequence[Mapping[str, Any]]) -> None:
    """DELLA keeps elements with chances from density - epsilon to density + epsilon. Raises RecipeError."""
    for values in own:
        density, epsilon = values["density"], values["epsilon"]
        if 0 < density < 1 and not (density - epsilon > 0 and density + epsilon < 1):
            raise RecipeError(
                f"{method}: tensor {name!r}: chances from {density} - {epsilon} to {density} + {epsilon} are not "
                "within 0 and 1; use a smaller epsilon"
            )
