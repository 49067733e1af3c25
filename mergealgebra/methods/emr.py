"""EMR-Merging: one unified model, and from it one for each task [EM-1 to EM-4].

    v      = c tau
    u      = the v of greatest magnitude among those with the sign of the sum of v          the unified model
    tau_m  = f u where u and the v of the task have one sign, else 0                        a task's model
    f      = (sum over tensors of the mean abs(v)) / (the same of u where it is taken)

Source: Huang et al., 2024, "EMR-Merging", arXiv 2405.17461. A sum of 0 elects the negative sign, as in the authors'
code. Law: an exact sum and two maxima are free of order [EX-4]; the means are of one contribution each, in a fixed tree
[DT-4]. The original has no coefficients; here one makes a model's changes larger or smaller, in the election, in what
is elected and in the model of its task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.key_checks import check_lambda, check_task
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Array, Coefficients, Dotted, Needs, Round, Sums, Terms, View


def lift(view: View) -> Terms:
    """v = RN32(c tau) to be summed, and the greatest of v and of -v [EM-1]."""
    v = algebra.scaled(view.tau, view.coefficient)
    return algebra.Terms((v,), maxima=(v, 0.0 - v))


def unify(sums: Sums, _: Coefficients) -> Array:
    """u: the largest v where S is above 0, elsewhere the least one [EM-2]. Returns (n,) fp32."""
    largest, least_negated = sums.maxima
    return algebra.either(sums.sign() > 0, largest, 0.0 - least_negated)


# One task


@dataclass(frozen=True)
class OfTask:
    """What a contribution adds to the model of a task: nothing, if it is not the task's [EM-3, EM-4]."""

    task: str

    def sizes(self, view: View) -> Sequence[tuple[Array, Array]]:
        """What is added up for the scale: abs(v), and u where it is taken."""
        if view.id != self.task:
            return ()
        xp = algebra.array_namespace(view.tau)
        v, taken = algebra.scaled(view.tau, view.coefficient), self._taken(view)
        return tuple((xp.abs(x), xp.ones_like(x)) for x in (v, taken))

    def __call__(self, view: View) -> Terms:
        """RN32(f u) where u is taken."""
        xp = algebra.array_namespace(view.tau)
        if view.id != self.task:
            return algebra.Terms((xp.zeros_like(view.tau),))
        return algebra.Terms((algebra.scaled(self._taken(view), view.found[0]),))

    def _taken(self, view: View) -> Array:
        """u where v has its sign, else +0."""
        v, u = algebra.scaled(view.tau, view.coefficient), view.shared[0]
        return algebra.kept(u, ((v > 0) & (u > 0)) | ((v < 0) & (u < 0))) + 0.0


def scale(dotted: Mapping[str, Dotted]) -> float:
    """f, an fp32 number, perhaps infinite; 0 where nothing is taken [EM-3]."""
    sums = [
        sum((Fraction(one.dots[at] / one.elements) for one in dotted.values() if one.dots), Fraction(0))
        for at in (0, 1)
    ]
    return decimals.round_to_fp32(sums[0] / sums[1]) if sums[1] else 0.0


class Emr(Method):
    """EMR-Merging: elect a sign, take the greatest change that has it (Huang et al., 2024) [EM-1 to EM-4].

    task: the id of a contribution, in full, for the model of its task; left out, the unified model is made.

    >>> import mergealgebra as ma, numpy as np
    >>> base, *models = ({"w": np.float32(w)} for w in ([0, 0, 0], [1, 5, 2], [2, -3, -2], [-4, -3, 0]))
    >>> ma.merge(base, models, Emr())["w"].tolist()
    [-4.0, -3.0, -2.0]
    >>> task = "180c629c669f2b0b80dba5a1aaf1835cd7689eb4ba9e38ae197a9055576b589d"
    >>> ma.merge(base, models, Emr(task=task))["w"].tolist()
    [-4.0, -3.0, 0.0]
    """

    name: ClassVar[str] = "emr"
    task: str = key(default="", check=check_task)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum and two maxima; for a task, then, what it takes of that."""
        unified = algebra.Round(lift, unify, algebra.Columns(maxima=2))
        if not self.task:
            return (unified,)
        task = OfTask(self.task)
        sizes = algebra.Dots(task.sizes, scale, ("emr", self.task), "model")
        return unified, algebra.Round(task, total, stages=(algebra.Look(sizes),))

    @property
    def needs(self) -> Needs:
        """The contribution of the task."""
        return algebra.Needs(task=self.task)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        unified = (
            "where models pull a parameter in opposite directions, the direction with the larger sum wins, and the "
            "largest change in that direction is taken."
        )
        if not self.task:
            return f"EMR, the unified model: {unified}"
        return (
            f"EMR for one task: {unified} Of that is kept what has the direction of contribution {self.task[:12]}, "
            "made as large as its own changes are."
        )
