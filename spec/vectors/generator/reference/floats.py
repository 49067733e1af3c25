"""Float arithmetic in any format: numbers are Python floats that the format holds, each operation rounds once.

Zeros have no sign here: no base of a case holds -0, so a zero's sign never shows in a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite, isnan

from generator.reference.rounding import F32, F64, Format, is_finite, rn, value
from generator.reference.tensors import FLOATS, Tensor, tensor_of_bits


def number(fmt: Format, bits: int) -> float:
    """The number that bits stand for."""
    if is_finite(fmt, bits):
        return float(value(fmt, bits))
    if bits % (1 << fmt.fraction_bits):
        return float("nan")
    return float("-inf" if bits & fmt.sign_bit else "inf")


def bits_of(fmt: Format, x: float) -> int:
    """The bits of a number that the format holds; of NaN, the quiet one."""
    if isnan(x):
        return fmt.infinity | 1 << (fmt.fraction_bits - 1)
    if not isfinite(x):
        return fmt.infinity | (fmt.sign_bit if x < 0 else 0)
    return rn(fmt, Fraction(x))


def nearest(fmt: Format, x: Fraction) -> float:
    return number(fmt, rn(fmt, x))


def to(fmt: Format, x: float) -> float:
    return nearest(fmt, Fraction(x)) if isfinite(x) else x


def add(fmt: Format, x: float, y: float) -> float:
    return nearest(fmt, Fraction(x) + Fraction(y)) if isfinite(x) and isfinite(y) else x + y


def multiply(fmt: Format, x: float, y: float) -> float:
    return nearest(fmt, Fraction(x) * Fraction(y)) if isfinite(x) and isfinite(y) else x * y


def divide(fmt: Format, x: float, y: float) -> float:
    return nearest(fmt, Fraction(x) / Fraction(y)) if isfinite(x) and isfinite(y) else x / y


def wide(fmt: Format) -> Format:
    """What narrow formats are computed in: binary32, unless they are wider themselves."""
    return F64 if fmt == F64 else F32


def numbers(tensor: Tensor) -> list[float]:
    return [number(tensor.fmt, bits) for bits in tensor.bits()]


def stored(fmt: Format, x: float) -> float:
    """Rounded to the format, to a narrow one by way of binary32."""
    return to(fmt, to(wide(fmt), x))


def tensor_of(fmt: Format, shape: tuple[int, ...], xs: Sequence[float]) -> Tensor:
    """The numbers, rounded to the format."""
    (dtype,) = (name for name, of in FLOATS.items() if of == fmt)
    return tensor_of_bits(dtype, shape, [bits_of(fmt, stored(fmt, x)) for x in xs])
