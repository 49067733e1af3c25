"""The methods by name: what a recipe calls them, and their equations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mergealgebra.algebra import mean, task_arithmetic, ties
from mergealgebra.algebra.reducer import Reducer

REDUCERS: Final[Mapping[str, Reducer]] = MappingProxyType(
    {"ties": ties, "mean": mean, "task_arithmetic": task_arithmetic}
)
