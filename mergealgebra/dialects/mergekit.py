"""What methods of mergekit 0.1.5 compute where ours of the same name compute something else [NA-11, NA-12].

Each takes the models and the base in the base's dtype, and coefficients as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Final

import numpy as np

from mergealgebra.dialects import scalars
from mergealgebra.dialects.arithmetic import Array, numbers_of
from mergealgebra.dialects.merge import signs_of
from mergealgebra.dialects.points import DIALECTS

Models = Sequence[Array]
Weights = Sequence[float]

_TIES: Final = DIALECTS["mergekit-0.1.5"]
#: Below this mergekit takes a sum for nothing.
_TINY: Final = 1e-6


def breadcrumbs_ties(
    models: Models, base: Array, weights: Weights, density: float, gamma: float, lambda_: float
) -> Array:
    """Cut the largest and the smallest, elect by the sum, 0 is +, and add what agrees [NA-11]."""
    numbers, flat = numbers_of(_TIES, [base.dtype]), base.reshape(-1)
    taus = (numbers.difference(model.reshape(-1), flat) for model in models)
    weighted, _ = numbers.weighted(np.stack([_between(tau, density, gamma) for tau in taus]), weights)
    elected = np.where(numbers.total(weighted) >= 0, np.int8(1), np.int8(-1))
    merged = numbers.total(weighted * (signs_of(weighted) == elected))
    return numbers.applied(flat, merged, lambda_, once=False)


def _between(tau: Array, density: float, gamma: float) -> Array:
    """int(density d) elements of tau, after the int(gamma d) largest, and 0; of equal magnitudes any go first."""
    if density >= 1:
        return tau
    d, wanted = tau.size, int(density * tau.size)
    begin = max(0, d - wanted - int(gamma * d))
    kept = np.zeros(d, bool)
    kept[np.argsort(np.abs(tau.astype(np.float32)), kind="stable")[begin : begin + wanted]] = True
    return np.asarray(tau * kept)


def sce(models: Models, base: Array, weights: Weights, select_topk: float) -> Array:
    """Select by variance, weigh by mean squares, erase the minority sign; tiny changes are weighed alike [NA-12].

    In binary32, or binary64 where the base is that.
    """
    wide = np.dtype(np.float64 if base.dtype == np.float64 else np.float32)
    start = base.reshape(-1).astype(wide)
    taus = np.stack([model.reshape(-1).astype(wide) for model in models]) - start
    if select_topk < 1:
        taus = taus * _most_varied(taus, select_topk)
    squares = [scalars.mean(tau.astype(np.float64) ** 2) for tau in taus]
    total = math.fsum(squares)
    shares = [1 / len(taus) if total < _TINY else square / total for square in squares]
    elected = np.where(reduce(add, taus) >= 0, np.int8(1), np.int8(-1))
    counted = np.array(shares, wide)[:, None] * (signs_of(taus) == elected)
    return np.asarray(start + reduce(add, taus * counted) / np.maximum(reduce(add, counted), wide.type(_TINY)))


def _most_varied(taus: Array, share: float) -> Array:
    """The elements of the largest variances: a share of how many are not 0, as a binary32 product, rounded down."""
    centred = taus - reduce(add, taus) / len(taus)
    variance = reduce(add, centred * centred) / len(taus)
    k = int(np.float32(np.count_nonzero(variance)) * np.float32(share))
    chosen = np.zeros(variance.size, bool)
    chosen[np.argsort(-variance, kind="stable")[:k]] = True
    return chosen


#: The equations by the names of the methods.
EQUATIONS: Final[Mapping[str, Callable[..., Array]]] = {"breadcrumbs_ties": breadcrumbs_ties, "sce": sce}
