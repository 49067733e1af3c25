"""The maps of blobs that are here, and of the base: made once, and kept [BL-4].

A map proves itself by its root, so one that is kept need not be sealed. What it does not prove is that the file still
has these bytes: whoever takes a leaf checks that.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.errors import BlobDamaged, CheckpointError, EncodingError, MapError, MergeAlgebraError
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.store.blobs import canonical_of, damaged, opened_blob
from mergealgebra.store.cache import MAPS, Cache
from mergealgebra.store.entries import Entry, Told, told_in
from mergealgebra.store.objects import Store
from mergealgebra.store.refusals import refused_as
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import location

#: How many maps a process keeps in memory; one of a large model has half a megabyte.
_REMEMBERED: Final = 32
#: Bounds a map that is kept by its largest size alone.
_ANY_ELEMENTS: Final = 1 << 62


@dataclass
class Maps:
    """The maps of one store. Threads may share it; each map is made by one of them."""

    store: Store
    _known: OrderedDict[str, BlobMap] = field(default_factory=OrderedDict)
    _refused: dict[str, tuple[Told | None, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def of_blob(self, root: str) -> BlobMap:
        """The map of a blob that is here. Raises BlobMissing, and BlobDamaged for a file of other tensors."""
        found = self.known(root)
        if found is None:
            with self._making:  # not twice at a time: each reads a whole blob
                found = self.known(root)
                if found is None:
                    found = self._made(root)
                    self.keep(found)
        return found

    def of_base(self, base: Checkpoint, root: str, threads: int) -> BlobMap | None:
        """The map of the base, whose root is that; None if what is at hand is another model, or has changed."""
        with self._making:
            found = self.known(root)
            if found is None:
                with suppress(MergeAlgebraError):
                    made = map_of(base, threads)
                    if made.root == root:
                        found = made
                        self.keep(found)
        return found

    def keep(self, blob_map: BlobMap) -> None:
        """Remember a map that was checked."""
        self._remember(blob_map)
        if self.store.keeps_records:
            Cache(self.store.path, MAPS)[blob_map.root] = blob_map.encode()

    def known(self, root: str) -> BlobMap | None:
        """A map that was made before; None where the blob would have to be read."""
        with self._lock:
            if root in self._known:
                self._known.move_to_end(root)
                return self._known[root]
        if self.store.keeps_records:
            with suppress(KeyError, EncodingError, MapError):
                found = BlobMap.decode(Cache(self.store.path, MAPS)[root], root, _ANY_ELEMENTS)
                self._remember(found)
                return found
        return None

    def _remember(self, blob_map: BlobMap) -> None:
        with self._lock:
            self._known[blob_map.root] = blob_map
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _made(self, root: str) -> BlobMap:
        entry = self.store.blob(root)
        with refused_as(BlobDamaged, entry.path):
            told = told_in(entry.store, entry.part, [entry.name]).get(entry.name)
        if root in self._refused and self._refused[root][0] == told:
            raise BlobDamaged(self._refused[root][1])
        made = self._read(entry)
        if made.root != root:
            wrong = damaged(entry.path, f"its tensors have the root {made.root}, not {root}")
            self._refused[root] = told, str(wrong)  # or whoever asks for it would have it read again and again
            raise wrong
        return made

    def _read(self, entry: Entry) -> BlobMap:
        with opened_blob(entry) as descriptor:
            records = canonical_of(descriptor, entry.path)
            with Checkpoint(entry.path, dict(records)) as blob:
                try:
                    made = map_of(blob, 1)
                    blob.refuse_changed()
                except CheckpointError as error:
                    raise BlobDamaged(f"{location(entry.path)} cannot be read: {error}") from error
        return made


def map_of(tensors: Checkpoint, threads: int) -> BlobMap:
    """The map of tensors, all of whose bytes are read. Raises CheckpointError, and MapError for what has no map."""
    with ThreadPoolExecutor(threads) as pool:
        digests = pool.map(tensors.leaf_digests, tensors.records)
        return BlobMap.of(
            (record.name, record.dtype, record.shape, joined)
            for record, joined in zip(tensors.records.values(), digests, strict=True)
        )
