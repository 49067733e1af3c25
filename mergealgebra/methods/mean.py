"""The weighted mean of the task vectors, which averages the models [ME-1].

    tau_m = (sum of c tau) / (sum of c)

Source: Wortsman et al., 2022, "Model soups", arXiv 2203.05482. Law: an exact sum is free of order [EX-4].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View


def lift(view: View) -> Terms:
    """v = RN32(c tau) [ME-1]."""
    return algebra.Terms((algebra.scaled(view.tau, view.coefficient),))


def average(sums: Sums, coefficients: Coefficients) -> Array:
    """tau_m = S / W, W over all contributions: one that lacks the tensor counts as zero. Returns (n,) fp32."""
    return algebra.quotient(sums.total(), coefficients.total)


class Mean(Method):
    """The weighted mean of the models [ME-1].

    >>> Mean().to_map()
    {'method': 'mean', 'lambda': '1'}
    """

    name: ClassVar[str] = "mean"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum, divided."""
        return (algebra.Round(lift, average),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "The mean: the models' changes to the base are averaged, each weighted by its coefficient."
