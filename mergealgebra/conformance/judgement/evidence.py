"""Questions and answers as short texts of one line, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from mergealgebra.conformance.verdict import Shown
from mergealgebra.targets.differences import where_same
from mergealgebra.targets.questions import Answer, Merged, Question, Refused
from mergealgebra.text import shown as quoted

Array = np.ndarray[Any, Any]

#: How many numbers of a tensor are shown.
LONGEST: Final = 24

#: How long the text of a question may be.
READABLE: Final = 160
_TIMES: Final = {2: "twice", 3: "three times"}


def shown(question: Question, answer: Answer, wanted: Answer | str, by: str = "") -> Shown:
    """A question, what was answered, and what `by` would have answered: "`zero` gives [0]".

    Of a question with a text that nobody would read, the first element that differs is shown.
    """
    if len(input_text(question)) > READABLE and isinstance(answer, Merged) and isinstance(wanted, Merged):
        where = _first_difference(answer, wanted)
        if where is not None:
            return _shown_at(where, question, answer, wanted, by)
    expected = wanted if isinstance(wanted, str) else answer_text(wanted, question)
    return Shown(question.id, input_text(question), answered(answer, question), f"{by} gives {expected}".strip())


def size(question: Question) -> tuple[int, int]:
    """By what the smaller of two questions is told: the numbers in it, and of small ones its text."""
    numbers = sum(array.size for model in question.models for array in model.values())
    return numbers, len(input_text(question)) if numbers <= LONGEST else 0


def input_text(question: Question) -> str:
    """The models, and what of the rest is not as it usually is.

    >>> one, two = ({"w": np.float32([x, 0, 0, 0, 0])} for x in (1, 2.5))
    >>> input_text(Question("q", {"w": np.zeros(5, np.float32)}, (one, two), "0.5", coefficients=("1", "3")))
    '[1, 0 x 4] and [2.5, 0 x 4], density 0.5, coefficients 1 and 3'
    """
    parts = [_models(question.models, named=len(question.base) > 1), f"density {question.density}"]
    if question.lambda_ != "1":
        parts.append(f"lambda {question.lambda_}")
    if set(question.coefficients) - {"1"}:
        parts.append(f"coefficients {' and '.join(question.coefficients)}")
    dtypes = sorted({array.dtype.name for array in question.base.values()} - {"float32"})
    if any(np.any(array.astype(np.float64)) for array in question.base.values()):
        parts.append(f"base {tensors_text(question.base)}")
    return ", ".join([*parts, *dtypes])


def answered(answer: Answer, question: Question) -> str:
    """What a target answered; of a refusal, its own words too."""
    words = f": {quoted(answer.message)}" if isinstance(answer, Refused) and answer.message else ""
    return f"{answer_text(answer, question)}{words}"


def answer_text(answer: Answer, question: Question) -> str:
    """The merged tensors, with their dtypes where they are not the base's; or that there are none."""
    if isinstance(answer, Merged):
        dtypes = {a.dtype.name for name, a in answer.tensors.items() if a.dtype != question.base[name].dtype}
        return " as ".join([tensors_text(answer.tensors), *sorted(dtypes)])
    return "a refusal" if isinstance(answer, Refused) else f"nothing ({answer.kind})"


def tensors_text(tensors: Mapping[str, Array], named: bool = False) -> str:
    """The numbers of each tensor, by name if there are several, or named is set."""
    if len(tensors) == 1 and not named:
        return array_text(next(iter(tensors.values())))
    return ", ".join(f"{name} {array_text(tensors[name])}" for name in sorted(tensors))


def array_text(array: Array) -> str:
    """The numbers of an array in C order; what repeats or counts up is drawn together.

    >>> array_text(np.array([1, 2, 3, 4, 5, 0, 0, 0, 0, 0.25]))
    '[1 to 5, 0 x 4, 0.25]'
    """
    pieces = _repeats(_counts(array.reshape(-1)[: 10 * LONGEST].astype(np.float64).tolist()))
    more = ["..."] if len(pieces) > LONGEST or array.size > 10 * LONGEST else []
    return f"[{', '.join(pieces[:LONGEST] + more)}]"


def _models(models: Sequence[Mapping[str, Array]], named: bool) -> str:
    texts = [tensors_text(model, named) for model in models]
    if len(texts) > 1 and len(set(texts)) == 1:
        return f"{texts[0]} {_TIMES.get(len(texts), f'{len(texts)} times')}"
    return " and ".join(texts) if len(texts) > 1 else f"{texts[0]} alone"


def _counts(values: Sequence[float]) -> list[str]:
    """Numbers as texts; five or more that count up by one become "FIRST to LAST"."""
    texts: list[str] = []
    for step, run in groupby(enumerate(values), key=lambda place: _step(*place)):
        numbers = [_number(value) for _, value in run]
        texts += [f"{numbers[0]} to {numbers[-1]}"] if step is not None and len(numbers) >= 5 else numbers
    return texts


def _step(i: int, value: float) -> float | None:
    """What numbers that count up by one share; None for what counts for nothing: -0 and what is not finite."""
    return None if str(value) == "-0.0" or not np.isfinite(value) else value - i


def _repeats(texts: Sequence[str]) -> list[str]:
    runs = [(text, len(list(run))) for text, run in groupby(texts)]
    return [piece for text, n in runs for piece in ([f"{text} x {n}"] if n >= 4 else [text] * n)]


def _number(value: float) -> str:
    """The shortest text of an fp32 number, or of an fp64 number that is none; zero with its sign."""
    if value.is_integer() and abs(value) < 1e9:
        return f"{value:.0f}"
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    return str(narrow) if float(narrow) == value else repr(value)


def _shown_at(where: int, question: Question, answer: Merged, wanted: Merged, by: str) -> Shown:
    """As `shown`, of one element alone."""
    base, *models = (_cut(tensors, where) for tensors in (question.base, *question.models))
    short = replace(question, base=base, models=tuple(models))
    one, other = (answer_text(Merged(_cut(merged.tensors, where)), short) for merged in (answer, wanted))
    return Shown(question.id, f"{input_text(short)}, at element {where}", one, f"{by} gives {other}".strip())


def _first_difference(answer: Merged, wanted: Merged) -> int | None:
    """The first element at which two answers differ, if they have one tensor and one that differs."""
    if len(wanted.tensors) != 1:
        return None
    one, other = (next(iter(merged.tensors.values())).reshape(-1).astype(np.float64) for merged in (answer, wanted))
    places = np.flatnonzero(~where_same(one, other))
    return int(places[0]) if places.size else None


def _cut(tensors: Mapping[str, Array], where: int) -> dict[str, Array]:
    return {name: array.reshape(-1)[where : where + 1] for name, array in tensors.items()}
