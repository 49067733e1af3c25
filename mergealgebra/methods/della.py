"""DELLA: drop task vectors at random, the small changes more often; alone, or before TIES [DE-1 to DE-5].

    p     = from density - epsilon, for the least of a row, to density + epsilon, for the largest
    tau'  = tau / p where the mask keeps, else 0
    tau_m = sum of c tau'                               `della_linear`
    tau_m = elect and average the c tau' as TIES does   `della`

Masks follow from the seed, the contribution's tensors and the position alone, as DARE's [RM-1].

Source: Deep, Bhardwaj and Poria, 2024, arXiv 2406.11617. Law: rank and mask are functions of one contribution, and one
exact sum is free of order [EX-4]. Epsilon is mergekit's: the range is twice as wide. Unlike mergekit, which restores
the sum of magnitudes, what is kept is divided by its own probability, as in the paper; rows are those of the last axis,
also where there are more than two; of equal magnitudes the first in the row has the lower rank; `della` divides by the
coefficients, as `ties` does.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from mergealgebra import algebra
from mergealgebra.errors import RecipeError
from mergealgebra.methods import ties
from mergealgebra.methods.dare import rescaled
from mergealgebra.methods.key_checks import check_density, check_lambda, check_seed, check_share
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import lift, total

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Needs, Round, View


@dataclass(frozen=True)
class DropByRank:
    """The stage: keep each element with the probability of its rank in its row, and divide by it [DE-2 to DE-4]."""

    density: Fraction
    epsilon: Fraction
    seed: str

    @property
    def statistic(self) -> None:
        """A row is seen in one piece, so nothing has to be found first."""

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return "drop by rank", str(self.density), str(self.epsilon), self.seed

    def __call__(self, view: View, found: None) -> Array:
        """tau' = RN32(RN64(tau / p)) where the mask keeps, +0 elsewhere."""
        xp = algebra.array_namespace(view.tau)
        p = algebra.by_rank(view, self.probabilities(algebra.row_length(view)))
        below = xp.astype(xp.floor(p * 2.0**32), xp.int64)
        return rescaled(view.tau, algebra.words_of(view, self.seed) < below, p)

    def probabilities(self, columns: int) -> Any:
        """p of each rank, the lowest first [DE-3]. Returns (columns,) fp64, NumPy.

        >>> DropByRank(Fraction(1, 2), Fraction(1, 4), "0").probabilities(3).tolist()
        [0.25, 0.5, 0.75]
        """
        import numpy as np  # recipes are read without it

        if columns == 1:
            return np.array([float(self.density)])
        low, high = float(self.density - self.epsilon), float(self.density + self.epsilon)
        steps = float(2 * self.epsilon) * np.arange(columns, dtype=np.float64) / (columns - 1)
        return np.minimum(low + steps, high)


class _ByRank(Method):
    """The keys of both, and their stage."""

    density: str = key(default="0.5", check=check_density, by_contribution=True)
    epsilon: str = key(default="0.15", check=check_share, by_contribution=True)
    seed: str = key(default="0", check=check_seed)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def _drop(self) -> DropByRank:
        return DropByRank(Fraction(self.density), Fraction(self.epsilon), self.seed)

    def _check(self, given: Set[str]) -> None:
        check_range(self.name, self.density, self.epsilon)


class DellaLinear(_ByRank):
    """DELLA alone: drop at random, by rank, rescale, add (Deep et al., 2024) [DE-1 to DE-5].

    density: the probability with which an element is kept, on average. epsilon: how much it is less for the smallest
    magnitude of a row, and more for the largest; at least 0, below the density, and at most 1 - density. seed: a whole
    number below 2^64. A density of 1, mergekit's default, leaves no room for its epsilon, 0.15: here it is 0.5.

    >>> DellaLinear(seed="42").to_map()
    {'method': 'della_linear', 'density': '0.5', 'epsilon': '0.15', 'seed': '42', 'lambda': '1'}
    """

    name: ClassVar[str] = "della_linear"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Drop, then one exact sum."""
        return (algebra.Round(lift, total, stages=(self._drop,), unit="row"),)

    @property
    def needs(self) -> Needs:
        """The roots of what is contributed, from which masks are made; negative coefficients are fine."""
        return algebra.Needs(roots=True, negative=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        dropped = dropped_in_words(self.density, self.epsilon)
        return f"DELLA: {dropped} The changes, each times its model's coefficient, are added."


class Della(_ByRank):
    """DELLA before TIES: drop at random, by rank, rescale, then elect and average [DE-1 to DE-5].

    Deep et al., 2024. The keys are `DellaLinear`'s.

    >>> import mergealgebra as ma, numpy as np
    >>> change = {"w": np.float32([[1, -2, 3], [3, 2, -1]])}
    >>> ma.merge({"w": np.zeros((2, 3), np.float32)}, [change], Della(epsilon="0.25"))["w"].tolist()
    [[0.0, -4.0, 4.0], [4.0, 0.0, 0.0]]
    """

    name: ClassVar[str] = "della"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Drop, elect and average."""
        return (algebra.Round(ties.lift, ties.merge, algebra.Columns(votes=True), (self._drop,), "row"),)

    @property
    def needs(self) -> Needs:
        """The roots of what is contributed, from which masks are made."""
        return algebra.Needs(roots=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return f"DELLA: {dropped_in_words(self.density, self.epsilon)} {ties.ELECTED_IN_WORDS}"


def check_range(name: str, density: str, epsilon: str) -> None:
    """Raise RecipeError unless density - epsilon is above 0, and density + epsilon at most 1."""
    middle, half = Fraction(density), Fraction(epsilon)
    if not 0 < middle - half <= middle + half <= 1:
        raise RecipeError(
            f"{name}: epsilon: {epsilon} does not fit density {density}: density - epsilon must be above 0, and "
            "density + epsilon at most 1; lower epsilon"
        )


def dropped_in_words(density: str, epsilon: str) -> str:
    """What the stage does, as a sentence.

    >>> dropped_in_words("0.5", "0.15")[:66]
    'of each model, 35% of the smallest and 65% of the largest of its c'
    """
    low, high = (f"{float(100 * (Fraction(density) + sign * Fraction(epsilon))):.6g}%" for sign in (-1, 1))
    return (
        f"of each model, {low} of the smallest and {high} of the largest of its changes to the base are kept, chosen "
        "at random in a way that anybody can repeat, and made larger to make up for the others."
    )
