"""The weighted mean of the models themselves [LI-1, LI-2].

    theta_m = (sum of c theta) / (sum of c)        over the models that hold the tensor

The base only counts where no model holds a tensor, so there is no lambda. `mean` averages differences to the base: it
rounds each of them first, and an absent tensor counts as no change there.

Source: Wortsman et al., 2022, "Model soups", arXiv 2203.05482; mergekit's `linear`. Law: an exact sum is free of order
[EX-4]. Unlike mergekit's, the sum is always divided by the coefficients (`normalize: true`), which are positive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method

if TYPE_CHECKING:
    from mergealgebra.algebra import Array, Coefficients, Needs, Round, Sums


def average(sums: Sums, coefficients: Coefficients) -> Array:
    """theta_m = S / W, W over the models that hold the tensor [LI-1]. Returns (n,) fp32."""
    return algebra.quotient(sums.total(), coefficients.held_total)


class Linear(Method):
    """The weighted mean of the models, whatever the base (Wortsman et al., 2022; mergekit) [LI-1, LI-2].

    >>> Linear().to_map()
    {'method': 'linear'}
    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([8, 8], [2, -4], [-2, 0]))  # models 10, 4 and 6, 8
    >>> ma.merge(base, [one, other], Linear(), ["3", "1"])["w"].tolist()
    [9.0, 5.0]
    """

    name: ClassVar[str] = "linear"

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One exact sum, divided."""
        return (algebra.Round(lift, average),)

    @property
    def needs(self) -> Needs:
        """The models themselves; what they all agree on is copied."""
        return algebra.Needs(on="theta", copies=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return "The mean of the models, each weighted by its coefficient."
