"""Real functions of rational numbers, in integers of any precision: what rounding once is decided by [EF-3, EF-4].

Each function takes an exact x and a number of bits, and gives (value, scale): f(x) lies strictly between
(value - MARGIN) / 2^scale and (value + MARGIN) / 2^scale. More bits make scale grow alike.

All of them count in units of 2^-bits. Divisions and shifts round down by less than one unit, and series have only terms
of 0 or more, so that they end. A function takes fewer than `bits` such steps, and what follows a step multiplies its
error by 2^11 at most (exp: eight squarings of a number below 2; the others less). So with up to 2^15 bits, far more
than was ever needed, errors stay below 2^28 units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from math import isqrt

#: What a value may be off by, in units of its last place.
MARGIN = 1 << 32
#: Spare bits of the constants, which are then off by one unit.
_SPARE = 32

#: (value, scale) of a function at x with so many bits.
RealFunction = Callable[[Fraction, int], tuple[int, int]]


def nearest(function: RealFunction, x: Fraction, rounding: Callable[[int, int], float]) -> float:
    """f(x) rounded once: more bits until both ends of its enclosure round to one number (Ziv, 1991) [EF-3, EF-4].

    rounding: of value / 2^scale. It never ends where f(x) is 0 or halfway between two numbers: ask for no such x.
    """
    bits = 160
    while True:
        value, scale = function(x, bits)
        low, high = rounding(value - MARGIN, scale), rounding(value + MARGIN, scale)
        if low == high:
            return low
        bits *= 2


def exp(x: Fraction, bits: int) -> tuple[int, int]:
    """e^x = 2^k e^r, 0 <= r < log 2."""
    k, r = divmod(_fixed(x, bits), _log_2(bits))
    # e^r = (e^(r/256))^256: a short series, and eight squarings.
    power = term = 1 << bits
    r, n = r >> 8, 0
    while term:
        n += 1
        term = (term * r >> bits) // n
        power += term
    for _ in range(8):
        power = power * power >> bits
    return power, bits - k


def log(x: Fraction, bits: int) -> tuple[int, int]:
    """log x = k log 2 + log y, 2/3 <= y < 4/3, for x > 0."""
    k = x.numerator.bit_length() - x.denominator.bit_length()
    y = x / Fraction(2) ** k
    k, y = (k - 1, 2 * y) if 3 * y < 2 else (k + 1, y / 2) if 3 * y >= 4 else (k, y)
    rest = 2 * _atanh(abs(y - 1) / (y + 1), bits)
    return k * _log_2(bits) + (rest if y > 1 else -rest), bits


def tanh(x: Fraction, bits: int) -> tuple[int, int]:
    """tanh x = (1 - e) / (1 + e) with e = e^(-2x), for x >= 0; it is odd."""
    # Above 64 it is closer to 1 than any number of fp64, as at 64.
    power, scale = exp(-2 * min(abs(x), Fraction(64)), bits)
    one, e = 1 << bits, power >> (scale - bits)
    value = ((one - e) << bits) // (one + e)
    return (value if x > 0 else -value), bits


def sin(x: Fraction, bits: int) -> tuple[int, int]:
    return _turned(x, bits, 0)


def cos(x: Fraction, bits: int) -> tuple[int, int]:
    return _turned(x, bits, 1)


def acos(x: Fraction, bits: int) -> tuple[int, int]:
    """acos x = 2 atan sqrt((1 - x) / (1 + x)) for x >= 0, and pi - acos(-x) below, for -1 <= x <= 1."""
    angle = 2 * _atan(isqrt(_fixed((1 - abs(x)) / (1 + abs(x)), 2 * bits)), bits)
    return (angle if x >= 0 else _pi(bits) - angle), bits


def _turned(x: Fraction, bits: int, quarters: int) -> tuple[int, int]:
    """sin(x + quarters * pi / 2): x = k pi / 2 + r, 0 <= r < pi / 2, pi to as many more bits as k has."""
    more = max(0, x.numerator.bit_length() - x.denominator.bit_length() + 1)
    k, r = divmod(_fixed(x, bits + more), _pi(bits + more) // 2)
    r >>= more
    quadrant = (k + quarters) % 4
    first = 1 << bits if quadrant % 2 else r
    value = _alternating(first, r * r >> bits, 1 if quadrant % 2 else 2, bits)
    return (value if quadrant < 2 else -value), bits


def _alternating(term: int, square: int, n: int, bits: int) -> int:
    """term (1 - square / (n (n+1)) + square^2 / (n ... (n+3)) - ...): the series of cosine (n = 1) and sine (n = 2)."""
    total, sign = term, 1
    while term:
        term = (term * square >> bits) // (n * (n + 1))
        sign, n = -sign, n + 2
        total += sign * term
    return total


def _atanh(z: Fraction, bits: int) -> int:
    """z + z^3/3 + z^5/5 + ..., for 0 <= z <= 1/5."""
    power = _fixed(z, bits)
    square, total, n = power * power >> bits, 0, 1
    while power:
        total += power // n
        power, n = power * square >> bits, n + 2
    return total


def _atan(w: int, bits: int) -> int:
    """w - w^3/3 + w^5/5 - ..., for 0 <= w <= 1 in units, after three times atan w = 2 atan(w / (1 + sqrt(1 + w^2)))."""
    one = 1 << bits
    for _ in range(3):
        w = (w << bits) // (one + isqrt((one << bits) + w * w))
    square, total, n, sign = w * w >> bits, 0, 1, 8
    while w:
        total += sign * (w // n)
        w, n, sign = w * square >> bits, n + 2, -sign
    return total


@lru_cache(maxsize=16)
def _log_2(bits: int) -> int:
    """log 2 = 18 atanh 1/26 - 2 atanh 1/4801 + 8 atanh 1/8749."""
    a, b, c = (_atanh(Fraction(1, n), bits + _SPARE) for n in (26, 4801, 8749))
    return (18 * a - 2 * b + 8 * c) >> _SPARE


@lru_cache(maxsize=16)
def _pi(bits: int) -> int:
    """pi = 4 atan 1."""
    return 4 * _atan(1 << (bits + _SPARE), bits + _SPARE) >> _SPARE


def _fixed(x: Fraction, bits: int) -> int:
    return (x.numerator << bits) // x.denominator


def rn64(value: int, scale: int) -> float:
    """RN64 of value / 2^scale."""
    try:
        # The true division of Python integers is correctly rounded, subnormals included.
        return value / (1 << scale) if scale >= 0 else float(value << -scale)
    except OverflowError:
        return math.inf  # nothing below zero becomes so large
