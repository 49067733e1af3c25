"""Breadcrumbs: neither the largest changes nor the small ones count; alone, or before TIES [BC-1 to BC-4].

    tau'  = tau without its floor(gamma d) largest; of what is left, the floor(density d) largest
    tau_m = sum of c tau'                               `breadcrumbs`
    tau_m = elect and average the c tau' as TIES does   `breadcrumbs_ties`

Source: Davari and Belilovsky, 2023, "Model breadcrumbs", arXiv 2312.06795. Law: both thresholds are order statistics of
one contribution, and one exact sum is free of order [EX-4]. Unlike the original and mergekit, equal magnitudes are
never told apart: at most floor(gamma d) are cut, perhaps fewer, and what ties with the smallest one kept is kept too,
so it does not matter where a change stands. At least one element is kept. Groups are tensors, as in mergekit; the
authors' are rows. A gamma that leaves less than the density is an error, where mergekit lowers it. `breadcrumbs_ties`
divides by the coefficients.
"""

from __future__ import annotations

from collections.abc import Set
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from mergealgebra import algebra
from mergealgebra.errors import RecipeError
from mergealgebra.methods import ties
from mergealgebra.methods.key_checks import check_density, check_lambda, check_share, one_of
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift, total

if TYPE_CHECKING:
    from mergealgebra.algebra import Needs, Round, Stage

Scope = Literal["tensor", "row"]


class _Crumbs(Method):
    """The keys of both."""

    density: str = key(default="0.9", check=check_density, by_contribution=True)
    gamma: str = key(default="0.01", check=check_share, by_contribution=True)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)
    scope: Scope = key(default="tensor", check=one_of("tensor", "row"))

    def _check(self, given: Set[str]) -> None:
        check_together(self.name, self.density, self.gamma)


class Breadcrumbs(_Crumbs):
    """Breadcrumbs alone: the largest changes and the small ones are left out, the rest is added [BC-1 to BC-4].

    Davari and Belilovsky, 2023. density: the share of elements that is kept. gamma: the share of the largest, which are
    left out, from 0 to below 1; both together are at most 1. scope: whether these are shares of each tensor, or of each
    row, the last axis. The defaults are those of mergekit's example.

    >>> import mergealgebra as ma, numpy as np
    >>> change = {"w": np.float32([9, -1, 2, -3, 4])}
    >>> ma.merge({"w": np.zeros(5, np.float32)}, [change], Breadcrumbs(density="0.4", gamma="0.2"))["w"].tolist()
    [0.0, 0.0, 0.0, -3.0, 4.0]
    """

    name: ClassVar[str] = "breadcrumbs"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Cut, trim, then one exact sum."""
        stages, unit = stages_of(self.density, self.gamma, self.scope)
        return (algebra.Round(lift, total, stages=stages, unit=unit),)

    @property
    def needs(self) -> Needs:
        """Negative coefficients are fine."""
        return algebra.Needs(negative=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        left = left_in_words(self.density, self.gamma, self.scope)
        return f"Breadcrumbs: {left} What is kept, times its model's coefficient, is added."


class BreadcrumbsTies(_Crumbs):
    """Breadcrumbs before TIES: what is left is elected and averaged [BC-1 to BC-4]. The keys are `Breadcrumbs`'.

    >>> BreadcrumbsTies(gamma="0.10").to_map()
    {'method': 'breadcrumbs_ties', 'density': '0.9', 'gamma': '0.1', 'lambda': '1', 'scope': 'tensor'}
    """

    name: ClassVar[str] = "breadcrumbs_ties"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Cut, trim, elect and average."""
        stages, unit = stages_of(self.density, self.gamma, self.scope)
        return (algebra.Round(ties.lift, ties.merge, algebra.Columns(votes=True), stages, unit),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        left = left_in_words(self.density, self.gamma, self.scope)
        return f"Breadcrumbs, then TIES: {left} {ties.ELECTED_IN_WORDS}"


def stages_of(density: str, gamma: str, scope: Scope) -> tuple[tuple[Stage, ...], Literal["element", "row"]]:
    """The stages, and what a block must be a whole number of."""
    if scope == "row":
        return (algebra.CutLargestOfRows(Fraction(gamma)), algebra.TrimRows(Fraction(density))), "row"
    return (algebra.CutLargest(Fraction(gamma), "tensor"), algebra.Trim(Fraction(density), "tensor")), "element"


def check_together(name: str, density: str, gamma: str) -> None:
    """Raise RecipeError where so large a gamma leaves less than the density."""
    if Fraction(density) + Fraction(gamma) > 1:
        raise RecipeError(
            f"{name}: gamma: {gamma} and density {density} are more than 1 together, and what gamma cuts cannot be "
            "kept; lower one of them"
        )


def left_in_words(density: str, gamma: str, scope: Scope) -> str:
    """What the stages do, as a sentence.

    >>> left_in_words("0.9", "0.01", "row")
    'of each row of each model, the largest 1% of its changes to the base are left out, and the next 90% are kept.'
    """
    share, cut = (f"{float(100 * Fraction(text)):.6g}%" for text in (density, gamma))
    return (
        f"of each {scope} of each model, the largest {cut} of its changes to the base are left out, and the next "
        f"{share} are kept."
    )
