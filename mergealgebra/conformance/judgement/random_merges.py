"""Random merges beyond the probes, of all that a dialect has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import ml_dtypes
import numpy as np

from mergealgebra.conformance.inference.tie_choices import can_be_told
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import Dialect
from mergealgebra.targets.questions import Question

Array = np.ndarray[Any, Any]
Random = np.random.Generator
T = TypeVar("T")

#: The dtypes of a base, by the name that its questions have; each tensor takes one of them.
DTYPES: Final[Mapping[str, tuple[Any, ...]]] = {
    "F32": (np.float32,),
    "BF16": (ml_dtypes.bfloat16,),
    "F16": (np.float16,),
    "F64": (np.float64,),
    "mixed": (np.float32, ml_dtypes.bfloat16, np.float16),
}


def questions(dialect: Dialect, count: int, seed: int = 0) -> Iterator[Question]:
    """Random merges that have what the dialect has; the same for a seed. Raises RecipeError if a point is open."""
    merge_in_dialect(dialect, {}, [{}])
    return (_question(dialect, np.random.default_rng([seed, i]), i) for i in range(count))


def _question(dialect: Dialect, random: Random, i: int) -> Question:
    dtype, kind = _one_of(random, _dtypes(dialect)), _one_of(random, list(VALUES))
    n = int(random.integers(1, 9 if kind == "integers" else 5))
    tensors = [(_shape(random), _one_of(random, DTYPES[dtype])) for _ in range(_one_of(random, (1, 1, 2, 3)))]

    def model() -> dict[str, Array]:
        return {f"tensor{j}": VALUES[kind](random, shape).astype(held) for j, (shape, held) in enumerate(tensors)}

    base, *models = (model() for _ in range(n + 1))
    question = Question(
        f"breadth-{dtype}-{i}",
        base,
        tuple(models),
        _density(random, dialect),
        _one_of(random, LAMBDAS) if dialect["lambda"] != "none" else "1",
        tuple(_coefficient(random, kind) if dialect["coefficients"] != "none" else "1" for _ in range(n)),
    )
    if dialect["boundary"] == "any" and not can_be_told(dialect, question):
        return replace(question, density="1")
    return question


def _dtypes(dialect: Dialect) -> list[str]:
    """Tensors of several dtypes are merged together in ways that the points do not tell apart [DI-20]."""
    return [name for name in DTYPES if name != "mixed" or dialect["scope"] == "tensor"]


#: Values of a tensor. Sums of `integers` are exact, those of more than four of the others need not be.
VALUES: Final[Mapping[str, Callable[[Random, tuple[int, ...]], Array]]] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "near": lambda random, shape: 1 + random.normal(size=shape) / 64,
    "integers": lambda random, shape: random.integers(-3, 4, shape).astype(np.float64),
    "wide": lambda random, shape: random.normal(size=shape) * 2.0 ** random.integers(-30, 13, shape),
    "special": lambda random, shape: random.choice([np.nan, np.inf, -np.inf, -0.0, *[1.0, -1.5, 0.25] * 8], shape),
}

LAMBDAS: Final = ("1", "1", "0.3", "1.7", "-0.5", "2")


def _shape(random: Random) -> tuple[int, ...]:
    """Of few elements often, of many now and then, and of 100, where a percentage is a whole number of them."""
    d = _one_of(random, [*map(int, random.integers(1, (4, 12, 12, 50, 50, 50, 50, 1000))), 100, 100])
    return _one_of(random, [(d,)] * 6 + [(1, d), (d, 2), ()])


def _density(random: Random, dialect: Dialect) -> str:
    percent = int(random.integers(1, 101))
    if dialect["density"] == "percent" and random.random() < 0.5:
        return str(percent)
    rounded_down = _one_of(random, ("0.29", "0.57", "0.8", "0.9"))  # in binary64, 100 times it or 100 times the rest
    return _one_of(random, ["1", rounded_down, *[f"{percent / 100:g}"] * 5, f"0.{int(random.integers(1, 10**6)):06}"])


def _coefficient(random: Random, kind: str) -> str:
    if kind == "integers":
        return str(int(random.integers(1, 4)))
    return _one_of(random, ["1", "2", "0.5", "0.3", f"{random.random() + 0.1:.3f}"])


def _one_of(random: Random, choices: Sequence[T]) -> T:
    return choices[int(random.integers(len(choices)))]
