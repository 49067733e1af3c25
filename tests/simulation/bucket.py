"""An object store with a clock of its own, whose lists, writes and deletions are not always what they should be.

Its objects lie as files in a folder of the history, so that what befalls folders befalls them too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgpack

from mergealgebra.errors import PeerError
from mergealgebra.sync.object_store import Listed, NotThere, Opened
from tests.simulation.blob_files import Tensors
from tests.simulation.damage import flip
from tests.simulation.disk import PowerDisk
from tests.simulation.holdings import FactOf, Holdings, holdings

#: What may befall a sync: it gets no list, or one of before; another writer syncs between two calls; the store takes
#: nothing, or loses a write that it confirms, or shows it some calls later; it goes silent; it gives another bit.
OBJECT_MISHAPS = ("unlisted", "stale", "joins", "unwritten", "lost", "late", "gone", "altered")
#: What must change nothing for anybody: deletes are refused.
HARMLESS = "undeleted"
#: The first time that its clock shows, and how many seconds pass from one call to the next.
_EPOCH, _PACE = 1_000_000_000.0, 60.0
#: Leaves of a part, as in `few_leaves`.
_PART_LEAVES = 2


@dataclass
class Bucket:
    """Implements ObjectStore. now: its clock. how, number: what befalls the sync of now, and when."""

    name: str
    folder: Path
    disk: PowerDisk
    now: float = _EPOCH
    how: str = ""
    number: int = 0
    joins: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self._calls, self._gets, self._puts = 0, 0, 0
        self._on_their_way: list[tuple[int, str, bytes]] = []  # by how many calls must pass before
        self._lists: dict[str, list[dict[str, Listed]]] = {}
        self._write("packs/index", msgpack.packb({"operations": b"", "packs": b""}))

    @contextmanager
    def befallen(self, how: str, number: int, joins: Callable[[], object]) -> Iterator[None]:
        """A sync, and what befalls it."""
        self._calls, self._gets, self._puts = 0, 0, 0
        self.how, self.number, self.joins = how, number, joins
        try:
            yield
        finally:
            self.how = ""

    @property
    def on_their_way(self) -> list[bytes]:
        """What nobody can see yet of what was written."""
        return [data for _, _, data in self._on_their_way]

    def settle(self) -> None:
        """All that is on its way arrives."""
        for _, key, data in self._on_their_way:
            self._write(key, data)
        self._on_their_way.clear()

    # The calls

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """As in ObjectStore."""
        self._call()
        if not (self.folder / key).is_file():
            raise NotThere(f"{self.name} has no {key}")
        data, at = (self.folder / key).read_bytes(), 0
        self._gets += 1
        if self.how == "altered" and self._gets == self.number + 2:  # the first is the genesis
            data = flip(data or b"\x00", 37 * self.number + 5)

        def read(most: int) -> bytes:
            nonlocal at
            piece = data[at : at + most]
            at += len(piece)
            return piece

        yield Opened(len(data), read)

    def put(self, key: str, data: bytes) -> None:
        """As in ObjectStore."""
        self._call()
        if self.how == "unwritten":
            raise PeerError(f"{self.name} takes nothing")
        self._puts += 1
        if self.how == "lost" and self._puts == self.number % 4 + 1:
            return
        if self.how == "late":
            self._on_their_way.append((self.number, key, data))
        else:
            self._write(key, data)

    def list(self, folder: str) -> Mapping[str, Listed] | None:
        """As in ObjectStore."""
        self._call()
        if self.how == "unlisted":
            return None
        paths = sorted((self.folder / folder).glob("*"))
        lists = self._lists.setdefault(folder, [])
        lists.append({path.name: Listed(path.stat().st_size, path.stat().st_mtime) for path in paths})
        return lists[max(0, len(lists) - 2 - self.number)] if self.how == "stale" else lists[-1]

    def delete(self, key: str) -> None:
        """As in ObjectStore."""
        self._call()
        if self.how == HARMLESS:
            raise PeerError(f"{self.name} deletes nothing")
        (self.folder / key).unlink(missing_ok=True)

    def _call(self) -> None:
        self.disk.far()
        self.now += _PACE
        self._calls += 1
        landed = [one for one in self._on_their_way if not one[0]]
        self._on_their_way = [(left - 1, key, data) for left, key, data in self._on_their_way if left]
        for _, key, data in landed:
            self._write(key, data)
        if self.how == "joins" and self._calls == self.number + 1:
            self.how = ""
            self.joins()
        if self.how == "gone" and self._calls > self.number:
            raise PeerError(f"{self.name} does not answer")

    def _write(self, key: str, data: bytes) -> None:
        (self.folder / key).write_bytes(data)
        os.utime(self.folder / key, (self.now, self.now))


# What it holds, read by nobody's code but this [PR-18]


def objects_of(root: str, tensors: Tensors) -> dict[str, bytes]:
    """The objects of a blob whose tensors are of one leaf each, by their names: a map and parts."""
    rows, leaves = [], []
    for name, (dtype, shape, data) in sorted(tensors.items()):
        rows.append([name, dtype, list(shape), hashlib.sha256(b"\x00" + data).digest()])
        leaves.append(data)
    numbers = range(0, len(leaves), _PART_LEAVES)
    parts = {f"{root}.{at // _PART_LEAVES}": b"".join(leaves[at : at + _PART_LEAVES]) for at in numbers}
    return {f"{root}.map": msgpack.packb({"tensors": rows, "version": 1}), **parts}


def bucket_holdings(folder: Path, fact_of: FactOf, blobs: Mapping[str, Mapping[str, bytes]]) -> Holdings:
    """What a bucket holds. blobs: the objects of each root."""
    there = {path.name: path.read_bytes() for path in (folder / "blobs").iterdir()}
    whole = {root for root, objects in blobs.items() if all(there.get(key) == data for key, data in objects.items())}
    rotten = {
        root
        for root, objects in blobs.items()
        if any(there.get(key, data) != data for key, data in objects.items())
        or (f"{root}.map" in there and root not in whole)
    }
    held = holdings(folder, fact_of)
    return replace(held, blobs=frozenset(f"{root}.safetensors" for root in whole), rotten=frozenset(rotten))
