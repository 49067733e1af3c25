"""Correctly rounded scalars: RN64 of the real function, from integers, so the same on every machine [EF-4].

Each takes and gives a float, in 3 to 20 microseconds: for hosts, a few times a tensor. A number without an answer
raises ValueError, and so does one that is not finite.

>>> acos(-1.0) == 3.141592653589793, sqrt(Fraction(1, 9)), log(1.0)
(True, 0.3333333333333333, 0.0)
"""

from __future__ import annotations

import math
from fractions import Fraction

from mergealgebra.algebra import real_functions
from mergealgebra.algebra.real_functions import RealFunction, nearest, rn64


def sqrt(x: float | Fraction) -> float:
    """RN64 of the square root of x >= 0, which may be any rational number."""
    exact = _exact("sqrt", x)
    if exact < 0:
        raise _outside("sqrt", x, "0 or more")
    n, d = exact.numerator, exact.denominator
    bits = max(0, 66 - (n.bit_length() - d.bit_length()) // 2)
    root = math.isqrt((n << 2 * bits) // d)
    # More than 64 bits of the root, and one that tells whether it goes on: rounded, they give what the root gives.
    return rn64(2 * root + (root * root * d != n << 2 * bits), bits + 1)


def exp(x: float) -> float:
    """RN64(e^x): 0 and infinity where it is too small and too large."""
    # Beyond 1200 nothing changes any more, and 2^k would grow out of hand.
    return nearest(real_functions.exp, max(min(_exact("exp", x), Fraction(1200)), Fraction(-1200)), rn64)


def log(x: float) -> float:
    """RN64 of the natural logarithm of x > 0."""
    if not x > 0:
        raise _outside("log", x, "above 0")
    return _away_from(1, "log", real_functions.log, x)


def tanh(x: float) -> float:
    """RN64(tanh x)."""
    return _away_from(0, "tanh", real_functions.tanh, x)


def sin(x: float) -> float:
    """RN64(sin x), x in radians."""
    return _away_from(0, "sin", real_functions.sin, x)


def cos(x: float) -> float:
    """RN64(cos x), x in radians."""
    return nearest(real_functions.cos, _exact("cos", x), rn64)


def acos(x: float) -> float:
    """RN64(acos x), in radians, of x from -1 to 1."""
    if not -1 <= x <= 1:
        raise _outside("acos", x, "from -1 to 1")
    return _away_from(1, "acos", real_functions.acos, x)


def _away_from(zero: int, name: str, function: RealFunction, x: float) -> float:
    """A function whose one rational zero is at this place, where no number of bits would decide."""
    exact = _exact(name, x)
    return 0.0 if exact == zero else nearest(function, exact, rn64)


def _exact(name: str, x: float | Fraction) -> Fraction:
    if isinstance(x, Fraction):
        return x
    if not math.isfinite(x):
        raise _outside(name, x, "a finite number")
    return Fraction(float(x))


def _outside(name: str, x: float | Fraction, expected: str) -> ValueError:
    return ValueError(f"{name} of {x!r}: expected {expected}; check what it is computed from")
