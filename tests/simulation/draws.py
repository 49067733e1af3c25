"""Draws from a seed: the same on every machine and in every version of Python."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Numbers from a seed. Of `random` only what Python promises to keep is used: `Random.random`."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        return int(self._random.random() * bound)

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self._random.random() < probability

    def one_of(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[self.below(len(options))]

    def weighted(self, weights: Mapping[str, int]) -> str:
        """One of the keys, as often as its weight says."""
        rest = self.below(sum(weights.values()))
        for key, weight in weights.items():
            rest -= weight
            if rest < 0:
                return key
        raise ValueError("no option has any weight")

    def some_of(self, weights: Mapping[str, int]) -> dict[str, int]:
        """About half of the keys: a history in which nothing ever crashes finds what crashes would hide."""
        return {key: weight for key, weight in weights.items() if self.chance(0.5)}
