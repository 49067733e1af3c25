"""Dot products in the fixed tree [DT-1 to DT-3], with `Fraction`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from generator.reference.rounding import F64, rn, value

CHUNK = 4096


def r64(x: Fraction) -> Fraction:
    return value(F64, rn(F64, x))


def chunk(products: Sequence[Fraction]) -> Fraction:
    """The sum of at most 4096 products, folded by halves [DT-2]."""
    left = [*products, *[Fraction(0)] * (CHUNK - len(products))]
    while len(left) > 1:
        half = len(left) // 2
        left = [r64(left[i] + left[i + half]) if left[i + half] else left[i] for i in range(half)]
    return left[0]


def dot(xs: Sequence[Fraction], ys: Sequence[Fraction]) -> Fraction:
    """x . y of two vectors of fp32 numbers [DT-3]."""
    products = [x * y for x, y in zip(xs, ys, strict=True)]
    sums = [chunk(products[at : at + CHUNK]) for at in range(0, len(products), CHUNK)]
    while len(sums) > 1:
        pairs = [r64(sums[i] + sums[i + 1]) for i in range(0, len(sums) - 1, 2)]
        sums = pairs + sums[2 * len(pairs) :]
    return sums[0] if sums else Fraction(0)
