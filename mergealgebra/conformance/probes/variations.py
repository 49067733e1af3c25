"""The questions of `stability`: small, whole and random numbers, and the same question in another arrangement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mergealgebra.conformance.probes.catalogue import FILL
from mergealgebra.targets.questions import Question

Array = np.ndarray[Any, Any]
Pair = tuple[Question, Question]


def whole_numbers(id_: str, n: int, d: int, dtype: Any = np.float32) -> Question:
    """n models of d multiples of 12 that differ in magnitude: no sum or mean of up to four is rounded in any dtype."""
    rng = np.random.default_rng([n, d])
    return _question(id_, [12 * rng.permutation(d) + 12 for _ in range(n)] * rng.choice([-1, 1], (n, d)), dtype)


def random_numbers(id_: str, n: int, d: int) -> Question:
    """n models of d random numbers."""
    return _question(id_, np.random.default_rng([n, d]).standard_normal((n, d)))


def small(id_: str, *models: Sequence[float]) -> tuple[Question, Question]:
    """These numbers alone; and with others that are trimmed, for those who refuse a density of 1."""
    filled = [[*values, *FILL] for values in models]
    return _question(id_, models, density="1"), _question(f"{id_}-filled", filled, density="0.9")


def _question(id_: str, models: Any, dtype: Any = np.float32, density: str = "0.5") -> Question:
    tensors = tuple({"w": np.array(values).astype(dtype)} for values in models)
    return Question(f"{id_}-{len(tensors)}", {"w": np.zeros_like(tensors[0]["w"])}, tensors, density)


def orders(*questions: Question) -> list[Pair]:
    """Each question with its models the other way round, and turned by one."""
    pairs = []
    for question in questions:
        n = len(question.models)
        for order in [range(n)[::-1], [*range(1, n), 0]][: n - 1]:
            models = tuple(question.models[i] for i in order)
            pairs.append((question, replace(question, id=f"{question.id}-{''.join(map(str, order))}", models=models)))
    return pairs


def halved(question: Question) -> Question:
    """The question with its tensor cut in two."""
    base, *models = (
        dict(zip(("w.0", "w.1"), np.split(tensors["w"], 2), strict=True))
        for tensors in (question.base, *question.models)
    )
    return replace(question, id=f"{question.id}-halved", base=base, models=tuple(models))


def products(question: Question) -> Question:
    """The question whose models hold the products of the factors."""
    names = [name.removesuffix(".weight") for name in question.base]
    models = tuple(
        {f"{name}.weight": model[f"{name}.lora_B.weight"] @ model[f"{name}.lora_A.weight"] for name in names}
        for model in question.models
    )
    return replace(question, id=f"{question.id}-products", models=models)


def _low_rank(id_: str, *factors: tuple[float, float]) -> Question:
    base = {"w.weight": np.zeros((16, 16), np.float32)}
    models = ({"w.lora_A.weight": _first(a), "w.lora_B.weight": _first(b).T} for a, b in factors)
    return Question(f"adapters-{id_}", base, tuple(models), "0.9")


def _first(value: float) -> Array:
    """A factor with one number, so that a density of 0.9 keeps it, whatever is merged."""
    return np.array([[value, *[0] * 15]], np.float32)


#: Two adapters whose products are both -2, though their factors cancel; and two that only differ in size.
LOW_RANK: Final = (_low_rank("cancelling", (1, -2), (-1, 2)), _low_rank("growing", (1, 1), (3, 5)))
