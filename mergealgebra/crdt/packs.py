"""Packs: many operations in one file, named after its bytes and never changed [PK-1 to PK-4].

    mergealgebra pack 1\\n   packs that it replaces   operations, by id

A pack is a function of its operations and of the packs that it replaces. So whoever merges the same packs writes the
same file, and knows it without reading it where somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES
from mergealgebra.encoding import hash_id
from mergealgebra.errors import PackError

MAGIC: Final = b"mergealgebra pack 1\n"
#: A pack is at most so long: whoever reads one holds it in memory.
MAX_PACK_BYTES: Final = 1 << 26
#: And it holds no more: what stands in it may be no operations at all, and each has an id.
MOST_OPERATIONS: Final = 1 << 20
#: How many packs one may name as those that it replaces.
MOST_REPLACED: Final = 256
#: So many of a level are merged to the next.
BRANCH: Final = 16

_COUNT: Final = 4
_ID: Final = 32


@dataclass(frozen=True)
class Pack:
    """Encodings of operations by their ids, ascending, and the names of packs whose operations are all among them.

    That it replaces them is what its writer says: a hint, by which nobody passes over a pack unread [PK-2].
    Raises PackError.
    """

    operations: Mapping[str, bytes]
    replaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.operations:
            raise PackError("the pack holds no operation; it must hold at least one")
        if list(self.operations) != sorted(self.operations):
            raise PackError("the pack's operations are not in the order of their ids")
        if not all(map(is_id, self.replaces)) or list(self.replaces) != sorted(set(self.replaces)):
            raise PackError("the packs that the pack replaces are not ids in ascending order, each once")
        if len(self.replaces) > MOST_REPLACED:
            raise PackError(f"the pack replaces {len(self.replaces)} packs, at most {MOST_REPLACED} are allowed")
        if len(self.operations) > MOST_OPERATIONS:
            raise PackError(_too_many(len(self.operations)))
        if self.nbytes > MAX_PACK_BYTES:
            raise PackError(f"the pack is {self.nbytes} bytes long, at most {MAX_PACK_BYTES} are allowed")

    @classmethod
    def of(cls, encodings: Sequence[bytes], replaces: Sequence[str] = ()) -> Pack:
        """The pack of operations in any order, each as often as it likes."""
        operations = {hash_id("operation", data): data for data in encodings}
        return cls(dict(sorted(operations.items())), tuple(sorted(set(replaces))))

    @cached_property
    def nbytes(self) -> int:
        """How long it is."""
        return head_bytes(len(self.replaces)) + sum(framed_bytes(len(data)) for data in self.operations.values())

    @cached_property
    def name(self) -> str:
        """The hash of its bytes [PK-1]."""
        return hash_id("pack", self.encode())

    def encode(self) -> bytes:
        """The bytes of the pack [PK-1]."""
        replaced = [bytes.fromhex(name) for name in self.replaces]
        framed = (part for data in self.operations.values() for part in (_number(len(data)), data))
        return b"".join([MAGIC, _number(len(replaced)), *replaced, *framed])

    @classmethod
    def decode(cls, data: bytes) -> Pack:
        """The pack of these bytes; its operations are hashed and not decoded. Raises PackError."""
        if len(data) > MAX_PACK_BYTES:
            raise PackError(f"the pack is {len(data)} bytes long, at most {MAX_PACK_BYTES} are allowed")
        if not data.startswith(MAGIC):
            raise PackError(f"the pack begins with {data[: len(MAGIC)].hex()}, not with {MAGIC.hex()}")
        count, at = _read_number(data, len(MAGIC))
        end = at + count * _ID
        if count > MOST_REPLACED or end > len(data):
            raise PackError(f"the pack says that it replaces {count} packs, of at most {MOST_REPLACED} that fit in it")
        replaces = tuple(data[place : place + _ID].hex() for place in range(at, end, _ID))
        encodings = list(_frames(data, end))
        ids = [hash_id("operation", encoding) for encoding in encodings]
        if ids != sorted(set(ids)):
            raise PackError("the pack's operations are not in the order of their ids, each once")
        return cls(dict(zip(ids, encodings, strict=True)), replaces)


def level_of(operations: int) -> int:
    """The level of a pack of so many operations: how often 16 divides them [PK-3].

    >>> [level_of(count) for count in (1, 15, 16, 255, 256)]
    [0, 0, 1, 1, 2]
    """
    level = 0
    while operations >= BRANCH:
        operations //= BRANCH
        level += 1
    return level


def head_bytes(replaced: int) -> int:
    """How many bytes stand before the first operation of a pack that replaces so many."""
    return len(MAGIC) + _COUNT + _ID * replaced


def framed_bytes(size: int) -> int:
    """How many bytes an operation of so many takes in a pack."""
    return _COUNT + size


def salvage(data: bytes) -> Iterator[bytes]:
    """What stands in the frames of a damaged pack, as far as they can be told; each is still to be checked [PK-7]."""
    if not data.startswith(MAGIC) or len(data) < head_bytes(0):
        return
    count, at = _read_number(data, len(MAGIC))
    try:
        yield from _frames(data, at + min(count, MOST_REPLACED) * _ID)
    except PackError:
        return


def _frames(data: bytes, at: int) -> Iterator[bytes]:
    number = 0
    while at < len(data):
        number += 1
        if number > MOST_OPERATIONS:
            raise PackError(_too_many(number))
        size, at = _read_number(data, at)
        if size > MAX_OPERATION_BYTES or at + size > len(data):
            raise PackError(f"the pack says that an operation has {size} bytes, and {len(data) - at} are left")
        yield data[at : at + size]
        at += size


def _too_many(number: int) -> str:
    return f"the pack holds {number} operations or more, at most {MOST_OPERATIONS} are allowed"


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of 4 bytes, and where it ends."""
    if at + _COUNT > len(data):
        raise PackError(f"the pack ends after {len(data)} bytes, in the middle of a number")
    return int.from_bytes(data[at : at + _COUNT]), at + _COUNT


def _number(value: int) -> bytes:
    return value.to_bytes(_COUNT)
