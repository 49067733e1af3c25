"""SCE: models weigh as much as they changed a tensor, and what pulls against the sum is erased [SC-1 to SC-6].

    tau'  = tau where the models differ most: the share select_topk of each tensor, by the variance over the models
    w     = c (tau' . tau') / (sum of the same over all models)
    tau_m = (sum of w tau') / (sum of w), both over the models whose tau' has the sign of the sum of c tau, 0 being +

Source: Wan et al., 2024, "FuseChat" (select, calculate, erase), arXiv 2408.07990; mergekit 0.1.5 has it. Law: the
squares are added up in a fixed tree, and exact sums are free of order [DT-4, EX-4]. Unlike mergekit, elements of equal
variance are all kept, and the share is one of all elements, where mergekit takes one of those with a variance, and
drops everything where there is none. So one model is kept as it is. Nor are the weights equal where the mean squares of
all models add up to less than 10^-6, as they are in mergekit. The original has no coefficients; here one multiplies the
weight of its model, in the mean and in the sum that gives the sign, and not in the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.key_checks import check_density, check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Array, Coefficients, Gram, Round, Stage, Statistic, Sums, Terms, View

#: The least fp32 number above 0: what a variance of 0 counts as, so that it can be among those that are kept [SC-2].
LEAST: Final = 2.0**-149


# Select


def as_it_is(view: View) -> Terms:
    """tau, to be averaged [SC-2]."""
    return algebra.Terms((view.tau,))


def from_the_mean(view: View) -> Terms:
    """The square of RN32(tau - mean) [SC-2]."""
    distance = view.tau - view.shared[1]
    return algebra.Terms((algebra.product(distance, distance),))


def mean(sums: Sums, coefficients: Coefficients) -> Array:
    """The mean over the models that hold the tensor [SC-2]. Returns (n,) fp32."""
    return algebra.quotient(sums.total(), float(len(coefficients.held)))


def variance(view: View) -> Array:
    """The variance of each element, at least LEAST [SC-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(view.tau)
    return xp.where(view.shared[2] > 0, view.shared[2], LEAST) + 0.0


@dataclass(frozen=True)
class Select:
    """The stage that keeps the elements of the largest variance, ties included [SC-2]."""

    density: Fraction

    @cached_property
    def statistic(self) -> Statistic:
        """The least variance that is kept."""
        return algebra.Of(algebra.Thresholds(self.density, "tensor", "keep_all"), variance, "variance")

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return self.statistic.key

    def __call__(self, view: View, found: tuple[int, int]) -> Array:
        """tau where it is kept, +0 elsewhere."""
        return algebra.kept(view.tau, algebra.magnitude_bits(variance(view)) >= found[0]) + 0.0


# Calculate, erase


def scaled(view: View) -> Terms:
    """RN32(c tau), whose sum elects the sign [SC-3]."""
    return algebra.Terms((algebra.scaled(view.tau, view.coefficient),))


def elect(sums: Sums, _: Coefficients) -> Array:
    """1 where the sum is 0 or more, elsewhere -1 [SC-3]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    return xp.astype(sums.sign() >= 0, xp.float32) * 2 - 1


def weigh(gram: Gram, coefficients: Sequence[float]) -> list[float]:
    """w: the share of c (tau' . tau') in the sum of all of them [SC-4]. All are 0 where that is."""
    squares = [Fraction(c) * Fraction(row[i]) for i, (c, row) in enumerate(zip(coefficients, gram, strict=True))]
    total = sum(squares, Fraction(0)) or 1
    return [decimals.round_to_fp32(square / total) for square in squares]


def lift(view: View) -> Terms:
    """v = RN32(w tau') and w, where tau' has the elected sign, else 0 [SC-4, SC-5]."""
    xp = algebra.array_namespace(view.tau)
    agrees, w = view.tau * view.shared[0] > 0, xp.full_like(view.tau, view.coefficient)
    return algebra.Terms(tuple(algebra.kept(x, agrees) for x in (algebra.scaled(view.tau, view.coefficient), w)))


def average(sums: Sums, _: Coefficients) -> Array:
    """tau_m = V / W, and 0 where W is 0 [SC-5]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    w = sums.total(1)
    return algebra.quotient(sums.total(0), xp.where(w == 0, 1.0, w))


class Sce(Method):
    """SCE: select what differs most, weigh models by how much they changed, erase the minority (FuseChat) [SC-1].

    select_topk: the share of the elements of each tensor, by their variance over the models, that counts at all.

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0, 0], [4, 4, 2], [-2, 2, 2]))
    >>> ma.merge(base, [one, other], Sce())["w"].tolist()
    [4.0, 3.5, 2.0]
    >>> ma.merge(base, [one, other], Sce(select_topk="0.4"))["w"].tolist()
    [4.0, 0.0, 0.0]
    """

    name: ClassVar[str] = "sce"
    select_topk: str = key(default="1", check=check_density)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The sign; to select, the mean and the variance; and then two exact sums, weighed by squares."""
        stages: tuple[Stage, ...] = ()
        selecting: tuple[Round, ...] = ()
        if self.select_topk != "1":
            stages = (Select(Fraction(self.select_topk)),)
            selecting = (algebra.Round(as_it_is, mean), algebra.Round(from_the_mean, mean))
        averaged = algebra.Round(lift, average, algebra.Columns(sums=2), stages, weigh=weigh, squares=True)
        return (algebra.Round(scaled, elect), *selecting, averaged)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        share = float(100 * Fraction(self.select_topk))
        selected = "" if self.select_topk == "1" else f"of each tensor, the {share:.6g}% on which models differ most; "
        return (
            f"SCE: {selected}where models pull a parameter in opposite directions, the direction with the larger sum "
            "wins, and the changes in that direction are averaged, each model weighted by how much it changed the "
            "tensor."
        )
