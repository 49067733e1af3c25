"""Strategies of crdt-merge 0.11.0 that look at a whole tensor: angles, distances, entropies [NA-5, NA-6, NA-8].

Arguments are as of `dialects/crdt_merge.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from mergealgebra.algebra.scalars import acos, sin
from mergealgebra.dialects import scalars

Array = np.ndarray[Any, Any]
Models = Sequence[Array]
Weights = Sequence[float]


def slerp(models: Models, base: Array, weights: Weights, t: float) -> Array:
    """From the left: along the arc between directions, at t; lengths at t between both."""
    return reduce(lambda merged, model: _on_the_arc(merged, model, t), models)


def _on_the_arc(a: Array, b: Array, t: float) -> Array:
    length_a, length_b = scalars.norm(a), scalars.norm(b)
    if length_a < 1e-12 or length_b < 1e-12:
        nothing = np.zeros_like(a)
        return (nothing if length_a < 1e-12 else (1.0 - t) * a) + (nothing if length_b < 1e-12 else t * b)
    unit_a, unit_b = a / length_a, b / length_b
    angle = acos(min(1.0, max(-1.0, scalars.dot(unit_a, unit_b))))
    if angle < 1e-8:
        return (1.0 - t) * a + t * b
    sine = sin(angle)
    direction = sin((1.0 - t) * angle) / sine * unit_a + sin(t * angle) / sine * unit_b
    return direction * ((1.0 - t) * length_a + t * length_b)


def weight_scope_alignment(models: Models, base: Array, weights: Weights) -> Array:
    """Each model brought to mean 0 and deviation 1; their mean, brought to the mean of their means and deviations."""
    means, deviations = [scalars.mean(m) for m in models], [scalars.deviation(m) for m in models]
    merged = np.zeros_like(models[0])
    for model, w, mean, deviation in zip(models, weights, means, deviations, strict=True):
        merged = merged + w * (np.zeros_like(model) if deviation < 1e-12 else (model - mean) / deviation)
    wide, middle = math.fsum(deviations) / len(models), math.fsum(means) / len(models)
    return merged * max(wide, 1e-12) + middle


def ada_merging(models: Models, base: Array, weights: Weights) -> Array:
    """Coefficients that begin at entropies, then 100 steps."""
    entropies = [_entropy(model) for model in models]
    high = max(entropies)
    start = np.array([high - entropy + 1e-6 for entropy in entropies])
    if high < 1e-12:
        start = np.ones(len(models))
    return _stepwise(models, start / _total(start), 100)


def dam(models: Models, base: Array, weights: Weights) -> Array:
    """Equal coefficients, then 50 steps."""
    return _stepwise(models, np.ones(len(models)) / len(models), 50)


def _entropy(model: Array) -> float:
    """Of magnitudes as shares of their sum."""
    magnitudes = np.abs(model) + 1e-12
    shares = magnitudes / scalars.total(magnitudes)
    return -scalars.total(shares * scalars.log(shares + 1e-12))


def _stepwise(models: Models, coefficients: Array, steps: int) -> Array:
    """The sum of c model, after so many steps of 0.01 of the way to the inverse squared distances to that sum.

    The distances come from dot products of differences, as the coefficients add up to 1: one look at the tensors does
    for all steps.
    """
    dots = _dots([model - models[0] for model in models])
    for _ in range(steps):
        distances = np.array([_squared(coefficients - one, dots) for one in np.eye(len(models))]) / models[0].size
        if distances.max() > 0:
            near = 1.0 / (distances + 1e-12)
            moved = coefficients + 0.01 * (near / _total(near) - coefficients)
            coefficients = moved / _total(moved)
    merged = np.zeros_like(models[0])
    for model, c in zip(models, coefficients, strict=True):
        merged = merged + c * model
    return merged


def _dots(differences: Models) -> Array:
    n = len(differences)
    dots = np.zeros((n, n))
    for i in range(1, n):  # the first difference is 0
        for j in range(1, i + 1):
            dots[i, j] = dots[j, i] = scalars.dot(differences[i], differences[j])
    return dots


def _squared(x: Array, dots: Array) -> float:
    """x' D x, which no rounding takes below 0."""
    return max(scalars.total(x[:, None] * x[None, :] * dots), 0.0)


def _total(values: Array) -> float:
    return math.fsum(values.tolist())
