"""fp32 numbers for tests: strategies over all of their range, and exact arithmetic to judge by."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
from hypothesis import strategies as st

from mergealgebra.algebra.decimals import round_to_fp32

_MOST = 0x7F7FFFFF


def finite_fp32() -> st.SearchStrategy[float]:
    """Finite fp32 numbers: all bit patterns alike, small whole numbers, and powers of two, which cancel."""
    patterns = st.integers(0, _MOST).map(lambda bits: float(np.uint32(bits).view(np.float32)))
    powers = st.integers(-149, 120).map(lambda exponent: 2.0**exponent)
    whole = st.integers(0, 2**24).map(float)
    signs = st.sampled_from([1.0, -1.0])
    return st.builds(lambda sign, value: sign * value, signs, st.one_of(patterns, powers, whole))


def task_vectors(count: int, size: int) -> st.SearchStrategy[np.ndarray]:
    """So many task vectors of one size, (count, size) fp32. Small enough that nothing overflows in the end."""
    small = finite_fp32().map(lambda x: float(np.float32(x * 2.0**-8)))
    rows = st.lists(st.lists(small, min_size=size, max_size=size), min_size=count, max_size=count)
    return rows.map(lambda values: np.array(values, np.float32).reshape(count, size))


def coarse_task_vectors(count: int, size: int) -> st.SearchStrategy[np.ndarray]:
    """The same of few numbers, so that sums are seldom far from the end of their certificate."""
    few = st.sampled_from([0.0, 1.0, -1.0, 3.0, 2.0**29, 2.0**30, -(2.0**30), 2.0**52, 2.0**-149])
    rows = st.lists(st.lists(few, min_size=size, max_size=size), min_size=count, max_size=count)
    return rows.map(lambda values: np.array(values, np.float32).reshape(count, size))


def exact_sum(values: object) -> Fraction:
    """The sum of real numbers."""
    return sum(map(Fraction, map(float, values)), Fraction(0))


def rn64(value: Fraction) -> float:
    """RN64: Python's division of integers is correctly rounded."""
    return value.numerator / value.denominator


def rn32(value: Fraction) -> float:
    """RN32."""
    return round_to_fp32(value)


def by_mpmath(name: str, x: float, bits: int) -> Fraction:
    """A real function to so many bits, by mpmath."""
    with mpmath.workprec(bits):
        found = mpmath.mpf(getattr(mpmath, name)(mpmath.mpf(x)))
    return Fraction(*mpmath.libmp.to_rational(found._mpf_))
