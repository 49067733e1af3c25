"""The two sides of a law: how they are told, and whether more than rounding is between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mergealgebra.laws.relations import equal, within
from mergealgebra.targets.differences import near, slack
from mergealgebra.text import printable, shortened

#: Characters of one side that are told.
_LONGEST: Final = 120


def told(left: Any, right: Any, names: tuple[str, str]) -> str:
    """Both sides in a line; of lists, the first items that differ. names: what to say before each.

    >>> told({"w": np.float32([1, 0.1])}, {"w": np.float32([2, 0.1])}, ("in one order", "in another"))
    'in one order [1, 0.1], in another [2, 0.1]'
    """
    if isinstance(left, list) and isinstance(right, list):
        left, right = next(((a, b) for a, b in zip(left, right, strict=False) if _text(a) != _text(b)), (left, right))
    return ", ".join(f"{name} {_text(side)}" for name, side in zip(names, (left, right), strict=True))


def rounded_apart(left: Any, right: Any, relation: Callable[[Any, Any], bool]) -> bool:
    """Whether the sides agree by a relation but for the last digits of numbers, or the sign of a zero."""
    if relation is equal:
        return equal(left, right)
    if relation is within:
        return left.keys() == right.keys() and all(_within(left[name], *right[name]) for name in right)
    return near(left, right)


def _within(side: Any, low: Any, high: Any) -> bool:
    off, x = slack(low, high), np.asarray(side, np.float64)
    return bool(((low - off <= x) & (x <= high + off)).all())


def _text(side: Any) -> str:
    if isinstance(side, dict):
        parts = [f"{name} {_numbers(value)}" if len(side) > 1 else _numbers(value) for name, value in side.items()]
        return printable(shortened(", ".join(parts), _LONGEST))
    return printable(shortened(_numbers(side), _LONGEST))


def _numbers(value: Any) -> str:
    """Numbers as short as their dtype allows, whole ones without a point."""
    if isinstance(value, list) or (hasattr(value, "shape") and value.shape):
        return f"[{', '.join(map(_numbers, value))}]"
    if not hasattr(value, "dtype"):
        return str(value)
    number = value[()]  # of an array without axes
    return f"{float(number):.0f}" if abs(number) < 1e9 and float(number).is_integer() else str(number)
