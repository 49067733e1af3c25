"""Whatever is at an address: a live peer, a bucket, or the files of a share behind any web server [PR-17].

An address of http or https that does not answer as a live peer is tried as files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from mergealgebra.addresses import STORES, PathLike, peer_path, peer_scheme, without_secrets
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.encoding import MAX_BYTES
from mergealgebra.errors import AddressError, MergeAlgebraError, PeerError
from mergealgebra.progress import Progress
from mergealgebra.store.base_leaves import Base
from mergealgebra.store.entries import GENESIS
from mergealgebra.store.objects import Store
from mergealgebra.sync.admission import Fits
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.object_store import ObjectStore, get
from mergealgebra.sync.object_sync import create_share, genesis_of, sync_objects
from mergealgebra.sync.peer import Unserved
from mergealgebra.sync.schemes import live_peer


def check_peer(peer: PathLike) -> None:
    """Raise AddressError for what is not an address nor a path, before it is written down; nothing is asked there."""
    if (scheme := peer_scheme(peer)) is None:
        peer_path(peer)
    elif scheme in STORES:
        with bucket(os.fspath(peer)):
            return
    else:
        with live_peer(os.fspath(peer)):
            return


def sync_at(
    store: Store,
    address: str,
    identity: Identity,
    fits: Fits,
    closed: MergeAlgebraError | None,
    progress: Progress,
    *,
    base: Base,
    retracted: bool,
    auxiliary: bool,
    give: bool = True,
) -> SyncResult:
    """Sync a store with what is at an address. identity: as of `genesis_at`.

    The other arguments are those of `sync` with a folder, and so are the errors.
    """
    more = {"retracted": retracted, "auxiliary": auxiliary, "give": give}
    if peer_scheme(address) in STORES:
        with bucket(address) as objects:
            return sync_objects(store, objects, fits, closed, progress, base=base, **more)
    try:
        with live_peer(address, identity) as other:
            return sync_live(store, other, fits, closed, progress, base=base, **more)
    except Unserved as error:
        with files_at(address, error) as objects:
            return sync_objects(store, objects, fits, closed, progress, base=base, **more)


def genesis_at(address: str, identity: Identity) -> bytes:
    """The encoding of the genesis of what is at an address; not looked at. Raises PeerError, and as `genesis_of`.

    identity: as whom a live peer is asked, where it wants to know [PR-20].
    """
    if peer_scheme(address) in STORES:
        with bucket(address) as objects:
            return genesis_of(objects)
    try:
        with live_peer(address, identity) as other:
            return other.genesis()[0]
    except Unserved as error:
        with files_at(address, error) as objects:
            return genesis_of(objects)


def is_new(address: str) -> bool:
    """Whether a share can be made at an address, since nothing is there. Raises PeerError."""
    if peer_scheme(address) not in STORES:
        return False
    with bucket(address) as objects:
        return not get(objects, GENESIS, MAX_BYTES)


def create_at(address: str, genesis: Genesis) -> bool:
    """Make a share of this workspace at an address, unless it is there; whether it was made [SY-7].

    Raises AddressError where nothing can be made, and as `create_share`.
    """
    if peer_scheme(address) not in STORES:
        raise AddressError(
            f"nothing is made at {without_secrets(address)}: make the workspace there, by `clone`, and `serve` it; "
            "or sync without --create"
        )
    with bucket(address) as objects:
        return create_share(objects, genesis)


def share_at(peer: PathLike, genesis: Genesis, *, group: bool = False) -> None:
    """Make a share of this workspace at a path or an address, unless it is there [SY-7].

    Raises as `Store.create` does, and PeerError.
    """
    if peer_scheme(peer) is not None:
        create_at(os.fspath(peer), genesis)
    else:
        Store.create(peer_path(peer), genesis, group=group)


@contextmanager
def bucket(address: str) -> Iterator[ObjectStore]:
    """The object store at an address of `STORES`."""
    from mergealgebra.sync.s3_store import S3Store  # with the extra `s3`

    yield S3Store(address)


@contextmanager
def files_at(address: str, why: Unserved) -> Iterator[ObjectStore]:
    """The files at an address that is not a live peer's. Raises the error of that, unless there is a genesis."""
    from mergealgebra.sync.http_files import HttpFiles

    with closing(HttpFiles(address)) as files:
        try:
            found = get(files, GENESIS, MAX_BYTES)
        except PeerError:
            found = None
        if not found:
            raise PeerError(f"{why}; nor is there a file `{GENESIS}`") from why
        yield files
