"""TIES-Merging: trim, elect, disjoint mean, on one screen [TI-1 to TI-8].

    tau'   = tau where it is among the largest, else 0                 trim
    gamma  = sgn(sum of c tau')                                        elect
    tau_m  = mean of the c tau' that have the sign gamma, by c         disjoint mean

Source: Yadav et al., NeurIPS 2023, arXiv 2306.01708, Algorithm 1. Law: the sums along the way, (S+, W+, S-, W-), are a
commutative monoid; the method is its finalizer [EX-4].
"""

from __future__ import annotations

from collections.abc import Set
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from mergealgebra import algebra
from mergealgebra.dialects.points import DIALECTS, Dialect
from mergealgebra.errors import RecipeError
from mergealgebra.methods.key_checks import check_density, check_lambda, one_of
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View, WholeRound

Scope = Literal["model", "tensor"]
Boundary = Literal["keep_all", "lowest_index"]

_CANONICAL: Final = "canonical"
_FIXED_BY_DIALECTS: Final = ("scope", "boundary")

#: What elect and disjoint mean do, as a sentence.
ELECTED_IN_WORDS: Final = (
    "Where models pull a parameter in opposite directions, the direction with the larger sum wins, and only the "
    "changes in that direction are averaged."
)


def lift(view: View) -> Terms:
    """v = RN32(c tau'), and c with its sign [TI-6]; a zero does not vote."""
    return algebra.Terms((algebra.scaled(view.tau, view.coefficient),), votes=view.coefficient)


def merge(sums: Sums, _: Coefficients) -> Array:
    """The merged task vector, tau_m. Returns (n,) fp32."""
    return disjoint_mean(sums, elect(sums))


def elect(sums: Sums) -> Array:
    """One sign a coordinate: that of the exact sum of v; a zero sum elects 0 [TI-7]. Returns (n,) int8."""
    return sums.sign()


def disjoint_mean(sums: Sums, gamma: Array) -> Array:
    """The mean of the v that agree with gamma, 0 where gamma is 0 [TI-8]. Returns (n,) fp32."""
    xp = algebra.array_namespace(gamma)
    value = xp.where(gamma > 0, sums.rounded(0), sums.rounded(1))
    weight = xp.where(gamma > 0, sums.rounded(2), -sums.rounded(3))
    mean = value / (weight + xp.astype(gamma == 0, xp.float64))
    return algebra.kept(xp.astype(mean, xp.float32), gamma != 0)


class Ties(Method):
    """TIES-Merging: trim to the density, elect signs, average what agrees (Yadav et al., 2023) [TI-1 to TI-8].

    density: the share of elements that is kept, above 0 and at most 1. scope: whether the largest are those of the
    whole model or of each tensor. boundary: whether all elements that tie with the smallest kept one are kept, or the
    first ones. dialect: whose TIES, by its name in spec/dialects.md; others than `canonical` fix scope and boundary
    [RC-9].

    >>> Ties(density="0.20").to_map()["density"]
    '0.2'
    >>> Ties(dialect="mergekit-0.1.5").to_map()
    {'method': 'ties', 'dialect': 'mergekit-0.1.5', 'density': '1', 'lambda': '1'}
    """

    name: ClassVar[str] = "ties"
    dialect: str = key(default=_CANONICAL, check=one_of(*DIALECTS))
    density: str = key(default="1", check=check_density, by_contribution=True)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)
    scope: Scope = key(default="model", check=one_of("model", "tensor"))
    boundary: Boundary = key(default="keep_all", check=one_of("keep_all", "lowest_index"))

    @property
    def rounds(self) -> tuple[Round | WholeRound, ...]:
        """Trim, elect and average; or what the dialect computes, over whole tensors."""
        if self.dialect != _CANONICAL:
            from mergealgebra.dialects.round import round_of  # few merges need it

            return (round_of(DIALECTS[self.dialect], self.density, self.lambda_),)
        trim = algebra.Trim(Fraction(self.density), self.scope, self.boundary)
        return (algebra.Round(lift, merge, algebra.Columns(votes=True), stages=(trim,)),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        if self.dialect != _CANONICAL:
            return f"TIES, as {self.dialect} computes it."
        return f"TIES: {trimmed_in_words(self.density, self.scope)} {ELECTED_IN_WORDS}"

    def _check(self, given: Set[str]) -> None:
        if self.dialect == _CANONICAL:
            return
        dialect: Dialect = DIALECTS[self.dialect]
        if still_open := [point for point, option in dialect.options.items() if option is None]:
            raise RecipeError(
                f"ties: dialect: dialect {self.dialect} leaves {', '.join(still_open)} open; choose another"
            )
        if self.settings:
            raise RecipeError(
                f"ties: settings: dialect {self.dialect} has the same numbers for all tensors; leave them out, or "
                "merge without a dialect"
            )
        if fixed := [key for key in _FIXED_BY_DIALECTS if key in given]:
            raise RecipeError(f"ties: {fixed[0]}: dialect {self.dialect} fixes it; leave it out")
        if dialect["lambda"] == "none" and self.lambda_ != "1":
            raise RecipeError(f"ties: lambda: dialect {self.dialect} has none; leave it out, or give 1")

    def to_map(self) -> dict[str, str]:
        """As `Method.to_map`; a dialect stands in the map only if it is another's, which fixes scope and boundary."""
        left_out = ("dialect",) if self.dialect == _CANONICAL else _FIXED_BY_DIALECTS
        return {key: text for key, text in super().to_map().items() if key not in left_out}


def trimmed_in_words(density: str, scope: str) -> str:
    """What trim does, as a sentence.

    >>> trimmed_in_words("0.2", "model")
    'of each model, only the largest 20% of its changes to the base are kept.'
    """
    if density == "1":
        return "all changes that a model makes to the base count."
    where = "of each tensor" if scope == "tensor" else "of each model"
    return f"{where}, only the largest {float(100 * Fraction(density)):.6g}% of its changes to the base are kept."
