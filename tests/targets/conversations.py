"""Questions to a target one by one, as many as a test has, whatever the target does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mergealgebra.targets.questions import Answer, Question, Target


def ask(target: Target, questions: Iterable[Question], seconds: float) -> Iterator[tuple[Question, Answer]]:
    """Each question with what the target made of it, in order. seconds: how long one answer may take."""
    conversation = target.begin(seconds)
    try:
        for question in questions:
            yield question, conversation.answer(question)
    finally:
        conversation.close()
