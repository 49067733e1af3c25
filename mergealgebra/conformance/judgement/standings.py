"""Where a target stands to each dialect, on the probes and, where those agree, on random questions beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np

from mergealgebra.conformance.inference.dialect_answers import agrees, computed
from mergealgebra.conformance.inference.options import Inferred
from mergealgebra.conformance.inference.readings import Options, explains, predicted, readings, without
from mergealgebra.conformance.judgement.evidence import shown, size
from mergealgebra.conformance.judgement.findings import Blame, blamed, is_odd, is_rounded
from mergealgebra.conformance.judgement.random_merges import questions
from mergealgebra.conformance.probes.catalogue import LEAST, PROBES, Probe
from mergealgebra.conformance.probes.interview import Interview
from mergealgebra.conformance.verdict import Standing
from mergealgebra.dialects.points import DIALECTS, POINTS, Dialect
from mergealgebra.targets.differences import where_near
from mergealgebra.targets.questions import Answer, Failed, Merged, Question

Array = np.ndarray[Any, Any]
Answers = Mapping[str, Answer]

_ASKED: Final = (*PROBES, *LEAST)


def standings(interview: Interview, inferred: Inferred, answers: Answers, breadth: int) -> tuple[Standing, ...]:
    """A standing for each dialect. breadth: how many random questions are asked of those that agree on the probes."""
    return tuple(
        _open(dialect, inferred, answers)
        if None in dialect.options.values()
        else _settled(dialect, interview, answers, breadth)
        for dialect in DIALECTS.values()
    )


def _settled(dialect: Dialect, interview: Interview, answers: Answers, breadth: int) -> Standing:
    options = {point: str(option) for point, option in dialect.options.items()}
    probes = [probe for probe in _ASKED if _speaks_of(options, probe.question)]
    asked, replies = [probe.question for probe in probes], answers
    told = [probe for probe in probes if _is_told(answers[probe.question.id])]
    other = [probe.question for probe in told if not _agrees(dialect, options, probe, answers[probe.question.id])]
    rounded = {question.id for question in other if _is_rounding(dialect, question, replies[question.id])}
    if len(rounded) == len(other) and breadth:
        more = list(questions(dialect, breadth))
        asked, replies = [*asked, *more], {**answers, **interview.ask(dialect.name, more)}
        other += [q for q in more if _is_told(replies[q.id]) and not agrees(dialect, q, replies[q.id])]
        rounded |= {q.id for q in other if _is_rounding(dialect, q, replies[q.id])}
    standing = _standing(dialect, asked, replies, other)
    if not other:
        return standing

    def rank(question: Question) -> tuple[bool, bool, tuple[int, int]]:
        return question.id in rounded, not isinstance(replies[question.id], Merged), size(question)

    first = min(other, key=rank)
    what = shown(first, replies[first.id], computed(dialect, first), f"`{dialect.name}`")
    return replace(standing, first=what, rounding=len(rounded))


def _is_rounding(dialect: Dialect, question: Question, answer: Answer) -> bool:
    """Whether an answer is the dialect's but for the last digits."""
    wanted = computed(dialect, question)
    if not (isinstance(wanted, Merged) and isinstance(answer, Merged)):
        return False
    return all(_is_near(answer.tensors[name], wanted.tensors[name], base) for name, base in question.base.items())


def _is_near(one: Array, other: Array, base: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and bool(where_near(one, other, base).all())


def _standing(
    dialect: Dialect, asked: Sequence[Question], replies: Answers, other: Sequence[Question], note: str = ""
) -> Standing:
    """It conforms if all that was asked was answered, and nothing otherwise. other: what was answered otherwise."""
    told = sum(_is_told(replies[question.id]) for question in asked)
    missing = f"{len(asked) - told} of {len(asked)} questions got no answer" if told < len(asked) else ""
    notes = "; ".join(filter(None, [note, missing]))
    return Standing(dialect.name, not other and not missing, told, len(other), None, notes)


def _is_told(answer: Answer) -> bool:
    """Whether it is an answer; a failure is none, and is told elsewhere."""
    return not isinstance(answer, Failed)


def _speaks_of(options: Options, question: Question) -> bool:
    """Whether a question asks nothing that the dialect does not have: coefficients, a lambda, percent."""
    within = float(question.density) <= 1 or options["density"] == "percent"
    return within and without(options, question) is None


def _agrees(dialect: Dialect, options: Options, probe: Probe, answer: Answer) -> bool:
    """`explains` is cheap, and rules most out; it reads too little to be enough."""
    if probe in PROBES and not explains(options, probe, readings(probe, answer)):
        return False
    return agrees(dialect, probe.question, answer)


def _open(dialect: Dialect, inferred: Inferred, answers: Answers) -> Standing:
    """The standing to a dialect with open points: there it may do what it does, and numbers may be rounded anyhow."""
    settled = {point: option for point, option in dialect.options.items() if option is not None}
    best = inferred.best
    if (settled.get("lambda"), best["lambda"]) == ("after", "after_once"):  # which of the two is a matter of rounding
        del settled["lambda"]
    meant = {**best, **settled}
    note = f"it settles {len(settled)} of {len(POINTS)} points; at the others any option conforms"
    probes = [probe for probe in _ASKED if without(meant, probe.question) is None]
    blame = blamed(inferred, answers)
    other = [probe for probe in probes if _departs(probe, meant, settled, inferred, answers, blame)]
    standing = _standing(dialect, [probe.question for probe in probes], answers, [p.question for p in other], note)
    if not other or not inferred.left:
        return replace(standing, conformant=standing.conformant and bool(inferred.left))
    first = min((probe.question for probe in other), key=size)
    return replace(standing, first=shown(first, answers[first.id], predicted(meant, first), f"`{dialect.name}`"))


def _departs(
    probe: Probe, meant: Options, settled: Options, inferred: Inferred, answers: Answers, blame: Blame
) -> bool:
    """Whether an answer is none that the dialect leaves open: it is that of a wrong option, or of no option at all."""
    answer = answers[probe.question.id]
    seen = readings(probe, answer)
    if explains(inferred.best, probe, seen):
        return not explains(meant, probe, seen)
    if probe not in inferred.unexplained and not (probe in LEAST and isinstance(answer, Merged)):
        return False
    if is_rounded(probe, meant, answer):
        return False
    return any(p in settled for p in blame.get(probe, ())) or not _is_left_open(probe, meant, settled, answer)


def _is_left_open(probe: Probe, meant: Options, settled: Options, answer: Answer) -> bool:
    """Whether options at the points that a probe is about, and that are not settled, explain an answer."""
    points = [point for point in probe.about if point not in settled]
    every = (dict(zip(points, options, strict=True)) for options in product(*(POINTS[point] for point in points)))
    return any(not is_odd(probe, {**meant, **options}, answer) for options in every)
