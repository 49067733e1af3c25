"""Norms, cosines and weights of the contributions that hold a tensor, from their dot products alone [DT-6, DT-7].

    N_i = sqrt(x_i . x_i)        p_ij = x_i . x_j / (N_i N_j)        w_i = c_i / (sum of c)

What a method computes with these is a short sequence of fp64 operations, each rounded once, on the host. No order of
contributions shows in it: sums over them are RN64 of the exact sum of their terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mergealgebra.algebra import scalars

if TYPE_CHECKING:
    from mergealgebra.algebra.method import Gram

#: Below this, what should be 0 may be nothing but rounding: of 1 + cos, of 1 - cos, of a squared length [DT-7].
ROUNDING: Final = 2.0**-40
#: A vector has a direction if its norm is above this part of the greatest [DT-6].
_LEAST_PART: Final = 2.0**-100

#: One fp64 number for each contribution.
Numbers = Sequence[float]


@dataclass(frozen=True)
class Vectors:
    """One tensor of the contributions that hold it. gram: their dot products. coefficients: their own, positive."""

    gram: Gram
    coefficients: Numbers

    @cached_property
    def norms(self) -> list[float]:
        """N = RN64 of the square root of x . x [DT-6]."""
        return [scalars.sqrt(row[i]) for i, row in enumerate(self.gram)]

    @cached_property
    def directed(self) -> list[bool]:
        """Which have a direction: a zero vector has none [DT-6]."""
        least = max(self.norms) * _LEAST_PART
        return [norm > least for norm in self.norms]

    @cached_property
    def cosines(self) -> list[list[float]]:
        """Of the angles between them; 0 where one has no direction, else 1 to itself [DT-6]."""
        return [[self._cosine(i, j) for j in range(len(self.norms))] for i in range(len(self.norms))]

    @cached_property
    def weights(self) -> list[float]:
        """w = RN64(c / RN64(sum of c)) [DT-6]."""
        total = math.fsum(self.coefficients)
        return [c / total for c in self.coefficients]

    @cached_property
    def mean_norm(self) -> float:
        """The sum of w N [DT-7]."""
        return dot(self.weights, self.norms)

    def _cosine(self, i: int, j: int) -> float:
        if not (self.directed[i] and self.directed[j]):
            return 0.0
        return 1.0 if i == j else clamped(self.gram[i][j] / (self.norms[i] * self.norms[j]))

    def dots(self, x: Numbers) -> list[float]:
        """The dot products of each direction with the sum of x u [DT-7]."""
        return [clamped(dot(row, x)) for row in self.cosines]

    def square(self, x: Numbers) -> float:
        """The squared length of the sum of x u, u the directions: the sum of (x_i x_j) p_ij [DT-7]."""
        return max(0.0, math.fsum(x_i * x_j * p for x_i, row in zip(x, self.cosines, strict=True)
                                  for x_j, p in zip(x, row, strict=True)))  # fmt: skip

    def scaled(self, scale: float, x: Numbers) -> list[float]:
        """The coefficients of the vectors in scale times the sum of x u: (scale x) / N, 0 without a direction."""
        triples = zip(x, self.norms, self.directed, strict=True)
        return [scale * x_i / norm if directed else 0.0 for x_i, norm, directed in triples]


def dot(x: Numbers, y: Numbers) -> float:
    """RN64 of the exact sum of the rounded products [DT-7]."""
    return math.fsum(x_i * y_i for x_i, y_i in zip(x, y, strict=True))


def clamped(cosine: float) -> float:
    """Into -1 to 1, from which rounding may have led it out."""
    return max(-1.0, min(1.0, cosine))


def arc(vectors: Vectors, straight_from: float) -> Numbers:
    """The coefficients of two vectors on the arc between them [SL-2].

    straight_from: the magnitude of the cosine above which they are on a straight line.
    """
    if len(vectors.weights) == 1:
        return vectors.weights
    cosine = vectors.cosines[0][1]
    if abs(cosine) > straight_from:
        return vectors.weights
    angle = scalars.acos(cosine)
    sine = scalars.sin(angle)
    return [scalars.sin(weight * angle) / sine for weight in vectors.weights]
