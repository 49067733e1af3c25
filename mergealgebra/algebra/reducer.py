"""What a merge method is: a `lift` into exact sums and a `finalize` out of them [EX-4].

Everything between is the same for all methods: scale, lift, combine in any order, finalize.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce as fold
from typing import Protocol

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients, Sums


class Reducer(Protocol):
    """A merge method, given as a module with these two functions."""

    def lift(self, v: Array, coefficient: float) -> Sums:
        """One scaled task vector as sums. v: (n,) fp32, finite."""
        ...

    def finalize(self, sums: Sums, coefficients: Coefficients) -> Array:
        """The merged task vector tau_m, (n,) fp32. coefficients: of all contributions to the merge."""
        ...


def scale(tau: Array, coefficient: float) -> Array:
    """v = RN32(c * tau) [TI-6, ME-1, TA-2]. tau: (n,) fp32; c an fp32 number.

    Returns (n,) fp32, perhaps not finite, its zeros +0.
    """
    return tau if coefficient == 1 else tau * coefficient + 0.0


def lift(reducer: Reducer, v: Array, coefficient: float, coefficients: Coefficients) -> Sums:
    """`reducer.lift`, prepared for sums of coefficients that fp64 cannot hold [EX-3]."""
    return prepare(reducer.lift(v, coefficient), coefficients)


def prepare(sums: Sums, coefficients: Coefficients) -> Sums:
    """The same sums, as integers if they hold sums of coefficients that fp64 cannot hold [EX-3]."""
    return sums if coefficients.certified or not sums.weighs else sums.as_integers()


def combine(sums: Iterable[Sums]) -> Sums:
    """All sums in one, in the order given; any other order gives the same. At least one is needed [EX-4]."""
    return fold(Sums.combine, sums)
