"""A store: the folder that holds a replica's genesis, operations and blobs [SY-1 to SY-3].

    genesis    operations/ID    blobs/ROOT.safetensors    tmp/

Each file is named by a hash of what it holds, so no file is ever changed, and processes need no locks. A file
that is not what its name promises is never used: it is named, with what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.disk import make_folder
from mergealgebra.encoding import MAX_BYTES, hash_id
from mergealgebra.errors import (
    BlobDamaged,
    BlobMissing,
    MergeAlgebraError,
    OperationError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store.atomic import StagedFile, create_atomically, staged, sweep, write_atomically
from mergealgebra.store.blobs import discard, stream_blob
from mergealgebra.text import place

GENESIS: Final = "genesis"
OPERATIONS: Final = "operations"
BLOBS: Final = "blobs"
TMP: Final = "tmp"
BLOB_SUFFIX: Final = ".safetensors"

_FOLDERS: Final = (TMP, OPERATIONS, BLOBS)


@dataclass(frozen=True)
class Store:
    """One store, opened; it keeps no state of its own, so what other processes add is seen at once."""

    path: Path
    genesis: Genesis

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store at a path, once its genesis has been checked [SY-1].

        Temporary files that a dead process left more than a day ago are removed. Raises WorkspaceError.
        """
        path = Path(path)
        if not _is_there(path / GENESIS):
            raise WorkspaceError(f"{place(path)} is no workspace, it has no file `{GENESIS}`: init or clone one there")
        genesis = _read_genesis(path / GENESIS)
        sweep(path / TMP)
        return cls(path, genesis)

    @classmethod
    def create(cls, path: str | os.PathLike[str], genesis: Genesis) -> Store:
        """The store of this genesis at a path, made where there is none yet; the genesis is written last [SY-7].

        When others make one there at the same moment, the first genesis stays. Raises WrongWorkspace when a store of
        another genesis is there, WorkspaceError when anything else is, and OutputError when nothing can be written.
        """
        path = Path(path)
        if not _is_there(path / GENESIS):
            _check_unused(path)
            for name in _FOLDERS:
                make_folder(path / name)
            create_atomically(path / GENESIS, genesis.encode(), tmp=path / TMP)
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
        return tuple(name for name in _names(self.path / OPERATIONS) if is_id(name))

    def read_operation(self, name: str) -> Operation:
        """The operation with this id, checked against its bytes [SY-3].

        Raises OperationError or WrongWorkspace, naming the file and what to do.
        """
        path = self.path / OPERATIONS / name
        data = _read(path, MAX_OPERATION_BYTES, OperationError)
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
        path = self.path / OPERATIONS / operation.id
        if not _is_there(path):
            make_folder(path.parent)
            write_atomically(path, operation.encode(), tmp=self.path / TMP)
        return operation.id

    def state(self) -> ORSet:
        """All operations that are here [OS-7]; one bad file stops it [SY-3]. Raises as `read_operation` does."""
        return ORSet(self.genesis, frozenset(map(self.read_operation, self.operation_ids())))

    # Blobs

    def blob_path(self, root: str) -> Path:
        """Where the blob of these tensors lies, if it is here [SY-1]."""
        return self.path / BLOBS / f"{root}{BLOB_SUFFIX}"

    def has_blob(self, root: str) -> bool:
        """Whether there is a file under this root; `check_blob` says whether it is good."""
        return self.blob_bytes(root) is not None

    def blob_bytes(self, root: str) -> int | None:
        """The size of the file under this root, None when there is none."""
        path = self.blob_path(root)
        with _refused_as(WorkspaceError, path), suppress(FileNotFoundError):
            return path.stat().st_size
        return None

    def check_blob(self, root: str) -> None:
        """Read a blob to its end and check it [CT-6]. Raises BlobMissing or BlobDamaged, naming the file."""
        stream_blob(self.blob_path(root), root, discard)

    def import_blob(self, source: Path, root: str) -> None:
        """Copy a blob from elsewhere; it appears only when all that was copied has been checked [SY-4, CT-6].

        Raises BlobMissing or BlobDamaged, naming the source, and OutputError.
        """
        with self.blob_writer() as blob:
            stream_blob(source, root, blob.write)
            blob.place(root)

    @contextmanager
    def blob_writer(self) -> Iterator[BlobWriter]:
        """A new blob to stream into, whose root is known only at its end; unless placed, it goes [SY-2].

        Raises OutputError.
        """
        with staged(self.path / TMP) as file:
            yield BlobWriter(self, file)

    # What does not belong here

    def ignored(self) -> tuple[str, ...]:
        """The files under `operations` and `blobs` whose names promise nothing, as `FOLDER/NAME` [SY-1]."""
        operations = (f"{OPERATIONS}/{name}" for name in _names(self.path / OPERATIONS) if not is_id(name))
        blobs = (f"{BLOBS}/{name}" for name in _names(self.path / BLOBS) if not _is_blob_name(name))
        return (*blobs, *operations)


class BlobWriter:
    """A blob being written: the bytes of EN-17 for its tensors, in order, then `place` [SY-2]."""

    def __init__(self, store: Store, file: StagedFile) -> None:
        self._store = store
        self._file = file

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        self._file.write(data)

    def place(self, root: str) -> Path:
        """Let the blob appear under the root of the tensors that were written, and say where.

        The caller vouches for the root. A good blob that is there already stays; a damaged one is replaced.
        Raises OutputError.
        """
        path = self._store.blob_path(root)
        if not self._already_good(root):
            make_folder(path.parent)
            self._file.place(path)
        return path

    def _already_good(self, root: str) -> bool:
        try:
            self._store.check_blob(root)
        except (BlobMissing, BlobDamaged):
            return False
        return True


def _read_genesis(path: Path) -> Genesis:
    try:
        return Genesis.decode(_read(path, MAX_BYTES, WorkspaceError))
    except MergeAlgebraError as error:
        raise WorkspaceError(f"{place(path)} is damaged: {error}; clone the workspace again from a peer") from error


def _read(path: Path, most: int, refusal: type[MergeAlgebraError]) -> bytes:
    """The bytes of a regular file, and at most one more than there may be of them."""
    with _refused_as(refusal, path):
        if not path.is_file():  # before opening: a pipe would block
            raise refusal(f"{place(path)} is missing, or is no file; delete it if it is there, and sync again")
        with path.open("rb") as file:
            return file.read(most + 1)


def _is_there(path: Path) -> bool:
    with _refused_as(WorkspaceError, path):
        return path.exists()


def _names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none when it is missing, as in a copy made without empty folders."""
    with _refused_as(WorkspaceError, folder), suppress(FileNotFoundError):
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
    return []


@contextmanager
def _refused_as(refusal: type[MergeAlgebraError], path: Path) -> Iterator[None]:
    """What the operating system refuses to read leaves as one line with the path and what to do."""
    try:
        yield
    except OSError as error:
        raise refusal(f"{place(path)} cannot be read: {error.strerror}; check its permissions") from error


def _is_blob_name(name: str) -> bool:
    return name.endswith(BLOB_SUFFIX) and is_id(name.removesuffix(BLOB_SUFFIX))


def _check_unused(path: Path) -> None:
    """Refuse a folder that holds anything but what a creation that died may have left [SY-7, SY-8]."""
    if path.exists() and not path.is_dir():
        raise WorkspaceError(f"{place(path)} is not a folder: choose another path")
    strange = [name for name in _names(path) if name not in _FOLDERS]
    strange += [f"{folder}/{name}" for folder in (OPERATIONS, BLOBS) for name in _names(path / folder)]
    if strange:
        raise WorkspaceError(
            f"{place(path)} holds something else than a workspace, {place(path / strange[0])}: choose another folder"
        )
