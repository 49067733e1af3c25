"""Which packs are due, and which files lie wholly inside one pack and may go [PK-3, PK-4].

Whoever reads or writes a store and finds 16 files of a level there packs them. That only saves time: what cannot be
written or removed stays as it is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from mergealgebra.crdt.pack_levels import insides, to_merge
from mergealgebra.crdt.packs import BRANCH, MAX_PACK_BYTES, Pack, framed_bytes, head_bytes
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.cache import RECORDS
from mergealgebra.store.entries import OPERATIONS, PACKS, Entry, Told, names_in
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
    """Remove files that have been wholly inside one larger pack for a day [PK-4]; only in one's own replica [SY-10].

    The larger one is read again before.
    """
    rested = {name for name in reading.packs if _has_rested(reading.told[PACKS, name])}
    for larger, places in _covered(reading, rested).items():
        with suppress(MergeAlgebraError, OSError):
            read_pack(store.pack(larger))
            for part, name in places:
                Entry(store.path, part, name).remove()
    with suppress(OSError):
        for name in names_in(store.path, RECORDS):
            if name not in reading.packs:
                Entry(store.path, RECORDS, name).remove()


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


def _has_rested(told: Told) -> bool:
    return time.time() - told.written / 1e9 > RESTING_SECONDS
