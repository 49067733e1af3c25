"""Answers of statistics as canonical data, and back: whole numbers, fp64 numbers to the bit, texts, and tuples of them.

Canonical data has no fractions [EN-1], so an fp64 number is its 8 bytes.
"""

from __future__ import annotations

import struct
from typing import Any, Final

_FP64: Final = struct.Struct(">d")


def packed(answer: Any) -> Any:
    """An answer as canonical data; None for what is none of these.

    >>> packed((1, 0.5, "x"))
    [1, b'?\\xe0\\x00\\x00\\x00\\x00\\x00\\x00', 'x']
    """
    if isinstance(answer, tuple):
        parts = [packed(part) for part in answer]
        return None if None in parts else parts
    if isinstance(answer, float):
        return _FP64.pack(answer)
    if isinstance(answer, bool | str):
        return answer
    return answer if isinstance(answer, int) and -(1 << 63) <= answer < 1 << 64 else None


def unpacked(data: Any) -> Any:
    """The inverse; None for what no answer is.

    >>> unpacked(packed((True, -0.0, ()))), unpacked(b"half")
    ((True, -0.0, ()), None)
    """
    if isinstance(data, list):
        parts = tuple(unpacked(part) for part in data)
        return None if None in parts else parts
    if isinstance(data, bytes):
        return _FP64.unpack(data)[0] if len(data) == _FP64.size else None
    return data if isinstance(data, bool | int | str) else None
