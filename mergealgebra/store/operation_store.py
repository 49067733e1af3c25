"""The operations of a store: in packs, and in files of one operation each [SY-1 to SY-3, PK-2, PK-5]."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.garbage_collector import paused
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.packs import BRANCH, MAX_PACK_BYTES, Pack, framed_bytes, head_bytes
from mergealgebra.crdt.records import Record, in_writing_order
from mergealgebra.encoding import hash_id
from mergealgebra.errors import (
    ForeignOperation,
    MergeAlgebraError,
    OperationError,
    PackError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.blob_store import BlobStore
from mergealgebra.store.entries import LOCAL, OPERATIONS, PACKS, ROOT, Entry, Told, told_in
from mergealgebra.store.pack_files import Packed, checked, damaged, decoded, pack_bytes, read_pack, salvaged
from mergealgebra.store.reading import File, Memory, Place, Reading, in_any
from mergealgebra.store.record_index import FOREIGN, Fields, Kept, fields_of, keep, kept_of
from mergealgebra.store.refusals import read_entry, refused_as
from mergealgebra.text import location

#: How often the folders are listed, when files go while they are read.
_TRIES: Final = 4


@dataclass(frozen=True, repr=False)
class OperationStore(BlobStore):
    """The operations of a store at a path. is_peer: whether somebody syncs with it, and does not work in it."""

    genesis: Genesis
    is_peer: bool = field(default=False, compare=False)
    _memory: Memory = field(default_factory=Memory, init=False, compare=False)

    @property
    def keeps_records(self) -> bool:
        """Whether this is the user's own replica, which has a cache [SY-9]."""
        with suppress(OSError), Entry(self.path, ROOT, LOCAL).opened() as descriptor:
            return not self.is_peer and os.fstat(descriptor).st_uid == os.geteuid()
        return False

    # Reading

    def read(self, known: ORSet | None = None, *, anew: bool = False) -> Reading:
        """All operations that are here, and which files are refused.

        known: a state of this workspace, whose operations are not decoded again. anew: compare all packs with their
        names, those that were checked before among them: they may be damaged since. Raises WorkspaceError.
        """
        found = self._files()
        for _ in range(_TRIES):
            with paused():
                reading = self._read(*found, known, anew)
            if not reading.refusals or found == (found := self._files()):
                break
        return reading

    def _files(self) -> tuple[tuple[str, ...], Mapping[str, Told]]:
        """The names of files of one operation; and of packs, with what the system says of them.

        In that order: what is moved into a pack meanwhile is seen in one of the two, or in both [PK-5].
        """
        loose = tuple(name for name in self.names(OPERATIONS) if is_id(name))
        with refused_as(WorkspaceError, self.path / PACKS):
            return loose, {name: told for name, told in told_in(self.path, PACKS).items() if is_id(name)}

    def _read(self, loose: tuple[str, ...], packs: Mapping[str, Told], known: ORSet | None, anew: bool) -> Reading:
        files: dict[Place, File] = {}
        damaged_packs: dict[str, MergeAlgebraError] = {}
        for name, told in packs.items():
            try:
                if anew:
                    pack_bytes(self.pack(name))
                files[PACKS, name] = self._memory.known((PACKS, name), told) or self._pack(name, told, known)
            except MergeAlgebraError as error:
                damaged_packs[name] = error
        held = {name: file.held for (_, name), file in files.items() if file.held}
        damaged_: dict[str, MergeAlgebraError] = {}
        foreign = [error for file in files.values() for error in file.foreign]
        with refused_as(WorkspaceError, self.path / OPERATIONS):
            listed = [name for name in loose if not in_any(held.values(), name)]
            alone = told_in(self.path, OPERATIONS, listed)
        for name in listed:
            try:
                files[OPERATIONS, name] = self._lone(name, alone.get(name), known)
            except ForeignOperation as error:
                foreign.append(error)
            except MergeAlgebraError as error:
                damaged_[name] = error
        lone = {name: files[OPERATIONS, name].held[name] for name in alone if (OPERATIONS, name) in files}
        told_of = {place: file.told for place, file in files.items()}
        state = self._memory.state(self.genesis, files)
        return Reading(state, held, lone, loose, damaged_, damaged_packs, told_of, tuple(foreign))

    def _lone(self, name: str, told: Told | None, known: ORSet | None) -> File:
        if told is None:  # it lies in a pack now, which was not listed yet [PK-5]
            where = location(self._operation(name).path)
            raise OperationError(f"{where} went while it was about to be read: run the command again")
        if before := self._memory.known((OPERATIONS, name), told):
            return before
        record = None if known is None else known.record(name)
        data = self._bytes(name)
        return File(told, {name: Record.of(self._decoded(name, data)) if record is None else record})

    def _pack(self, name: str, told: Told, known: ORSet | None) -> File:
        """What a pack holds: as it was written down when it was checked, or checked now [PK-6]."""
        entry, workspace, keeps = self.pack(name), self.genesis.workspace_id, self.keeps_records
        kept = kept_of(self.path, workspace, name, told.nbytes) if keeps else None
        if kept is None:
            found = read_pack(entry)
            records = tuple(self._checked(entry, id_, data, known) for id_, data in found.operations.items())
            kept = Kept(len(found.replaces), tuple(map(len, found.operations.values())), records)
            if keeps:
                keep(self.path, workspace, name, kept)
        elif told.nbytes != head_bytes(kept.replaced) + sum(kept.sizes) + len(kept.sizes) * framed_bytes(0):
            raise damaged(entry, f"it has {told.nbytes:,} bytes")
        source = Packed(entry, self.genesis, self, kept)
        foreign = tuple(ForeignOperation(fields[-1][0]) for fields in kept.records if fields[1] == FOREIGN)
        new = tuple.__new__  # a third of the time of Record(*fields, source), of which there may be 100,000
        held = {fields[0]: new(Record, (*fields, source)) for fields in kept.records if fields[1] != FOREIGN}
        return File(told, held, foreign)

    def _checked(self, entry: Entry, name: str, data: bytes, known: ORSet | None) -> Fields:
        record = None if known is None else known.record(name)
        try:
            return fields_of(Record.of(checked(entry, name, data, self.genesis)) if record is None else record)
        except ForeignOperation as error:
            return name, FOREIGN, None, None, (), "", (str(error),)

    # One operation, one pack

    def read_alone(self, name: str) -> Operation:
        """The operation in the file of this name, read anew. Raises as `read_operation` does."""
        return self._decoded(name, self._bytes(name))

    def check_pack(self, name: str) -> tuple[list[Operation], list[ForeignOperation]]:
        """The operations of the pack of this name, read and checked anew, and what is passed over [PK-2, SG-7].

        Raises PackError or WrongWorkspace.
        """
        entry = self.pack(name)
        found, foreign = list[Operation](), list[ForeignOperation]()
        for id_, data in read_pack(entry).operations.items():
            try:
                found.append(checked(entry, id_, data, self.genesis))
            except ForeignOperation as error:
                foreign.append(error)
        return found, foreign

    def kept_ids(self, pack: str) -> list[str] | None:
        """What a pack holds, as it was written down here when it was checked; None if it was not [PK-6]."""
        kept = kept_of(self.path, self.genesis.workspace_id, pack, MAX_PACK_BYTES) if self.keeps_records else None
        return None if kept is None else [id_ for id_, kind, *_ in kept.records if kind != FOREIGN]

    def operation_ids(self) -> tuple[str, ...]:
        """The ids of the operations that are here, ascending; files of one operation are not read [SY-1]."""
        reading = self.read()
        return tuple(sorted({*reading.loose, *(name for held in reading.packs.values() for name in held)}))

    def read_operation(self, name: str) -> Operation:
        """The operation with this id, checked against its bytes [SY-3], and in a signed workspace its signature [SG-7].

        Raises OperationError or WrongWorkspace, naming the file and what to do; ForeignOperation for sound bytes that
        may not enter the set of a signed workspace.
        """
        with suppress(OSError):
            if not self._operation(name).is_there():
                for held in self.read().packs.values():
                    if name in held:
                        return held[name].operation
        return self.read_alone(name)

    def salvaged(self, pack: str) -> list[Operation]:
        """The sound operations in a pack that is damaged [PK-7]."""
        return salvaged(self.pack(pack), self.genesis)

    def _bytes(self, name: str) -> bytes:
        entry = self._operation(name)
        data = read_entry(entry, MAX_OPERATION_BYTES, OperationError)
        if (found := hash_id("operation", data)) != name:
            where = location(entry.path)
            raise OperationError(f"{where} is damaged: its bytes have the id {found}; delete it and sync again")
        return data

    def _decoded(self, name: str, data: bytes) -> Operation:
        where = location(self._operation(name).path)
        try:
            return decoded(data, self.genesis)
        except ForeignOperation as error:
            raise ForeignOperation(f"{where} is passed over: {error}") from error
        except WrongWorkspace as error:
            raise WrongWorkspace(f"{where} is refused: {error}; move it away") from error
        except MergeAlgebraError as error:
            raise OperationError(f"{where} is refused: {error}; delete it") from error

    # Writing

    def write_operation(self, operation: Operation) -> str:
        """Let an operation appear under its id, unless it is here already [SY-2]. Returns the id.

        Its blob must be here first. Raises WrongWorkspace or OutputError.
        """
        if operation.workspace != self.genesis.workspace_id:
            raise WrongWorkspace(
                f"operation {operation.id} belongs to workspace {operation.workspace}, "
                f"{location(self.path)} holds {self.genesis.workspace_id}"
            )
        self._write(self._operation(operation.id), operation.encode())
        return operation.id

    def write_delta(self, delta: ORSet) -> str:
        """Let the operations of a delta appear. Returns the id of the first. Raises as `write_operation` does.

        In an order in which whoever dies halfway leaves what was visible, or what is to be [SY-8].
        """
        records = in_writing_order(delta.records().values())
        for part in parts(records):
            self.write_records(part)
        return records[0].id

    def write_records(self, records: Sequence[Record]) -> str | None:
        """Let operations of this workspace appear: one in a file of its own, several in a pack, all at once [PK-3].

        Returns the name of the pack. Raises OutputError, and OperationError when their bytes cannot be read.
        """
        if len(records) > 1:
            pack = Pack.of([record.encoded for record in records])
            self.write_pack(pack)
            return pack.name
        for record in records:
            self._write(self._operation(record.id), record.encoded)
        return None

    def write_pack(self, pack: Pack) -> None:
        """Let a pack appear, unless it is here already, in good order [SY-2]. Raises OutputError."""
        entry = self.pack(pack.name)
        try:
            pack_bytes(entry)
        except PackError:
            write_atomically(entry, pack.encode())

    def mend_operation(self, record: Record) -> None:
        """Put an operation in place of the damaged file that has its id [SY-4]. Raises OutputError."""
        write_atomically(self._operation(record.id), record.encoded)

    @staticmethod
    def _write(entry: Entry, data: bytes) -> None:
        with refused_as(WorkspaceError, entry.path):
            there = entry.is_there()
        if not there:
            write_atomically(entry, data)

    # Places

    def operation_path(self, name: str) -> Path:
        """Where the operation with this id lies, if it is in a file of its own [SY-1]."""
        return self._operation(name).path

    def pack(self, name: str) -> Entry:
        """Where the pack of this name lies, if it is here [PK-2]."""
        return Entry(self.path, PACKS, name)

    def _operation(self, name: str) -> Entry:
        return Entry(self.path, OPERATIONS, name)


def parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Operations in their order, in parts that are written at once: each alone where they are few, else as packs hold.

    Raises OperationError when the bytes of one cannot be read.
    """
    if len(records) < BRANCH:
        yield from ([record] for record in records)
        return
    start, nbytes = 0, head_bytes(0)
    for number, record in enumerate(records):
        size = framed_bytes(len(record.encoded))
        if nbytes + size > MAX_PACK_BYTES:
            yield records[start:number]
            start, nbytes = number, head_bytes(0)
        nbytes += size
    yield records[start:]
