"""RN16, RNbf16, RN32, RN64: a real number to the bits of the nearest float, ties to even, subnormals included."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Format:
    """An IEEE interchange format; bits are unsigned integers."""

    name: str
    exponent_bits: int
    fraction_bits: int

    @property
    def least_exponent(self) -> int:
        """The exponent of the smallest normal number and of every subnormal."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def sign_bit(self) -> int:
        return 1 << (self.exponent_bits + self.fraction_bits)

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return (1 + self.exponent_bits + self.fraction_bits) // 8


F16 = Format("F16", 5, 10)
BF16 = Format("BF16", 8, 7)
F32 = Format("F32", 8, 23)
F64 = Format("F64", 11, 52)


def floor_log2(x: Fraction) -> int:
    """The exponent e with 2^e <= x < 2^(e+1), x > 0."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


def nearest_even(x: Fraction) -> int:
    whole, rest = divmod(x.numerator, x.denominator)
    doubled = 2 * rest
    up = doubled > x.denominator or (doubled == x.denominator and whole % 2 == 1)
    return whole + up


def rn(fmt: Format, x: Fraction) -> int:
    """The bits of x rounded once: too large is an infinity, underflow keeps the sign, exactly 0 is +0 [MG-4]."""
    if x == 0:
        return 0
    sign = fmt.sign_bit if x < 0 else 0
    exponent = max(floor_log2(abs(x)), fmt.least_exponent)
    steps = nearest_even(abs(x) / Fraction(2) ** (exponent - fmt.fraction_bits))
    # A carry into the next binade, or out of the subnormals, is the carry of this addition.
    bits = steps + ((exponent - fmt.least_exponent) << fmt.fraction_bits)
    return sign | min(bits, fmt.infinity)


def magnitude(fmt: Format, bits: int) -> int:
    return bits & (fmt.sign_bit - 1)


def is_finite(fmt: Format, bits: int) -> bool:
    return magnitude(fmt, bits) < fmt.infinity


def is_infinite(fmt: Format, bits: int) -> bool:
    return magnitude(fmt, bits) == fmt.infinity


def value(fmt: Format, bits: int) -> Fraction:
    """The real number that finite bits stand for."""
    if not is_finite(fmt, bits):
        raise ValueError(f"{bits:#x} is not finite in {fmt.name}")
    biased, fraction = divmod(magnitude(fmt, bits), 1 << fmt.fraction_bits)
    steps = fraction if biased == 0 else fraction + (1 << fmt.fraction_bits)
    x = steps * Fraction(2) ** (max(biased, 1) - 1 + fmt.least_exponent - fmt.fraction_bits)
    return -x if bits & fmt.sign_bit else x


def convert(source: Format, bits: int, target: Format) -> int:
    """A number or an infinity in another format, rounded once; the sign of a zero stays."""
    sign = target.sign_bit if bits & source.sign_bit else 0
    if is_infinite(source, bits):
        return sign | target.infinity
    return rn(target, value(source, bits)) or sign


def rounded(x: Fraction, first: Format, *then: Format) -> int:
    """The bits of x rounded to each format in turn: `rounded(x, F64, F32)` is RN32(RN64(x))."""
    bits, fmt = rn(first, x), first
    for target in then:
        bits, fmt = convert(fmt, bits, target), target
    return bits


def ratio(S: Fraction, W: Fraction) -> int:
    """RN32(RN64(RN64(S) / RN64(W))) [TI-8, ME-1]."""
    return rounded(value(F64, rn(F64, S)) / value(F64, rn(F64, W)), F64, F32)
