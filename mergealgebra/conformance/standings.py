"""Where a target stands to each dialect, on the probes and, where those agree, on random questions beyond them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mergealgebra.algebra.dialects import DIALECTS, POINTS, Dialect
from mergealgebra.conformance.asking import Interview
from mergealgebra.conformance.breadth import agrees, computed, questions
from mergealgebra.conformance.findings import blamed
from mergealgebra.conformance.inference import Inferred
from mergealgebra.conformance.probes import LEAST, PROBES, Probe
from mergealgebra.conformance.questions import Answer, Merged, Question
from mergealgebra.conformance.readings import Options, explains, predicted, readings, without
from mergealgebra.conformance.showing import shown, size
from mergealgebra.conformance.verdict import Standing

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
    other = [probe.question for probe in probes if not _agrees(dialect, options, probe, answers[probe.question.id])]
    asked, replies = len(probes), answers
    if not other and breadth:
        more = list(questions(dialect, breadth))
        replies = interview.ask(dialect.name, more)
        other = [question for question in more if not agrees(dialect, question, replies[question.id])]
        asked += breadth
    if not other:
        return Standing(dialect.name, True, asked, 0)
    first = min(other, key=lambda question: (not isinstance(replies[question.id], Merged), size(question)))
    wanted = computed(dialect, first)
    return Standing(
        dialect.name, False, asked, len(other), shown(first, replies[first.id], wanted, f"`{dialect.name}`")
    )


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
    other = [probe for probe in probes if _departs(probe, meant, settled, inferred, answers)]
    if not other or not inferred.left:
        return Standing(dialect.name, bool(inferred.left), len(probes), len(other), None, note)
    first = min((probe.question for probe in other), key=size)
    difference = shown(first, answers[first.id], predicted(meant, first), f"`{dialect.name}`")
    return Standing(dialect.name, False, len(probes), len(other), difference, note)


def _departs(probe: Probe, meant: Options, settled: Options, inferred: Inferred, answers: Answers) -> bool:
    seen = readings(probe, answers[probe.question.id])
    if probe in inferred.unexplained:
        return any(point in settled for point in blamed(probe, inferred, answers))
    return explains(inferred.best, probe, seen) and not explains(meant, probe, seen)
