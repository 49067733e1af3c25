"""What a merge function is tried on: a base and task vectors, and the directed ones that are part of every search.

Random numbers hardly ever show that a sum was rounded, a tie broken or a zero lost its sign; these were made to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.laws.equations import Model


@dataclass(frozen=True, eq=False)
class Case:
    """A base and at least one task vector, fp32 arrays of the same names and shapes, all finite."""

    base: Model
    task_vectors: tuple[Model, ...]

    def of(self, count: int | None) -> Case | None:
        """The case with so many of its task vectors, all for None; None if it has fewer."""
        if count is None:
            return self
        return Case(self.base, self.task_vectors[:count]) if len(self.task_vectors) >= count else None

    def within(self, span: tuple[float, float]) -> bool:
        """Whether every number is 0 or has a magnitude in the span."""
        arrays = [array.reshape(-1) for model in (self.base, *self.task_vectors) for array in model.values()]
        magnitudes = np.abs(np.concatenate(arrays))
        least, most = span
        return bool(((magnitudes == 0) | ((least <= magnitudes) & (magnitudes <= most))).all())


def case(task_vectors: Sequence[Mapping[str, Any]], base: Mapping[str, Any] | None = None) -> Case:
    """A case from nested lists; the base is zeros when left out."""
    vectors = tuple({name: np.array(x, np.float32) for name, x in vector.items()} for vector in task_vectors)
    zeros = {name: np.zeros_like(array) for name, array in vectors[0].items()}
    return Case({**zeros, **{name: np.array(x, np.float32) for name, x in (base or {}).items()}}, vectors)


def _one(*values: float, base: float = 0.0) -> Case:
    """One coordinate, a value for each task vector."""
    return case([{"w": [value]} for value in values], {"w": [base]})


#: By what each was made to show.
DIRECTED: Final[Mapping[str, Case]] = MappingProxyType(
    {
        "5, 1, -4": _one(5, 1, -4),
        "opposites": _one(3, -3),
        "fp32 cancels": _one(2.0**24, 1, 1, -(2.0**24), -1),
        "fp64 cancels": _one(2.0**53, 1, -(2.0**53)),
        "fp32 cancels, among small": case(
            [{"w": [x, 2.0**-20, -(2.0**-20), 2.0**-21, 0]} for x in (2.0**24, 1, 1, -(2.0**24), -1)]
        ),
        "many binades": _one(2.0**90, 1, -(2.0**90), 2.0**-60, 3),
        "thirds": _one(1, 1, -0.5, 0.1, 0.1),
        "a rounded base": _one(1, 2.0**-24, 2.0**-25, base=2.0**24),
        "opposites, one twice": _one(3, -3, 3, 1),
        "signed zeros": case([{"w": [-0.0, 0.0, 0.0]}, {"w": [0.0, -0.0, 1.0]}], {"w": [-0.0, 0.0, -0.0]}),
        "only zeros": case([{"w": [0.0, 0.0]}, {"w": [0.0, 0.0]}], {"w": [1.0, -0.0]}),
        "subnormals": _one(2.0**-149, -3 * 2.0**-149, 2.0**-126, -(2.0**-127)),
        "ties at the threshold": case([{"w": [1, -1, 1, 1, 2]}, {"w": [-2, 2, 2, -2, 1]}, {"w": [3, 3, -3, 3, 3]}]),
        "ten magnitudes": case(
            [{"w": [*range(1, 11)]}, {"w": [*range(-10, 0)]}, {"w": [3, -1, 4, -1, 5, 9, 2, 6, 5, 3]}]
        ),
        "odd last bits": case([{"w": [1 + 2.0**-23, 0.1]}, {"w": [-1, 0.3]}, {"w": [1 - 2.0**-24, 1e-3]}]),
        "several tensors": case(
            [
                {"a": [[1, -2], [8, 4]], "b": [0.5], "c": 3},
                {"a": [[-1, 4], [2, 4]], "b": [-16], "c": -1},
                {"a": [[7, 1], [0, 3]], "b": [2], "c": 2},
            ],
            {"a": [[1, 1], [0, -1]], "b": [8], "c": 4},
        ),
        "a tensor without axes": case([{"w": 2}, {"w": -1}, {"w": 1}]),
        "one model": case([{"w": [1, -3, 0.25]}], {"w": [2, 3, 0]}),
        "a tensor without elements": case([{"v": [], "w": [1, 2]}, {"v": [], "w": [-1, 4]}]),
        "no elements": case([{"w": []}, {"w": []}]),
    }
)
