"""A store: the folder that holds a replica's genesis, operations and blobs [SY-1 to SY-3, SY-10].

    genesis    operations/ID    packs/NAME    blobs/ROOT.safetensors    tmp/

Each file is named by a hash of what it holds, so no file is ever changed, and processes need no locks. A file whose
bytes do not have the hash in its name is never used: an error names it and says what to do. No link is ever followed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.addresses import local_path, peer_path, whole_path
from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_index import INDEX
from mergealgebra.disk import NotAFile, NotAFolder, make_folder, refused_as_output
from mergealgebra.encoding import MAX_BYTES
from mergealgebra.errors import (
    ForeignOperation,
    MergeAlgebraError,
    OutputError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store.atomic import create_atomically, staged
from mergealgebra.store.blob_store import is_blob_name
from mergealgebra.store.entries import (
    BLOBS,
    GENESIS,
    LOCAL,
    OPERATIONS,
    PACKS,
    ROOT,
    TMP,
    Entry,
    is_of_group,
    made_part,
    names_in,
    open_to_group,
)
from mergealgebra.store.operation_store import OperationStore
from mergealgebra.store.packing import pack_up, tidy
from mergealgebra.store.refusals import read_entry, refused_as, refused_in_store
from mergealgebra.store.rights import for_group
from mergealgebra.text import fsck_repair, location, sync_creating, syncing_workspace

_FOLDERS: Final = (TMP, OPERATIONS, BLOBS)
_CHECK_PATH: Final = "check the path; if a share is mounted there, mount it"


@dataclass(frozen=True, repr=False)
class Store(OperationStore):
    """One store, opened."""

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, id={self.genesis.workspace_id[:12]}...)"

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, peer: bool = False) -> Store:
        """The store at a path, once its genesis has been checked [SY-1]. Raises WorkspaceError.

        peer: whether it is opened to sync with it: then nothing is kept in its cache.
        """
        path = whole_path(local_path(path))  # a folder that is kept open survives a chdir
        if not has_genesis(path):
            _check_there(path)
            refuse_lost_genesis(path)
            raise WorkspaceError(
                f"{location(path)} is not a workspace or shared folder, it has no file `{GENESIS}`: {_CHECK_PATH}"
            )
        return cls(path, _read_genesis(path), peer)

    @classmethod
    def create(cls, path: str | os.PathLike[str], genesis: Genesis, *, group: bool = False) -> Store:
        """The store of this genesis at a path, made where there is none yet; the genesis is written last [SY-7].

        group: all members of the group of its folder may write there [SY-16]. When others make one there at the same
        moment, the first genesis stays. Raises WrongWorkspace when a store of another genesis is there, WorkspaceError
        when anything else is, and OutputError when nothing can be written.
        """
        path = whole_path(local_path(path))
        if not has_genesis(path):
            _check_unused(path)
            make_folder(path)
            if group:
                _open_to_group(path)
            for name in _FOLDERS:
                with refused_in_store(path / name), made_part(path, name):
                    pass
            create_atomically(Entry(path, ROOT, GENESIS), genesis.encode())
        store = cls.open_peer(path, genesis)
        if group and not is_of_group(path.stat().st_mode):
            raise WorkspaceError(
                f"{location(path)} is there already, and not open to its group; its owner opens it: `{for_group(path)}`"
            )
        return cls(store.path, store.genesis)

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
                f"{location(path)} {found}: if a share is mounted there, mount it; if it is to become one, "
                f"`{sync_creating(path)}` makes it"
            )
        store = cls.open(path, peer=True)
        if store.genesis != genesis:
            found = f"{location(path)} holds workspace {store.genesis.workspace_id}, not {genesis.workspace_id}"
            if has_operation(store) or not has_operation(cls(store.path, genesis, is_peer=True)):
                raise WrongWorkspace(f"{found}: choose another folder")
            raise WrongWorkspace(
                f"{found}, and its operations are of the latter: `{fsck_repair(path, syncing_workspace())}` puts the "
                "genesis of that there"
            )
        return store

    # Operations

    def state(self) -> ORSet:
        """All operations that are here [OS-7]; one bad file stops it [SY-3]. Raises as `read_operation` does.

        In somebody's replica, packs that are due are written, and files that lie inside others removed [PK-3, PK-4].
        """
        return self.contents()[0]

    def contents(self) -> tuple[ORSet, tuple[ForeignOperation, ...]]:
        """The same, and what is passed over in a signed workspace [SG-7]."""
        first = self._memory.last is None
        reading = self.read()
        for refusal in reading.refusals:
            raise refusal
        if not self.keeps_records:
            return reading.state, reading.foreign
        packed = pack_up(self, reading)
        if first or packed is not reading:
            tidy(self, packed)
        return packed.state, packed.foreign

    # The folder

    def takes_files(self) -> bool:
        """Whether anything at all can be written here now."""
        try:
            with staged(self.path):
                return True
        except OutputError:
            return False

    def ignored(self) -> tuple[str, ...]:
        """The files under `operations`, `packs` and `blobs` whose names promise nothing, as `FOLDER/NAME` [SY-1]."""
        operations = (f"{OPERATIONS}/{name}" for name in self.names(OPERATIONS) if not is_id(name))
        packs = (f"{PACKS}/{name}" for name in self.names(PACKS) if not is_id(name) and name != INDEX)
        blobs = (f"{BLOBS}/{name}" for name in self.names(BLOBS) if not is_blob_name(name))
        return (*blobs, *operations, *packs)


def has_operation(store: OperationStore) -> bool:
    """Whether an operation of this workspace is there."""
    with suppress(MergeAlgebraError):
        for name in store.operation_ids():
            with suppress(MergeAlgebraError):
                store.read_operation(name)
                return True
    return False


def _read_genesis(path: Path) -> Genesis:
    entry = Entry(path, ROOT, GENESIS)
    data = read_entry(entry, MAX_BYTES, WorkspaceError)
    try:
        return Genesis.decode(data)
    except MergeAlgebraError as error:
        raise WorkspaceError(f"{location(entry.path)} is damaged: {error}; `{fsck_repair(path)}` mends it") from error


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


def refuse_lost_genesis(path: Path, otherwise: str = "") -> None:
    """Refuse a folder that was a workspace or a share, and say what puts its genesis back [SY-11]."""
    with refused_as(WorkspaceError, path):
        if LOCAL in names_in(path, ROOT):
            raise WorkspaceError(
                f"{location(path)} was a workspace, and has no file `{GENESIS}` now: `{fsck_repair(path)}`, with a "
                f"peer of the same workspace, puts it back{otherwise}"
            )
        if any(map(is_id, [*names_in(path, OPERATIONS), *names_in(path, PACKS)])):
            raise WorkspaceError(
                f"{location(path)} has operations and no genesis: `{fsck_repair(path, 'WORKSPACE')}`, with one of "
                f"yours that they belong to, puts it back{otherwise}"
            )


def _check_there(path: Path) -> None:
    """Refuse what is not there, and what is not a folder."""
    if not path.exists():
        raise WorkspaceError(f"{location(path)} is not there: {_CHECK_PATH}")
    if not path.is_dir():
        raise WorkspaceError(f"{location(path)} is not a folder, so not a workspace: check the path")


def _open_to_group(path: Path) -> None:
    with refused_as_output(path):
        is_open = open_to_group(path)
    if not is_open:
        raise OutputError(
            f"{location(path)} cannot be its group's: the system does not keep the set-group-ID bit of who is not in "
            "the group; get into it, or give the folder to a group of yours: `chgrp GROUP FOLDER`"
        )


def _check_unused(path: Path) -> None:
    """Refuse a folder that holds anything but what a creation that died may have left [SY-7, SY-8]."""
    if path.exists() and not path.is_dir():
        raise WorkspaceError(f"{location(path)} is not a folder: choose another path")
    refuse_lost_genesis(path, "; or choose another folder")
    with refused_as(WorkspaceError, path):
        strange = [name for name in names_in(path, ROOT) if name not in (*_FOLDERS, PACKS, GENESIS)]
        strange += [f"{folder}/{name}" for folder in (OPERATIONS, PACKS, BLOBS) for name in names_in(path, folder)]
    if strange:
        raise WorkspaceError(
            f"{location(path)} holds something other than a workspace, {location(path / strange[0])}: choose another "
            "folder"
        )
