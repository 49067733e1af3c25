"""What is read of an answer to a probe, and what a combination of options would have it be.

A reading is a plain value; an answer agrees with a combination when one of its readings is one that is expected.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.conformance.inference.dialect_answers import computed
from mergealgebra.conformance.probes.catalogue import Probe
from mergealgebra.dialects.points import DIALECTS, Dialect
from mergealgebra.targets.questions import Answer, Failed, Question, Refused

Array = np.ndarray[Any, Any]
Options = Mapping[str, str]
#: A reading begins with its kind.
Readings = frozenset[tuple[Hashable, ...]]

REFUSED: Final = ("refused",)

#: Taken at points that do not matter.
NEUTRAL: Final[Options] = {
    **{point: str(option) for point, option in DIALECTS["canonical"].options.items()},
    "arithmetic": "fp64",
}


def explains(options: Options, probe: Probe, seen: Readings) -> bool:
    """Whether a target that takes these options may answer so. options: at least those at the probe's points."""
    if float(probe.question.density) > 1 and options["density"] != "percent":
        return not explains({**options, "density": "percent"}, probe, seen)  # the others do not speak of it
    return not seen.isdisjoint(expected(probe, tuple(options[point] for point in probe.points)))


@cache
def expected(probe: Probe, options: tuple[str, ...]) -> Readings:
    """The readings of a probe, given the options at its points; at the others `NEUTRAL`."""
    chosen = {**NEUTRAL, **dict(zip(probe.points, options, strict=True))}
    seen = readings(probe, predicted(chosen, probe.question))
    plain = without(chosen, probe.question)
    if plain is not None:
        seen |= readings(probe, predicted(chosen, plain))
    others = {"support", "magnitudes", "fp32 magnitudes"} - {_support(chosen)}
    return frozenset(reading for reading in seen if reading[0] not in others)


def _support(options: Options) -> str:
    """What is read of a support: of a choice among those that tie, the magnitudes that they are compared by."""
    if options["boundary"] != "any":
        return "support"
    return "fp32 magnitudes" if options["key"] == "fp32" or options["arithmetic"] in {"exact", "fp32"} else "magnitudes"


def predicted(options: Options, question: Question) -> Answer:
    """What a target that takes these options answers."""
    dialect = Dialect("asked", "a combination of options", MappingProxyType(dict(options)), MappingProxyType({}))
    return computed(dialect, question)


def without(options: Options, question: Question) -> Question | None:
    """The question without what these options do not have, as a target may refuse it or overlook it; None if all is."""
    lambda_ = "1" if options["lambda"] == "none" else question.lambda_
    coefficients = ("1",) * len(question.models) if options["coefficients"] == "none" else question.coefficients
    if (lambda_, coefficients) == (question.lambda_, question.coefficients):
        return None
    return replace(question, lambda_=lambda_, coefficients=coefficients)


def readings(probe: Probe, answer: Answer) -> Readings:
    """What is read of an answer; nothing of a failure."""
    if isinstance(answer, Failed):
        return frozenset()
    if isinstance(answer, Refused):
        return frozenset({REFUSED})
    tensors = [answer.tensors[name].reshape(-1)[: probe.first] for name in sorted(probe.question.base)]
    if probe.how != "support":
        return frozenset({(probe.how, tuple(READ[probe.how](array) for array in tensors))})
    asked = [probe.question.models[0][name].reshape(-1) for name in sorted(probe.question.base)]
    masks = [_wide(array) != 0 for array in tensors]
    magnitudes = np.sort(np.abs(np.concatenate([_wide(x)[mask] for x, mask in zip(asked, masks, strict=True)])))
    return frozenset(
        {
            ("support", *(mask.tobytes() for mask in masks)),
            ("magnitudes", *magnitudes.tolist()),
            ("fp32 magnitudes", *magnitudes.astype(np.float32).tolist()),
        }
    )


def _signs(array: Array) -> Hashable:
    return tuple(map(str, np.sign(_wide(array)) + 0.0))


def _values(array: Array) -> Hashable:
    return tuple(f"{x + 0.0:.5g}" for x in _wide(array))


def _bits(array: Array) -> Hashable:
    return array.dtype.name, tuple(str(x + 0.0) for x in _wide(array))


def _wide(array: Array) -> Array:
    return np.asarray(array.astype(np.float64))


READ: Final = {"signs": _signs, "values": _values, "bits": _bits}
