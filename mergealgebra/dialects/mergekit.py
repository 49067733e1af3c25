"""What methods of mergekit 0.1.5 compute where ours of the same name compute something else [NA-11].

Each takes the models and the base in the base's dtype, and coefficients as numbers. Numbers are those of mergekit's
TIES: each operation rounds to that dtype, sums of narrow ones once, at their end [DI-14].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from mergealgebra.dialects.arithmetic import Array, numbers_of
from mergealgebra.dialects.merge import signs_of
from mergealgebra.dialects.points import DIALECTS

Models = Sequence[Array]
Weights = Sequence[float]

_TIES: Final = DIALECTS["mergekit-0.1.5"]


def breadcrumbs_ties(
    models: Models, base: Array, weights: Weights, density: float, gamma: float, lambda_: float
) -> Array:
    """Cut the largest and the smallest, elect by the sum, 0 is +, and add what agrees."""
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


#: The equations by the names of the methods.
EQUATIONS: Final[Mapping[str, Callable[..., Array]]] = {"breadcrumbs_ties": breadcrumbs_ties}
