"""How much a contribution changes, and whether that looks like a mistake: one ruins the model of everybody [CT-11].

The figures come from the pass that checks a contribution anyway. They steer a warning and enter no hash, so they are
plain fp64 sums in whatever order the threads have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.run import run_check
from mergealgebra.errors import Implausible
from mergealgebra.progress import Progress, quiet

#: Two models this near, by the norm of the base, have it in common; a model this small in it is not one.
_NEAR: Final = 0.5


@dataclass(frozen=True)
class Measure:
    """What a contribution does to the tensors that it holds.

    elements, changed: how many they have, and how many of those it moves. difference, base: the norms of its task
    vector and of the base. other: the norm of the fine-tune; of a stored task vector's distance from the base.
    """

    form: str
    elements: int
    changed: int
    difference: float
    base: float
    other: float

    def to_map(self) -> dict[str, str]:
        """For people and JSON: the difference in norms of the base, and the share of elements that it changes."""
        return {"difference": _figure(self.difference, self.base), "changed": _figure(self.changed, self.elements)}

    def judge(self, label: str, *, force: bool) -> list[str]:
        """A line for what looks like a mistake. label: the contribution, as the message names it.

        Raises Implausible for what can be nothing else, unless `force` insists.
        """
        problem = self._impossible()
        if problem and not force:
            raise Implausible(f"{label}: {problem}, or insist with --force")
        doubt = problem or self._doubtful()
        return [f"{label}: {doubt}"] if doubt else []

    def _impossible(self) -> str:
        if not self.changed:
            return "it equals the base, so there is nothing to contribute; name the fine-tune"
        if self.form == "task_vector" and self.other < _NEAR * self.base:
            return (
                f"a task vector so near to the base ({self._times(self.other)} the base's norm away) is a whole model; "
                "contribute it without --task-vector"
            )
        return ""

    def _doubtful(self) -> str:
        if not self.base:
            return ""
        if self.form == "finetuned" and self.other < _NEAR * self.base:
            return (
                f"its norm is {self._times(self.other)} the base's, as if it were a difference and not a model; if so, "
                "`retract` it and contribute it with --task-vector"
            )
        if self.difference > self.base:
            return (
                f"its difference from the base has {self._times(self.difference)} the base's norm, as if it came from "
                "another base; if so, `retract` it"
            )
        return ""

    def _times(self, norm: float) -> str:
        return f"{_figure(norm, self.base)} times"


def measure(plan: Plan, progress: Progress = quiet) -> Measure:
    """Read the one task vector of a plan, check it, and measure it. Raises NonFinite."""
    (contribution,) = plan.contributions
    sign = 1.0 if contribution.form == "finetuned" else -1.0
    sums: list[tuple[int, int, float, float, float]] = []  # appending is safe among threads

    def seen(base: Array, taus: dict[int, Array]) -> None:
        for tau in taus.values():
            start, moved = _finite(base.astype(np.float64)), tau.astype(np.float64)
            squares = _square(moved), _square(start), _square(start + sign * moved)
            sums.append((tau.size, int(np.count_nonzero(tau)), *squares))

    run_check(plan, progress, seen)
    elements, changed, *squares = (sum(column) for column in zip(*sums, strict=True)) if sums else (0,) * 5
    difference, base, other = map(math.sqrt, squares)
    return Measure(contribution.form, int(elements), int(changed), difference, base, other)


def _square(x: Array) -> float:
    with np.errstate(all="ignore"):
        return float(x @ x)


def _finite(x: Array) -> Array:
    """The array, and 0 where it is not finite, as the base of a mask may be [TV-3]."""
    finite = np.isfinite(x)
    return x if finite.all() else np.where(finite, x, 0.0)


def _figure(part: float, whole: float) -> str:
    """A quotient with few digits; `-` where there is none."""
    return f"{part / whole:.4g}" if whole else "-"
