"""The sums of one contribution, for tests of sums: its terms are given, already scaled."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Sums
from mergealgebra.algebra.method import Terms


def sums_of(v: Array, vote: float | None = None) -> Sums:
    """The sums of v, and of its vote, if it has one. v: (n,) fp32."""
    return Sums.of(Terms((v,), votes=vote or 0.0), votes=vote is not None)
