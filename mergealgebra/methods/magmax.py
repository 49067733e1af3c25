"""MagMax: of each parameter's changes, the one of greatest magnitude [MM-1, MM-2].

    v     = c tau
    tau_m = the v of greatest magnitude; of two that are opposite, the positive one

Source: Marczak et al., 2024, "MagMax", arXiv 2407.06322. Law: two maxima are free of order [EX-4]. Where changes of
equal magnitude have both signs, the original takes that of the model that comes later; no order counts here. It has no
coefficients; here one makes a model's changes larger or smaller before they are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View


def lift(view: View) -> Terms:
    """The greatest of v = RN32(c tau) and of -v [MM-1]."""
    v = algebra.scaled(view.tau, view.coefficient)
    return algebra.Terms((), maxima=(v, 0.0 - v))


def greatest(sums: Sums, _: Coefficients) -> Array:
    """tau_m: the largest v or the least one, whichever is farther from 0; if both are, the largest [MM-2]."""
    largest, least_negated = sums.maxima
    return algebra.either(largest >= least_negated, largest, 0.0 - least_negated)


class MagMax(Method):
    """MagMax: of each parameter's changes, the one of greatest magnitude (Marczak et al., 2024) [MM-1, MM-2].

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0, 0], [1, 2, -3], [-4, 1, 3]))
    >>> ma.merge(base, [one, other], MagMax())["w"].tolist()
    [-4.0, 2.0, 3.0]
    """

    name: ClassVar[str] = "magmax"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Two maxima."""
        return (algebra.Round(lift, greatest, algebra.Columns(sums=0, maxima=2)),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "MagMax: of the models' changes to each parameter, the largest is taken, whatever its direction."
