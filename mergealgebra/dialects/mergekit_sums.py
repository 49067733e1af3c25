"""mergekit 0.1.5: task vectors that are thinned out, weighed and added; and what adds with other weights [NA-13].

Each takes a group and gives the merged tensor, in the dtype of the group unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from mergealgebra.dialects.merge import signs_of
from mergealgebra.dialects.mergekit_group import Group
from mergealgebra.dialects.mergekit_numbers import Numbers, clamped

Array = np.ndarray[Any, Any]
#: A group, the number of a model, and its task vector, to what is left of that.
Thinning = Callable[[Group, int, Array], Array]

#: Below these mergekit takes a sum for nothing.
_NO_DIVISOR: Final = 1e-8
_NO_MAGNITUDE: Final = 1e-7
_NO_VARIANCE: Final = 1e-6


def linear(group: Group) -> Array:
    """The sum of the weighted models, over that of the weights if it is to be, in `wide`."""
    wide = group.numbers.wide
    total, weights = np.zeros(group.base.shape, wide), np.array(group.weights(), wide)
    for model, weight in zip(group.models, weights, strict=True):
        total = _fused(model.astype(wide), weight, total)
    if group.shared["normalize"]:
        total = total / Numbers(wide).total(weights)
    return group.numbers.cast(total)


def _fused(a: Array, b: Any, c: Array) -> Array:
    """a b + c; of binary32 with one rounding, but for what binary64 loses in between."""
    if a.dtype == np.float64:
        return np.asarray(a * b + c)
    return (a.astype(np.float64) * np.float64(b) + c).astype(a.dtype)


def added(group: Group, thinned: Thinning, *, elect: bool) -> Array:
    """base + lambda times the weighted sum of what is left of the task vectors; of what agrees, if signs are elected.

    Divided by the weights where `normalize` says so [NA-11].
    """
    numbers, shape = group.numbers, group.base.shape
    left = [thinned(group, i, tau).reshape(-1) for i, tau in enumerate(group.taus)]
    weights = numbers.cast(group.weights())[:, None]
    rows = np.stack(left) * weights
    if elect:
        agree = signs_of(rows) == np.where(numbers.total(rows) >= 0, np.int8(1), np.int8(-1))
        total, divisor = numbers.total(rows * agree), numbers.total(weights * agree)
        nothing = divisor == 0
    else:
        total, divisor = numbers.total(rows), numbers.total(weights)
        nothing = np.abs(divisor) < numbers.dtype.type(_NO_DIVISOR)
    if group.shared["normalize"]:
        total = total / np.where(nothing, numbers.dtype.type(1), divisor)
    if group.shared["lambda"] != 1:
        total = numbers.times(total, group.shared["lambda"])
    return np.asarray(group.base + total.reshape(shape))


# What is left of a task vector


def whole(group: Group, number: int, tau: Array) -> Array:
    """All of it."""
    return tau


def largest(group: Group, number: int, tau: Array) -> Array:
    """The largest, int(density d) and at least one; of equal magnitudes any."""
    density, d = group.own[number]["density"], tau.size
    if density >= 1 or not d:
        return tau
    if density <= 0:
        return np.zeros_like(tau)
    return _kept(group, tau, slice(d - max(1, int(density * d)), d))


def middle(group: Group, number: int, tau: Array) -> Array:
    """int(density d) of it, below the int(gamma d) largest; of equal magnitudes any."""
    density, d = group.own[number]["density"], tau.size
    if density >= 1:
        return tau
    wanted = int(density * d)
    begin = max(0, d - wanted - int(group.own[number]["gamma"] * d))
    return _kept(group, tau, slice(begin, begin + wanted))


def drawn(group: Group, number: int, tau: Array) -> Array:
    """What a mask that was drawn leaves; none is where the density is 1."""
    mask = group.masks[number] if group.masks else None
    if group.own[number]["density"] >= 1:
        return tau
    if mask is None:
        return np.zeros_like(tau)  # a density of 0, for which DELLA draws nothing
    narrow = group.numbers.dtype.itemsize == 2 and group.numbers.dtype != np.float16
    work = group.numbers if narrow else Numbers(np.dtype(np.float32))
    return group.numbers.cast(_masked(work, tau.astype(work.dtype), mask.reshape(tau.shape), group.shared["rescale"]))


def _kept(group: Group, tau: Array, place: slice) -> Array:
    """The elements whose magnitudes are at this place when sorted, the smallest first, and 0."""
    order = np.argsort(np.abs(tau.reshape(-1).astype(np.float32)), kind="stable")
    mask = np.zeros(tau.size, bool)
    mask[order[place]] = True
    return _masked(group.numbers, tau, mask.reshape(tau.shape), group.shared["rescale"])


def _masked(numbers: Numbers, tau: Array, mask: Array, rescale: bool) -> Array:
    """tau where the mask is; if it is to be, scaled to the sum of magnitudes that tau had."""
    masked: Array = tau * mask.astype(tau.dtype)
    if not rescale:
        return masked
    before, after = (numbers.sums(np.abs(array.reshape(1, -1)))[0, 0] for array in (tau, masked))
    least = numbers.dtype.type(_NO_MAGNITUDE)
    return masked if before < least or after < least else np.asarray(masked * (before / after))


# Other weights


def ram(group: Group) -> Array:
    """Changes of one model alone are added, those of several averaged over these."""
    rows, counts = _changes(group)
    return np.asarray(group.base + group.numbers.total(_shared(group, rows, counts) + rows * (counts == 1)))


def ramplus_tl(group: Group) -> Array:
    """The same, a model's own changes made larger by how many it shares. In `wide`, as the result is."""
    rows, counts = _changes(group)
    wide, shared = Numbers(group.numbers.wide), group.shared
    axes = tuple(range(1, rows.ndim))
    several = np.count_nonzero((rows != 0) & (counts > 1), axis=axes).astype(np.float32)
    alone = np.count_nonzero((rows != 0) & (counts == 1), axis=axes).astype(np.float32)
    rho = clamped(several / np.maximum(alone, np.float32(shared["epsilon"])), 0, shared["alpha"])
    factors = (1 + np.float32(shared["r"]) * rho).reshape((-1,) + (1,) * len(axes))
    own = (rows * (counts == 1)).astype(wide.dtype) * factors.astype(wide.dtype)
    total = wide.total(own + _shared(group, rows, counts).astype(wide.dtype))
    return np.asarray(group.base.astype(wide.dtype) + total)


def _changes(group: Group) -> tuple[Array, Array]:
    """The task vectors where they are above epsilon, else 0, and how many are."""
    rows = np.stack(group.taus)
    changed = np.abs(rows) > group.numbers.dtype.type(group.shared["epsilon"])
    return rows * changed, np.count_nonzero(changed, axis=0)


def _shared(group: Group, rows: Array, counts: Array) -> Array:
    return np.asarray(rows * (counts > 1) / group.numbers.cast(np.maximum(counts, 1)))


def sce(group: Group) -> Array:
    """The most varied elements, weighed by mean squares, alike where these are tiny, less the minority sign [NA-12]."""
    numbers, rows = group.numbers, np.stack(group.taus)
    if group.shared["select_topk"] < 1:
        rows = rows * _most_varied(numbers, rows, group.shared["select_topk"])
    weights = _mean_squares(numbers, rows)
    total = float(numbers.total(weights)[0])
    if abs(total) < _NO_VARIANCE:
        weights = numbers.over(np.ones_like(weights), len(rows))
    else:
        weights = numbers.over(weights, total)
    elected = np.where(numbers.total(rows) >= 0, np.int8(1), np.int8(-1))
    counted = weights.reshape((-1,) + (1,) * (rows.ndim - 1)) * (signs_of(rows) == elected)
    return np.asarray(group.base + numbers.total(rows * counted) / clamped(numbers.total(counted), _NO_VARIANCE))


def _mean_squares(numbers: Numbers, rows: Array) -> Array:
    """Of each row, (n, 1): the sum is not rounded before it is divided."""
    squares = (rows * rows).reshape(len(rows), -1)
    return numbers.over(Numbers(numbers.wide).sums(squares), squares.shape[1]) if squares.size else squares[:, :0]


def _most_varied(numbers: Numbers, rows: Array, share: float) -> Array:
    """The elements of the largest variances: a share of how many are not 0, as a binary32 product, rounded down."""
    wide = rows.astype(np.float64)
    centred = wide - _summed(wide) / len(rows)
    variance = numbers.cast(_summed(centred * centred) / len(rows)).reshape(-1)
    k = int(np.float32(np.count_nonzero(variance)) * np.float32(share))
    chosen = np.zeros(variance.size, bool)
    chosen[np.argsort(-variance.astype(np.float64), kind="stable")[:k]] = True
    return chosen.reshape(rows.shape[1:])


def _summed(rows: Array) -> Array:
    return Numbers(np.dtype(np.float64)).total(rows)


#: The equations by the names of the methods.
SUMS: Final[dict[str, Callable[[Group], Array]]] = {
    "linear": linear,
    "task_arithmetic": partial(added, thinned=whole, elect=False),
    "ties": partial(added, thinned=largest, elect=True),
    "dare_linear": partial(added, thinned=drawn, elect=False),
    "dare_ties": partial(added, thinned=drawn, elect=True),
    "breadcrumbs": partial(added, thinned=middle, elect=False),
    "breadcrumbs_ties": partial(added, thinned=middle, elect=True),
    "della_linear": partial(added, thinned=drawn, elect=False),
    "della": partial(added, thinned=drawn, elect=True),
    "ram": ram,
    "ramplus_tl": ramplus_tl,
    "sce": sce,
}
