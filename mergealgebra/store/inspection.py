"""Which entries of a workspace's caches are not what it wrote there [SY-11]."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from mergealgebra.encoding import decode
from mergealgebra.errors import EncodingError, OutputError
from mergealgebra.incremental.seals import HEADER_BYTES as SEAL_BYTES
from mergealgebra.store.cache import AGGREGATE, DOTS, FIGURES, MAPS, MOST_BYTES, THRESHOLDS
from mergealgebra.store.entries import Entry, names_in, opened_part
from mergealgebra.store.local import is_replica
from mergealgebra.store.private import private_key

#: A header is not larger: a manifest and thresholds for each contribution, seals for each page.
HEADER_BYTES: Final = 1 << 30


def damaged_caches(store: Path) -> list[Entry]:
    """The entries that cannot be read or used: answers, figures, and the header of an aggregate that is not whole.

    Thresholds and maps that can be read are not judged: whoever uses them proves them. Nor is what is sealed one by
    one: what lacks our seal is not used. A shared folder has no caches.
    """
    if not is_replica(store):
        return []
    sealed = (entry for part in (DOTS, FIGURES) for entry in _undecodable(store, part, SEAL_BYTES))
    proved = (entry for part in (THRESHOLDS, MAPS) for entry in _undecodable(store, part, 0))
    return [*proved, *sealed, *_damaged_aggregate(store)]


def _undecodable(store: Path, part: str, seal_bytes: int) -> Iterator[Entry]:
    """The entries of a part that hold no canonical value behind a seal of so many bytes."""
    with suppress(OSError):
        for name in names_in(store, part):
            entry = Entry(store, part, name)
            try:
                decode(entry.read(MOST_BYTES)[seal_bytes:], max_bytes=MOST_BYTES)
            except (OSError, EncodingError):
                yield entry


def _damaged_aggregate(store: Path) -> Iterator[Entry]:
    from mergealgebra.incremental.folder import HEADER, Home
    from mergealgebra.incremental.inspection import is_whole

    entry = Entry(store, AGGREGATE, HEADER)
    home = Home(partial(opened_part, store, AGGREGATE), partial(private_key, store))
    with suppress(OSError, OutputError):
        if entry.is_there():
            with home.opened(HEADER_BYTES) as folder:
                whole = is_whole(folder)
            if not whole:
                yield entry
