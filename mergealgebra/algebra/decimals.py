"""Decimals as the user wrote them: exact until the one rounding to fp32 [RC-1, RC-2, RC-3]."""

from __future__ import annotations

import math
import re
import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from mergealgebra.errors import CoefficientError, DecimalError
from mergealgebra.text import shown

_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]{0,39})(?:\.([0-9]{1,60}))?", re.ASCII)


def canonical_decimal(text: object, what: str) -> str:
    """The canonical form of an ASCII decimal: no trailing zeros, no lone point, no -0 [RC-1].

    Raises DecimalError, which begins with `what`, for anything else, floats and ints included.
    """
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise DecimalError(f"{what}: {shown(text)} is not a decimal; {_advice(text)}")
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    digits = f"{whole}.{fraction}" if fraction else whole
    return digits if digits == "0" else sign + digits


def exact(text: object, what: str) -> Fraction:
    """The exact value of a decimal [RC-1]. Raises DecimalError."""
    return Fraction(canonical_decimal(text, what))


def exact_density(text: object, what: str = "density") -> Fraction:
    """The exact value of a density, above 0 and at most 1 [RC-3]. Raises DecimalError."""
    density = exact(text, what)
    if not 0 < density <= 1:
        raise DecimalError(f"{what}: {text} is not above 0 and at most 1; it is the fraction of elements kept")
    return density


def text_of(value: Fraction) -> str:
    """A number as text that `Fraction` reads: a canonical decimal where it is one [RC-1], else a ratio.

    >>> text_of(Fraction(-1, 8)), text_of(Fraction(1, 3))
    ('-0.125', '1/3')
    """
    digits = next((n for n in range(61) if (value * 10**n).denominator == 1), None)
    if digits is None:
        return str(value)
    whole, fraction = divmod(abs(value.numerator) * 10**digits // value.denominator, 10**digits)
    text = f"{'-' * (value < 0)}{whole}" + (f".{fraction:0{digits}}" if digits else "")
    return text if _DECIMAL.fullmatch(text) else str(value)


def rounded(text: str) -> float:
    """RN32 of what a method's key has: a canonical decimal, or of a tensor perhaps a ratio [ST-4]."""
    return round_to_fp32(Fraction(text))


def exact_share(text: object, what: str) -> Fraction:
    """The exact value of a share that may be nothing but not all, from 0 to below 1. Raises DecimalError."""
    share = exact(text, what)
    if not 0 <= share < 1:
        raise DecimalError(f"{what}: {text} is not at least 0 and below 1")
    return share


def fp32(text: object, what: str) -> float:
    """RN32 of a decimal, in one rounding, as a Python float [RC-2]. Raises DecimalError if not finite."""
    value = round_to_fp32(exact(text, what))
    if math.isinf(value):
        raise DecimalError(f"{what}: {text} is beyond the largest fp32 number, about 3.4e38")
    return value


def round_to_fp32(value: Fraction) -> float:
    """RN32 of an exact number: to nearest, ties to even, subnormals included; an infinity if too large."""
    if value == 0:
        return 0.0
    exponent = max(_floor_log2(abs(value)), -126) - 23
    significand = round(value / Fraction(2) ** exponent)
    if abs(significand) * Fraction(2) ** exponent >= Fraction(2) ** 128:
        return math.copysign(math.inf, significand)
    return math.ldexp(significand, exponent)


def to_hex(value: float) -> str:
    """The eight hexadecimal digits of the bits of an fp32 number [CT-2]."""
    return struct.pack(">f", value).hex()


def from_hex(digits: str) -> float:
    """The fp32 number with these bits; inverse of `to_hex`."""
    return float(struct.unpack(">f", bytes.fromhex(digits))[0])


def shortest(value: float) -> str:
    """A decimal with the fewest digits that is this finite fp32 number; `fp32` gives it back. Raises ValueError.

    >>> shortest(fp32("0.3", "coefficient"))
    '0.3'
    """
    exact_value = Decimal(value)
    for last in range(exact_value.adjusted(), exact_value.adjusted() - 9, -1):
        # Below a power of two the numbers lie closer, so that the nearest decimal may miss where another does not.
        for rounding in (ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING):
            found = exact_value.quantize(Decimal(1).scaleb(last), rounding)
            if round_to_fp32(Fraction(found)) == value:
                return canonical_decimal(f"{found:f}", "an fp32 number")
    raise ValueError(f"{value!r} is not an fp32 number")


def check_coefficient(value: float, what: str, *, negative: bool, method: str) -> float:
    """The coefficient itself, if a method can use it [RC-6]. Raises CoefficientError.

    negative: whether the method takes negative ones.
    """
    if not math.isfinite(value) or value == 0:
        raise CoefficientError(
            f"{what}: the coefficient is {value!r} as an fp32 number; it must be finite and not zero"
        )
    if value < 0 and not negative:
        raise CoefficientError(
            f"{what}: coefficient {value!r} is negative, and {method} takes no negative coefficients; task_arithmetic "
            "takes them"
        )
    return value


def _floor_log2(value: Fraction) -> int:
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def _advice(value: object) -> str:
    if isinstance(value, (int, float)):
        return f'write it as a string, like "{value}", so that it is read exactly'
    return 'write digits and at most one point, like "0.2"'
