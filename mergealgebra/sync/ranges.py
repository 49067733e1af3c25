"""Sets of ids, their ranges, and the fingerprints by which two replicas find out where their sets differ [PR-1, PR-2].

A range is what lies between two bounds. The side that holds many ids in it cuts it by rank, so ids that somebody
chose to begin alike are cut as well as any others: the bounds only get longer.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

ID_BYTES: Final = 32
PRINT_BYTES: Final = 16
SHORT_BYTES: Final = 6
#: The parts of the first question's split, and of every later one.
FIRST_PARTS: Final = 256
PARTS: Final = 16
#: A side with at most so many ids in a range deals with them one by one; one with more cuts the range.
FEW: Final = 64
#: The ids of a part, about: a range with fewer than PARTS times as many is cut into fewer parts.
_IDS_OF_PART: Final = 16

_HASH: Final = hashlib.sha256(b"mergealgebra/1/ids\x00")
_SHORT_HASH: Final = hashlib.sha256(b"mergealgebra/1/short\x00")


@dataclass(frozen=True)
class Range:
    """The ids from `lower` on and below `upper`, compared as byte strings; without an upper bound if it is None."""

    lower: bytes = b""
    upper: bytes | None = None

    def __contains__(self, id_: bytes) -> bool:
        return self.lower <= id_ and (self.upper is None or id_ < self.upper)


EVERYTHING: Final = Range()


class IdSet:
    """A set of ids, sorted once, so that any range of it is hashed in one piece.

    >>> ids = IdSet(hashlib.sha256(bytes([i])).digest() for i in range(100))
    >>> len(ids), ids.root().hex()[:8], [part.lower.hex() for part in ids.cut(EVERYTHING, 3)]
    (100, '0f3cf559', ['', '5c', 'ab'])
    """

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        self._ids = sorted(set(ids))

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._ids)

    def __contains__(self, id_: bytes) -> bool:
        at = bisect_left(self._ids, id_)
        return at < len(self._ids) and self._ids[at] == id_

    @cached_property
    def _joined(self) -> memoryview:
        return memoryview(b"".join(self._ids))

    def within(self, span: Range) -> list[bytes]:
        """The ids of a range, ascending."""
        start, stop = self._positions(span)
        return self._ids[start:stop]

    def count(self, span: Range) -> int:
        """How many ids a range has."""
        start, stop = self._positions(span)
        return stop - start

    def root(self) -> bytes:
        """The root of the whole set: 32 bytes [PR-1]."""
        return self._hash(0, len(self._ids))

    def fingerprint(self, span: Range) -> bytes:
        """The first bytes of what the root would be, were there no other ids [PR-1]."""
        return self._hash(*self._positions(span))[:PRINT_BYTES]

    def after(self, id_: bytes, most: int) -> list[bytes]:
        """The first ids above one, at most so many; from the first on if it is empty."""
        start = bisect_left(self._ids, id_ + b"\x00") if id_ else 0
        return self._ids[start : start + most]

    def cut(self, span: Range, parts: int) -> list[Range]:
        """A range with ids in it, cut by rank into at most so many parts [PR-2].

        A part begins with the shortest prefix of its first id that is above the id before it.
        """
        start, stop = self._positions(span)
        parts = max(1, min(parts, -(-(stop - start) // _IDS_OF_PART)))
        firsts = [start + number * (stop - start) // parts for number in range(1, parts)]
        cuts = [_parting(self._ids[at - 1], self._ids[at]) for at in firsts]
        return ranges_between([span.lower, *cuts, span.upper])

    def _positions(self, span: Range) -> tuple[int, int]:
        start = bisect_left(self._ids, span.lower)
        stop = len(self._ids) if span.upper is None else bisect_left(self._ids, span.upper)
        return start, max(start, stop)

    def _hash(self, start: int, stop: int) -> bytes:
        hasher = _HASH.copy()
        hasher.update(self._joined[start * ID_BYTES : stop * ID_BYTES])
        return hasher.digest()


def short_id(salt: bytes, id_: bytes) -> bytes:
    """What stands for an id in a list; the salt keeps anybody from choosing two ids that are listed alike [PR-1]."""
    hasher = _SHORT_HASH.copy()
    hasher.update(salt + id_)
    return hasher.digest()[:SHORT_BYTES]


def ranges_between(bounds: list[bytes | None]) -> list[Range]:
    """The ranges between neighbours of a list of bounds, of which only the last may be None."""
    return [Range(lower or b"", upper) for lower, upper in pairwise(bounds)]


def _parting(before: bytes, first: bytes) -> bytes:
    """The shortest prefix of an id that is above the one before it."""
    alike = next(at for at, (one, other) in enumerate(zip(before, first, strict=True)) if one != other)
    return first[: alike + 1]
