"""NegMerge: forget what several models learned alike [NM-1, NM-2].

    v     = c tau
    tau_m = -(sum of v) / (sum of c) where all v have one sign, else 0

The models were fine-tuned on what is to be forgotten, with other settings each. What they do not agree on stays as it
is in the base.

Source: Kim et al., 2024, "NegMerge: Consensual weight negation", arXiv 2410.05583. Law: an exact sum and two counts are
free of order [EX-4]. All that hold the tensor must agree, and a zero agrees with nobody. The original has no
coefficients; here they weigh the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View


def lift(view: View) -> Terms:
    """v = RN32(c tau); each counts one, with its sign [NM-1]."""
    return algebra.Terms((algebra.scaled(view.tau, view.coefficient),), votes=1.0)


def forget(sums: Sums, coefficients: Coefficients) -> Array:
    """tau_m = -S / W where as many v as there are have one sign, else 0 [NM-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    n = len(coefficients.held)
    alike = (sums.rounded(2) == n) | (sums.rounded(3) == -n)
    mean = algebra.quotient(sums.total(), coefficients.held_total or 1.0)
    return xp.where(alike, 0.0 - mean, 0.0) + 0.0


class NegMerge(Method):
    """NegMerge: take away what all models learned alike (Kim et al., 2024) [NM-1, NM-2].

    lambda says how much is taken away: a positive one forgets.

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([9, 9, 9], [1, 2, -1], [3, -2, 0]))
    >>> ma.merge(base, [one, other], NegMerge())["w"].tolist()
    [7.0, 9.0, 9.0]
    """

    name: ClassVar[str] = "negmerge"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum, and how many of either sign are in it."""
        return (algebra.Round(lift, forget, algebra.Columns(votes=True)),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "NegMerge: where all models change a parameter in the same direction, the mean of their changes is taken "
            "away from the base; everything else stays as it is."
        )
