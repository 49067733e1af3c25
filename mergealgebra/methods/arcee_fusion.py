"""Arcee fusion: of one model, the changes that matter most, by their size and by how much their row moved [AF-1].

    importance = abs(c tau) KL(softmax(theta), softmax(base))          softmax and KL of the row of the tensor
    tau_m      = c tau where importance >= median + 1.5 (q3 - q1), of the tensor's importances; else 0

Source: mergekit 0.1.5. Law: there is one contribution, so no order; rows are added in a fixed tree [DT-3]. Like
mergekit, it takes as quartiles the elements at floor(q (d - 1)), of d in ascending order, and adds 10^-8 to every share
of a softmax. Unlike it, they are those of all elements, where mergekit takes a random sample of tensors with more than
10^6. There a model that is not finite somewhere spoils the row; here neither model has a share there. The original has
no coefficient; here one makes the changes larger or smaller before anything is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift, total

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Needs, Round, Statistic, View


def change(view: View) -> Array:
    """t = RN32(c tau) [AF-1]. Returns (n,) fp32."""
    return algebra.scaled(view.tau, view.coefficient)


def quartiles(elements: int) -> tuple[int, ...]:
    """The ranks of the three quartiles, from the top, the first quartile first [AF-4].

    >>> quartiles(6)
    (5, 4, 3)
    """
    return tuple(elements - k * (elements - 1) // 4 for k in (1, 2, 3))


@dataclass(frozen=True)
class Fuse:
    """The stage that keeps what is important [AF-4, AF-5]."""

    @cached_property
    def statistic(self) -> Statistic:
        """How far each row moved, and the quartiles of a tensor's importances."""
        return algebra.RankedImportances(change, quartiles, "quartiles of changes")

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return ("fuse",)

    def __call__(self, view: View, found: tuple[Any, tuple[float, float, float]]) -> Array:
        """tau where it is important, +0 elsewhere [AF-3, AF-5]."""
        xp, moved = algebra.array_namespace(view.tau), change(view)
        q1, median, q3 = map(Fraction, found[1])
        threshold = float(median + Fraction(3, 2) * (q3 - q1))
        importance = algebra.importance(moved, xp.asarray(found[0], device=view.tau.device))
        important = xp.astype(importance, xp.float64) >= threshold
        # What is no number once it is scaled must stay, to be named.
        return algebra.kept(view.tau, important | ~xp.isfinite(moved))


class ArceeFusion(Method):
    """Arcee fusion: the changes of one model that matter most, the rest is the base's (mergekit 0.1.5) [AF-1].

    >>> import mergealgebra as ma, numpy as np
    >>> base, model = ({"w": np.float32(w)} for w in ([0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 9]))
    >>> ma.merge(base, [model], ArceeFusion())["w"].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 9.0]
    >>> model = {"w": np.float32([1, 1.5, 2, 2.5, 3, 9])}
    >>> ma.merge(base, [model], ArceeFusion())["w"].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 9.0]
    """

    name: ClassVar[str] = "arcee_fusion"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """What is left of one contribution."""
        return (algebra.Round(lift, total, stages=(Fuse(),), unit="row"),)

    @property
    def needs(self) -> Needs:
        """One contribution, and the base."""
        return algebra.Needs(arity=1, base=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "Arcee fusion: of the model's changes to the base those are taken that matter most, by their size and by "
            "how much the row that they stand in moved."
        )
