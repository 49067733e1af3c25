"""SplitMix64: the same cases on every machine and every Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
MASK = 2**64 - 1


class Random:
    def __init__(self, seed: int) -> None:
        self.state = seed

    def bits(self, n: int) -> int:
        """A number of n bits, n at most 64."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) >> (64 - n)

    def below(self, n: int) -> int:
        return self.bits(53) % n

    def between(self, low: int, high: int) -> int:
        """low <= x <= high."""
        return low + self.below(high - low + 1)

    def choose(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]
