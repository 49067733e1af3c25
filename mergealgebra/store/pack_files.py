"""The packs of a store as files: what they hold, checked, and single operations read from them [PK-2]."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from itertools import accumulate
from operator import itemgetter
from typing import Protocol

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.packs import MAX_PACK_BYTES, Pack, framed_bytes, head_bytes, salvage
from mergealgebra.encoding import hash_id
from mergealgebra.errors import ForeignOperation, MergeAlgebraError, PackError, WrongWorkspace
from mergealgebra.store.entries import Entry
from mergealgebra.store.record_index import Kept
from mergealgebra.store.refusals import advice, read_entry
from mergealgebra.text import fsck_repair, location


class Finder(Protocol):
    """Where an operation is looked for when its pack is gone: in whatever replaced it."""

    def read_operation(self, name: str) -> Operation:
        """The operation with this id, wherever it lies now. Raises OperationError."""


class Packed:
    """The operations of one pack that was checked. Its bytes are read when the first of them is asked for."""

    def __init__(self, entry: Entry, genesis: Genesis, finder: Finder, kept: Kept) -> None:
        self._entry, self._genesis, self._finder, self._kept = entry, genesis, finder, kept
        self._data: bytes | None = None
        self._ends: list[int] = []
        self._read: dict[str, Operation] = {}

    def read(self, name: str) -> Operation:
        """The operation with this id. Raises OperationError when its bytes are not those any more."""
        if name not in self._read:
            decode = Operation.decode_verified if self._genesis.is_signed else Operation.decode
            self._read[name] = decode(self.encoded(name), self._genesis.workspace_id)
        return self._read[name]

    def encoded(self, name: str) -> bytes:
        """Its encoding, of which the id is the hash. Raises OperationError."""
        if self._data is None:
            try:
                self._data = self._entry.read(MAX_PACK_BYTES)
            except FileNotFoundError:
                return self._finder.read_operation(name).encode()
            except OSError as error:
                path = self._entry.path
                raise PackError(f"{location(path)} cannot be read: {error.strerror}; {advice(error, path)}") from error
        at, size = self._place(name)
        data = self._data[at : at + size]
        if hash_id("operation", data) != name:
            raise damaged(self._entry, f"operation {name} does not stand in it where it stood")
        return data

    def _place(self, name: str) -> tuple[int, int]:
        """Where the bytes of an operation begin, and how many they are."""
        if not self._ends:
            self._ends = list(accumulate(self._kept.sizes, initial=head_bytes(self._kept.replaced)))
        number = bisect_left(self._kept.records, name, key=itemgetter(0))
        return self._ends[number] + (number + 1) * framed_bytes(0), self._kept.sizes[number]


def pack_bytes(entry: Entry) -> bytes:
    """The bytes of a pack, which have its name. Raises PackError."""
    data = read_entry(entry, MAX_PACK_BYTES, PackError)
    if (found := hash_id("pack", data)) != entry.name:
        raise damaged(entry, f"its bytes have the name {found}")
    return data


def read_pack(entry: Entry) -> Pack:
    """A pack that is what its name promises; its operations are still to be checked. Raises PackError."""
    data = pack_bytes(entry)
    try:
        return Pack.decode(data)
    except PackError as error:
        raise refused(entry, str(error)) from error


def checked(entry: Entry, name: str, data: bytes, genesis: Genesis) -> Operation:
    """An operation of a pack. Raises PackError or WrongWorkspace, naming the pack.

    In a signed workspace ForeignOperation, for anybody may write other bytes under their right name [SG-7].
    """
    try:
        return decoded(data, genesis)
    except ForeignOperation as error:
        raise ForeignOperation(f"{location(entry.path)}, operation {name}, is passed over: {error}") from error
    except WrongWorkspace as error:
        raise WrongWorkspace(f"{location(entry.path)} is refused: {error}; move it away") from error
    except MergeAlgebraError as error:
        raise refused(entry, f"operation {name}: {error}") from error


def decoded(data: bytes, genesis: Genesis) -> Operation:
    """The operation of a workspace that bytes are, its signature verified.

    Raises ForeignOperation in a signed workspace [SG-7], in an open one as `Operation.decode` does.
    """
    if not genesis.is_signed:
        return Operation.decode(data, genesis.workspace_id)
    try:
        return Operation.decode_signed(data, genesis.workspace_id)
    except MergeAlgebraError as error:
        raise ForeignOperation(str(error)) from error


def salvaged(entry: Entry, genesis: Genesis) -> list[Operation]:
    """The sound operations in a pack that is damaged, as far as they can be told [PK-7]."""
    found = []
    with suppress(OSError):
        for data in salvage(entry.read(MAX_PACK_BYTES)):
            with suppress(MergeAlgebraError):
                found.append(decoded(data, genesis))
    return found


def damaged(entry: Entry, what: str) -> PackError:
    """The refusal of a file that is not the pack that it was."""
    return PackError(
        f"{location(entry.path)} is damaged: {what}; `{fsck_repair(entry.store)}` mends it, or delete it and sync again"
    )


def refused(entry: Entry, why: str) -> PackError:
    """The refusal of a file that is what its name says, and is no pack of this workspace."""
    return PackError(f"{location(entry.path)} is refused: {why}; delete it")
