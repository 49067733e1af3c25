"""Asking a target many questions, whatever it does, and noticing what it does besides answering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mergealgebra.conformance.verdict import Failure
from mergealgebra.progress import Progress, quiet
from mergealgebra.targets.differences import same_bits
from mergealgebra.targets.questions import Answer, Failed, Merged, Question, Refused, Target, Tensors

#: After how many failures in a row, or answers that took too long in all, a target is asked no more.
PATIENCE: Final = 6


class Interview:
    """A conversation that goes on whatever comes back; to be closed, as by `with`.

    hello: who the target says that it is. failures: the questions that got no answer. changed: those with arguments
    that the call wrote into. refusals: how often each was said. asked: how many questions were asked.
    """

    def __init__(self, target: Target, seconds: float, progress: Progress = quiet) -> None:
        """seconds: how long an answer may take."""
        self.target, self.seconds, self.progress = target, seconds, progress
        self.failures: list[Failure] = []
        self.changed: list[tuple[Question, tuple[str, ...]]] = []
        self.refusals: Counter[str] = Counter()
        self.asked = 0
        self._in_a_row = self._hung = 0
        self._conversation = target.begin(seconds)
        self.hello = self._conversation.hello()

    def __enter__(self) -> Interview:
        return self

    def __exit__(self, *error: object) -> None:
        self._conversation.close()

    @property
    def gave_up(self) -> bool:
        """Whether it is asked no more."""
        return max(self._in_a_row, self._hung) >= PATIENCE

    def ask(self, step: str, questions: Iterable[Question]) -> dict[str, Answer]:
        """The answers by the questions' ids. step: what progress calls this."""
        questions = list(questions)
        answers = {}
        for done, question in enumerate(questions):
            self.progress(step, done, len(questions))
            answers[question.id] = self._answer(question)
        self.progress(step, len(questions), len(questions))
        return answers

    def _answer(self, question: Question) -> Answer:
        if self.gave_up:
            return Failed(self.failures[-1].kind, f"it was not asked, after {PATIENCE} failures")
        given = _copy(question)
        answer = self._conversation.answer(given)
        self.asked += 1
        if isinstance(answer, Failed):
            self.failures.append(Failure(question.id, answer.kind, answer.message))
            self._in_a_row += 1
            self._hung += answer.kind == "hung"
            return answer
        self._in_a_row = 0
        if isinstance(answer, Refused):
            self.refusals[answer.message] += 1
        told = answer.changed if isinstance(answer, Merged) else ()
        if changed := tuple(dict.fromkeys([*told, *_changed(question, given)])):
            self.changed.append((question, changed))
        return answer


def _copy(question: Question) -> Question:
    copies = [{name: array.copy() for name, array in tensors.items()} for tensors in (question.base, *question.models)]
    return replace(question, base=copies[0], models=tuple(copies[1:]))


def _changed(before: Question, after: Question) -> list[str]:
    names = ["base", *(f"models[{i}]" for i in range(len(before.models)))]
    pairs = zip(names, [before.base, *before.models], [after.base, *after.models], strict=True)
    return [name for name, one, other in pairs if not _same(one, other)]


def _same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(same_bits(array, other[name]) for name, array in one.items())
