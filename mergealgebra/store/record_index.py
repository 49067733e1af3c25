"""What the packs of a replica hold, kept so that no operation is decoded, or its signature checked, twice [PK-6, SY-9].

An entry of the cache for each pack. Others may be able to write there, so each is sealed with the workspace's private
key, together with the pack's name and the workspace: without our seal it counts as missing. It is written only when all
operations of the pack were checked here; and as the name stands for the bytes, it is true for ever.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgpack

from mergealgebra.crdt.records import Record
from mergealgebra.errors import OutputError
from mergealgebra.incremental.seals import HEADER_BYTES, Seal
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.cache import RECORDS
from mergealgebra.store.entries import Entry
from mergealgebra.store.private import known_key, private_key

#: Changes whenever a program checks operations otherwise, or keeps something else of them.
VERSION: Final = 1
#: An id takes 34 bytes in an operation and 66 here; what else an operation has takes more there.
_TIMES_THE_PACK: Final = 4

#: Stands for the kind of what is passed over in a signed workspace [SG-7]; what it says is why.
FOREIGN: Final = ""

#: What is kept of a record: all but where its operation is.
Fields = tuple[str, str, str | None, str | None, tuple[str, ...], str, tuple[str, ...]]


class Kept(NamedTuple):
    """What a pack holds, ascending by id, and how long each of its operations is. replaced: how many packs it names."""

    replaced: int
    sizes: tuple[int, ...]
    records: tuple[Fields, ...]


def keep(store: Path, workspace: str, pack: str, kept: Kept) -> None:
    """Write down what a pack holds, if that can be written."""
    with suppress(OSError, OutputError):
        body = bytes(msgpack.packb([VERSION, workspace, pack, *kept], use_bin_type=True))
        write_atomically(Entry(store, RECORDS, pack), Seal(private_key(store)).of_records(body) + body)


def kept_of(store: Path, workspace: str, pack: str, pack_bytes: int) -> Kept | None:
    """What was written down of a pack of so many bytes; None unless this workspace did."""
    key = known_key(store)
    if key is None:
        return None
    with suppress(OSError):
        data = Entry(store, RECORDS, pack).read(HEADER_BYTES + _TIMES_THE_PACK * pack_bytes)
        body = memoryview(data)[HEADER_BYTES:]
        if hmac.compare_digest(Seal(key).of_records(bytes(body)), data[:HEADER_BYTES]):
            version, *of_what, replaced, sizes, records = msgpack.unpackb(body, raw=False, use_list=False)
            return Kept(replaced, sizes, records) if (version, *of_what) == (VERSION, workspace, pack) else None
    return None


def fields_of(record: Record) -> Fields:
    """What is kept of a record."""
    return record[:7]
