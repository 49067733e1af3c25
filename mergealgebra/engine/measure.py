"""How much a contribution changes, and whether that looks like a mistake: one ruins the model of everybody [CT-11].

The figures come from the pass that checks a contribution anyway. They steer a warning and enter no hash, so they are
plain fp64 sums in whatever order the threads have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.plausibility import doubt
from mergealgebra.engine.run import run_check
from mergealgebra.errors import Implausible
from mergealgebra.kernels.reference import Host
from mergealgebra.progress import Progress, quiet
from mergealgebra.text import by_caller

#: Elements at a time: they stay in the first cache, and are few enough for BLAS to leave them to one thread.
_STEP: Final = 1 << 13
#: Two models this near, by the norm of the base, have it in common; a model this small in it is not one.
_NEAR: Final = 0.5
#: A task vector this large, by the norm of the base, is a model.
_WHOLE: Final = 0.9


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
        """For people and JSON: the difference in norms of the same tensors of the base, and the share it changes."""
        return {"difference": _figure(self.difference, self.base), "changed": _figure(self.changed, self.elements)}

    def judge(self, label: str, *, force: bool, others: Iterable[float] = ()) -> list[str]:
        """A line for what looks like a mistake. label: the contribution, as the message names it.

        others: the differences of other contributions, in norms of the base. Raises Implausible for what can be nothing
        else, unless `force` insists.
        """
        problem = self._impossible()
        if problem and not force:
            raise Implausible(f"{label}: {problem}, or insist with {by_caller('--force', 'force=True')}")
        said = problem or self._doubtful(others)
        return [f"{label}: {said}"] if said else []

    def _impossible(self) -> str:
        if not self.changed:
            return "it equals the base, so there is nothing to contribute; name the fine-tune"
        if self.form == "task_vector" and self.other < _NEAR * self.base:
            return (
                f"a task vector so near to the base ({self._times(self.other)} the base's norm away) is a whole model; "
                f"contribute it {by_caller('without --task-vector', 'with form=' + repr('finetuned'))}"
            )
        if self.form == "task_vector" and 0 < _WHOLE * self.base <= self.difference < math.inf:
            return (
                f"a task vector as large as the base itself (its norm is {self._times(self.difference)} the base's) is "
                "a whole model, and of another base; make the task vector against this base"
            )
        return ""

    def _doubtful(self, others: Iterable[float]) -> str:
        if not self.base:
            return ""
        if self.form == "finetuned" and self.other < _NEAR * self.base:
            return (
                f"its norm is {self._times(self.other)} the base's, as if it were a difference and not a model; if so, "
                f"`retract` it and contribute it with {by_caller('--task-vector', 'form=' + repr('task_vector'))}"
            )
        said = doubt(self.difference / self.base, others)
        return f"{said}; if so, `retract` it" if said else ""

    def _times(self, norm: float) -> str:
        return f"{_figure(norm, self.base)} times"


def measure(plan: Plan, progress: Progress = quiet) -> Measure:
    """Read the one task vector of a plan, check it, and measure it. Raises NonFinite."""
    (contribution,) = plan.contributions
    sums: list[Host] = []  # appending is safe among threads

    def seen(base: Array, taus: dict[int, Array]) -> None:
        sums.extend(_sums(base, tau) for tau in taus.values())

    run_check(plan, progress, seen)
    elements, changed, difference, base, both = np.sum(sums, axis=0).tolist() if sums else [0.0] * 5
    sign = 1 if contribution.form == "finetuned" else -1
    other = max(0.0, base + 2 * sign * both + difference)
    norms = (math.sqrt(square) for square in (difference, base, other))
    return Measure(contribution.form, int(elements), int(changed), *norms)


def _sums(base: Array, tau: Array) -> Host:
    """The same of a block as of a piece of it."""
    pieces = [_of_piece(base[i : i + _STEP], tau[i : i + _STEP]) for i in range(0, tau.size, _STEP)]
    return np.asarray(np.sum(pieces, axis=0))


def _of_piece(base: Array, tau: Array) -> Host:
    """Of a piece: elements, changed ones, the squares of tau and base, and their product."""
    with np.errstate(all="ignore"):
        start, moved = base.astype(np.float64), tau.astype(np.float64)
        if not np.isfinite(start @ start):  # the base of a mask may be infinite, where tau is 0 [TV-3]
            start = np.where(np.isfinite(start), start, 0.0)
        return np.array([tau.size, np.count_nonzero(tau), moved @ moved, start @ start, start @ moved])


def _figure(part: float, whole: float) -> str:
    """A quotient with few digits; `-` where there is none."""
    return f"{part / whole:.4g}" if whole else "-"
