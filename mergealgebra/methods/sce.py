"""SCE: models weigh as much as they changed a tensor, and what pulls against the sum is erased [SC-1 to SC-6].

    tau'  = tau where the models differ most: the share select_topk of each tensor, by the variance over the models
    w     = c (mean of tau'^2 over the tensor)      v = w tau'      S = sum of c tau'
    tau_m = (sum of v) / (sum of w), both over the models whose tau' has the sign of S, 0 being +

Source: Wan et al., 2024, "FuseChat" (select, calculate, erase), arXiv 2408.07990; mergekit 0.1.5 has it. Law: the mean
of squares is added up in a fixed tree, and exact sums are free of order [DT-4, EX-4]. Unlike mergekit, elements of
equal variance are all kept, and the share is one of all elements, where mergekit takes one of those with a variance,
and drops everything where there is none. So one model is kept as it is. The weights are divided by their own sum alone:
mergekit takes equal ones where the mean squares of all models add up to less than 10^-6. The original has no
coefficients; here one multiplies the weight of its model, in the mean and in the sum that gives the sign, and not in
the variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.method import Method, check_density, check_lambda, key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Array, Coefficients, Dotted, Round, Stage, Statistic, Sums, Terms, View

#: The least fp32 number above 0: what a variance of 0 counts as, so that it can be among those that are kept [SC-2].
LEAST: Final = 2.0**-149


# Select


def as_it_is(view: View) -> Terms:
    """tau, to be averaged [SC-2]."""
    return algebra.Terms((view.tau,))


def from_the_mean(view: View) -> Terms:
    """The square of RN32(tau - mean) [SC-2]."""
    distance = view.tau - view.shared[0]
    return algebra.Terms((algebra.product(distance, distance),))


def mean(sums: Sums, coefficients: Coefficients) -> Array:
    """The mean over the models that hold the tensor [SC-2]. Returns (n,) fp32."""
    return algebra.quotient(sums.total(), float(len(coefficients.held)))


def variance(view: View) -> Array:
    """The variance of each element, at least LEAST [SC-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(view.tau)
    return xp.where(view.shared[1] > 0, view.shared[1], LEAST) + 0.0


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
        xp = algebra.array_namespace(view.tau)
        return xp.where(algebra.magnitude_bits(variance(view)) >= found[0], view.tau, 0.0) + 0.0


# Calculate, erase


def square(view: View) -> Sequence[tuple[Array, Array]]:
    """What is multiplied and added up: tau' with itself [SC-3]."""
    return ((view.tau, view.tau),)


def mean_square(dotted: Mapping[str, Dotted]) -> float:
    """RN32 of RN64 of the sum over the number of elements, of the one tensor that is looked at [SC-3]."""
    (one,) = dotted.values()
    return decimals.round_to_fp32(Fraction(one.dots[0] / one.elements))


def lift(view: View) -> Terms:
    """v = RN32(w tau'), w with the sign of tau', and RN32(c tau') [SC-3, SC-4]."""
    xp = algebra.array_namespace(view.tau)
    found: Any = view.found[-1]
    w = algebra.scaled(xp.full_like(view.tau, found), view.coefficient)
    signed = xp.where(view.tau > 0, w, xp.where(view.tau < 0, -w, 0.0)) + 0.0
    return algebra.Terms((algebra.product(w, view.tau), signed, algebra.scaled(view.tau, view.coefficient)))


def erase(sums: Sums, _: Coefficients) -> Array:
    """tau_m = V / W of what has the sign of S; 0 where nothing has, or weighs anything [SC-5]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    positive = sums.sign(2) >= 0
    v = xp.where(positive, sums.rounded(0), sums.rounded(1))
    w = xp.where(positive, sums.rounded(2), -sums.rounded(3))
    return algebra.quotient(v, xp.where(w == 0, 1.0, w)) + 0.0


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
        """The mean, the variance, and then three exact sums; without selection the sums alone."""
        squares = algebra.Dots(square, mean_square, ("mean square",))
        stages: tuple[Stage, ...] = (algebra.Look(squares),)
        if self.select_topk == "1":
            return (algebra.Round(lift, erase, algebra.Columns(sums=3), stages),)
        stages = (Select(Fraction(self.select_topk)), *stages)
        return (
            algebra.Round(as_it_is, mean),
            algebra.Round(from_the_mean, mean),
            algebra.Round(lift, erase, algebra.Columns(sums=3), stages),
        )

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
