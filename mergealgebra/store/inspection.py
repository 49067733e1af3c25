"""Which entries of a workspace's caches are not what it wrote there [SY-11]."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.pack_index import INDEX, MAX_INDEX_BYTES, PackIndex
from mergealgebra.crdt.packs import MAX_PACK_BYTES
from mergealgebra.disk import refused_as_output
from mergealgebra.encoding import decode
from mergealgebra.errors import EncodingError, OutputError, PackError
from mergealgebra.incremental.seals import HEADER_BYTES as SEAL_BYTES
from mergealgebra.store.cache import AGGREGATE, DOTS, FIGURES, MAPS, MOST_BYTES, RECORDS, SEEN, THRESHOLDS
from mergealgebra.store.entries import INCOMPLETE, LOCAL, OPERATIONS, PACKS, ROOT, Entry, names_in, opened_part
from mergealgebra.store.local import is_replica, read_json
from mergealgebra.store.operation_store import OperationStore
from mergealgebra.store.packing import write_index
from mergealgebra.store.private import KEY, known_key, private_key
from mergealgebra.store.record_index import kept_of
from mergealgebra.store.sealed import SealedCache
from mergealgebra.text import fsck_repair, location

#: A header is not larger: a manifest and thresholds for each contribution, seals for each page.
HEADER_BYTES: Final = 1 << 30
#: What the owner of a replica wrote down beside the genesis, and what they do when it cannot be read.
_NOTES: Final = {
    LOCAL: "where your base is, your name and where your key is stood there: run `set-base`, which writes it anew",
    INCOMPLETE: "nobody knows which syncs were incomplete: delete it, and sync with all peers",
}


def damaged_notes(store: Path) -> list[str]:
    """A line for each file of the owner's that cannot be read, of which no peer has a copy [SY-1]."""
    damaged = [name for name in _NOTES if read_json(store, name) is None]
    return [f"{location(store / name)} is damaged; {_NOTES[name]}" for name in damaged]


def damaged_caches(store: Path) -> list[Entry]:
    """The entries that cannot be read or used: answers, figures, and the header of an aggregate that is not whole.

    Thresholds and maps that can be read are not judged: whoever uses them proves them. Nor is what is sealed one by
    one: see `unsealed_caches`. The key counts where it is not one, or others can read it. A shared folder has
    no caches but its index.
    """
    if not is_replica(store):
        return _damaged_index(store)
    key = Entry(store, ROOT, KEY)
    spoilt = [key] if os.path.lexists(key.path) and known_key(store) is None else []
    sealed = (entry for part in (DOTS, FIGURES, SEEN) for entry in _undecodable(store, part, SEAL_BYTES))
    proved = (entry for part in (THRESHOLDS, MAPS) for entry in _undecodable(store, part, 0))
    aggregate = () if spoilt else _damaged_aggregate(store)  # without a key nobody can say
    return [*spoilt, *proved, *sealed, *aggregate]


def unsealed_caches(store: Path, workspace: str) -> list[Entry]:
    """The entries that can be read and lack our seal: changed, another's, or of the workspace that this is a copy of.

    They are not used, and made again.
    """
    if not is_replica(store):
        return []
    found = []
    with suppress(OSError):
        for part in (DOTS, FIGURES, SEEN):
            cache = SealedCache(store, part)
            found += [Entry(store, part, name) for name in cache if cache.get(name) is None]
        for name in names_in(store, RECORDS):
            if kept_of(store, workspace, name, MAX_PACK_BYTES) is None:
                found.append(Entry(store, RECORDS, name))
    return found


def _damaged_index(share: Path) -> list[Entry]:
    """The index of a share, where it cannot be read, or is not there beside operations [PK-8]."""
    entry = Entry(share, PACKS, INDEX)
    try:
        PackIndex.decode(entry.read(MAX_INDEX_BYTES))
    except FileNotFoundError:
        return [entry] if any(map(is_id, [*names_in(share, PACKS), *names_in(share, OPERATIONS)])) else []
    except (OSError, PackError):
        return [entry]
    return []


def told_of(entry: Entry) -> str:
    """What is said of an entry of a cache, or of an index, that is damaged or not there."""
    where = location(entry.path)
    if entry.part != PACKS:
        return f"{where} is damaged; it only saves time: delete it, and it is made again"
    return (
        f"{where} is {'damaged' if os.path.lexists(entry.path) else 'not there'}, by which those find its operations "
        f"who cannot list the folder: the next `sync` with it writes it, or `{fsck_repair(entry.store, 'WORKSPACE')}`"
    )


def mend(store: OperationStore, entry: Entry) -> None:
    """Write an index anew, or remove an entry of a cache: who needs it makes it again. Raises OutputError."""
    with refused_as_output(entry.path):
        if entry.part == PACKS:
            write_index(store, store.read())
        else:
            entry.remove()


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
