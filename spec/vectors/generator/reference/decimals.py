"""Decimals [RC-1 to RC-3, RC-6]."""

from __future__ import annotations

import re
from fractions import Fraction

from generator.reference.refused import Refused
from generator.reference.rounding import F32, is_finite, magnitude, rn

GRAMMAR = re.compile(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,60})?")


def parse(text: str) -> Fraction:
    """The exact value of a decimal [RC-1]."""
    if not GRAMMAR.fullmatch(text):
        raise Refused("DecimalError")
    return Fraction(text)


def canonical(text: str) -> str:
    if parse(text) == 0:
        return "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def fp32(text: str) -> int:
    """The bits of the fp32 number of a decimal: one rounding, finite [RC-2]."""
    return fp32_of(parse(text))


def fp32_of(exact: Fraction) -> int:
    """The same of its exact value."""
    bits = rn(F32, exact)
    if not is_finite(F32, bits):
        raise Refused("DecimalError")
    return bits if magnitude(F32, bits) else 0  # a zero is +0, -10^-60 too


def density(text: str) -> Fraction:
    """A density, exact [RC-3]."""
    x = parse(text)
    if not 0 < x <= 1:
        raise Refused("DecimalError")
    return x


def share(text: str) -> Fraction:
    """A share that may be nothing, but not all, exact [BC-1, DE-1]."""
    x = parse(text)
    if not 0 <= x < 1:
        raise Refused("DecimalError")
    return x


#: Methods that take negative coefficients.
SIGNED = ("task_arithmetic", "dare_linear", "breadcrumbs", "della_linear")


def check_coefficient(bits: int, method: str | None) -> int:
    """The bits of a coefficient, usable in a method; None stands for a contribution of its own [RC-6]."""
    if magnitude(F32, bits) == 0 or not is_finite(F32, bits):
        raise Refused("CoefficientError")
    if bits & F32.sign_bit and method not in (None, *SIGNED):
        raise Refused("CoefficientError")
    return bits


def coefficient(text: str, method: str | None) -> int:
    return check_coefficient(fp32(text), method)
