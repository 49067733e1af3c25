"""EMR-Merging, the unified model: one sign for each parameter, and the greatest change that has it [EM-1, EM-2].

    v     = c tau
    tau_m = the v of greatest magnitude among those with the sign of the sum of v

Source: Huang et al., 2024, "EMR-Merging", arXiv 2405.17461. A sum of 0 elects the negative sign, as in the authors'
code. Law: an exact sum and two maxima are free of order [EX-4]. The original has no coefficients; here one makes a
model's changes larger or smaller, in the election and in what is elected. Its masks and scales, which make of this a
model for each task, are not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.method import Method, check_lambda, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View


def lift(view: View) -> Terms:
    """v = RN32(c tau) to be summed, and the greatest of v and of -v [EM-1]."""
    v = algebra.scaled(view.tau, view.coefficient)
    return algebra.Terms((v,), maxima=(v, 0.0 - v))


def unify(sums: Sums, _: Coefficients) -> Array:
    """tau_m: the largest v where S is above 0, elsewhere the least one [EM-2]. Returns (n,) fp32."""
    largest, least_negated = sums.maxima
    xp = algebra.array_namespace(largest)
    return xp.where(sums.sign() > 0, largest, 0.0 - least_negated)


class Emr(Method):
    """EMR-Merging, the unified model: elect a sign, take the greatest change that has it (Huang et al., 2024) [EM-1].

    >>> import mergealgebra as ma, numpy as np
    >>> base, *models = ({"w": np.float32(w)} for w in ([0, 0, 0], [1, 5, 2], [2, -3, -2], [-4, -3, 0]))
    >>> ma.merge(base, models, Emr())["w"].tolist()
    [-4.0, -3.0, -2.0]
    """

    name: ClassVar[str] = "emr"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum and two maxima."""
        return (algebra.Round(lift, unify, algebra.Columns(maxima=2)),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "EMR, the unified model: where models pull a parameter in opposite directions, the direction with the "
            "larger sum wins, and the largest change in that direction is taken."
        )
