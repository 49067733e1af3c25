"""The cache of a replica: what can always be computed again, kept to save time [SY-9]. It may be deleted at any moment.

Nothing here is trusted: a merge proves the thresholds that it uses, all else is sealed, and what cannot be read counts
as missing. No link is followed: where a link stands in place of a folder, nothing is cached.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.errors import OutputError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import Entry, names_in

CACHE: Final = "cache"
#: The folders of a store in which thresholds, dot products and an aggregate are kept, what was measured, what packs
#: hold, and the maps of blobs.
THRESHOLDS: Final = f"{CACHE}/thresholds"
DOTS: Final = f"{CACHE}/dots"
AGGREGATE: Final = f"{CACHE}/aggregate"
FIGURES: Final = f"{CACHE}/figures"
RECORDS: Final = f"{CACHE}/records"
#: What packs of object stores hold, that were read there.
SEEN: Final = f"{CACHE}/seen"
MAPS: Final = f"{CACHE}/maps"
#: What is made again by itself, by folder, and what it is called. Figures are not: `status --measure` makes them.
ANSWERS: Final = {
    THRESHOLDS: "thresholds, which the next merge finds again",
    DOTS: "dot products, which the next merge finds again",
    RECORDS: "what packs of operations hold, which the next command reads again",
    MAPS: "maps of tensors, which the next sync makes again",
    SEEN: "what packs of object stores hold, which the next sync reads again",
}
#: No entry is larger: what would be is not kept, and a larger file is not ours.
MOST_BYTES: Final = 1 << 24


class Cache(MutableMapping[str, bytes]):
    """Entries by name, each a file of its own. A full or read-only disk only means that nothing is kept."""

    def __init__(self, store: Path, part: str) -> None:
        self._store, self._part = store, part

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._entry(name).read(MOST_BYTES)
        except OSError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, data: bytes) -> None:
        if len(data) > MOST_BYTES:
            return
        with suppress(OSError, OutputError):
            write_atomically(self._entry(name), data)

    def __delitem__(self, name: str) -> None:
        with suppress(OSError):
            self._entry(name).remove()

    def __iter__(self) -> Iterator[str]:
        with suppress(OSError):
            yield from names_in(self._store, self._part)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _entry(self, name: str) -> Entry:
        return Entry(self._store, self._part, name)
