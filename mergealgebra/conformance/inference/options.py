"""Which options a target takes, by its answers alone: all combinations that explain them [DI-1 to DI-17].

The points fall into stages, asked about one after the other. At each, what is left of the earlier ones is extended by
every option of its points, computed (`readings`) and kept if it gives the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from mergealgebra.conformance.inference.readings import NEUTRAL, REFUSED, Options, Readings, explains, readings
from mergealgebra.conformance.probes.catalogue import (
    ALONE,
    KEEPING,
    KEYS,
    MEANS,
    NON_FINITE,
    NUMBERS,
    TRIM,
    VOTES,
    Probe,
)
from mergealgebra.dialects.points import POINTS
from mergealgebra.targets.questions import Answer, Merged


@dataclass(frozen=True)
class Stage:
    """Points that are inferred together, the widest first, and the probes that tell their options apart."""

    points: tuple[str, ...]
    probes: tuple[Probe, ...]

    @property
    def before(self) -> tuple[str, ...]:
        """The points of earlier stages on which the answers depend too."""
        return tuple(p for p in POINTS if p not in self.points and any(p in probe.points for probe in self.probes))


STAGES: Final = (
    Stage(("kept", "density", "scope", "boundary"), TRIM),
    Stage(("aggregate", "denominator", "coefficients"), MEANS),
    Stage(("election", "zero_sum"), VOTES),
    Stage(("arithmetic", "lambda", "output"), NUMBERS),
    Stage(("alone",), ALONE),
    Stage(("key",), KEEPING),
    Stage(("non_finite",), NON_FINITE),
    Stage(("keys",), KEYS),
)


@dataclass(frozen=True)
class Inferred:
    """What was found.

    left: for each stage the combinations that explain the most of its answers. unexplained: the probes whose answers
    none of them gives. silent: those whose answers say nothing: failures, and refusals that no option explains.
    """

    left: tuple[tuple[Options, ...], ...] = ()
    unexplained: tuple[Probe, ...] = ()
    silent: tuple[Probe, ...] = ()

    def options(self, point: str) -> tuple[str, ...]:
        """The options left at a point, in the order of `POINTS`; all of them when nothing was answered."""
        of_stage = next((combinations for combinations in self.left if point in combinations[0]), None)
        left = {combination[point] for combination in of_stage} if of_stage else POINTS[point]
        return tuple(option for option in POINTS[point] if option in left)

    @property
    def best(self) -> Options:
        """One full set of options that explains the answers."""
        chosen: Options = {}
        for combinations in reversed(self.left):
            agreeing = [c for c in combinations if all(chosen.get(point, o) == o for point, o in c.items())]
            chosen = {**(agreeing or combinations)[0], **chosen}
        return {**NEUTRAL, **chosen}


def infer(answers: Mapping[str, Answer]) -> Inferred:
    """The options that explain a target's answers. answers: by the id of the probe's question."""
    if not any(isinstance(answer, Merged) for answer in answers.values()):
        return Inferred(silent=tuple(probe for stage in STAGES for probe in stage.probes))
    found = Inferred()
    for stage in STAGES:
        found = _narrowed(found, stage, {probe: readings(probe, answers[probe.question.id]) for probe in stage.probes})
    return found


def _narrowed(found: Inferred, stage: Stage, seen: Mapping[Probe, Readings]) -> Inferred:
    """What is left after one more stage."""
    contexts = _contexts(found, stage.before)
    options = [dict(zip(stage.points, o, strict=True)) for o in product(*(POINTS[point] for point in stage.points))]
    candidates = [{**context, **combination} for context in contexts for combination in options]
    left, odd = _explaining(candidates, {probe: reading for probe, reading in seen.items() if reading})
    failed = tuple(probe for probe in stage.probes if not seen[probe])
    refused = tuple(probe for probe in odd if seen[probe] == {REFUSED})
    unexplained = tuple(probe for probe in odd if probe not in refused)
    earlier = (tuple(c for c in combinations if _meets(c, left)) or combinations for combinations in found.left)
    return Inferred((*earlier, tuple(left)), found.unexplained + unexplained, found.silent + failed + refused)


def _contexts(found: Inferred, points: Sequence[str]) -> list[Options]:
    """What is left at points of earlier stages; of a stage that is not understood, the first combination alone."""
    contexts: list[Options] = [{}]
    for stage, combinations in zip(STAGES, found.left, strict=False):
        understood = combinations[:1] if set(stage.probes) & set(found.unexplained) else combinations
        of_stage = _distinct([{point: c[point] for point in points if point in c} for c in understood])
        contexts = [{**a, **b} for a in contexts for b in of_stage if all(a.get(p, o) == o for p, o in b.items())]
    return _distinct(contexts)


def _distinct(combinations: Sequence[Options]) -> list[Options]:
    return list({tuple(sorted(combination.items())): combination for combination in combinations}.values())


def _meets(combination: Options, others: Sequence[Options]) -> bool:
    return any(all(other.get(point, option) == option for point, option in combination.items()) for other in others)


def _explaining(
    candidates: Sequence[Options], telling: Mapping[Probe, Readings]
) -> tuple[list[Options], tuple[Probe, ...]]:
    """The candidates that explain the most answers, and the probes whose answers those do not explain."""
    left = list(candidates)
    for probe, seen in telling.items():
        left = [candidate for candidate in left if explains(candidate, probe, seen)]
    if left:
        return left, ()
    odd = [tuple(p for p, seen in telling.items() if not explains(candidate, p, seen)) for candidate in candidates]
    fewest = min(odd, key=len)
    return [candidate for candidate, probes in zip(candidates, odd, strict=True) if probes == fewest], fewest
