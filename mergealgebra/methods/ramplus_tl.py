"""RAM+: as RAM, and what one model alone changed is made larger, the more so the more it shares [RA-3, RA-4].

    rho   = (shared changes of the model in the tensor) / (its own alone)
    f     = 1 + r min(rho, alpha)
    v     = c tau where abs(tau) > 10^-5, times f where no other model has a change
    tau_m = (sum of v) / (how many v are not 0)

Source: arXiv 2601.13572; names, keys and defaults are those of mergekit 0.1.5, which looks at each tensor by itself.
Law: counts and an exact sum are free of order [EX-4]. The threshold is RAM's, and no key. A coefficient makes a model's
changes larger or smaller, and does not count in the division.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import decimals
from mergealgebra.methods import ram
from mergealgebra.methods.key_checks import check_factor, check_lambda
from mergealgebra.methods.method import Method, key

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Round, Sums, Terms, View
    from mergealgebra.algebra.tally import Counts


def changed(view: View) -> Terms:
    """1 where the model changed the element [RA-1]; no number where v is none, which is an error before those of v'."""
    v = ram.changes(view)
    xp = algebra.array_namespace(v)
    return algebra.Terms((xp.astype(v != 0, xp.float32) + (v - v),))


def how_many(sums: Sums, _: Coefficients) -> Array:
    """k, the number of models that changed the element [RA-2]. Returns (n,) fp32: 2 for 2 and more."""
    xp = algebra.array_namespace(sums.columns[0])
    k = sums.total()
    return xp.astype(xp.where(k > 2, 2.0, k), xp.float32)


def shared_and_own(view: View) -> Counts:
    """How many of a model's changes others made too, and how many nobody else [RA-3]."""
    import numpy as np  # recipes are read without it

    xp = algebra.array_namespace(view.tau)
    v, k = ram.changes(view), view.shared[0]
    return np.array([int(xp.count_nonzero((v != 0) & at)) for at in (k == 2, k == 1)])


@dataclass(frozen=True)
class Factor:
    """f of a model in a tensor, from its counts [RA-3]."""

    r: Fraction
    alpha: Fraction

    def __call__(self, counts: Counts, elements: int) -> float:
        """An fp32 number, perhaps infinite; 1 for a model that changed nothing alone."""
        shared, own = map(int, counts)
        return decimals.round_to_fp32(1 + self.r * min(Fraction(shared, own), self.alpha)) if own else 1.0


def lift(view: View) -> Terms:
    """v, times f where it is a change of this model alone; each that is not 0 counts one [RA-4]."""
    xp = algebra.array_namespace(view.tau)
    v = ram.changes(view)
    own = xp.where((view.shared[0] == 1) & (v != 0), algebra.scaled(v, view.found[0]), v)
    return algebra.Terms((own,), votes=1.0)


class RamPlusTl(Method):
    """RAM+, tensor by tensor: RAM, with what a model alone changed made larger (arXiv 2601.13572) [RA-3, RA-4].

    r, alpha: a change of one model alone is multiplied by 1 + r min(rho, alpha), rho being how many changes of the
    model in this tensor others made too, over how many it made alone.

    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0, 0], [4, 1, 0], [0, 3, 0]))
    >>> ma.merge(base, [one, other], RamPlusTl(r="0.5", alpha="2"))["w"].tolist()
    [6.0, 2.0, 0.0]
    """

    name: ClassVar[str] = "ramplus_tl"
    r: str = key(default="0.1", check=check_factor, by_tensor=True)
    alpha: str = key(default="0.2", check=check_factor, by_tensor=True)
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Who changed what; then one exact sum, and how many are in it."""
        answer = Factor(Fraction(self.r), Fraction(self.alpha))
        tally = algebra.Tally(2, shared_and_own, answer, ("ram plus", self.r, self.alpha))
        return (
            algebra.Round(changed, how_many),
            algebra.Round(lift, ram.average, algebra.Columns(votes=True), (algebra.Look(tally),)),
        )

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "RAM+: each parameter's changes to the base are averaged over the models that changed it by more than "
            "0.00001; what one model alone changed is made larger, the more so the more of the tensor it shares."
        )
