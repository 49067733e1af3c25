"""mergekit 0.1.5: one model and the base [NA-13]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mergealgebra.algebra import elementary
from mergealgebra.dialects.mergekit_group import Group
from mergealgebra.dialects.mergekit_numbers import Numbers, clamped

Array = np.ndarray[Any, Any]

#: Below this a difference counts as this.
_LEAST: Final = 1e-6
#: What is added to probabilities, so that they have a logarithm.
_PROBABILITY: Final = 1e-8
#: Above so many elements of a tensor mergekit looks at a random sample of them.
MOST_ELEMENTS: Final = 1_000_000


def nearswap(group: Group) -> Array:
    """The model where it is within `t` of the base, and the further from it the less of it."""
    numbers, base, one = group.numbers, group.base, group.numbers.dtype.type(1)
    (model,) = group.models
    distance = clamped(np.abs(base - model), _LEAST)
    share = clamped(numbers.times(one / distance, group.shared["t"]), 0, 1)
    return np.asarray(share * model + (one - share) * base)


def passthrough(group: Group) -> Array:
    """The model, times `scale` if there is one."""
    (model,) = group.models
    scale = group.own[0]["scale"]
    return model if scale is None else group.numbers.times(model, scale)


def arcee_fusion(group: Group) -> Array:
    """The model where its changes matter most, else the base: in `wide`, as the result is."""
    (model,) = group.models
    base, wide = group.base, group.numbers.wide
    if not base.size:
        return base
    chosen = importance(group) >= threshold(group)
    return np.asarray(base.astype(wide) + (model - base).astype(wide) * chosen)


def importance(group: Group) -> Array:
    """How much changes matter: their size times the divergence of their rows, each a distribution."""
    numbers, (model,) = group.numbers, group.models
    columns = model.shape[-1] if model.ndim else 1
    p, q = (numbers.plus(_softmax(numbers, array.reshape(-1, columns)), _PROBABILITY) for array in (model, group.base))
    divergence = numbers.sums(p * _log(numbers, p / q))
    return np.asarray(np.abs(model - group.base).reshape(-1, columns) * divergence).reshape(model.shape)


def threshold(group: Group) -> Any:
    """From which importance on changes are taken: the median, and 1.5 times the distance of the quartiles."""
    numbers, ordered = group.numbers, np.sort(importance(group).reshape(-1).astype(group.numbers.wide))
    places = (np.array([0.25, 0.5, 0.75], np.float32) * np.float32(ordered.size - 1)).astype(np.int64)
    low, median, high = numbers.cast(ordered[places])
    return median + numbers.times(np.asarray(high - low), 1.5)


def _softmax(numbers: Numbers, rows: Array) -> Array:
    """Of each row, computed in `wide` and rounded at the end."""
    wide = Numbers(numbers.wide)
    values = rows.astype(wide.dtype)
    powers = _function(elementary.exp, wide, values - values.max(axis=1, keepdims=True))
    return numbers.cast(powers / wide.sums(powers))


def _log(numbers: Numbers, values: Array) -> Array:
    return _function(elementary.log, numbers, values)


def _function(function: Callable[[Array], Array], numbers: Numbers, values: Array) -> Array:
    """An elementary function of values, correctly rounded to binary32; of a base in binary64 no more than that."""
    return numbers.cast(function(values.astype(numbers.wide)))


#: The equations by the names of the methods.
PAIRS: Final[dict[str, Callable[[Group], Array]]] = {
    "nearswap": nearswap,
    "passthrough": passthrough,
    "arcee_fusion": arcee_fusion,
}
