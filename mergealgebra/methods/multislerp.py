"""Multi-SLERP: the mean direction of the task vectors, with their mean length [MU-1, MU-2].

    u = tau / N        U = sum of w u        tau_m = (sum of w N) U / |U|

N is the length of a tensor of tau, and w = c / (sum of c). Where the directions cancel out there is no U / |U|, and
tau_m is the straight weighted mean.

Source: Goddard, 2025, mergekit 0.1.5's `multislerp`, "Multi-SLERP", whose step in the tangent space changes nothing.
Laws: contributions come into it alike, and the dot products have one tree [DT-4]. mergekit's works on models where
there is no base, and takes the mean only where |U| is below 1e-8; here that is 2^-20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mergealgebra import algebra
from mergealgebra.algebra import scalars
from mergealgebra.methods.geometry import ROUNDING, Vectors
from mergealgebra.methods.key_checks import check_lambda
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergealgebra.algebra import Round
    from mergealgebra.algebra.method import Gram


def mean_direction(gram: Gram, coefficients: Sequence[float]) -> Sequence[float]:
    """The coefficients of the mean direction with the mean length [MU-1]."""
    vectors = Vectors(gram, coefficients)
    square = vectors.square(vectors.weights)
    if square <= ROUNDING:
        return vectors.weights
    return vectors.scaled(vectors.mean_norm / scalars.sqrt(square), vectors.weights)


class MultiSlerp(Method):
    """The mean direction of the task vectors, with their mean length, tensor by tensor (mergekit) [MU-1, MU-2].

    >>> MultiSlerp().to_map()
    {'method': 'multislerp', 'lambda': '1'}
    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0], [3, 0], [0, 4]))
    >>> ma.merge(base, [one, other], MultiSlerp())["w"].tolist()
    [2.4748737812042236, 2.4748737812042236]
    """

    name: ClassVar[str] = "multislerp"
    lambda_: str = key(default="1", check=check_lambda, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """A sum with the coefficients of the mean direction."""
        return (algebra.Round(lift, total, weigh=mean_direction),)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "Multi-SLERP: the models' changes to the base, each tensor by itself, are merged to one of their mean "
            "direction and mean length."
        )
