"""mergekit 0.1.5: models and task vectors as vectors with lengths and angles [NA-13].

Sums over elements are in an order of our own [NA-14]; all else is rounded as mergekit does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mergealgebra.dialects.mergekit_group import Group
from mergealgebra.dialects.mergekit_numbers import Numbers, clamped

Array = np.ndarray[Any, Any]

#: Above this cosine SLERP takes the straight line.
_STRAIGHT: Final = 0.9995
#: Lengths below these count as such.
_LEAST: Final = 1e-8
_LEAST_OF_ROWS: Final = 1e-7
_LEAST_PRODUCT: Final = 1e-6


def slerp(group: Group) -> Array:
    """From the first to the second, `t` of the arc between them, in `wide`."""
    numbers = Numbers(group.numbers.wide)
    x, y = (model.astype(numbers.dtype).reshape(1, -1) for model in group.models)
    t = numbers.cast([[group.shared["t"]]])
    one = numbers.dtype.type(1)
    if not x.size:
        return group.models[0]
    norms = (numbers.norms(numbers.norms(v)) for v in (x, y))  # mergekit: of the norms of parts, of which there is one
    lengths = [np.where(norm > numbers.dtype.type(_LEAST), norm, one) for norm in norms]
    cosine = clamped(numbers.sums((x / lengths[0]) * (y / lengths[1])), -1, 1)
    if np.abs(cosine) > numbers.dtype.type(_STRAIGHT):
        a, b = one - t, t
    else:
        angle = numbers.acos(cosine)
        sine = numbers.sin(angle)
        a, b = numbers.sin((one - t) * angle) / sine, numbers.sin(t * angle) / sine
    return group.numbers.cast(a * x + b * y).reshape(group.base.shape)


def nuslerp(group: Group) -> Array:
    """Two task vectors, or models where there is no base, on the arc between them; by row, by column, or as a whole."""
    first, second = group.weights()
    total = first + second
    t = 0.5 if abs(total) < _LEAST_PRODUCT else second / total
    on_tau = group.shared["on"] == "tau"
    v0, v1 = group.taus if on_tau else group.models
    joined = _joined(group, v0, v1, t)
    return np.asarray(group.base + joined) if on_tau else joined


def _joined(group: Group, v0: Array, v1: Array, t: float) -> Array:
    shape = v0.shape
    if group.shared["nuslerp_flatten"] or v0.ndim < 1:
        return _rows_joined(group.numbers, v0.reshape(1, -1), v1.reshape(1, -1), t).reshape(shape)
    turned = group.shared["nuslerp_row_wise"]
    if turned:
        v0, v1 = v0.swapaxes(0, -1), v1.swapaxes(0, -1)
    rows0, rows1 = (v.reshape(-1, v.shape[-1]) for v in (v0, v1))
    joined = _rows_joined(group.numbers, rows0, rows1, t).reshape(v0.shape)
    return np.asarray(joined.swapaxes(0, -1) if turned else joined)


def _rows_joined(numbers: Numbers, v0: Array, v1: Array, t: float) -> Array:
    """Each row of one with that of the other. v0, v1: (r, c)."""
    if not v0.size:
        return v0
    one = numbers.dtype.type(1)
    units = [v / clamped(numbers.norms(v), _LEAST_OF_ROWS) for v in (v0, v1)]
    cosine = clamped(numbers.sums(units[0] * units[1]), -1, 1)
    straight = one - cosine * cosine <= numbers.dtype.type(_LEAST**2)
    angle = numbers.acos(np.where(straight, numbers.dtype.type(0), cosine))
    a, b = numbers.sin(numbers.times(angle, 1 - t)), numbers.sin(numbers.times(angle, t))
    bent = (a * v0 + b * v1) / numbers.sin(angle)
    return np.where(straight, numbers.times(v0, 1 - t) + numbers.times(v1, t), bent)


def multislerp(group: Group) -> Array:
    """Task vectors, or models where there is no base, averaged in the tangent space at their mean direction."""
    numbers, on_tau = group.numbers, group.shared["on"] == "tau"
    if len(group.models) == 1:
        return group.models[0]
    shape = group.base.shape
    rows = np.stack(group.taus if on_tau else list(group.models)).reshape(len(group.models), -1)
    weights, eps = numbers.cast(group.weights())[:, None], group.shared["eps"]
    if group.shared["normalize_weights"]:
        weights = weights / numbers.total(weights)
    norms = numbers.norms(rows)
    units = rows / numbers.plus(norms, eps)
    mean = numbers.total(units * weights)[None]
    length = numbers.norms(mean)
    if float(length[0, 0]) < eps:
        merged = _straight(rows, weights)
    else:
        scale = numbers.total(norms * weights)
        merged = _from_tangents(numbers, units, weights, mean / length, eps) * scale
    merged = merged.reshape(shape)
    return np.asarray(merged + group.base) if on_tau else merged


def _straight(rows: Array, weights: Array) -> Array:
    """Opposite directions that cancel: mergekit joins two in a straight line, and has no answer for more."""
    if len(rows) > 2:
        raise ZeroDivisionError("the weighted directions of the models cancel, and mergekit has no answer; change them")
    return np.asarray(rows[0] * weights[0] + rows[1] * weights[1])


def _from_tangents(numbers: Numbers, units: Array, weights: Array, mean: Array, eps: float) -> Array:
    """The mean of unit vectors on the sphere, (1, d)."""
    tangents = units - numbers.sums(units * mean) * mean
    tangent = numbers.total(tangents * weights)[None]
    length = numbers.plus(numbers.norms(tangent), eps)
    return np.asarray(mean * numbers.cos(length) + tangent * (numbers.sin(length) / length))


def karcher(group: Group) -> Array:
    """The mean of the models' directions on the sphere, times the mean of their lengths, after `max_iter` steps."""
    numbers, wide = group.numbers, Numbers(group.numbers.wide)
    if len(group.models) == 1:
        return group.models[0]
    alpha, tol = 1.0 / len(group.models), group.shared["tol"]
    rows = [model.reshape(1, -1) for model in group.models]
    norms = [float(wide.norms(row)[0, 0]) for row in rows]
    used = [numbers.over(row, norm) for row, norm in zip(rows, norms, strict=True) if norm > tol]
    if not used:
        return np.zeros_like(group.models[0])
    share = alpha / sum([alpha] * len(used))
    mean = _started(numbers, used, share, tol)
    for _ in range(group.shared["max_iter"]):
        tangent = _tangent(numbers, mean, used, share, tol)
        length = float(wide.norms(tangent)[0, 0])
        if length < tol:
            break
        angle = np.array(length, wide.dtype)
        mean = numbers.cast(wide.cos(angle)) * mean + numbers.cast(wide.sin(angle)) * numbers.over(tangent, length)
        length = float(wide.norms(mean)[0, 0])
        mean = numbers.over(mean, length) if length > tol else mean
    scale = wide.total(np.array([wide.times(np.array(norm, wide.dtype), alpha) for norm in norms]))
    return np.asarray(numbers.cast(scale) * mean).reshape(group.base.shape)


def _started(numbers: Numbers, units: Sequence[Array], share: float, tol: float) -> Array:
    """Where the steps begin: the direction of the mean of the directions, or the first if they cancel."""
    mean = np.zeros_like(units[0])
    for unit in units:
        mean = mean + numbers.times(unit, share)
    length = float(Numbers(numbers.wide).norms(mean)[0, 0])
    return units[0] if length < tol else numbers.over(mean, length)


def _tangent(numbers: Numbers, mean: Array, units: Sequence[Array], share: float, tol: float) -> Array:
    """Where the directions lie from the mean: the sum of their shares of the way."""
    wide, tangent = numbers.wide, np.zeros_like(mean)
    for unit in units:
        product = Numbers(wide).sums(mean.astype(np.float64) * unit.astype(np.float64))
        cosine = clamped(numbers.cast(product), -1, 1)
        angle = numbers.acos(cosine)
        if float(angle[0, 0]) < tol:
            continue
        factor = numbers.times(angle / numbers.sin(angle), share)
        tangent = tangent + factor * (unit - cosine * mean)
    return tangent


def model_stock(group: Group) -> Array:
    """Between the base and the mean of the models, by the mean cosine of their task vectors; by row if it is to be."""
    numbers, count, one = group.numbers, len(group.models), group.numbers.dtype.type(1)
    by_row = group.shared["filter_wise"] and group.base.ndim > 1
    last = group.base.shape[-1] if by_row else group.base.size
    base, *models = (array.reshape(-1, last) for array in (group.base, *group.models))
    if not base.size:
        return group.base
    offsets = [model - base for model in models]
    norms = [numbers.norms(offset) for offset in offsets]
    cosines = [
        clamped(numbers.sums(offsets[i] * offsets[j]) / clamped(norms[i] * norms[j], _LEAST_PRODUCT), -1, 1)
        for i in range(count)
        for j in range(i + 1, count)
    ]
    cosine = numbers.over(Numbers(numbers.wide).total(np.stack(cosines)), len(cosines))
    divisor = numbers.plus(numbers.times(cosine, count - 1), 1)
    singular = np.abs(divisor) < numbers.dtype.type(_LEAST_PRODUCT)
    t = np.where(singular, numbers.dtype.type(0), numbers.times(cosine, count) / np.where(singular, one, divisor))
    average = models[0]
    for model in models[1:]:
        average = average + model
    average = numbers.over(average, count)
    return np.asarray(t * average + (one - t) * base).reshape(group.base.shape)


#: The equations by the names of the methods.
GEOMETRY: Final[dict[str, Callable[[Group], Array]]] = {
    "slerp": slerp,
    "nuslerp": nuslerp,
    "multislerp": multislerp,
    "karcher": karcher,
    "model_stock": model_stock,
}
