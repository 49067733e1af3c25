"""Shapes as files write them: at most 64 sizes, whose product is below 2^63 whatever an element takes [EN-11]."""

from __future__ import annotations

import math
from typing import Final

from mergealgebra.tensors.strict_json import SPACE, Reader
from mergealgebra.text import shown

#: No library of arrays takes more.
MAX_SIZES: Final = 64
LIMIT: Final = 1 << 63

_INTEGER: Final = rb"(?:0|[1-9][0-9]{0,18}+)"
_BETWEEN: Final = rb"[%b]*+,[%b]*+" % (SPACE, SPACE)
#: An integer, and the sizes of a shape that is not too long, as the group of a larger pattern.
INTEGER: Final = rb"(%b)" % _INTEGER
SIZES: Final = rb"((?:%b(?:%b%b){0,%d}+)?+)" % (_INTEGER, _BETWEEN, _INTEGER, MAX_SIZES - 1)


class BadShape(ValueError):
    """What is not a shape. No user sees it: a ShapeError has its message, after the name of the tensor."""


def shape_of(sizes: bytes) -> tuple[int, ...]:
    """The shape that a match of SIZES is. Raises BadShape."""
    shape = tuple(map(int, sizes.split(b","))) if sizes else ()
    for size in shape:
        _check_size(size)
    nbytes(shape, 8)
    return shape


def read_shape(reader: Reader) -> tuple[int, ...]:
    """The shape that is the next value. Raises BadShape as soon as it cannot be one, and ValueError."""
    if reader.mark != b"[":
        raise BadShape(f"has the shape {shown(reader.value())}, expected an array of integers")
    sizes: list[int] = []
    elements = 1
    for _ in reader.items():
        sizes.append(_check_size(reader.value()))
        elements *= sizes[-1] or 1
        if len(sizes) > MAX_SIZES or elements >= LIMIT:
            break  # what follows makes it no better
    shape = tuple(sizes)
    nbytes(shape, 8)
    return shape


def nbytes(shape: tuple[int, ...], bits: int) -> int:
    """The bytes of a tensor whose elements have so many bits.

    Raises BadShape where there are too many sizes, where those other than 0 make 2^63 elements or bytes or more, and
    where elements that are packed do not fill their last byte.
    """
    if len(shape) > MAX_SIZES:
        raise BadShape(f"has a shape of more than {MAX_SIZES} sizes, which no library of arrays takes")
    elements = math.prod(filter(None, shape))
    if elements * max(bits, 8) >= 8 * LIMIT:
        raise BadShape(f"has the shape {shown(shape)}, of 2^63 bytes or more")
    if 0 in shape:
        return 0
    if elements * bits % 8:
        raise BadShape(f"has the shape {shown(shape)}, whose elements of {bits} bits do not fill whole bytes")
    return elements * bits // 8


def _check_size(size: object) -> int:
    if type(size) is not int or not 0 <= size < LIMIT:
        raise BadShape(f"has {shown(size)} in its shape, expected an integer in [0, 2^63)")
    return size
