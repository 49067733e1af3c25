"""A target beside one dialect, on random merges: how many of its answers have the same bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mergealgebra.conformance.inference.dialect_answers import agrees, computed
from mergealgebra.conformance.judgement.evidence import shown, size
from mergealgebra.conformance.judgement.random_merges import questions
from mergealgebra.conformance.probes.interview import Interview
from mergealgebra.conformance.verdict import Shown
from mergealgebra.dialects.points import Dialect
from mergealgebra.targets.questions import Target


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
