"""RAM: each parameter is averaged over the models that changed it [RA-1, RA-2].

    v     = c tau where abs(tau) > 10^-5, else 0
    tau_m = (sum of v) / (how many v are not 0)

Where one model alone changed a parameter, the change is kept whole; a mean over all would make it n times smaller.

Source: arXiv 2601.13572; the threshold is that of mergekit 0.1.5. Law: an exact sum and a count are free of order
[EX-4]. A coefficient makes a model's changes larger or smaller, and does not count in the division.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View

#: RN32(10^-5): what is not larger counts as no change [RA-1].
UNCHANGED: Final = decimals.fp32("0.00001", "threshold")


def changes(view: View) -> Array:
    """v = RN32(c tau) where tau is a change, else +0 [RA-1]. Returns (n,) fp32."""
    xp = algebra.array_namespace(view.tau)
    return algebra.kept(algebra.scaled(view.tau, view.coefficient), xp.abs(view.tau) > UNCHANGED) + 0.0


def lift(view: View) -> Terms:
    """v; each that is not 0 counts one [RA-1]."""
    return algebra.Terms((changes(view),), votes=1.0)


def average(sums: Sums, _: Coefficients) -> Array:
    """tau_m = S / k, 0 where nobody changed it [RA-2]. Returns (n,) fp32."""
    xp = algebra.array_namespace(sums.columns[0])
    k = sums.rounded(2) - sums.rounded(3)
    return algebra.quotient(sums.total(), xp.where(k == 0, 1.0, k))


class Ram(Method):
    """RAM: the changes of each parameter are averaged over those who changed it (arXiv 2601.13572) [RA-1, RA-2].

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0, 0], [4, 1, 0], [0, 3, 0.00001]))
    >>> ma.merge(base, [one, other], Ram())["w"].tolist()
    [4.0, 2.0, 0.0]
    """

    name: ClassVar[str] = "ram"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum, and how many are in it."""
        return (algebra.Round(lift, average, algebra.Columns(votes=True)),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "RAM: each parameter's changes to the base are averaged over the models that changed it by more than "
            "0.00001; what one model alone changed is kept whole."
        )
