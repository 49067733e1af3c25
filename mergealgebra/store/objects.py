"""A store: the folder that holds a replica's genesis, operations and blobs [SY-1 to SY-3, SY-10].

    genesis    operations/ID    blobs/ROOT.safetensors    tmp/

Each file is named by a hash of what it holds, so no file is ever changed, and processes need no locks. A file
that is not what its name promises is never used: it is named, with what to do. No link in it is ever followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.addresses import local_path, peer_path
from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.disk import NotAFile, NotAFolder, make_folder, refused_as_output
from mergealgebra.encoding import MAX_BYTES, hash_id
from mergealgebra.errors import (
    BlobDamaged,
    BlobMissing,
    MergeAlgebraError,
    OperationError,
    OutputError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store.atomic import StagedFile, create_atomically, staged, write_atomically
from mergealgebra.store.blobs import Admit, Records, anything, discard, stream_blob
from mergealgebra.store.entries import BLOB_SUFFIX, BLOBS, GENESIS, OPERATIONS, ROOT, TMP, Entry, names_in
from mergealgebra.store.refusals import read_entry, refused_as
from mergealgebra.text import place

#: What the name of a file ends with that says of the blob beside it: somebody found this one to be damaged.
REPORT_SUFFIX: Final = f"{BLOB_SUFFIX}.damaged"

_FOLDERS: Final = (TMP, OPERATIONS, BLOBS)
#: Left free on a disk beside a blob, for operations.
_SPARE_BYTES: Final = 1 << 20


@dataclass(frozen=True, repr=False)
class Store:
    """One store, opened; it keeps no state of its own, so what other processes add is seen at once."""

    path: Path
    genesis: Genesis

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, id={self.genesis.workspace_id[:12]}...)"

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store at a path, once its genesis has been checked [SY-1]. Raises WorkspaceError."""
        path = local_path(path).absolute()  # a folder that is kept open survives a chdir
        if not has_genesis(path):
            raise WorkspaceError(
                f"{place(path)} is not a workspace, it has no file `{GENESIS}`: init or clone one there"
            )
        return cls(path, _read_genesis(path))

    @classmethod
    def create(cls, path: str | os.PathLike[str], genesis: Genesis) -> Store:
        """The store of this genesis at a path, made where there is none yet; the genesis is written last [SY-7].

        When others make one there at the same moment, the first genesis stays. Raises WrongWorkspace when a store of
        another genesis is there, WorkspaceError when anything else is, and OutputError when nothing can be written.
        """
        path = local_path(path).absolute()
        if not has_genesis(path):
            _check_unused(path)
            for name in _FOLDERS:
                make_folder(path / name)
            create_atomically(Entry(path, ROOT, GENESIS), genesis.encode())
        return cls.open_peer(path, genesis)

    @classmethod
    def open_peer(cls, path: str | os.PathLike[str], genesis: Genesis) -> Store:
        """The store of this genesis at a path; nothing is made [SY-7].

        Raises WrongWorkspace when a store of another genesis is there, and WorkspaceError when none is.
        """
        path = peer_path(path)
        if not has_genesis(path):
            _check_unused(path)
            found = "is empty" if path.exists() else "is not there"
            raise WorkspaceError(
                f"{place(path)} {found}: if a share is mounted there, mount it; if it is to become one, "
                "`sync --create` makes it"
            )
        store = cls.open(path)
        if store.genesis != genesis:
            raise WrongWorkspace(
                f"{place(path)} holds workspace {store.genesis.workspace_id}, not {genesis.workspace_id}: "
                "choose another folder"
            )
        return store

    # Operations

    def operation_ids(self) -> tuple[str, ...]:
        """The ids of the operations whose files are here, ascending; the files are not read [SY-1]."""
        return tuple(name for name in self._names(OPERATIONS) if is_id(name))

    def read_operation(self, name: str) -> Operation:
        """The operation with this id, checked against its bytes [SY-3].

        Raises OperationError or WrongWorkspace, naming the file and what to do.
        """
        entry = self._operation(name)
        path, data = entry.path, read_entry(entry, MAX_OPERATION_BYTES, OperationError)
        if (found := hash_id("operation", data)) != name:
            raise OperationError(f"{place(path)} is damaged: its bytes have the id {found}; delete it and sync again")
        try:
            return Operation.decode(data, self.genesis.workspace_id)
        except WrongWorkspace as error:
            raise WrongWorkspace(f"{place(path)} is refused: {error}; move it away") from error
        except MergeAlgebraError as error:
            raise OperationError(f"{place(path)} is refused: {error}; delete it") from error

    def write_operation(self, operation: Operation) -> str:
        """Let an operation appear under its id, unless it is here already [SY-2]. Returns the id.

        Its blob must be here first. Raises WrongWorkspace or OutputError.
        """
        if operation.workspace != self.genesis.workspace_id:
            raise WrongWorkspace(
                f"operation {operation.id} belongs to workspace {operation.workspace}, "
                f"{place(self.path)} holds {self.genesis.workspace_id}"
            )
        entry = self._operation(operation.id)
        with refused_as(WorkspaceError, entry.path):
            there = entry.is_there()
        if not there:
            write_atomically(entry, operation.encode())
        return operation.id

    def mend_operation(self, operation: Operation) -> None:
        """Put an operation in place of the damaged file that has its id [SY-4]. Raises OutputError."""
        write_atomically(self._operation(operation.id), operation.encode())

    def state(self) -> ORSet:
        """All operations that are here [OS-7]; one bad file stops it [SY-3]. Raises as `read_operation` does."""
        return ORSet(self.genesis, frozenset(map(self.read_operation, self.operation_ids())))

    def operation_path(self, name: str) -> Path:
        """Where the operation with this id lies, if it is here [SY-1]."""
        return self._operation(name).path

    def _operation(self, name: str) -> Entry:
        return Entry(self.path, OPERATIONS, name)

    # Blobs

    def blob(self, root: str) -> Entry:
        """Where the blob of these tensors lies, if it is here [SY-1]."""
        return Entry(self.path, BLOBS, f"{root}{BLOB_SUFFIX}")

    def blob_path(self, root: str) -> Path:
        """The same as a path."""
        return self.blob(root).path

    def has_blob(self, root: str) -> bool:
        """Whether there is a file under this root; `check_blob` says whether it is good. Raises WorkspaceError."""
        entry = self.blob(root)
        with refused_as(WorkspaceError, entry.path), suppress(NotAFile):
            return entry.size() is not None
        return False

    def blob_bytes(self, root: str) -> int | None:
        """The size of the file under this root, None when there is none. Raises WorkspaceError for what is no file."""
        entry = self.blob(root)
        with refused_as(WorkspaceError, entry.path):
            return entry.size()

    def check_blob(self, root: str, admit: Admit = anything) -> None:
        """Read a blob to its end and check it [CT-6]. admit: judges its header, before the rest is read.

        Raises BlobMissing or BlobDamaged, naming the file, and what `admit` raises.
        """
        stream_blob(self.blob(root), root, discard, admit)

    def import_blob(self, source: Entry, root: str, admit: Admit = anything) -> None:
        """Copy a blob from another store; it appears only when all that was copied has been checked [SY-4, CT-6].

        admit: judges its header. That, and the room on this disk, come before the first byte is written.
        Raises BlobMissing or BlobDamaged, naming the source, OutputError, and what `admit` raises.
        """

        def admit_here(path: Path, records: Records) -> None:
            admit(path, records)
            self._check_room(path.name, sum(record.nbytes for record in records.values()))

        with self.blob_writer() as blob:
            stream_blob(source, root, blob.write, admit_here)
            blob.place(root)

    def _check_room(self, name: str, nbytes: int) -> None:
        needed = nbytes + _SPARE_BYTES
        with refused_as_output(self.path):
            free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OutputError(
                f"{place(self.path)} needs {needed:,} bytes for {name} and its disk has {free:,} free; "
                "make room and sync again"
            )

    def report_damage(self, root: str) -> None:
        """Leave word beside a blob that it is damaged, for whoever holds a good one [SY-4]. Raises OutputError."""
        if not self.is_reported(root):
            write_atomically(self._report(root), b"damaged\n")

    def is_reported(self, root: str) -> bool:
        """Whether somebody found this store's blob to be damaged; it may be good again, or ever.

        What is not a file does not count: it could not be taken back.
        """
        with suppress(OSError):
            return self._report(root).size() is not None
        return False

    def forget_report(self, root: str) -> None:
        """Take that word back."""
        with suppress(OSError):
            self._report(root).remove()

    def _report(self, root: str) -> Entry:
        return Entry(self.path, BLOBS, f"{root}{REPORT_SUFFIX}")

    @contextmanager
    def blob_writer(self) -> Iterator[BlobWriter]:
        """A new blob to stream into, whose root is known only at its end; unless placed, it goes [SY-2].

        Raises OutputError.
        """
        with staged(self.path) as file:
            yield BlobWriter(self, file)

    def takes_files(self) -> bool:
        """Whether anything at all can be written here now."""
        try:
            with staged(self.path):
                return True
        except OutputError:
            return False

    # What does not belong here

    def ignored(self) -> tuple[str, ...]:
        """The files under `operations` and `blobs` whose names promise nothing, as `FOLDER/NAME` [SY-1]."""
        operations = (f"{OPERATIONS}/{name}" for name in self._names(OPERATIONS) if not is_id(name))
        blobs = (f"{BLOBS}/{name}" for name in self._names(BLOBS) if not _is_blob_name(name))
        return (*blobs, *operations)

    def blob_roots(self) -> tuple[str, ...]:
        """The roots under which there are files, ascending [SY-1]."""
        return tuple(name.removesuffix(BLOB_SUFFIX) for name in self._names(BLOBS) if _names_root(name))

    def _names(self, part: str) -> list[str]:
        with refused_as(WorkspaceError, self.path / part):
            return names_in(self.path, part)


class BlobWriter:
    """A blob being written: the bytes of EN-17 for its tensors, in order, then `place` [SY-2]."""

    def __init__(self, store: Store, file: StagedFile) -> None:
        self._store = store
        self._file = file
        self._nbytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        self._file.write(data)
        self._nbytes += len(data)

    def place(self, root: str) -> Path:
        """Let the blob appear under the root of the tensors that were written, and say where.

        The caller vouches for the root. A good blob that is there already stays; a damaged one is replaced.
        Raises OutputError.
        """
        entry = self._store.blob(root)
        if not self._already_good(root):
            self._file.place(entry)
        return entry.path

    def _already_good(self, root: str) -> bool:
        """Whether the blob is there; it is not read when its size is not that of what was written."""
        try:
            if self._store.blob_bytes(root) != self._nbytes:
                return False
            self._store.check_blob(root)
        except (BlobMissing, BlobDamaged, WorkspaceError):
            return False
        return True


def _read_genesis(path: Path) -> Genesis:
    entry = Entry(path, ROOT, GENESIS)
    data = read_entry(entry, MAX_BYTES, WorkspaceError)
    try:
        return Genesis.decode(data)
    except MergeAlgebraError as error:
        raise WorkspaceError(f"{place(entry.path)} is damaged: {error}; `fsck --repair PEER` mends it") from error


def has_genesis(path: Path) -> bool:
    """Whether a folder has a genesis. An empty one is a name that was claimed, and then its maker died [SY-7]."""
    entry = Entry(path, ROOT, GENESIS)
    with refused_as(WorkspaceError, entry.path):
        try:
            return bool(entry.size())
        except NotAFile:
            return True  # which is refused when it is read
        except NotAFolder:
            return False


def _is_blob_name(name: str) -> bool:
    return _names_root(name) or (name.endswith(REPORT_SUFFIX) and is_id(name.removesuffix(REPORT_SUFFIX)))


def _names_root(name: str) -> bool:
    return name.endswith(BLOB_SUFFIX) and is_id(name.removesuffix(BLOB_SUFFIX))


def _check_unused(path: Path) -> None:
    """Refuse a folder that holds anything but what a creation that died may have left [SY-7, SY-8]."""
    if path.exists() and not path.is_dir():
        raise WorkspaceError(f"{place(path)} is not a folder: choose another path")
    with refused_as(WorkspaceError, path):
        if any(map(is_id, names_in(path, OPERATIONS))):
            raise WorkspaceError(
                f"{place(path)} has operations and no genesis: `fsck {place(path)} --repair WORKSPACE`, with one of "
                "yours that they belong to, puts it back; or choose another folder"
            )
        strange = [name for name in names_in(path, ROOT) if name not in (*_FOLDERS, GENESIS)]
        strange += [f"{folder}/{name}" for folder in (OPERATIONS, BLOBS) for name in names_in(path, folder)]
    if strange:
        raise WorkspaceError(
            f"{place(path)} holds something else than a workspace, {place(path / strange[0])}: choose another folder"
        )
