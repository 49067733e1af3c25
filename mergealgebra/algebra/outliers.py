"""Cut the largest magnitudes of a task vector, by an exact threshold found while streaming [BC-2]: what trim keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

from mergealgebra.algebra import trim
from mergealgebra.algebra.arrays import Array, array_namespace, kept
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.thresholds import Cut, Scope, Thresholds


def outlier_count(gamma: Fraction, elements: int) -> int:
    """g = floor(gamma * d), exactly, for d > 0 elements and gamma below 1; so g is below d [BC-2]."""
    return int(gamma * elements)


@dataclass(frozen=True)
class Ceilings(Thresholds):
    """The largest magnitude of each group that is not cut, the (g + 1)-th largest; its `density` is gamma.

    It may be zero: where at most g elements are not zero, all of them are cut.
    """

    least: ClassVar[int] = 0

    def witness(self, before: View, after: View, found: tuple[int, int]) -> tuple[int, int]:
        """How many elements lie above the ceiling, and how many not below it."""
        xp, bits = array_namespace(before.tau), trim.magnitude_bits(before.tau)
        return int(xp.count_nonzero(bits > found[0])), int(xp.count_nonzero(bits >= found[0]))

    def proves(self, answer: Cut, group: Group, witness: tuple[int, ...]) -> bool:
        """As `Statistic.proves`: so many lie above the (g + 1)-th largest, and g + 1 or more do not lie below it."""
        above, not_below = witness
        return answer.position is None and above < self._m(group) <= not_below

    def _m(self, group: Group) -> int:
        return outlier_count(self.density, group.size) + 1


@dataclass(frozen=True)
class CutLargest:
    """Leave out the largest magnitudes of a task vector: a `Stage` [BC-2].

    gamma: the share that is cut, from 0 to below 1. Magnitudes that tie with one that stays all stay.
    """

    gamma: Fraction
    scope: Scope = "tensor"

    @cached_property
    def statistic(self) -> Ceilings | None:
        """The ceiling of each group; with gamma 0 there is nothing to find."""
        return None if self.gamma == 0 else Ceilings(self.gamma, self.scope, "keep_all")

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`."""
        return str(self.gamma), self.scope

    def __call__(self, view: View, found: tuple[int, int] | None) -> Array:
        """tau, +0 where it is cut."""
        return view.tau if found is None else cut(view.tau, found[0])


def cut(tau: Array, ceiling: Array | int) -> Array:
    """tau, +0 where its magnitude is above a ceiling, given as fp32 bits [BC-2]. tau: fp32 of any shape."""
    return kept(tau, trim.magnitude_bits(tau) <= ceiling)
