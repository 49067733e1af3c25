"""Strategies of crdt-merge 0.11.0 that cut singular values, or the smallest magnitudes of a vector [NA-5, NA-6, NA-10].

Arguments are as of `dialects/crdt_merge.py`. A tensor of more than two sizes is a matrix with the first of them as its
rows; one with a size of 1 is a vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mergealgebra.dialects import scalars, singular
from mergealgebra.errors import MethodError

#: Matrices of more elements would take hours.
_MOST_ELEMENTS: Final = 1 << 18

Array = np.ndarray[Any, Any]
Models = Sequence[Array]
Weights = Sequence[float]


def star(models: Models, base: Array, weights: Weights, rank_fraction: float) -> Array:
    """Each tau with a share of its singular values, made larger until its squares add up as before; their mean."""

    def count(values: Array) -> int:
        return max(1, int(values.size * rank_fraction))

    return _cut(models, base, weights, count, rescaled=True)


def adarank(models: Models, base: Array, weights: Weights) -> Array:
    """Each tau with the fewest singular values whose squares are 0.9 of all; their mean."""

    def count(values: Array) -> int:
        squares = values * values
        cumulative = np.add.accumulate(squares)
        return min(int(np.searchsorted(cumulative, 0.9 * scalars.total(squares))) + 1, values.size)

    return _cut(models, base, weights, count, rescaled=False)


def _cut(models: Models, base: Array, weights: Weights, count: Callable[[Array], int], rescaled: bool) -> Array:
    is_vector = base.ndim < 2 or min(base.shape) == 1
    merged = np.zeros(base.size)
    for model, w in zip(models, weights, strict=True):
        tau = model - base
        cut = _vector(tau, count, rescaled) if is_vector else _matrix(tau.reshape(len(tau), -1), count, rescaled)
        merged = merged + w * cut.reshape(-1)
    return np.asarray((base.reshape(-1) + merged).reshape(base.shape))


def _vector(tau: Array, count: Callable[[Array], int], rescaled: bool) -> Array:
    """tau where its magnitude is not below the last one that counts."""
    magnitudes = np.abs(tau.reshape(-1))
    largest = np.sort(magnitudes)[::-1]
    if not largest[0]:
        return tau
    cut = tau.reshape(-1) * (magnitudes >= largest[count(largest) - 1])
    return np.asarray(cut * _rescaling(tau, cut)) if rescaled else cut


def _matrix(tau: Array, count: Callable[[Array], int], rescaled: bool) -> Array:
    if tau.size > _MOST_ELEMENTS:
        raise MethodError(
            f"a matrix of {tau.size:,} elements is too large: singular values are found of up to {_MOST_ELEMENTS:,}; "
            "leave such tensors out, or choose another method"
        )
    turned, values, right = singular.rotated(tau)
    if not values[0]:
        return tau
    k = count(values)
    cut = singular.product(turned[:, :k], right[:, :k])
    return np.asarray(cut * _rescaling(values, values[:k])) if rescaled else cut


def _rescaling(whole: Array, kept: Array) -> float:
    """The square root of the sum of all squares over that of the squares that are kept; 1 where these are 0."""
    of_kept = scalars.dot(kept, kept)
    return math.sqrt(scalars.dot(whole, whole) / of_kept) if of_kept > 0 else 1.0
