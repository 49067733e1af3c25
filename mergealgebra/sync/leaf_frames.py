"""How one leaf travels: as it is, or smaller [BL-5, BL-6].

    1 byte, how it is packed    4 bytes, how many follow    those

What is packed is never trusted: its length is bounded by that of the leaf before it is unpacked, and what comes out is
checked by the leaf's digest.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np

from mergealgebra.encoding import LEAF_BYTES, leaf_digest
from mergealgebra.errors import LeafDamaged, PeerError
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.blob_map import Leaf
from mergealgebra.tensors.dtypes import DTYPES

#: As it is; its bytes split by their position in the element, in one frame of zstd; so after XOR with the base's leaf.
RAW: Final = 0
SPLIT: Final = 1
XORED: Final = 2
HEAD_BYTES: Final = 5

#: Bytes a second of a connection on which packing saves nothing: of leaves as they are, and of packed ones.
_FAST: Final = 100_000_000
_FAST_PACKED: Final = 40_000_000

#: Fills a buffer with the next bytes. Raises PeerError where there are not so many.
Fill = Callable[[memoryview], None]

_LEVEL: Final = 1
#: No frame needs more memory than the leaf.
_WINDOW_LOG: Final = 20
#: A leaf is tried on this much of it first, and packed if that leaves at most 15 of 16 bytes.
_SAMPLE_BYTES: Final = 1 << 16


@cache
def _zstd() -> ModuleType | None:
    """The module of zstd: a part of Python from 3.14 on, else of the extra `net`."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def readable(base: BaseLeaves) -> int:
    """The most that can be unpacked here: by a base too, where one is at hand."""
    if _zstd() is None:
        return RAW
    return XORED if base.is_at_hand else SPLIT


def pack(leaf: Leaf, data: memoryview, most: int, base: BaseLeaves) -> tuple[int, bytes | memoryview]:
    """How a leaf is sent to somebody who can read as much as `most`, and its bytes then."""
    zstd = _zstd()
    if most == RAW or zstd is None:
        return RAW, data
    ways = {SPLIT: np.frombuffer(data, np.uint8)}
    if most >= XORED and (like := base.alike(leaf)) is not None:
        ways[XORED] = ways[SPLIT] ^ np.frombuffer(like, np.uint8)
    size = _itemsize(leaf)
    way = min(ways, key=lambda one: len(zstd.compress(_split(ways[one][:_SAMPLE_BYTES], size), _LEVEL)))
    if _pays(len(zstd.compress(_split(ways[way][:_SAMPLE_BYTES], size), _LEVEL)), min(_SAMPLE_BYTES, leaf.nbytes)):
        packed = zstd.compress(_split(ways[way], size), _LEVEL)
        if _pays(len(packed), leaf.nbytes):
            return way, packed
    return RAW, data


def head(way: int, nbytes: int) -> bytes:
    """The bytes before those of a leaf."""
    return bytes([way]) + nbytes.to_bytes(4)


def read_leaf(fill: Fill, leaf: Leaf, most: int, base: BaseLeaves, buffer: memoryview) -> memoryview:
    """The next leaf that comes, checked; in the buffer, or in fresh memory. most: what was asked for.

    Raises LeafDamaged for anything else than that leaf, and what `fill` raises.
    """
    first = memoryview(bytearray(HEAD_BYTES))
    fill(first)
    way, nbytes = first[0], int.from_bytes(first[1:])
    if way > most or nbytes > leaf.nbytes or (way == RAW and nbytes != leaf.nbytes):
        raise LeafDamaged(f"it comes packed as {way} in {nbytes} bytes, and has {leaf.nbytes}")
    data = buffer[:nbytes]
    fill(data)
    if way != RAW:
        data = memoryview(_unpacked(way, data, leaf, base))
    if leaf_digest(data) != leaf.digest:
        raise LeafDamaged("its digest is not the one in the map", by_base=way == XORED)
    return data


def exact(peer: str, read: Callable[[memoryview], int]) -> Fill:
    """Fills buffers by a function that reads into one what is there, and tells how much; 0 at the end."""

    def fill(buffer: memoryview) -> None:
        while len(buffer):
            count = read(buffer)
            if not count:
                raise PeerError(f"{peer} ends a run of leaves before its end; sync again, or with another peer")
            buffer = buffer[count:]

    return fill


@dataclass
class Metered:
    """Fills buffers, and counts the bytes and the seconds since it was made."""

    fill: Fill
    nbytes: int = 0
    since: float = field(default_factory=time.monotonic)

    def __call__(self, buffer: memoryview) -> None:
        self.fill(buffer)
        self.nbytes += len(buffer)

    def is_fast(self, packed: bool, before: bool) -> bool:
        """Whether packing would cost more time than it saves; as before, where too little came to tell [BL-5].

        Packed leaves come no faster than they can be unpacked, so their rate is judged by less.
        """
        if self.nbytes < LEAF_BYTES:
            return before
        rate = self.nbytes / max(time.monotonic() - self.since, 1e-6)
        return rate > (_FAST_PACKED if packed else _FAST)


def pieces_read(pieces: Iterator[bytes | bytearray | memoryview]) -> Callable[[memoryview], int]:
    """Reads what stands in pieces."""
    rest = memoryview(b"")

    def read(buffer: memoryview) -> int:
        nonlocal rest
        while not len(rest):
            if (piece := next(pieces, None)) is None:
                return 0
            rest = memoryview(piece)
        count = min(len(rest), len(buffer))
        buffer[:count], rest = rest[:count], rest[count:]
        return count

    return read


def leaf_buffer() -> memoryview:
    """Memory for a leaf."""
    return memoryview(bytearray(LEAF_BYTES))


def _unpacked(way: int, data: memoryview, leaf: Leaf, base: BaseLeaves) -> bytes:
    zstd = _zstd()
    if zstd is None:
        raise LeafDamaged("it comes packed, and nobody asked for that")
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    reader = zstd.ZstdDecompressor(options=options)
    try:
        found = reader.decompress(data, max_length=leaf.nbytes + 1)
    except (zstd.ZstdError, ValueError, EOFError, MemoryError) as error:
        raise LeafDamaged(f"it cannot be unpacked: {error}") from None
    if len(found) != leaf.nbytes or not reader.eof or reader.unused_data:
        raise LeafDamaged(f"it unpacks to other than {leaf.nbytes} bytes")
    joined = _joined(np.frombuffer(found, np.uint8), _itemsize(leaf))
    if way == XORED:
        like = base.alike(leaf)
        if like is None:
            raise LeafDamaged("it comes packed by the base, which has no such tensor here", by_base=True)
        joined = joined ^ np.frombuffer(like, np.uint8)
    return joined.tobytes()


def _pays(packed: int, nbytes: int) -> bool:
    return packed * 16 <= nbytes * 15


def _itemsize(leaf: Leaf) -> int:
    return DTYPES[leaf.tensor.dtype].itemsize


def _split(data: np.ndarray[Any, Any], size: int) -> bytes:
    return data.reshape(-1, size).T.tobytes()


def _joined(data: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    found = np.empty((len(data) // size, size), np.uint8)
    for place, plane in enumerate(data.reshape(size, -1)):  # a transposed copy takes three times as long
        found[:, place] = plane
    return found.reshape(-1)
