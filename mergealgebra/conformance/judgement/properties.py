"""What no dialect may depend on: each property asks one question in two ways and compares the answers.

The inputs are tried from the smallest on, so the first difference is a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import ml_dtypes
import numpy as np

from mergealgebra.conformance.inference.options import Inferred
from mergealgebra.conformance.judgement.evidence import LONGEST, answer_text, answered, input_text, shown, size
from mergealgebra.conformance.probes.interview import Interview
from mergealgebra.conformance.probes.variations import (
    LOW_RANK,
    Pair,
    halved,
    orders,
    products,
    random_numbers,
    small,
    whole_numbers,
)
from mergealgebra.conformance.verdict import Property, Shown
from mergealgebra.targets.differences import where_near, where_same
from mergealgebra.targets.questions import Answer, Failed, Merged, Question, Refused
from mergealgebra.text import shown as quoted

Array = np.ndarray[Any, Any]
Try = tuple[Question, Answer, Question, Answer]
Same = Callable[[Merged, Merged], bool]

#: The first is what the others are compared with.
DTYPES: Final = tuple(map(np.dtype, (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)))

#: What tells libraries how many threads to use.
THREADS: Final = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)


def properties(interview: Interview, inferred: Inferred, elements: int) -> tuple[Property, ...]:
    """All of them. inferred: what the target was seen to do; elements: of the large question."""
    return (
        order(interview),
        order_of_rounding(interview),
        shards(interview, inferred.options("scope")),
        threads(interview, elements),
        dtypes(interview),
        repetition(interview),
        adapters(interview),
        purity(interview),
    )


# The properties


def order(interview: Interview) -> Property:
    """The order of the models, with numbers that no sum rounds."""
    questions = (*small("even", [1], [-1]), *small("odd", [2], [-1], [5]))
    return _compared(interview, "order", orders(*questions, whole_numbers("order", 4, 20)), "in the first order")


def order_of_rounding(interview: Interview) -> Property:
    """The order of the models, with numbers whose sums are rounded [DI-19]."""
    questions = (*small("tenths", [0.1], [0.2], [-0.3]), *small("large", [2.0**24], [1], [-(2.0**24)]))
    pairs = orders(*questions, random_numbers("random", 8, 64))
    return _compared(interview, "order of rounding", pairs, "in the first order")


def shards(interview: Interview, scopes: Sequence[str]) -> Property:
    """One tensor, or its halves under two names; with a trim by tensor that is another question [DI-4]."""
    if tuple(scopes) != ("model",):
        return Property("shards", None, note="asked only of a target that was seen to trim the model as a whole")
    whole = whole_numbers("whole", 3, 20)
    return _compared(interview, "shards", [(whole, halved(whole))], "in one tensor")


def threads(interview: Interview, elements: int) -> Property:
    """One thread or several, on a question of many elements."""
    if interview.target.runs_here:
        return Property("threads", None, note="it runs in this process, whose threads are set")
    if interview.gave_up:
        return Property("threads", None, note="it was not asked, as it had stopped answering")
    question = random_numbers("threads", 8, elements)
    one, several = (_with_threads(interview, n, question) for n in ("1", "3"))
    return _judged("threads", [(question, one, question, several)], "with one thread", equal)


def _with_threads(interview: Interview, n: str, question: Question) -> Answer:
    target = interview.target.with_env(dict.fromkeys(THREADS, n))
    with Interview(target, interview.seconds, interview.progress) as started:
        answer = started.ask("threads", [question])[question.id]
    interview.asked += started.asked
    interview.failures += started.failures
    interview.changed += started.changed
    interview.refusals += started.refusals
    return answer


def dtypes(interview: Interview) -> Property:
    """The same values in every dtype, up to two roundings of the narrower one. To refuse a dtype is no mistake."""
    wide, *others = questions = [whole_numbers(dtype.name, 4, 20, dtype) for dtype in DTYPES]
    answers = interview.ask("dtypes", questions)
    said = {dtype.name: answers[q.id] for dtype, q in zip(DTYPES, questions, strict=True)}
    refused = {name: answer.message for name, answer in said.items() if isinstance(answer, Refused)}
    tries = [(wide, answers[wide.id], q, answers[q.id]) for q in others if not isinstance(answers[q.id], Refused)]
    found = _judged("dtypes", tries if "float32" not in refused else [], "in float32", close)
    if not refused or len(refused) == len(DTYPES):
        return found
    told = f"it refuses {' and '.join(refused)}: {quoted(next(iter(refused.values())))}"
    return replace(found, note=told)


def repetition(interview: Interview) -> Property:
    """The same question again, and again after another."""
    first, other = random_numbers("first", 3, 20), whole_numbers("other", 4, 20)
    again, later = (replace(first, id=id_) for id_ in ("again", "later"))
    answers = interview.ask("repetition", (first, again, other, later))
    tries = [(first, answers[first.id], second, answers[second.id]) for second in (again, later)]
    return _judged("repetition", tries, "the first time", equal)


def purity(interview: Interview) -> Property:
    """Whether any call changed its arguments."""
    answered = interview.asked - len(interview.failures)
    if interview.changed:
        question, names = min(interview.changed, key=lambda each: size(each[0]))
        changed = Shown(question.id, input_text(question), f"with {', '.join(names)} changed", "nothing may be")
        return Property("purity", False, answered, changed)
    if not interview.target.watched:
        return Property("purity", None, note="what a program does to its arguments cannot be seen")
    if not answered:
        return Property("purity", None, note="it answered nothing")
    return Property("purity", True, answered, note="as far as what it was given can be seen")


def adapters(interview: Interview) -> Property:
    """Low-rank factors: whether they are merged as their products are."""
    answers = interview.ask("adapters", [*LOW_RANK, *map(products, LOW_RANK)])
    tries = [(q, answer) for q in LOW_RANK if isinstance(answer := answers[q.id], Merged)]
    if not tries:
        why = quoted(getattr(answers[LOW_RANK[0].id], "message", ""))
        return Property("adapters", None, note=f"it takes no low-rank factors: {why}")
    if not any(np.any(_flat(answer)) for _, answer in tries):
        return Property("adapters", None, len(tries), note="it leaves low-rank factors alone")
    for question, answer in tries:
        plain = answers[products(question).id]  # its own merge of the products
        if isinstance(plain, Merged) and not close(answer, plain):
            return Property(
                "adapters", False, len(tries), shown(question, answer, plain, "the merge of their products")
            )
    return Property("adapters", True, len(tries))


# How answers are compared


def _compared(interview: Interview, name: str, pairs: Sequence[Pair], other: str, same: Same | None = None) -> Property:
    questions = {question.id: question for pair in pairs for question in pair}
    answers = interview.ask(name, questions.values())
    return _judged(name, [(a, answers[a.id], b, answers[b.id]) for a, b in pairs], other, same or equal)


def _judged(name: str, tries: Sequence[Try], other: str, same: Same) -> Property:
    """The verdict on questions asked in two ways. other: what the first way is."""
    told = [each for each in tries if _can_be_told(each[1], each[3])]
    apart = [each for each in told if not _are(each, same)]
    if apart:
        first, one, second, answer = min(apart, key=lambda each: _are(each, _rounded_apart))
        texts = _differing(first, one, second, answer)
        found = Shown(second.id, texts[0], texts[1], f"{other} {texts[2]}")
        return Property(name, False, len(told), found, rounding=all(_are(each, _rounded_apart) for each in apart))
    return Property(name, True if told else None, len(told), note="" if told else "it answered none of these questions")


def _are(tried: Try, same: Same) -> bool:
    _, one, _, other = tried
    return isinstance(one, Merged) and isinstance(other, Merged) and same(one, other)


def _rounded_apart(one: Merged, other: Merged) -> bool:
    """Whether the last digits alone differ."""
    dtypes = _dtypes(one)
    if dtypes != _dtypes(other) or len(dtypes) > 1:
        return False
    a, b = (_flat(each).astype(next(iter(dtypes))) for each in (one, other))
    return a.size == b.size and bool(where_near(a, b).all())


def _can_be_told(*answers: Answer) -> bool:
    """Not where one is a failure, which is told elsewhere, nor where both are refusals."""
    kinds = {type(answer) for answer in answers}
    return Failed not in kinds and Merged in kinds


def equal(one: Merged, other: Merged) -> bool:
    """Whether dtypes and bits are the same, however the tensors are cut; any NaN is like any other."""
    a, b = _flat(one), _flat(other)
    return _dtypes(one) == _dtypes(other) and a.size == b.size and bool(where_same(a, b).all())


def close(one: Merged, other: Merged) -> bool:
    """Whether the values are the same up to two roundings of the narrowest dtype."""
    epsilon = max(float(ml_dtypes.finfo(dtype).eps) for dtype in _dtypes(one) | _dtypes(other))
    return np.allclose(_flat(one), _flat(other), rtol=2 * epsilon, atol=0, equal_nan=True)


def _flat(answer: Merged) -> Array:
    """All values in fp64, which holds those of every dtype."""
    return np.concatenate([answer.tensors[name].reshape(-1).astype(np.float64) for name in sorted(answer.tensors)])


def _dtypes(answer: Merged) -> frozenset[np.dtype[Any]]:
    return frozenset(array.dtype for array in answer.tensors.values())


def _differing(first: Question, one: Answer, second: Question, answer: Answer) -> tuple[str, str, str]:
    """The input, the answer and the other one; of long ones the first element that differs."""
    a, b = (_flat(each) if isinstance(each, Merged) else np.zeros(0) for each in (answer, one))
    where = np.flatnonzero(~where_same(a, b)) if a.size == b.size > LONGEST else np.zeros(0, np.intp)
    if not where.size:
        return input_text(second), answered(answer, second), answer_text(one, first)
    models = f"{len(second.models)} models of {a.size} elements, density {second.density}"
    return models, f"{a[where[0]]!s} at element {where[0]}", f"{b[where[0]]!s}"
