"""What checkpoints on disk and arrays in memory have in common: named tensors that can be read one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mergealgebra.tensors.dtypes import name_of


class Model(Protocol):
    """Named tensors that can be read."""

    @property
    def records(self) -> Mapping[str, Any]:
        """What is known of each tensor: its `dtype`, `shape` and `size`."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Any:
        """Elements [start, stop) in C order, in the storage dtype."""
        ...


@dataclass(frozen=True)
class Record:
    """What is known of an array: its dtype by the name that safetensors gives it, its shape, how many elements."""

    dtype: str
    shape: tuple[int, ...]
    size: int


class Arrays:
    """NumPy arrays by name, as a model."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._arrays = arrays
        self.records = {name: Record(name_of(array), array.shape, array.size) for name, array in arrays.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray[Any, Any]:
        """Elements [start, stop) in C order."""
        return np.ascontiguousarray(self._arrays[name]).reshape(-1)[start:stop]
