"""Short ways to write the tensors of a case down."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from generator.reference.rounding import Format, rn, value
from generator.reference.tensors import BITS, FLOATS, SIZES

Number = int | str | Fraction
SPECIAL = ("nan", "inf", "-inf", "-0", "max", "-max", "tiny", "-tiny", "normal", "-normal")


def special(fmt: Format, name: str) -> int:
    """nan (quiet), inf, -0, max (the greatest finite), tiny (the least subnormal), normal (the least normal)."""
    sign = fmt.sign_bit if name.startswith("-") else 0
    quiet = fmt.infinity | 1 << (fmt.fraction_bits - 1)
    bits = {
        "nan": quiet, "inf": fmt.infinity, "0": 0, "max": fmt.infinity - 1, "tiny": 1,
        "normal": 1 << fmt.fraction_bits,
    }  # fmt: skip
    return sign | bits[name.lstrip("-")]


def exact(text: str) -> Fraction:
    """The sum of its terms, decimals and powers of two: `1+2^-23`, `2^24-1`, `-1.5`."""
    total = Fraction(0)
    for term in text.replace("-", "+-").replace("^+-", "^-").split("+"):
        sign = -1 if term.startswith("-") else 1
        size = term.removeprefix("-")
        if size:
            total += sign * (Fraction(2) ** int(size[2:]) if size.startswith("2^") else Fraction(size))
    return total


def bits_of(dtype: str, x: Number) -> int:
    """The bits of a number that the dtype holds exactly; `0x...` is bits, names are special values."""
    fmt = FLOATS[dtype]
    if isinstance(x, str) and x.startswith("0x"):
        return int(x, 16)
    if x in SPECIAL:
        return special(fmt, str(x))
    number = exact(x) if isinstance(x, str) else Fraction(x)
    bits = rn(fmt, number)
    if value(fmt, bits) != number:
        raise ValueError(f"{x} is no {dtype} number")
    return bits


def tensor(dtype: str, *numbers: Number, shape: list[int] | None = None) -> dict[str, Any]:
    """A float tensor of a case."""
    data = b"".join(bits_of(dtype, x).to_bytes(SIZES[dtype], "little") for x in numbers)
    return spec(dtype, [len(numbers)] if shape is None else shape, data)


def spec(dtype: str, shape: list[int], data: bytes) -> dict[str, Any]:
    if prod(shape) * BITS[dtype] != 8 * len(data):
        raise ValueError(f"{dtype} {shape} has not {len(data)} bytes")
    return {"dtype": dtype, "shape": shape, "hex": data.hex()}


def f32(*numbers: Number, shape: list[int] | None = None) -> dict[str, Any]:
    return tensor("F32", *numbers, shape=shape)


def f64(*numbers: Number, shape: list[int] | None = None) -> dict[str, Any]:
    return tensor("F64", *numbers, shape=shape)


def f16(*numbers: Number, shape: list[int] | None = None) -> dict[str, Any]:
    return tensor("F16", *numbers, shape=shape)


def bf16(*numbers: Number, shape: list[int] | None = None) -> dict[str, Any]:
    return tensor("BF16", *numbers, shape=shape)


def integers(dtype: str, *numbers: int, shape: list[int] | None = None) -> dict[str, Any]:
    size = SIZES[dtype]
    data = b"".join((x % 2 ** (8 * size)).to_bytes(size, "little") for x in numbers)
    return spec(dtype, [len(numbers)] if shape is None else shape, data)
