"""Small merges whose answers tell which options a target takes [DI-1 to DI-17].

Each names the points on which its answer depends, as it is read; nothing else can matter there. The trim is read by
which elements come back changed, from two equal models; votes by signs, means by values, numbers by bits. The numbers
are small integers that no arithmetic rounds, but where rounding is the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import ml_dtypes
import numpy as np

from mergealgebra.dialects.points import POINTS
from mergealgebra.targets.questions import Question

Array = np.ndarray[Any, Any]
Models = Sequence[Mapping[str, Array]]
How = Literal["support", "signs", "values", "bits"]

#: Appended where nothing is to be trimmed that counts: zeros, so that a density of 0.9 keeps all else, and the smallest
#: magnitude twice and with both signs, so that a quantile lies at it and no majority is moved.
FILL: Final = (2.0**-8, -(2.0**-8)) + (0,) * 15


@dataclass(frozen=True)
class Probe:
    """A question, with the points that its answer depends on.

    how: what of the answer is read, at the first `first` elements of each tensor; None is all of them. about: the
    points for which it is asked; all of them if not given.
    """

    question: Question
    points: tuple[str, ...]
    how: How
    first: int | None = None
    about: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "about", self.about or self.points)


def _array(values: Sequence[float], dtype: Any = np.float32) -> Array:
    return np.array(values).astype(dtype)


def _question(id_: str, models: Models, density: str = "1", base: Any = 0, **more: Any) -> Question:
    bases = {name: np.full_like(array, base) for model in models for name, array in model.items()}
    return Question(id_, bases, tuple(models), density, **more)


def _trim(id_: str, points: tuple[str, ...], density: str, **tensors: Sequence[float]) -> Probe:
    model = {name: _array(values) for name, values in tensors.items()}
    return Probe(_question(id_, [model, model], density), points, "support")


def _filled(
    id_: str, points: tuple[str, ...], how: How, *models: Sequence[float], dtype: Any = np.float32, **more: Any
) -> Probe:
    """Models of one tensor, in which no trim drops what is given."""
    tensors = [{"w": _array([*values, *FILL], dtype)} for values in models]
    return Probe(_question(id_, tensors, "0.9", **more), points, how, len(models[0]))


_TRIM: Final = ("density", "kept", "boundary")

#: Densities and numbers of elements that tell any two ways of counting apart.
COUNTS: Final = (
    *(("0.01", 2), ("0.51", 2), ("0.75", 2), ("0.2", 10), ("0.25", 10), ("0.8", 10), ("1", 10), ("20", 10)),
    *(("0.1", 15), ("0.28", 25), ("0.42", 50), ("0.58", 50), ("0.35", 90), ("0.7", 21), ("0.8", 6)),
)

TRIM: Final = (
    *(_trim(f"{density}-of-{d}", _TRIM, density, w=range(1, d + 1)) for density, d in COUNTS),
    _trim("zeros", _TRIM, "0.5", w=(0, 0, 0, 0, 0, 1, 2, 3, 4, 5)),
    _trim("two-tensors", ("kept", "scope", "boundary"), "0.5", a=(1, 2, 3, 4), b=(5, 6, 7, 8)),
    _trim("ties", ("kept", "boundary"), "0.5", w=(1, 1, 1, 1)),
    _trim("ties-of-signs", ("kept", "boundary"), "0.5", w=(1, -1, 2, 1, -1, 3)),
    _trim("many-ties", ("kept", "boundary"), "0.5", w=(2, 1) * 30 + (1, 1) * 20),
)

_MEANS: Final = ("aggregate", "denominator", "coefficients")

MEANS: Final = (
    _filled("mean", _MEANS, "values", [6], [2], [-1], [0]),
    _filled("weighted-mean", _MEANS, "values", [6], [2], [-1], [0], coefficients=("2", "1", "1", "4")),
    _filled("two-of-three", _MEANS, "values", [6], [2], [-1], coefficients=("3", "1", "1")),
)

_VOTES: Final = ("election", "zero_sum")

VOTES: Final = (
    _filled("votes", _VOTES, "signs", [4], [-1], [-1]),
    _filled("weighted-votes", ("election", "coefficients"), "signs", [4], [-1], [-1], coefficients=("1", "3", "3")),
    _filled("even", _VOTES, "signs", [1, 5, 7], [-1, 5, 7]),
    _filled("even-negative", _VOTES, "signs", [1, -5, -7], [-1, -5, -7]),
    _filled("even-all", _VOTES, "signs", [1, 5, -7], [-1, 5, -7]),
)

_BF16: Final = np.dtype(ml_dtypes.bfloat16)
_F32: Final = np.dtype(np.float32)
_F64: Final = np.dtype(np.float64)
_BIG: Final = 2.0**24
_SUMS: Final = (*_MEANS, "lambda", "arithmetic", "output")


def _moved(id_: str, dtype: np.dtype[Any], lambda_: str) -> Probe:
    """Three models that moved numbers of many sizes from a base that is not zero, two that moved them back a bit."""
    i = np.arange(1, 65)
    there = [0.37 * (i * (5 * k + 7) % 61 + 1) for k in range(3)]
    back = [-0.1 - (i * (5 * k + 3) % 61) / 4096 for k in range(2)]
    rest = (*FILL, *[0] * 47)
    base = _array([*(i * i % 61 + 1) / 7, *[0] * len(rest)], dtype)
    models = tuple({"w": (base + _array([*move, *rest], np.float64)).astype(dtype)} for move in [*there, *back])
    return Probe(Question(f"numbers-{id_}", {"w": base}, models, "0.99", lambda_), _SUMS, "bits", len(i))


#: Two pairs of large numbers, of which the second is lost in fp64 too.
_LOST: Final = ([1, -1, 1, -1], [2.0**25] * 2 + [2.0**60] * 2, [-(2.0**25)] * 2 + [-(2.0**60)] * 2)
_TWO_DTYPES: Final = [{"a": _array([x, *FILL]), "b": _array([x, *FILL], _BF16)} for x in (1, 1, 2)]

NUMBERS: Final = (
    _filled("lambda", _SUMS, "bits", [4, 2], [4, 2], lambda_="1.5"),
    _filled("thirds", _SUMS, "bits", [1], [1], [2]),
    _filled("sum", _SUMS, "bits", [_BIG], [1], [1]),
    _filled("bf16-thirds", _SUMS, "bits", [1], [1], [2], dtype=_BF16),
    _filled("bf16-sum", _SUMS, "bits", [256], [1], [1], dtype=_BF16),
    _filled("lost", (*_VOTES, "coefficients", "arithmetic"), "signs", *_LOST),
    *(_moved(f"{dtype.name}-moved", dtype, "1") for dtype in (_BF16, _F32, _F64)),
    *(_moved(f"{dtype.name}-lambda", dtype, "0.3") for dtype in (_BF16, _F32, _F64)),
    _filled("bf16-weighted", _SUMS, "bits", [21, 37, 45], [23, 31, 47], dtype=_BF16, coefficients=("0.3", "0.7")),
    Probe(_question("two-dtypes", _TWO_DTYPES, "0.9"), (*_SUMS, "scope"), "bits", 1),
)
_TEN: Final = tuple(range(1, 11))
ALONE: Final = (Probe(_question("alone", [{"w": _array(_TEN)}], "0.5"), (*_TRIM, "alone"), "support"),)

#: Values that are one fp32 number.
_ALIKE: Final = tuple(1 + i * 2.0**-40 for i in range(6))


def _alike(id_: str, values: Sequence[float]) -> Probe:
    model = {"w": np.array(values)}
    return Probe(_question(id_, [model, model], "0.5"), (*_TRIM, "arithmetic", "key"), "support")


KEEPING: Final = (_alike("key-rising", _ALIKE), _alike("key-falling", _ALIKE[::-1]))

_FINITE: Final = (*_SUMS, "election", "non_finite")

NON_FINITE: Final = (_filled("infinity", _FINITE, "bits", [1, np.inf], [1, 1]),)

_LACKING: Final = [{"a": 5, "b": 2}, {"a": 3}]
KEYS: Final = (
    Probe(
        _question("missing", [{n: _array([x, *FILL]) for n, x in m.items()} for m in _LACKING], "0.9"),
        (*_SUMS, "keys"),
        "bits",
        1,
    ),
)

PROBES: Final = (*TRIM, *MEANS, *VOTES, *NUMBERS, *ALONE, *KEEPING, *NON_FINITE, *KEYS)


def _least(
    id_: str, about: tuple[str, ...], *models: Sequence[float], density: str = "1", dtype: Any = np.float32, **more: Any
) -> Probe:
    tensors = [{"w": _array(values, dtype)} for values in models]
    return _about(about, _question(f"least-{id_}", tensors, density, **more))


def _about(points: tuple[str, ...], question: Question) -> Probe:
    return Probe(question, tuple(POINTS), "bits", about=points)


def _twice(id_: str, about: tuple[str, ...], density: str, *values: float) -> Probe:
    return _least(id_, about, values, values, density=density)


#: The smallest questions of all. They show options to people, and infer nothing, as their answers depend on all points.
LEAST: Final = (
    _least("even", ("zero_sum",), [1], [-1]),
    _least("even-beside", ("zero_sum",), [1, 2], [-1, 2]),
    _least("two-against-one", ("election",), [3], [-1], [-1]),
    _least("heavy", ("election", "coefficients"), [2], [-1], coefficients=("1", "3")),
    _least("mean", ("aggregate", "denominator"), [1], [3]),
    _least("mean-of-two", ("denominator",), [1], [3], [-1]),
    _least("weighted", ("aggregate", "denominator", "coefficients"), [1], [3], coefficients=("3", "1")),
    _least("lambda", ("lambda",), [2], [2], lambda_="0.5"),
    _least("base", ("lambda",), [3], [3], base=1),
    _least("alone", ("alone",), [1, 2], density="0.5"),
    _least("thirds", ("arithmetic",), [1], [1], [2]),
    _least("big", ("arithmetic",), [_BIG], [1], [1]),
    _least("bf16-thirds", ("arithmetic", "output"), [1], [1], [2], dtype=_BF16),
    _least("bf16-sum", ("arithmetic", "output"), [256], [1], [1], dtype=_BF16),
    _least("infinity", ("non_finite",), [np.inf], [1]),
    _twice("ties", ("boundary",), "0.5", 1, 1),
    _twice("half", ("kept", "boundary"), "0.5", 1, 2),
    _twice("half-of-three", ("kept",), "0.5", 1, 2, 3),
    _twice("quarter", ("kept",), "0.25", 1, 2),
    _twice("all", ("kept",), "1", 1, 2),
    _about(("scope",), _question("least-scope", [{"a": _array([1]), "b": _array([2])}] * 2, "0.5")),
    _about(("keys",), _question("least-keys", [{"a": _array([1])}, {"b": _array([1])}])),
)
