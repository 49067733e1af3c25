"""Fisher merging: a mean in which each parameter of each model has a weight of its own [FM-1, FM-2].

    w = c F        v = w tau        tau_m = (sum of v) / (sum of w)

F, the diagonal of the Fisher information, says how much a model minds a change of the parameter. Where no model minds,
tau_m is the plain mean over those that hold the tensor.

Source: Matena and Raffel, 2022, arXiv 2111.09832. Law: three exact sums, each with a certificate of its own, are free
of order [EX-4]. Unlike the original, F is not floored, and the mean is over task vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Needs, Round, Sums, Terms, View

FISHER = "fisher"


def lift(view: View) -> Terms:
    """v = RN32(w tau), w = RN32(c F), tau, and 1, which counts who holds the tensor [FM-1]."""
    xp = algebra.array_namespace(view.tau)
    w = algebra.scaled(view.auxiliary[FISHER], view.coefficient)
    return algebra.Terms((algebra.product(w, view.tau), w, view.tau, xp.ones_like(view.tau)))


def weigh(sums: Sums, _: Coefficients) -> Array:
    """tau_m = S / W; where W is 0, the mean of tau [FM-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    nobody_minds = sums.sign(1) == 0
    value = xp.where(nobody_minds, sums.total(2), sums.total(0))
    return algebra.quotient(value, xp.where(nobody_minds, sums.total(3), sums.total(1)))


class Fisher(Method):
    """Fisher merging: each parameter of each model is weighted by its Fisher information (Matena, Raffel, 2022) [FM-1].

    Each contribution needs auxiliary tensors of kind `fisher`, one number from 0 on for each of its parameters.

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0], [1, 2], [3, -2]))
    >>> minds = [{"fisher": {"w": np.float32(f)}} for f in ([1, 0], [3, 0])]
    >>> ma.merge(base, [one, other], Fisher(), auxiliary=minds)["w"].tolist()
    [2.5, 0.0]
    """

    name: ClassVar[str] = "fisher"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Exact sums of v, w, tau and 1."""
        return (algebra.Round(lift, weigh, algebra.Columns(sums=4)),)

    @property
    def needs(self) -> Needs:
        """Fisher information."""
        return algebra.Needs(auxiliary=frozenset({FISHER}))

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "Fisher merging: the models' changes to the base are averaged, each parameter of each model weighted by "
            "how much that model depends on it."
        )
