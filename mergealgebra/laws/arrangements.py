"""From a case to the arguments of a law's equation.

Whatever a law leaves open, such as an order or a place to cut, is chosen by `pick(n)`, a number below n: systematically
for the directed cases, by Hypothesis for the others. None: the case has no room for the law.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import ml_dtypes
import numpy as np

from mergealgebra.laws.cases import Case
from mergealgebra.laws.equations import Model

Pick = Callable[[int], int]
Arguments = dict[str, Any]
Arrangement = Callable[[Case, Pick], Arguments | None]

DTYPES: Final = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
FACTORS: Final = (2.0, 0.5, 2.0**24, 2.0**-20)
ELSEWHERE: Final = (0.0, -1.0, 2.0**20)


def systematic(arrangement: Arrangement, case: Case, most: int) -> Iterator[Arguments]:
    """The first so many arguments that an arrangement can choose."""
    for turn in range(most):
        digits = _Digits(turn)
        arguments = arrangement(case, digits)
        if digits.rest or arguments is None:
            return
        yield arguments


class _Digits:
    """Chooses by the digits of a number, whose base is each time the number of choices."""

    def __init__(self, number: int) -> None:
        self.rest = number

    def __call__(self, choices: int) -> int:
        self.rest, digit = divmod(self.rest, choices)
        return digit


def all_of_it(case: Case, pick: Pick) -> Arguments:
    """The base and the task vectors as they are."""
    return {"base": case.base, "task_vectors": list(case.task_vectors)}


def vectors_alone(case: Case, pick: Pick) -> Arguments:
    """The task vectors as they are."""
    return {"task_vectors": list(case.task_vectors)}


def in_another_order(case: Case, pick: Pick) -> Arguments | None:
    """Two task vectors or more, and an order of them."""
    if len(case.task_vectors) < 2:
        return None
    return all_of_it(case, pick) | {"order": _shuffled(range(len(case.task_vectors)), pick)}


def three(case: Case, pick: Pick) -> Arguments | None:
    """Three task vectors, no two of which hold exactly opposite numbers at a coordinate."""
    if len(case.task_vectors) < 3:
        return None
    chosen = _shuffled(case.task_vectors, pick)[:3]
    return dict(zip("abc", _without_opposites(chosen), strict=True))


def copies(case: Case, pick: Pick) -> Arguments:
    """One task vector, and two to four copies of it."""
    return _alone(case, pick) | {"copies": 2 + pick(3)}


def a_place(case: Case, pick: Pick) -> Arguments:
    """A place among the task vectors."""
    return all_of_it(case, pick) | {"place": pick(len(case.task_vectors) + 1)}


def _alone(case: Case, pick: Pick) -> Arguments:
    return {"base": case.base, "task_vector": case.task_vectors[pick(len(case.task_vectors))]}


def one_alone(case: Case, pick: Pick) -> Arguments:
    """One task vector."""
    return _alone(case, pick)


def a_factor(case: Case, pick: Pick) -> Arguments:
    """A power of two."""
    return vectors_alone(case, pick) | {"factor": FACTORS[pick(len(FACTORS))]}


def elements_in_another_order(case: Case, pick: Pick) -> Arguments | None:
    """A tensor of two elements or more, and an order of them."""
    name = _a_tensor(case, pick, least=2)
    if name is None:
        return None
    return all_of_it(case, pick) | {"name": name, "order": _shuffled(range(case.base[name].size), pick)}


def a_cut(case: Case, pick: Pick) -> Arguments | None:
    """A tensor, and how many of its elements the first piece gets."""
    name = _a_tensor(case, pick, least=0)
    if name is None:
        return None
    return all_of_it(case, pick) | {"name": name, "cut": pick(case.base[name].size + 1)}


def a_coordinate(case: Case, pick: Pick) -> Arguments | None:
    """A coordinate, and a number to write everywhere else in the first task vector."""
    name = _a_tensor(case, pick, least=1)
    if name is None or sum(array.size for array in case.base.values()) < 2:
        return None
    vectors = list(case.task_vectors)
    turn = pick(len(vectors))
    return {
        "base": case.base,
        "task_vectors": vectors[turn:] + vectors[:turn],
        "name": name,
        "index": pick(case.base[name].size),
        "elsewhere": ELSEWHERE[pick(len(ELSEWHERE))],
    }


def a_dtype(case: Case, pick: Pick) -> Arguments:
    """The base in one of the four dtypes."""
    dtype = DTYPES[pick(len(DTYPES))]
    base = {name: array.astype(dtype) for name, array in case.base.items()}
    return {"base": base, "task_vectors": list(case.task_vectors)}


def a_tree(case: Case, pick: Pick) -> Arguments:
    """Which two parts to combine each time; the new part is counted after all others."""
    free = list(range(len(case.task_vectors)))
    pairs = []
    for new in range(len(free), 2 * len(free) - 1):
        pairs.append([free.pop(pick(len(free))), free.pop(pick(len(free)))])
        free.append(new)
    return all_of_it(case, pick) | {"pairs": pairs}


def _a_tensor(case: Case, pick: Pick, least: int) -> str | None:
    """The name of a tensor of at least so many elements."""
    names = [name for name, array in case.base.items() if array.size >= least]
    return names[pick(len(names))] if names else None


def _shuffled(items: Sequence[Any], pick: Pick) -> list[Any]:
    left = list(items)
    return [left.pop(pick(len(left))) for _ in items]


def _without_opposites(vectors: list[Model]) -> list[Model]:
    """The task vectors, with 0 wherever an earlier one holds the opposite number."""
    kept: list[Model] = []
    for vector in vectors:
        clean = {name: array.copy() for name, array in vector.items()}
        for earlier in kept:
            for name, array in clean.items():
                array[(array != 0) & (earlier[name] == -array)] = 0
        kept.append(clean)
    return kept
