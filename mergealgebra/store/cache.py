"""The cache of a replica: what can always be computed again, kept to save time [SY-9]. It may be deleted at any moment.

Nothing here is trusted: thresholds are proved by the merge that uses them, and what cannot be read is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.errors import OutputError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import Entry

CACHE: Final = "cache"
#: No entry is larger; a larger file is none of ours.
_MAX_BYTES: Final = 1 << 24


class Cache(MutableMapping[str, bytes]):
    """Entries by name, each a file of its own. A full or read-only disk only means that nothing is kept."""

    def __init__(self, store: Path, kind: str) -> None:
        self._store, self._kind, self._folder = store, kind, store / CACHE / kind

    def __getitem__(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError:
            raise KeyError(name) from None
        if len(data) > _MAX_BYTES:
            raise KeyError(name)
        return data

    def __setitem__(self, name: str, data: bytes) -> None:
        with suppress(OSError, OutputError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(Entry(self._store, f"{CACHE}/{self._kind}", name), data)

    def __delitem__(self, name: str) -> None:
        with suppress(OSError):
            (self._folder / name).unlink()

    def __iter__(self) -> Iterator[str]:
        with suppress(OSError):
            yield from sorted(path.name for path in self._folder.iterdir())

    def __len__(self) -> int:
        return sum(1 for _ in self)
