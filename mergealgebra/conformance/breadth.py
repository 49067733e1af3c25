"""Random merges beyond the probes, and whether a target answers them as a dialect does, bit for bit.

Where the dialect leaves the choice among ties to the sort, every choice is right [DI-18].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import ml_dtypes
import numpy as np

from mergealgebra.conformance.asking import Interview
from mergealgebra.conformance.bits import same_bits
from mergealgebra.conformance.choices import can_be_told, is_a_choice
from mergealgebra.conformance.questions import Answer, Merged, Question, Refused, Target
from mergealgebra.conformance.showing import shown, size
from mergealgebra.conformance.verdict import Shown
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import Dialect
from mergealgebra.errors import MergeAlgebraError

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


@dataclass(frozen=True)
class Compared:
    """How a target's answers compare with a dialect's.

    asked, equal: how many, by dtype. first: the smallest difference. not_asked: how many, after `PATIENCE` failures in
    a row.
    """

    dialect: str
    asked: Mapping[str, int]
    equal: Mapping[str, int]
    first: Shown | None = None
    not_asked: int = 0

    @property
    def differences(self) -> int:
        return sum(self.asked.values()) - sum(self.equal.values())


def compare(target: Target, dialect: Dialect, *, count: int = 600, seed: int = 0, seconds: float = 60) -> Compared:
    """Ask a target random questions. seconds: how long one answer may take. Raises RecipeError if a point is open."""
    every = list(questions(dialect, count, seed))
    with Interview(target, seconds) as interview:
        answers = interview.ask("breadth", every)
    asked, equal, smallest = Counter[str](), Counter[str](), None
    for question in every[: interview.asked]:
        dtype, answer = question.id.split("-")[1], answers[question.id]
        asked[dtype] += 1
        if agrees(dialect, question, answer):
            equal[dtype] += 1
        elif smallest is None or size(question) < size(smallest[0]):
            smallest = question, answer
    first = smallest and shown(*smallest, computed(dialect, smallest[0]), dialect.name)
    return Compared(dialect.name, dict(asked), dict(equal), first, count - interview.asked)


def computed(dialect: Dialect, question: Question) -> Answer:
    """What the dialect answers; of tied elements it takes the first."""
    try:
        return Merged(
            merge_in_dialect(
                dialect,
                question.base,
                question.models,
                density=question.density,
                lambda_=question.lambda_,
                coefficients=question.coefficients,
            )
        )
    except MergeAlgebraError as error:
        return Refused(str(error))


def agrees(dialect: Dialect, question: Question, answer: Answer) -> bool:
    """Whether an answer is the dialect's: a refusal where that refuses, else its dtypes and bits."""
    wanted = computed(dialect, question)
    if not (isinstance(wanted, Merged) and isinstance(answer, Merged)):
        return isinstance(wanted, Refused) and isinstance(answer, Refused)
    if {name: array.shape for name, array in answer.tensors.items()} != {n: a.shape for n, a in wanted.tensors.items()}:
        return False
    if all(same_bits(answer.tensors[name], array) for name, array in wanted.tensors.items()):
        return True
    return dialect["boundary"] == "any" and is_a_choice(dialect, question, answer.tensors)


# Questions


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
