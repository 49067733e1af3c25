"""What a target takes at each point, with the smallest question that shows it [DI-2 to DI-17]."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from mergealgebra.conformance.inference.equivalents import reason
from mergealgebra.conformance.inference.options import STAGES, Inferred
from mergealgebra.conformance.inference.readings import Options, explains, predicted, readings
from mergealgebra.conformance.judgement.evidence import shown, size
from mergealgebra.conformance.probes.catalogue import LEAST, PROBES, Probe
from mergealgebra.conformance.verdict import Finding, Shown
from mergealgebra.dialects.points import POINTS
from mergealgebra.targets.differences import where_near
from mergealgebra.targets.questions import Answer, Merged

#: What is said of numbers that no arithmetic here gives.
OWN_ROUNDING: Final = (
    "it rounds in a way of its own: each number is one that some option gives, but for its last digits; "
    "that is rounding, and not a mistake"
)

#: The points that each odd answer is blamed on.
Blame = Mapping[Probe, tuple[str, ...]]

#: The clause of each point.
CLAUSES: Final = {point: f"DI-{number}" for number, point in enumerate(POINTS, start=2)}


def findings(inferred: Inferred, answers: Mapping[str, Answer]) -> tuple[Finding, ...]:
    """A finding for each point. answers: by the id of the question, to those of `PROBES` and `LEAST`."""
    blame = blamed(inferred, answers)
    return tuple(_finding(point, inferred, answers, blame) for point in POINTS)


def _finding(point: str, inferred: Inferred, answers: Mapping[str, Answer], blame: Blame) -> Finding:
    best, clause = inferred.best, CLAUSES[point]
    odd = [probe for probe in _by_size(inferred.unexplained) if point in blame[probe]]
    if odd:
        example = _shown(_smallest(point, odd, best, answers), best, point, answers)
        if point == "arithmetic" and all(is_rounded(probe, best, answers[probe.question.id]) for probe in odd):
            return Finding(clause, point, (), {}, f"{OWN_ROUNDING}; {example}", rounding=True)
        return Finding(clause, point, (), {}, f"no option explains all answers; {example}")
    options = inferred.options(point)
    if len(options) > 1:
        note = _silence(point, inferred) or reason(point, options, best)
        return Finding(clause, point, options, _ruled_out(point, options, best, answers), note)
    return Finding(clause, point, options, _ruled_out(point, options, best, answers))


def _smallest(point: str, odd: Sequence[Probe], best: Options, answers: Mapping[str, Answer]) -> Probe:
    """Of the odd probes, and of the smaller questions about the point whose answers are odd too, the smallest."""
    told = [(probe, answers[probe.question.id]) for probe in LEAST if probe.about == (point,)]
    least = [probe for probe, answer in told if isinstance(answer, Merged) and is_odd(probe, best, answer)]
    return _by_size([*odd, *least])[0]


def is_odd(probe: Probe, options: Options, answer: Answer) -> bool:
    """Whether options do not explain an answer, and rounding does not."""
    return not explains(options, probe, readings(probe, answer)) and not is_rounded(probe, options, answer)


def _ruled_out(point: str, left: Iterable[str], best: Options, answers: Mapping[str, Answer]) -> dict[str, Shown]:
    """What showed each of the options that are not left, the rest being as it was found."""
    shows = {}
    for option in POINTS[point]:
        other = {**best, point: option}
        probes = [] if option in left else _telling(point, best, other, answers)
        if probes:
            shows[option] = _shown(probes[0], other, point, answers)
    return shows


def _telling(point: str, best: Options, other: Options, answers: Mapping[str, Answer]) -> list[Probe]:
    """The probes whose answers one set of options explains and another does not, the smallest first."""
    return [
        probe
        for probe in _by_size([*LEAST, *PROBES])
        if point in probe.about
        and explains(best, probe, seen := readings(probe, answers[probe.question.id]))
        and not explains(other, probe, seen)
    ]


def _shown(probe: Probe, options: Options, point: str, answers: Mapping[str, Answer]) -> Shown:
    question = probe.question
    return shown(question, answers[question.id], predicted(options, question), f"`{options[point]}`")


def blamed(inferred: Inferred, answers: Mapping[str, Answer]) -> Blame:
    """The points that each odd answer is blamed on."""
    rounded = {p for p in inferred.unexplained if is_rounded(p, inferred.best, answers[p.question.id])}
    return {probe: _blamed(probe, inferred, answers, rounded) for probe in inferred.unexplained}


def _blamed(
    probe: Probe, inferred: Inferred, answers: Mapping[str, Answer], rounded: Collection[Probe]
) -> tuple[str, ...]:
    """The points at which another option would explain an odd answer; if none, arithmetic, where it is rounding.

    Where most answers of a stage are odd, nothing is known of it, and all its points are. Else what no option explains
    is blamed on an earlier stage that is not understood, or on the first point that could be to blame.
    """
    stage = next(stage for stage in STAGES if probe in stage.probes)
    odd = set(inferred.unexplained).difference(rounded)
    if probe in odd and 2 * len(odd.intersection(stage.probes)) > len(stage.probes):
        return stage.points
    points = tuple(point for point in stage.points if point in probe.points)
    seen, best = readings(probe, answers[probe.question.id]), inferred.best
    one = tuple(p for p in points if any(explains({**best, p: option}, probe, seen) for option in POINTS[p]))
    if one or probe in rounded:
        return one or ("arithmetic",)
    earlier = next(other for other in STAGES if other == stage or odd.intersection(other.probes))
    others = tuple(point for point in points if point != "arithmetic")  # it only rounds
    return earlier.points[:1] if earlier != stage else (others or points)[:1]


def is_rounded(probe: Probe, options: Options, answer: Answer) -> bool:
    """Whether each number of an answer is one that some arithmetic gives, but for its last digits."""
    if not isinstance(answer, Merged) or "arithmetic" not in probe.points or probe.how != "bits":
        return False
    every = [predicted({**options, "arithmetic": option}, probe.question) for option in POINTS["arithmetic"]]
    merged = [one.tensors for one in every if isinstance(one, Merged)]
    for name, array in answer.tensors.items():
        alike = [where_near(array, tensors[name].astype(array.dtype), probe.question.base[name]) for tensors in merged]
        if not np.any(alike, axis=0).all():
            return False
    return True


def _silence(point: str, inferred: Inferred) -> str:
    """That the probes of a point were not answered, if it is so."""
    asked = [probe for probe in PROBES if point in probe.about and probe in inferred.silent]
    return f"it gave no answer to {len(asked)} of the questions about it" if asked else ""


def _by_size(probes: Iterable[Probe]) -> list[Probe]:
    return sorted(probes, key=lambda probe: size(probe.question))
