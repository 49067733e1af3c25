"""A blob as objects: a map, and parts of 64 leaves each, but for the last [PR-18].

The parts are written before the map. Of what is read, the map is checked against the root before a part is asked for,
and each leaf against the map as it comes: so what is wrong is named, down to the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from mergealgebra.encoding import LEAF_BYTES, leaf_digest
from mergealgebra.errors import BlobDamaged, EncodingError, MapError
from mergealgebra.progress import More
from mergealgebra.store.blob_map import BlobMap, Leaf, most_map_bytes
from mergealgebra.store.blobs import Records, stream_blob
from mergealgebra.store.entries import BLOBS, Entry
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.sync.object_store import NotThere, ObjectStore, get
from mergealgebra.sync.peer import Read

#: Leaves of a part, but for the last.
PART_LEAVES: Final = 64
MAP_SUFFIX: Final = ".map"
_ELSEWHERE: Final = "sync with another peer that has them, who mends it then"


class DamagedObject(BlobDamaged):
    """An object of a store is not what the blob's root promises."""


def map_key(root: str) -> str:
    """The key of a blob's map."""
    return f"{BLOBS}/{root}{MAP_SUFFIX}"


def part_key(root: str, number: int) -> str:
    """The key of one of its parts, numbered from 0."""
    return f"{BLOBS}/{root}.{number}"


# Reading


def read_map(objects: ObjectStore, root: str, elements: int) -> BlobMap | None:
    """The map of a blob, None if it is not there; a contribution says how many elements it has.

    Raises DamagedObject, and PeerError for one that is longer than so many elements allow.
    """
    data = get(objects, map_key(root), most_map_bytes(elements))
    if data is None:
        return None
    try:
        return BlobMap.decode(data, root, elements)
    except (EncodingError, MapError) as error:
        raise DamagedObject(
            f"{objects.name} gives a damaged map of the tensors {root}: {error}; {_ELSEWHERE}"
        ) from error


def parts_of(leaves: int) -> int:
    """How many parts so many leaves make."""
    return -(-leaves // PART_LEAVES)


def fetch_parts(objects: ObjectStore, blob: PartialBlob, more: More) -> None:
    """Fetch the parts with leaves that are not here yet, checking each leaf before it is written.

    more: told the bytes of those. Raises DamagedObject, PeerError, OutputError, and FileNotFoundError as `blob.opened`.
    """
    with blob.opened() as file:
        for number in sorted({leaf // PART_LEAVES for leaf in blob.lacking()}):
            first = number * PART_LEAVES
            leaves = blob.map.run(first, min(PART_LEAVES, blob.map.leaves - first))
            for place, (leaf, data) in enumerate(_part(objects, blob.root, number, leaves), first):
                if file.write(place, leaf, memoryview(data)):
                    more(leaf.nbytes)


def _part(objects: ObjectStore, root: str, number: int, leaves: Iterable[Leaf]) -> Iterator[tuple[Leaf, bytes]]:
    """The leaves of a part, each checked."""
    key = part_key(root, number)
    try:
        with objects.opened(key) as (_, read):
            for place, leaf in enumerate(leaves, number * PART_LEAVES):
                data = _next(read, leaf.nbytes)
                if leaf_digest(data) != leaf.digest:
                    raise DamagedObject(
                        f"{objects.name} gives other bytes for leaf {place} of the tensors {root}, in the object "
                        f"{key}; {_ELSEWHERE}"
                    )
                yield leaf, data
    except NotThere as error:
        raise DamagedObject(
            f"{objects.name} has a map of the tensors {root} and not their part {key}; {_ELSEWHERE}"
        ) from error


def _next(read: Read, nbytes: int) -> bytes:
    """The next bytes, fewer at the end."""
    pieces, left = list[bytes](), nbytes
    while left and (piece := read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


# Writing


def write_blob(objects: ObjectStore, entry: Entry, root: str, there: Mapping[str, int], more: More) -> None:
    """Write the parts of a blob, then its map. there: the bytes of parts that are in the store, and stay as they are.

    Raises BlobMissing or BlobDamaged for the file, and PeerError.
    """
    writing = _Writing(objects, root, there)
    stream_blob(entry, root, writing.take, writing.begin, more)
    objects.put(map_key(root), writing.end().encode())


class _Writing:
    """A blob on its way: the header comes first, then leaf by leaf, as `stream_blob` hands them on."""

    def __init__(self, objects: ObjectStore, root: str, there: Mapping[str, int]) -> None:
        self._objects, self._root, self._there = objects, root, there
        self._records: Records = {}
        self._begun = False
        self._digests = list[bytes]()
        self._part = bytearray()

    def begin(self, path: Path, records: Records) -> None:
        """Note the tensors of the header."""
        self._records = records

    def take(self, piece: bytes | memoryview) -> None:
        """Take the header, then a leaf."""
        if not self._begun:
            self._begun = True
            return
        self._digests.append(leaf_digest(piece))
        self._part += piece
        if len(self._digests) % PART_LEAVES == 0:
            self._put()

    def end(self) -> BlobMap:
        """Write the last part; returns the map."""
        if self._part:
            self._put()
        digests, tensors = iter(self._digests), []
        for record in self._records.values():
            own = b"".join(next(digests) for _ in range(-(-record.nbytes // LEAF_BYTES)))
            tensors.append((record.name, record.dtype, record.shape, own))
        return BlobMap.of(tensors)

    def _put(self) -> None:
        name = part_key(self._root, parts_of(len(self._digests)) - 1)
        if self._there.get(name) != len(self._part):
            self._objects.put(name, bytes(self._part))
        self._part = bytearray()
