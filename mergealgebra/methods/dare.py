"""DARE: drop task vectors at random, rescale what is left; alone, or before TIES [DA-1 to DA-3].

    tau'  = tau / density where the mask keeps, else 0
    tau_m = sum of c tau'                               `dare_linear`
    tau_m = TIES of the tau'                            `dare_ties`

A mask follows from the seed, the contribution's tensors and the position alone [RM-1], so it is the same for everybody
and in any order. Whatever is dropped counts among the elements of which TIES keeps a share.

Source: Yu et al., 2024, "Language models are super Mario", arXiv 2311.03099. Law: with masks that are functions of the
contribution, one exact sum is free of order [EX-4]. Unlike mergekit, DARE-TIES divides by the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods import ties
from mergealgebra.methods.key_checks import check_density, check_lambda, check_seed, one_of
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift, total
from mergealgebra.methods.ties import Boundary, Scope

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Needs, Round, View


@dataclass(frozen=True)
class Drop:
    """The stage: keep each element with probability `density`, and divide what is kept by it [DA-1]."""

    density: Fraction
    seed: str

    @property
    def statistic(self) -> None:
        """Nothing has to be found first."""

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return "drop", str(self.density), self.seed

    def __call__(self, view: View, found: None) -> Array:
        """tau' = RN32(RN64(tau / RN64(density))) where the mask keeps, +0 elsewhere."""
        keeps = algebra.words_of(view, self.seed) < algebra.keep_below(self.density)
        return rescaled(view.tau, keeps, float(self.density))


def rescaled(tau: Array, keeps: Array, p: Array | float) -> Array:
    """RN32(RN64(tau / p)) where it is kept, +0 elsewhere [DA-1, DE-4]. p: (n,) fp64, or one number for all."""
    return algebra.kept(algebra.quotient(tau, p), keeps) + 0.0


class DareLinear(Method):
    """DARE alone: drop at random, rescale, add (Yu et al., 2024) [DA-1, DA-2].

    density: the probability with which an element is kept, above 0 and at most 1. seed: a whole number below 2^64.
    Masks follow from what is contributed: a task vector has other masks than the fine-tune that it is the difference
    of, and so has a model of which some tensors are left out.

    >>> DareLinear(density="0.5", seed="42").to_map()
    {'method': 'dare_linear', 'density': '0.5', 'seed': '42', 'lambda': '1'}
    """

    name: ClassVar[str] = "dare_linear"
    density: str = key(default="1", check=check_density, by_contribution=True)
    seed: str = key(default="0", check=check_seed)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Drop, then one exact sum."""
        return (algebra.Round(lift, total, stages=(Drop(Fraction(self.density), self.seed),)),)

    @property
    def needs(self) -> Needs:
        """The roots of what is contributed, from which masks are made; negative coefficients are fine."""
        return algebra.Needs(roots=True, negative=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return f"DARE: {_dropped_in_words(self.density)} The changes, each times its model's coefficient, are added."


class DareTies(Method):
    """DARE before TIES: drop at random, rescale, then trim, elect and average what agrees (Yu et al., 2024) [DA-3].

    density: the probability with which an element is kept, above 0 and at most 1. trim_density: the share of all
    elements, dropped ones included, that trim keeps of what is left. seed: a whole number below 2^64. scope, boundary:
    as for TIES. Masks are as for `DareLinear`.

    >>> DareTies(density="0.5").to_map()["trim_density"]
    '1'
    """

    name: ClassVar[str] = "dare_ties"
    density: str = key(default="1", check=check_density, by_contribution=True)
    seed: str = key(default="0", check=check_seed)
    trim_density: str = key(default="1", check=check_density, by_contribution=True)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)
    scope: Scope = key(default="model", check=one_of("model", "tensor"))
    boundary: Boundary = key(default="keep_all", check=one_of("keep_all", "lowest_index"))

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Drop, trim what is left, elect and average."""
        drop = Drop(Fraction(self.density), self.seed)
        trim = algebra.Trim(Fraction(self.trim_density), self.scope, self.boundary)
        return (algebra.Round(ties.lift, ties.merge, algebra.Columns(votes=True), stages=(drop, trim)),)

    @property
    def needs(self) -> Needs:
        """The roots of what is contributed, from which masks are made."""
        return algebra.Needs(roots=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        trimmed = f" Then, {ties.trimmed_in_words(self.trim_density, self.scope)}" if self.trim_density != "1" else ""
        return f"DARE, then TIES: {_dropped_in_words(self.density)}{trimmed} {ties.ELECTED_IN_WORDS}"


def _dropped_in_words(density: str) -> str:
    return (
        f"of each model, {float(100 * Fraction(density)):.6g}% of its changes to the base are kept, chosen at random "
        "in a way that anybody can repeat, and made larger to make up for the others."
    )
