"""The Karcher mean: the point of the sphere nearest to the models' directions, with their mean length [KA-1 to KA-4].

    u = theta / N, m = the direction of (sum of w u); then, again and again,
    T = sum of w (theta_i / sin theta_i) (u_i - cos(theta_i) m)       theta_i the angle between u_i and m
    m = cos|T| m + sin|T| T / |T|
    theta_m = (sum of w N) m

Every m is a sum of the models' directions with some coefficients, so all of it happens among their dot products, before
any model is summed. It ends when |T| is at most `tol`, or after `max_iter` steps.

Source: Karcher, 1977, "Riemannian center of mass and mollifier smoothing"; mergekit 0.1.5's `karcher`. Laws: models
come into it alike, and the dot products have one tree [DT-4]. mergekit's has no coefficients, and takes the direction
of the first model where the directions cancel out; here that is the straight weighted mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final

from mergealgebra import algebra
from mergealgebra.algebra import scalars
from mergealgebra.errors import RecipeError
from mergealgebra.methods.geometry import ROUNDING, Numbers, Vectors, dot
from mergealgebra.methods.key_checks import check_share
from mergealgebra.methods.mean import lift
from mergealgebra.methods.method import Method, key
from mergealgebra.methods.task_arithmetic import total
from mergealgebra.text import shown

if TYPE_CHECKING:
    from mergealgebra.algebra import Needs, Round
    from mergealgebra.algebra.method import Gram

_MOST_STEPS: Final = 1000


def check_steps(value: object, what: str) -> str:
    """A whole number from 0 to 1000 in decimal digits [KA-1]."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 4:
        number = int(value)
        if str(number) == value and number <= _MOST_STEPS:
            return value
    raise RecipeError(f"{what}: {shown(value)} is not a whole number from 0 to {_MOST_STEPS}; write it like '10'")


@dataclass(frozen=True)
class KarcherMean:
    """The coefficients of the Karcher mean with the mean length [KA-2, KA-3].

    steps: how many at most. tolerance: an fp64 number; a step is only made if it is longer.
    """

    steps: int
    tolerance: float

    def __call__(self, gram: Gram, coefficients: Sequence[float]) -> Sequence[float]:
        """An fp64 number for each model."""
        vectors = Vectors(gram, coefficients)
        mean = unit(vectors, [w if has else 0.0 for w, has in zip(vectors.weights, vectors.directed, strict=True)])
        if mean is None:
            return vectors.weights
        for _ in range(self.steps):
            tangent = towards(vectors, mean)
            length = scalars.sqrt(vectors.square(tangent))
            if length <= self.tolerance:
                break
            moved = unit(vectors, moved_by(mean, tangent, length))
            if moved is None:
                break
            mean = moved
        return vectors.scaled(vectors.mean_norm, mean)


def unit(vectors: Vectors, x: Numbers) -> Numbers | None:
    """The coefficients of the sum of x u with the length 1; None of what has no direction but rounding [KA-2]."""
    square = vectors.square(x)
    if square <= ROUNDING:
        return None
    length = scalars.sqrt(square)
    return [x_i / length for x_i in x]


def towards(vectors: Vectors, mean: Numbers) -> Numbers:
    """The coefficients of T, the mean of the ways from m to the models [KA-3]."""
    cosines = vectors.dots(mean)
    pairs = zip(vectors.weights, vectors.directed, cosines, strict=True)
    parts = [weight * stretch(cosine) if has else 0.0 for weight, has, cosine in pairs]
    back = dot(parts, cosines)
    return [part - back * m for part, m in zip(parts, mean, strict=True)]


def stretch(cosine: float) -> float:
    """An angle over its sine; 1 of none, and 0 where all directions are as short [KA-3]."""
    if cosine >= 1 - ROUNDING:
        return 1.0
    if cosine <= ROUNDING - 1:
        return 0.0
    angle = scalars.acos(cosine)
    return angle / scalars.sin(angle)


def moved_by(mean: Numbers, tangent: Numbers, length: float) -> Numbers:
    """The coefficients of cos|T| m + sin|T| T / |T| [KA-3]."""
    cosine, sine = scalars.cos(length), scalars.sin(length)
    return [cosine * m + sine * t / length for m, t in zip(mean, tangent, strict=True)]


class Karcher(Method):
    """The Karcher mean of the models on the sphere, with their mean length, tensor by tensor (mergekit) [KA-1 to KA-4].

    max_iter: the most steps, from 0 to 1000. tol: the length of a step that is too short to be made, below 1.

    >>> Karcher().to_map()
    {'method': 'karcher', 'max_iter': '10', 'tol': '0.00001'}
    >>> import mergealgebra as ma, numpy as np
    >>> base, one, other = ({"w": np.float32(w)} for w in ([0, 0], [3, 0], [0, 4]))
    >>> ma.merge(base, [one, other], Karcher())["w"].tolist()
    [2.4748737812042236, 2.4748737812042236]
    """

    name: ClassVar[str] = "karcher"
    max_iter: str = key(default="10", check=check_steps)
    tol: str = key(default="0.00001", check=check_share, by_tensor=True)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """A sum with the coefficients of the mean."""
        mean = KarcherMean(int(self.max_iter), float(Fraction(self.tol)))
        return (algebra.Round(lift, total, weigh=mean),)

    @property
    def needs(self) -> Needs:
        """Models; what they agree on is copied where their directions are the same."""
        return algebra.Needs(on="theta", copies=True)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return (
            "The Karcher mean: the models, each tensor by itself, are merged to one of their mean length, in the "
            "direction that is nearest to theirs on the sphere."
        )
