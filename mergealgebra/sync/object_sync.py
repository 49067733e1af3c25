"""Syncing with a store of objects, a bucket or the files of a web server: packs of operations, then blobs [PR-17].

The store answers nothing and judges nothing. As with any peer, everything is checked as it comes, and what is wrong
with one object is one refusal: the rest goes on. A store that takes nothing still gives.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.pack_index import INDEX, PackIndex
from mergealgebra.crdt.packs import MAX_PACK_BYTES, Pack
from mergealgebra.encoding import MAX_BYTES, hash_id
from mergealgebra.errors import (
    ForeignOperation,
    MergeAlgebraError,
    OperationError,
    PeerError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.progress import Progress, quiet
from mergealgebra.store.base_leaves import Base, no_base
from mergealgebra.store.entries import GENESIS, PACKS
from mergealgebra.store.objects import Store
from mergealgebra.store.pack_files import decoded
from mergealgebra.sync.admission import Fits, anything_fits
from mergealgebra.sync.exchange import Moved
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.held import Holder
from mergealgebra.sync.object_blobs import exchange_blobs
from mergealgebra.sync.object_operations import exchange_operations
from mergealgebra.sync.object_store import ObjectStore, get, mended_in_folder
from mergealgebra.text import sync_creating

#: So many packs are read to tell whose a store without its genesis was.
_JUDGED_PACKS: Final = 16
#: In a command, the workspace of somebody else.
_THEIRS: Final = Path("THEIR_WORKSPACE")


def sync_objects(
    store: Store,
    objects: ObjectStore,
    fits: Fits = anything_fits,
    closed: MergeAlgebraError | None = None,
    progress: Progress = quiet,
    *,
    base: Base = no_base,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
) -> SyncResult:
    """Take from a store of objects what this store lacks, and give it what it lacks [PR-17].

    base: the base, if it is at hand, whose leaves are not fetched. The other arguments are those of `sync` with a
    folder. Raises WrongWorkspace for another workspace's, and PeerError for one that is not reached, or in which there
    is none.
    """
    check_genesis(objects, store.genesis)
    moved = Moved(store, objects.name, Holder(store), closed, give)
    lost: tuple[str, ...] = ()
    foreign = list[ForeignOperation]()
    try:
        foreign += exchange_operations(moved, objects)
        moved.refused += moved.holder.look().reading.refusals
        lost = exchange_blobs(moved, objects, fits, progress, base=base, retracted=retracted, auxiliary=auxiliary)
    except (PeerError, OperationError) as error:  # of the store, or what rotted here: what was exchanged before stays
        moved.refused.append(error)
    return moved.result(lost, foreign)


def genesis_of(objects: ObjectStore) -> bytes:
    """The encoding of a store's genesis; not looked at. Raises WorkspaceError when there is none, and PeerError."""
    data = get(objects, GENESIS, MAX_BYTES)
    if not data:
        raise WorkspaceError(
            f"{objects.name} holds no workspace, there is no object `{GENESIS}`: check the address; if it is to become "
            f"one, or lost it, {putting_back(objects.name)}"
        )
    return data


def putting_back(peer: str) -> str:
    """Who puts the genesis back into a store of objects, and how: nobody writes to the files of a web server."""
    return mended_in_folder(peer) or f"`{sync_creating(peer)}` puts it there"


def check_genesis(objects: ObjectStore, genesis: Genesis) -> None:
    """Raise WrongWorkspace unless a store of objects has this genesis; raises as `genesis_of` does."""
    if (found := genesis_of(objects)) == genesis.encode():
        return
    if not _is_genesis(found):
        raise WorkspaceError(
            f"{objects.name} has a damaged object `{GENESIS}`: if it was this workspace's, {putting_back(objects.name)}"
        )
    told = f"{objects.name} holds workspace {hash_id('genesis', found)}, not {genesis.workspace_id}"
    if _lost_genesis(objects, genesis, found):
        raise WrongWorkspace(f"{told}, and its operations are of the latter: {putting_back(objects.name)}")
    raise WrongWorkspace(f"{told}: choose another peer")


def create_share(objects: ObjectStore, genesis: Genesis) -> bool:
    """Make a store of objects one of this workspace, unless it is one already; whether it was made [SY-7].

    A store that lost its genesis, or whose genesis rotted, be it into another sound one, gets it back if a pack there
    holds an operation of this workspace, and none one of its own. Nothing is changed where something else is. Raises
    WorkspaceError then, WrongWorkspace and PeerError.
    """
    found = get(objects, GENESIS, MAX_BYTES)
    if _lost_genesis(objects, genesis, found):
        objects.put(GENESIS, genesis.encode())
        return False
    if found and not _is_genesis(found):
        raise WorkspaceError(
            f"{objects.name} has a damaged object `{GENESIS}`, and no pack there is known to be of this workspace: "
            f"whoever has the workspace that it was mends it by `{sync_creating(objects.name, _THEIRS)}`; or choose "
            "another prefix"
        )
    made = not found
    if made:
        _check_unused(objects)
        objects.put(f"{PACKS}/{INDEX}", PackIndex().encode())  # without it, who cannot list would look in vain
        objects.put(GENESIS, genesis.encode())
    check_genesis(objects, genesis)  # where several make one at once, what is there now stays
    return made


def _lost_genesis(objects: ObjectStore, genesis: Genesis, found: bytes | None) -> bool:
    """Whether a store with this genesis, or none, was this workspace's: it has operations of that, none of its own."""
    if found == genesis.encode() or not _holds_operations_of(objects, genesis):
        return False
    return not _is_genesis(found) or not _holds_operations_of(objects, Genesis.decode(found or b""))


def _is_genesis(data: bytes | None) -> bool:
    """Whether these bytes are a genesis, of whatever workspace."""
    try:
        Genesis.decode(data or b"")
    except MergeAlgebraError:
        return False
    return True


def _holds_operations_of(objects: ObjectStore, genesis: Genesis) -> bool:
    """Whether one of the first packs of a store holds an operation of this workspace."""
    names = sorted(name for name in objects.list(PACKS) or () if is_id(name))
    for name in names[:_JUDGED_PACKS]:
        with suppress(MergeAlgebraError):
            pack = Pack.decode(get(objects, f"{PACKS}/{name}", MAX_PACK_BYTES) or b"")
            decoded(next(iter(pack.operations.values())), genesis)
            return True
    return False


def _check_unused(objects: ObjectStore) -> None:
    strange = sorted({*(objects.list("") or ())} - {f"{PACKS}/{INDEX}"})
    if strange:
        raise WorkspaceError(
            f"{objects.name} holds something other than a workspace, {strange[0]}: choose another prefix"
        )
