"""What the strategies of crdt-merge 0.11.0 compute, as its state layer calls them, an equation each [NA-5 to NA-9].

Each takes the models in canonical order, which stands for the order of the names that a caller of crdt-merge picks, the
base, and weights w that are coefficients over their sum. Everything is binary64, elements in C order. What crosses
elements is RN64 of an exact sum here, where crdt-merge has NumPy add in an order of its own.

    tau_i = model_i - base
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np

from mergealgebra.dialects import crdt_merge_search, crdt_merge_spectra, crdt_merge_statistics

Array = np.ndarray[Any, Any]
Models = Sequence[Array]
Weights = Sequence[float]


def averaged(models: Models, weights: Weights) -> Array:
    """The sum of w_i model_i, each product and each sum rounded, in order, beginning at 0."""
    total = np.zeros_like(models[0])
    for model, w in zip(models, weights, strict=True):
        total = total + w * model
    return total


def task_vectors(models: Models, base: Array) -> list[Array]:
    """tau_i as vectors."""
    return [(model - base).reshape(-1) for model in models]


def on_base(base: Array, change: Array) -> Array:
    """base + change, in the base's shape."""
    return np.asarray((base.reshape(-1) + change).reshape(base.shape))


# Without randomness


def linear(models: Models, base: Array, weights: Weights, t: float) -> Array:
    """From the left: m = (1 - t) m + t model_i."""
    return reduce(lambda merged, model: (1.0 - t) * merged + t * model, models)


def fisher_merge(models: Models, base: Array, weights: Weights) -> Array:
    """Each parameter of each model weighted by its square, as no Fisher information reaches it."""
    return _weighted_by([model**2 for model in models], models)


def regression_mean(models: Models, base: Array, weights: Weights, regularization: float) -> Array:
    """Each parameter of each model weighted by its square plus a constant."""
    return _weighted_by([model**2 + regularization for model in models], models)


def _weighted_by(each: Models, models: Models) -> Array:
    total = np.zeros_like(models[0])
    divisor = np.zeros_like(models[0])
    for w, model in zip(each, models, strict=True):
        total = total + w * model
        divisor = divisor + w
    return np.asarray(total / np.maximum(divisor, 1e-12))


def model_breadcrumbs(models: Models, base: Array, weights: Weights, sparsity: float) -> Array:
    """The mean of each tau where its magnitude reaches the quantile; the largest are never cut."""
    kept = [_from_quantile(tau, sparsity * 100) for tau in task_vectors(models, base)]
    return on_base(base, averaged(kept, weights))


def emr(models: Models, base: Array, weights: Weights, elect_ratio: float) -> Array:
    """The mean of each tau's largest, times d / (how many of it are not 0), at most 1 / elect_ratio."""
    elected = [_from_quantile(tau, (1.0 - elect_ratio) * 100) for tau in task_vectors(models, base)]
    merged = averaged(elected, weights)
    active = np.count_nonzero(merged)
    if active:
        merged = merged * min(merged.size / float(active), 1.0 / elect_ratio)
    return on_base(base, merged)


def _from_quantile(tau: Array, percent: float) -> Array:
    """tau where its magnitude is not below the percentile of all magnitudes, else 0."""
    magnitudes = np.abs(tau)
    return np.asarray(tau * (magnitudes >= np.percentile(magnitudes, percent)))


def safe_merge(models: Models, base: Array, weights: Weights, safety_threshold: float) -> Array:
    """The mean of the models, but the base where their variance is among the largest."""
    mean = _mean_of(models)
    variance = _mean_of([(model - mean) ** 2 for model in models]).reshape(-1)
    merged = averaged(models, weights).reshape(-1)
    if variance.max() > 0:
        k = max(1, int(variance.size * safety_threshold))
        spread = variance >= np.sort(variance)[max(0, variance.size - k)]
        merged = np.where(spread, base.reshape(-1), merged)
    return merged


def split_unlearn_merge(models: Models, base: Array, weights: Weights, target_fraction: float) -> Array:
    """The mean of tau without the parameters whose mean magnitude is among the smallest."""
    taus = task_vectors(models, base)
    size = _mean_of([np.abs(tau) for tau in taus])
    k = max(1, int(size.size * target_fraction))
    forgotten = size <= np.sort(size)[min(k - 1, size.size - 1)]
    merged = base.reshape(-1)
    for tau, w in zip(taus, weights, strict=True):
        merged = merged + w * np.where(forgotten, 0.0, tau)
    return merged


def led_merge(models: Models, base: Array, weights: Weights) -> Array:
    """For each parameter the value nearest to the mean; of two as near, the smaller."""
    mean = _mean_of(models)
    best, nearest = models[0], np.abs(models[0] - mean)
    for model in models[1:]:
        distance = np.abs(model - mean)
        closer = (distance < nearest) | ((distance == nearest) & (model < best))
        best, nearest = np.where(closer, model, best), np.where(closer, distance, nearest)
    return np.asarray(best)


def _mean_of(arrays: Sequence[Array]) -> Array:
    """Their sum in order, over their number; no weights."""
    return np.asarray(reduce(add, arrays, 0) / len(arrays))


# With a seed


class Draws:
    """Python's random numbers from a seed: the Mersenne Twister, 53 bits each [NA-7]."""

    def __init__(self, seed: int) -> None:
        _, state, _ = random.Random(seed).getstate()
        self._twister = np.random.RandomState()  # its own state, no global one
        self._twister.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))

    def __call__(self, count: int) -> Array:
        """The next numbers, from 0 up to but not 1. Returns (count,)."""
        return self._twister.random_sample(count)


def dare(models: Models, base: Array, weights: Weights, drop_rate: float, seed: float) -> Array:
    """The mean of each tau where a number is not below the drop rate, times 1 / (1 - drop rate)."""
    draws, rescale = Draws(int(seed)), 1.0 / (1.0 - drop_rate)
    merged = np.zeros(base.size)
    for tau, w in zip(task_vectors(models, base), weights, strict=True):
        merged = merged + w * tau * (draws(tau.size) >= drop_rate) * rescale
    return on_base(base, merged)


def della(models: Models, base: Array, weights: Weights, drop_rate: float, epsilon: float, seed: float) -> Array:
    """As `dare`, but the drop rate falls with the magnitude and rises by epsilon; the i-th model has seed + i."""
    rescale = 1.0 / (1.0 - drop_rate)
    merged = np.zeros(base.size)
    for i, (tau, w) in enumerate(zip(task_vectors(models, base), weights, strict=True)):
        magnitudes = np.abs(tau)
        largest = magnitudes.max() or 1.0
        dropped = np.clip(drop_rate * (1.0 - magnitudes / largest) + epsilon, 0.0, 1.0)
        merged = merged + w * tau * (Draws(int(seed) + i)(tau.size) >= dropped) * rescale
    return on_base(base, merged)


def dare_ties(models: Models, base: Array, weights: Weights, drop_rate: float, density: float, seed: float) -> Array:
    """DARE, then trim by a percentile of the non-zero magnitudes, a vote by count, and the mean of w tau that agree."""
    draws, rescale = Draws(int(seed)), 1.0 / (1.0 - drop_rate)
    dropped = [tau * (draws(tau.size) >= drop_rate) * rescale for tau in task_vectors(models, base)]
    trimmed = [_largest_nonzero(tau, (1.0 - density) * 100) for tau in dropped]
    elected = np.sign(reduce(add, (np.sign(tau) for tau in trimmed)))
    merged, count = np.zeros(base.size), np.zeros(base.size)
    for tau, w in zip(trimmed, weights, strict=True):
        agrees = (np.sign(tau) == elected) & (tau != 0)
        merged = merged + w * tau * agrees
        count = count + agrees
    return on_base(base, merged / np.maximum(count, 1.0))


def _largest_nonzero(tau: Array, percent: float) -> Array:
    magnitudes = np.abs(tau)
    nonzero = magnitudes[magnitudes > 0]
    return np.asarray(tau * (magnitudes >= np.percentile(nonzero, percent))) if nonzero.size else tau


#: The equations by the names of the strategies.
EQUATIONS: Final[Mapping[str, Callable[..., Array]]] = {
    "ada_merging": crdt_merge_statistics.ada_merging,
    "adarank": crdt_merge_spectra.adarank,
    "dam": crdt_merge_statistics.dam,
    "dare": dare,
    "dare_ties": dare_ties,
    "della": della,
    "emr": emr,
    "evolutionary_merge": crdt_merge_search.evolutionary_merge,
    "fisher_merge": fisher_merge,
    "genetic_merge": crdt_merge_search.genetic_merge,
    "led_merge": led_merge,
    "linear": linear,
    "model_breadcrumbs": model_breadcrumbs,
    "regression_mean": regression_mean,
    "safe_merge": safe_merge,
    "slerp": crdt_merge_statistics.slerp,
    "split_unlearn_merge": split_unlearn_merge,
    "star": crdt_merge_spectra.star,
    "weight_scope_alignment": crdt_merge_statistics.weight_scope_alignment,
}
