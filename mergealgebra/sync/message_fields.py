"""The fields of messages from peers, read strictly [PR-9]: a refusal says what stands there and what should."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from mergealgebra.errors import PeerError
from mergealgebra.sync.ranges import ID_BYTES
from mergealgebra.text import shown


def array_of(value: object, most: int, what: str) -> list[Any]:
    """An array with at most so many values."""
    if not isinstance(value, list):
        raise PeerError(f"{what} are {shown(value)}, not an array")
    if len(value) > most:
        raise PeerError(f"{what} are {len(value)}, at most {most} are allowed")
    return value


def entry_of(value: object, length: int, what: str) -> list[Any]:
    """An array of this length."""
    if not isinstance(value, list) or len(value) != length:
        raise PeerError(f"{what} is {shown(value)}, not an array of {length}")
    return value


def bytes_of(value: object, sizes: Sequence[int], what: str) -> bytes:
    """A byte string of one of these sizes."""
    if not isinstance(value, bytes) or len(value) not in sizes:
        raise PeerError(f"{what} is {shown(value)}, not {' or '.join(map(str, sizes[:3]))} bytes")
    return value


def bound_of(value: object) -> bytes:
    """A bound that is there: a prefix of an id, perhaps an empty one."""
    if not isinstance(value, bytes) or len(value) > ID_BYTES:
        raise PeerError(f"a bound is {shown(value)}, not 0 to {ID_BYTES} bytes")
    return value


def last_bound_of(value: object) -> bytes | None:
    """A bound, or None: nothing is above."""
    return None if value is None else bound_of(value)


def pieces_of(value: object, size: int, most: int, what: str) -> tuple[bytes, ...]:
    """Byte strings of one size, as they stand joined."""
    if not isinstance(value, bytes) or len(value) % size:
        raise PeerError(f"{what} are {shown(value)}, not pieces of {size} bytes")
    if len(value) > size * most:
        raise PeerError(f"{what} are {len(value) // size}, at most {most} are allowed")
    return tuple(value[at : at + size] for at in range(0, len(value), size))


def number_of(value: object, allowed: range, what: str) -> int:
    """An integer in a range."""
    if type(value) is not int or value not in allowed:
        raise PeerError(f"{what} is {shown(value)}, not an integer from {allowed.start} to {allowed.stop - 1}")
    return value


def numbers_of(value: object, allowed: range, what: str) -> tuple[int, ...]:
    """Integers in a range, ascending, each once."""
    found = tuple(number_of(one, allowed, f"one of {what}") for one in array_of(value, len(allowed), what))
    if any(one >= other for one, other in pairwise(found)):
        raise PeerError(f"{what} are not in ascending order, each once")
    return found


def check_rising(bounds: Sequence[bytes | None]) -> None:
    """Refuse bounds of which one is not above the one before it; the last may be None, which is above all."""
    if any(upper is not None and (lower or b"") >= upper for lower, upper in pairwise(bounds)):
        raise PeerError("bounds are not in ascending order, each once")


def check_ascending(lowers: Sequence[bytes], uppers: Iterable[bytes | None]) -> None:
    """Refuse ranges that overlap, or are not in ascending order."""
    for upper, lower in zip(uppers, lowers[1:], strict=False):
        if upper is None or upper > lower:
            raise PeerError("the ranges of the question overlap, or are not in ascending order")
