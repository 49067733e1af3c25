"""Correctly rounded functions: of arrays to F32, of scalars to F64; corners, random numbers, and answers near a tie."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.floats import bits_of
from generator.reference.functions import rounded_exp, rounded_log
from generator.reference.rounding import F64, rn, value

Json = Any
SIGN, INFINITY = F64.sign_bit, F64.infinity
NAN = INFINITY | 1 << 51
RANDOM = Random(20)
RANGES = [0, -1, -3, 2, -12, 5, -24, -30]


def shown(bits: Sequence[int]) -> list[str]:
    return [f"{x:016x}" for x in bits]


def of(*numbers: float) -> list[int]:
    return [bits_of(F64, x) for x in numbers]


def around(*numbers: float) -> list[int]:
    """Each number, which is not zero, with both its neighbours."""
    return [bits + step for bits in of(*numbers) for step in (-1, 0, 1)]


def signed(bits: Sequence[int]) -> list[int]:
    return [x for each in bits for x in (each, each | SIGN)]


def random(*exponents: int) -> list[int]:
    """Positive numbers, one of each binade."""
    return [(1023 + exponent) << 52 | RANDOM.bits(52) for exponent in exponents]


def ties(*exponents: int) -> list[Fraction]:
    """Numbers halfway between two of F32, one of each binade; below 2^-126, between two subnormals."""
    digits = {e: min(24, e + 150) for e in exponents}
    return [
        ((1 << digits[e]) + 2 * RANDOM.below(1 << (digits[e] - 1)) + 1) * Fraction(2) ** (e - digits[e])
        for e in exponents
    ]


def atanh(m: Fraction) -> int:
    """The F64 number next to half of log((1 + m) / (1 - m))."""
    return rn(F64, value(F64, rounded_log(F64, (1 + m) / (1 - m))) / 2)


LAST = Fraction(2) ** 128 - Fraction(2) ** 103
LEAST = Fraction(1, 2**150)
NEAR_EXP = [rounded_log(F64, t) for t in ties(0, 0, 1, -1, 3, -5, 8, -20, 30, -100, -125, -127, -130, -140, -148)]
NEAR_LOG = [rounded_exp(F64, s * t) for t in ties(0, -1, 1, -4, -9, -20, 3, 5, 8) for s in (1, -1)]
NEAR_TANH = [atanh(t) for t in ties(-1, -1, -1, -2, -3, -5, -9, -14, -20)]
SMALL_TIES = [rn(F64, t) for t in ties(-30, -60, -126, -127, -140, -148)]

PLAIN = "corners and random numbers"

ARRAYS: list[tuple[str, str, Sequence[int], str]] = [
    ("exp-exact", "exp", [0, SIGN, INFINITY, INFINITY | SIGN, NAN], "zeros, infinities, NaN"),
    ("exp-one", "exp", signed([1, 1 << 52, *of(2.0**-60, 2.0**-25, 2.0**-24, 3 * 2.0**-25)]), "answers next to 1"),
    ("exp-random", "exp", signed(random(*RANGES)), "random numbers"),
    ("exp-overflow", "exp", [*around(88.0, 89.0, 1e3, 1e300), INFINITY - 1], "near the greatest number and far beyond"),
    ("exp-last", "exp", [rounded_log(F64, LAST) + step for step in range(-2, 3)], "on both sides of infinity"),
    ("exp-subnormal", "exp", [x | SIGN for x in around(87.0, 88.0, 95.5, 103.0)], "subnormal answers"),
    ("exp-least", "exp", [rounded_log(F64, LEAST) + step for step in range(-2, 3)], "on both sides of zero"),
    ("exp-underflow", "exp", [x | SIGN for x in around(104.0, 745.0, 1e9)] + [INFINITY - 1 | SIGN], "zero"),
    ("exp-tie", "exp", NEAR_EXP, "answers within rounding of a tie, subnormal ones too"),
    ("exp-hard", "exp", [0xBED7A0045C4912B6, 0xBF0BCC304B18DE15, 0xBFE9599FA7DC9363, 0x3EEADFF4B6F6518F,
                         0x3EFA4FEA5D4FB85A, 0x40313F2CD2F8CEE3], "within 2^-69 of a tie, found by search"),
    ("log-exact", "log", [0, SIGN, INFINITY, INFINITY | SIGN, NAN, *of(1.0, -1.0), 1 | SIGN], "no number, or zero"),
    ("log-one", "log", [*around(1.0), *of(1 + 2.0**-30, 1 - 2.0**-30, 1 + 2.0**-24, 1 - 2.0**-24)], "next to 1"),
    ("log-random", "log", random(*RANGES, -200, 300, -900, 1000), "random numbers"),
    ("log-far", "log", [1, 2, (1 << 52) - 1, 1 << 52, (1 << 52) + 1, INFINITY - 1], "subnormal and greatest numbers"),
    ("log-tie", "log", NEAR_LOG, "answers within rounding of a tie"),
    ("log-hard", "log", [0x40130E263FA3002C, 0x4010F5B166DC0BE3, 0x40B8FE69248CF0EF, 0x41159B60B53BD830,
                         0x415AF5F13A82981C, 0x3FF9F637B6343090], "within 2^-70 of a tie, found by search"),
    ("tanh-exact", "tanh", [0, SIGN, INFINITY, INFINITY | SIGN, NAN], "zeros, infinities, NaN"),
    ("tanh-random", "tanh", signed(random(*RANGES, 3, 4)), "random numbers"),
    ("tanh-one", "tanh", signed([*around(9.0, 10.0, 20.0), *of(1e9), INFINITY - 1]), "answers next to 1, and 1"),
    ("tanh-last", "tanh", [atanh(1 - Fraction(1, 2**25)) + step for step in range(-2, 3)], "on both sides of 1"),
    ("tanh-tie", "tanh", signed(NEAR_TANH), "answers within rounding of a tie"),
    ("tanh-small-tie", "tanh", signed([x + step for x in SMALL_TIES for step in (0, 1)]), "ties and what follows"),
    ("tanh-least", "tanh", signed([1, 1 << 52, *around(2.0**-150, 2.0**-149, 2.0**-126)]), "subnormals, and zero"),
    ("tanh-hard", "tanh", [0x401E6091E557FE34, 0x401D73B4E2D5BCD3, 0x3FF5F24B6BE1CA33, 0x3FD886D7BEAC8BC1,
                           0x3EFD5061F020CC9B], "within 2^-70 of a tie, found by search"),
]  # fmt: skip

SCALARS: list[tuple[str, str, Sequence[int], str]] = [
    ("exp", "exp", [0, SIGN, *signed(random(*RANGES, 8)), *around(709.0, -745.0), *of(710.0, -746.0, 1e300, -1e300)],
     PLAIN),
    ("exp-hard", "exp", of(float.fromhex("0x1.9E9CBBFD6080Bp-31"), float.fromhex("0x1.83D4BCDEBB3F4p+2"),
                           float.fromhex("-0x1.ED318EFB627EAp-27")), "hard to round (Lefevre and Muller, 2001)"),
    ("log", "log", [*of(1.0), *around(1.0), *random(*RANGES, -900, 1000), 1, INFINITY - 1], PLAIN),
    ("tanh", "tanh", signed([0, 1, *random(*RANGES, 4), *around(19.0, 1e-8), INFINITY - 1]), PLAIN),
    ("sin", "sin", signed([0, 1, *random(*RANGES, 30), *around(3.141592653589793)]), PLAIN),
    ("sin-hard", "sin", of(float.fromhex("0x1.E0000000001C2p-20"), float.fromhex("0x1.598BAE9E632F6p-7"),
                           float.fromhex("0x1.6AC5B262CA1FFp+849")), "hard to round; and almost a multiple of pi"),
    ("cos", "cos", signed([0, 1, *random(*RANGES, 30), *around(1.5707963267948966)]), PLAIN),
    ("cos-hard", "cos", of(float.fromhex("0x1.8000000000009p-23"), float.fromhex("0x1.06B505550E6B2p-9"),
                           float.fromhex("0x1.6AC5B262CA1FFp+849")), "hard to round; and almost pi / 2"),
    ("acos", "acos", signed([0, 1, *random(-1, -1, -2, -5, -12, -60), *of(0.5, 1.0, 1 - 2.0**-53, 1 - 2.0**-30)]),
     PLAIN),
    ("acos-hard", "acos", of(float.fromhex("0x1.FD737BE914578p-11")), "hard to round"),
    ("sqrt", "sqrt", [0, SIGN, 1, *random(*RANGES, 1000, -1000), *of(1.0, 2.0, 4.0, 1e-300), INFINITY - 1],
     PLAIN),
]  # fmt: skip

#: Fractions to take the root of: squares, roots halfway between two numbers, roots too small for F64, and plain ones.
RATIOS = [
    Fraction(4, 9), Fraction(1, 3), Fraction(10**40 + 1, 10**40), Fraction(10**400, 7),
    (1 + Fraction(1, 2**53)) ** 2, (1 + Fraction(3, 2**53)) ** 2, (1 + Fraction(1, 2**53)) ** 2 + Fraction(1, 2**400),
    Fraction(9, 2**2150), Fraction(1, 2**2150), Fraction(1, 2**2150) + Fraction(1, 2**2300), Fraction(1, 2**2400),
]  # fmt: skip

CASES = [
    *(
        Case("function", f"function-{i}", "EF-1 EF-3", why, {"function": function, "arguments": shown(arguments)})
        for i, function, arguments, why in ARRAYS
    ),
    *(
        Case("scalar", f"scalar-{i}", "EF-4", why, {"function": function, "arguments": shown(arguments)})
        for i, function, arguments, why in SCALARS
    ),
    Case("square-root", "square-root-ratios", "EF-4", "roots of fractions", {
        "ratios": [[str(q.numerator), str(q.denominator)] for q in RATIOS]
    }),
]  # fmt: skip
