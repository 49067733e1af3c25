"""The two strategies of crdt-merge 0.11.0 that search for coefficients: the least variance wins [NA-9].

Arguments are as of `dialects/crdt_merge.py`. Everything is drawn from the seed, in the order that is written here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.scalars import cos, log, sin

Array = np.ndarray[Any, Any]
Models = Sequence[Array]
Weights = Sequence[float]
Coefficients = list[float]

_GENERATIONS: Final = 50
_POPULATION: Final = 20
_ELITE: Final = 10
_CONTESTANTS: Final = 3


class Dice:
    """Numbers from a seed as Python's `random` makes them: uniform, normal, whole [NA-7]."""

    def __init__(self, seed: int) -> None:
        self._random, self._second = random.Random(seed), math.nan

    def uniform(self) -> float:
        """From 0 up to but not 1, in steps of 2^-53."""
        return self._random.random()

    def normal(self, sigma: float, mean: float = 0.0) -> float:
        """Box and Muller's, two at a time."""
        unit, self._second = self._second, math.nan
        if math.isnan(unit):
            angle, radius = self.uniform() * math.tau, math.sqrt(-2.0 * log(1.0 - self.uniform()))
            unit, self._second = cos(angle) * radius, sin(angle) * radius
        return mean + unit * sigma

    def below(self, count: int) -> int:
        """A whole number below count: as many bits as it has, again until they are below it."""
        while (drawn := self._random.getrandbits(count.bit_length())) >= count:
            pass
        return drawn


def evolutionary_merge(models: Models, base: Array, weights: Weights, seed: float) -> Array:
    """The better half has children, each a parent plus normal numbers of deviation 0.1."""
    dice, n = Dice(int(seed)), len(models)

    def first() -> Coefficients:
        drawn = [dice.normal(0.3, 1.0 / n) for _ in range(n)]
        size = _sum([abs(c) for c in drawn])
        return [max(0.0, c) / size for c in drawn] if size > 0 else _equal(n)

    def child(population: list[Coefficients], fitness: list[float]) -> Coefficients:
        ranked = sorted(range(_POPULATION), key=fitness.__getitem__, reverse=True)
        parent = population[ranked[dice.below(_ELITE)]]
        return [max(0.0, c + dice.normal(0.1)) for c in parent]

    return _searched(models, first, child)


def genetic_merge(models: Models, base: Array, weights: Weights, seed: float) -> Array:
    """Two parents win a contest of three each; a child takes each coefficient from one of them, and may change it."""
    dice, n = Dice(int(seed)), len(models)

    def first() -> Coefficients:
        drawn = [dice.uniform() for _ in range(n)]
        return _shares(drawn)

    def winner(population: list[Coefficients], fitness: list[float]) -> Coefficients:
        contestants = [dice.below(_POPULATION) for _ in range(_CONTESTANTS)]
        return population[max(contestants, key=fitness.__getitem__)]

    def child(population: list[Coefficients], fitness: list[float]) -> Coefficients:
        one, other = winner(population, fitness), winner(population, fitness)
        mixed = [a if dice.uniform() < 0.5 else b for a, b in zip(one, other, strict=True)]
        return [max(0.0, c + dice.normal(0.1)) if dice.uniform() < 0.1 else c for c in mixed]

    return _searched(models, first, child)


def _searched(
    models: Models,
    first: Callable[[], Coefficients],
    child: Callable[[list[Coefficients], list[float]], Coefficients],
) -> Array:
    """The sum of c model for the best c of all generations; each begins with the best so far."""
    flat = [model.reshape(-1) for model in models]
    population = [first() for _ in range(_POPULATION)]
    population[0] = _equal(len(models))
    best, best_fitness = population[0], -math.inf
    for _ in range(_GENERATIONS):
        fitness = [-_variance(_weighted(flat, coefficients)) for coefficients in population]
        for coefficients, found in zip(population, fitness, strict=True):
            if found > best_fitness:
                best, best_fitness = coefficients, found
        population = [best, *(_shares(child(population, fitness)) for _ in range(_POPULATION - 1))]
    return _weighted(models, best)


def _equal(n: int) -> Coefficients:
    return [1.0 / n] * n


def _shares(numbers: list[float]) -> Coefficients:
    size = _sum(numbers)
    return [c / size for c in numbers] if size > 0 else _equal(len(numbers))


def _weighted(models: Models, coefficients: Coefficients) -> Array:
    total = np.zeros_like(models[0])
    for model, c in zip(models, coefficients, strict=True):
        total = total + model * c
    return total


def _variance(values: Array) -> float:
    mean = _sum(values) / values.size
    return _sum((values - mean) ** 2) / values.size


def _sum(values: Array | list[float]) -> float:
    """One after the other, from the first to the last."""
    return float(np.add.accumulate(values)[-1])
