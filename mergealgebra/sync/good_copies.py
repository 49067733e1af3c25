"""Where `fsck` takes good copies from: a folder, a peer that answers, or a store that does not [SY-11].

Everything is checked as it is taken.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mergealgebra.addresses import STORES, PathLike, peer_path, peer_scheme
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.packs import Pack
from mergealgebra.errors import AddressError, BlobMissing, MergeAlgebraError, PackError, WrongWorkspace
from mergealgebra.progress import untold
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.blobs import anything
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.pack_files import read_pack
from mergealgebra.store.reading import Reading
from mergealgebra.sync import calls
from mergealgebra.sync.admission import Claim, Fits, admission
from mergealgebra.sync.exchange import Exchange
from mergealgebra.sync.fetch import Fetch
from mergealgebra.sync.held import Held, Holder
from mergealgebra.sync.identity import NOBODY, Identity
from mergealgebra.sync.messages import ADMISSIBLE, SALT_BYTES
from mergealgebra.sync.object_copies import ObjectCopies, genesis_from
from mergealgebra.sync.peer import Peer, Unserved
from mergealgebra.sync.reconciliation import reconcile
from mergealgebra.sync.remote import bucket, files_at
from mergealgebra.sync.schemes import live_peer
from mergealgebra.sync.taking import HELD_BYTES, operation_of, take
from mergealgebra.text import address, by_caller, fsck_repair


class GoodCopies(Protocol):
    """A peer from which a store is mended. What it lacks or refuses is a MergeAlgebraError that says why."""

    @property
    def name(self) -> str: ...
    @property
    def genesis(self) -> Genesis: ...
    @property
    def store(self) -> Store | None:
        """The store, if the peer is a folder of this machine."""
        ...

    def operation(self, store: Store, name: str) -> Operation:
        """The operation with this id, for a store."""
        ...

    def pack(self, name: str) -> tuple[list[Operation], Pack]:
        """The pack of this name, and what it holds. Raises PackError where it is not there."""
        ...

    def lacking(self, store: Store, here: Reading) -> ORSet:
        """The operations of the peer, those that a store has already left out where that saves time.

        They are still to be judged. Where they are many, some are written into the store, judged as in a sync.
        """
        ...

    def take_blob(self, store: Store, root: str, claims: Sequence[Claim], fits: Fits) -> None:
        """Let a blob appear in a store, in place of what stands there. claims: of whose tensors it is, as adds say."""
        ...


@dataclass(frozen=True)
class FolderCopies:
    """A workspace, or a shared folder."""

    store: Store

    @property
    def name(self) -> str:
        return str(self.store.path)

    @property
    def genesis(self) -> Genesis:
        return self.store.genesis

    def operation(self, store: Store, name: str) -> Operation:
        return self.store.read_operation(name)

    def pack(self, name: str) -> tuple[list[Operation], Pack]:
        operations, _ = self.store.check_pack(name)
        return operations, read_pack(self.store.pack(name))

    def lacking(self, store: Store, here: Reading) -> ORSet:
        return self.store.read(here.state).state

    def take_blob(self, store: Store, root: str, claims: Sequence[Claim], fits: Fits) -> None:
        store.import_blob(self.store.blob(root), root, admission(claims, fits) if claims else anything)


@dataclass(frozen=True)
class LiveCopies:
    """A peer that answers. It tells of no packs, and of admissible operations alone [PR-11]."""

    peer: Peer
    genesis: Genesis
    store: None = None

    @property
    def name(self) -> str:
        return self.peer.name

    def operation(self, store: Store, name: str) -> Operation:
        (found, *_) = self.peer.operations([bytes.fromhex(name)])
        return operation_of(self._exchange(store), name, found)

    def pack(self, name: str) -> tuple[list[Operation], Pack]:
        raise PackError(f"{self.name} tells of operations, and not of pack {name}")

    def lacking(self, store: Store, here: Reading) -> ORSet:
        ids, exchange = Held(here).ids(ADMISSIBLE), self._exchange(store)
        found = reconcile(ids, self.peer.reconcile, ADMISSIBLE, secrets.token_bytes(SALT_BYTES), self.name)
        came, nbytes, at = list[Operation](), 0, 0
        while at < len(found.lacking):
            asked = found.lacking[at : at + calls.MOST_ASKED]
            answered = self.peer.operations(asked)
            came += (operation_of(exchange, id_.hex(), data) for id_, data in zip(asked, answered, strict=False))
            at, nbytes = at + len(answered), nbytes + sum(len(data or b"") for data in answered)
            if nbytes > HELD_BYTES:
                take(exchange, came)
                came, nbytes = [], 0
        _raise_first(exchange.refused)
        return ORSet(self.genesis, frozenset(came))

    def take_blob(self, store: Store, root: str, claims: Sequence[Claim], fits: Fits) -> None:
        (size,) = self.peer.blob_sizes([bytes.fromhex(root)])
        if size is None:
            raise BlobMissing(f"{self.name} has no tensors of root {root}")
        if not claims:
            raise BlobMissing(f"no contribution names the tensors of root {root}: nobody can say how large they may be")
        exchange, maps = self._exchange(store), Maps(store)
        fetch = Fetch(store, BaseLeaves(maps), maps, fits, untold)
        fetch.want(root, claims, [exchange])
        fetch.run([exchange])
        _raise_first(exchange.refused)

    def _exchange(self, store: Store) -> Exchange:
        return Exchange(store, self.name, Holder(store), None, peer=self.peer)


def _raise_first(refused: Sequence[MergeAlgebraError]) -> None:
    for error in refused:
        raise error


@contextmanager
def good_copies(peer: PathLike, folder: PathLike, identity: Identity = NOBODY) -> Iterator[GoodCopies]:
    """Those of a folder, or of whatever is at an address, for another folder, while the body runs.

    identity: as of `live_peer`.

    Raises WorkspaceError where there is no workspace, AddressError, and PeerError for a peer that does not answer.
    """
    if peer_scheme(peer) is None:
        _refuse_itself(folder, peer)
        yield FolderCopies(Store.open(peer_path(peer), peer=True))
        return
    with ExitStack() as opened:
        yield _copies_at(os.fspath(peer), identity, opened)


def _copies_at(where: str, identity: Identity, opened: ExitStack) -> GoodCopies:
    """Those of a store of objects, or of a live peer; what does not answer as one is tried as files [PR-17]."""
    if peer_scheme(where) in STORES:
        return ObjectCopies(opened.enter_context(bucket(where)))
    other = opened.enter_context(live_peer(where, identity))
    try:
        data, _ = other.genesis()
    except Unserved as error:
        return ObjectCopies(opened.enter_context(files_at(where, error)))
    return LiveCopies(other, genesis_from(other.name, data))


def _refuse_itself(folder: PathLike, peer: PathLike) -> None:
    """Raise AddressError for a peer that is the store itself: what is damaged there cannot mend it."""
    with suppress(OSError, ValueError):  # what is not there, or no path, is told by who reads it
        if Path(folder).samefile(peer):
            raise AddressError(
                f"{address(peer)} is what is to be mended: name another replica, `{fsck_repair(folder)}`, or leave "
                f"{by_caller('--repair', 'repair=')} out"
            )


def check_workspace(copies: GoodCopies, store: Store) -> None:
    """Raise WrongWorkspace for a peer that has another workspace."""
    if copies.genesis != store.genesis:
        raise WrongWorkspace(
            f"{copies.name} holds workspace {copies.genesis.workspace_id}, not {store.genesis.workspace_id}: name "
            "another peer"
        )
