"""Which packs are due, and which files lie wholly inside one pack and may go [PK-3, PK-4, PK-10].

Whoever reads or writes a store and finds 16 files of a level there packs them. That only saves time: what cannot be
written or removed stays as it is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from mergealgebra.crdt.pack_index import INDEX, PackIndex
from mergealgebra.crdt.pack_levels import insides, to_merge
from mergealgebra.crdt.packs import BRANCH, MAX_PACK_BYTES, Pack, framed_bytes, head_bytes
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.cache import RECORDS
from mergealgebra.store.entries import LOCAL, OPERATIONS, PACKS, ROOT, Entry, Told, names_in, told_in
from mergealgebra.store.operation_store import OperationStore
from mergealgebra.store.pack_files import read_pack
from mergealgebra.store.reading import Place, Reading

#: Until a file has been in a larger pack for so long, somebody may still be about to read it.
RESTING_SECONDS: Final = 24 * 60 * 60


def pack_up(store: OperationStore, reading: Reading) -> Reading:
    """Write the packs that are due; returns what is there then. Raises nothing for what cannot be written."""
    written: set[str] = set()
    with suppress(MergeAlgebraError, OSError):
        while (pack := due(store, reading)) and pack.name not in written:
            store.write_pack(pack)
            written.add(pack.name)
            reading = store.read(reading.state)
    return reading


def due(store: OperationStore, reading: Reading) -> Pack | None:
    """The next pack to write: of 16 files of the lowest level that has so many; None when no level has [PK-3].

    Raises PackError or OperationError when a file cannot be read.
    """
    if len(reading.alone) >= BRANCH:
        return _of_alone(reading)
    names = to_merge(reading.packs, {name: reading.told[PACKS, name].nbytes for name in reading.packs})
    packs = [read_pack(store.pack(name)) for name in names]
    return Pack.of([data for pack in packs for data in pack.operations.values()], names) if packs else None


def _of_alone(reading: Reading) -> Pack:
    """The pack of all files of one operation that no pack holds, as far as they fit in one."""
    encodings, nbytes = list[bytes](), head_bytes(0)
    for record in reading.alone.values():
        data = record.encoded
        nbytes += framed_bytes(len(data))
        if nbytes > MAX_PACK_BYTES:
            break
        encodings.append(data)
    return Pack.of(encodings)


def tidy(store: OperationStore, reading: Reading) -> None:
    """Remove files that have been wholly inside one larger pack for a day, in one's own replica [PK-4]."""
    now = time.time_ns()
    _remove(store, reading, {name for name in reading.packs if _has_rested(reading.told[PACKS, name], now)})
    with suppress(OSError):
        for name in names_in(store.path, RECORDS):
            if name not in reading.packs:
                Entry(store.path, RECORDS, name).remove()


def tidy_share(share: OperationStore, reading: Reading) -> None:
    """Write the index of a share, then remove what has been wholly inside one larger pack for a day [PK-8, PK-10].

    The time is that of the last write there: the clock of whoever keeps the share, not ours. In somebody's replica
    nothing is done. Raises OutputError and OSError.
    """
    if Entry(share.path, ROOT, LOCAL).is_there():
        return
    write_index(share, reading)
    told = told_in(share.path, PACKS)
    newest = max(one.written for one in told.values())
    _remove(share, reading, {name for name in reading.packs if name in told and _has_rested(told[name], newest)})


def write_index(share: OperationStore, reading: Reading) -> None:
    """Write the index of a share, unless it is right [PK-8]. Raises OutputError."""
    inside = {name for name, _ in insides(reading.packs)}
    index = PackIndex(tuple(sorted(reading.packs.keys() - inside)), tuple(sorted(reading.alone)))
    entry = Entry(share.path, PACKS, INDEX)
    if not _is(entry, index.encode()):
        write_atomically(entry, index.encode())


def _is(entry: Entry, data: bytes) -> bool:
    """Whether a file has these bytes."""
    with suppress(OSError):
        return entry.read(len(data)) == data
    return False


def _remove(store: OperationStore, reading: Reading, rested: set[str]) -> None:
    """Remove what lies inside one larger pack of these. Both are read again before: all that stands in them counts."""
    for larger, places in _covered(reading, rested).items():
        with suppress(MergeAlgebraError, OSError):
            held = read_pack(store.pack(larger)).operations.keys()
            for part, name in places:
                if part == OPERATIONS or read_pack(store.pack(name)).operations.keys() < held:
                    Entry(store.path, part, name).remove()


def _covered(reading: Reading, rested: set[str]) -> Mapping[str, Sequence[Place]]:
    """The files that lie inside one larger pack of these, by that pack."""
    found: dict[str, list[Place]] = defaultdict(list)
    for name, larger in insides(reading.packs):
        if larger in rested:
            found[larger].append((PACKS, name))
    for name in reading.loose:
        holding = next((pack for pack in sorted(rested) if name in reading.packs[pack]), None)
        if holding is not None and len(reading.packs[holding]) > 1:
            found[holding].append((OPERATIONS, name))
    return found


def _has_rested(told: Told, now: int) -> bool:
    return now - told.written > RESTING_SECONDS * 10**9
