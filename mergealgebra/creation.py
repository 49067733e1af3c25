"""The creation of workspaces and shares: the genesis, the folder, and what must not be there before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from mergealgebra.addresses import PathLike, local_path, peer_path, peer_scheme
from mergealgebra.contribution import check_base, read_root
from mergealgebra.crdt.genesis import Genesis, is_damaged
from mergealgebra.crdt.operations import Signer
from mergealgebra.engine.limits import available_cores
from mergealgebra.engine.plan import settled
from mergealgebra.errors import (
    AddressError,
    BlobDamaged,
    EncodingError,
    LeafDamaged,
    MapError,
    MergeAlgebraError,
    OperationError,
    PeerRefused,
    RecipeError,
    SyncIncomplete,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.ids import SHORT
from mergealgebra.interrupts import standing
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import SETTINGS, contributions_in
from mergealgebra.progress import Progress
from mergealgebra.recipe import check_recipe, complete_recipe
from mergealgebra.signing import KeySource, SignerWhenNeeded, signer_when_needed
from mergealgebra.store.holdings import missing
from mergealgebra.store.incomplete import read_incomplete
from mergealgebra.store.local import (
    check_own_name,
    default_recipe,
    is_replica,
    unmake,
    write_key,
    write_local,
)
from mergealgebra.store.objects import Store, has_genesis
from mergealgebra.store.refusals import refused_as
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.object_sync import putting_back
from mergealgebra.sync.remote import genesis_at, is_new
from mergealgebra.sync.replica import begin, sync_replica
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import address, location, shown, sync_again, sync_creating

#: Of what a peer gave, what is not as it was promised, or what it knows of itself that it is not.
_DAMAGE: Final = (BlobDamaged, EncodingError, LeafDamaged, MapError, OperationError, PeerRefused)


def new_workspace(
    path: PathLike,
    base: PathLike,
    recipe: Method,
    name: str,
    owner: str | None,
    progress: Progress,
    maintainers: Iterable[str] = (),
) -> Store:
    """The store of a new workspace for improving `base`. Raises as `Workspace.init` does."""
    check_own_name(owner)
    refuse_existing(local_path(path))
    return new_replica(path, new_genesis(base, recipe, name, progress, maintainers), base, owner)


def new_share(
    path: PathLike,
    base: PathLike,
    recipe: Method,
    name: str,
    group: bool,
    progress: Progress,
    maintainers: Iterable[str] = (),
) -> Store:
    """The store of a new share of that workspace. Raises as `Workspace.init_share` does."""
    refuse_existing(local_path(path))
    return Store.create(path, new_genesis(base, recipe, name, progress, maintainers), group=group)


def new_genesis(
    base: PathLike, recipe: Method, name: str, progress: Progress, maintainers: Iterable[str] = ()
) -> Genesis:
    """The genesis of a workspace for improving `base` [OS-1]. Raises as `Checkpoint.open` does.

    maintainers: keys, in any order; a signed workspace has some [SG-3]. Raises RecipeError, and NamesError for settings
    that say something of tensors that it has not [ST-2].
    """
    check_recipe(recipe)
    if named := contributions_in(recipe):
        raise RecipeError(
            f"{recipe.name}: {SETTINGS}: contribution {named[0][:SHORT]} is named, and a workspace's own recipe is for "
            "all contributions that come: leave its entries out, and give such a recipe to `resolve OUT --recipe R`"
        )
    with Checkpoint.open(base) as checkpoint:
        settled(recipe, checkpoint)
        root = read_root(checkpoint, available_cores(), progress)
        return Genesis(root, name, recipe.to_map(), tuple(sorted(set(maintainers))))


def new_replica(
    path: PathLike, genesis: Genesis, base: PathLike, owner: str | None, peer: PathLike | None = None
) -> Store:
    """The store of a new replica, to be synced with a peer if one is named; what was made is taken back on failure.

    owner: the name under which its owner contributes.
    """
    folder = local_path(path)
    with ExitStack() as failed:
        if not has_genesis(folder):
            failed.callback(unmake, folder, folder=not folder.exists())
        store = Store.create(folder, genesis)
        write_local(store, base, owner)
        if peer is not None:
            begin(store, peer)
        failed.pop_all()
    return store


def clone(
    peer: PathLike,
    path: PathLike,
    base: PathLike,
    workspace_id: str | None,
    owner: str | None,
    progress: Progress,
    key: KeySource | None = None,
) -> Store:
    """The store of a new replica of the workspace that a peer holds, synced with it [SY-12].

    Raises as `Workspace.clone` does.
    """
    check_own_name(owner)
    signer = signer_when_needed(None, key)
    genesis = genesis_of(peer, workspace_id, signer)
    refuse_existing(local_path(path))
    check_base_path(base, genesis, progress)
    store, made = new_replica(path, genesis, base, owner, peer), completing(path, peer)
    try:
        with standing(made):
            if genesis.is_signed and isinstance(signer, SignerWhenNeeded) and signer.named is not None:
                write_key(store, signer.named)
            sync_replica(store, peer, progress, signer=signer if genesis.is_signed else None)
        state = store.state()
        refuse_missing(peer, missing(store, state), len(state.visible()))
    except SyncIncomplete as error:
        if _is_damage(error):
            made = f"{location(Path(path))} is a workspace now; `{sync_again(path, 'PEER')}` with another completes it"
        raise SyncIncomplete(f"{error}; {made}") from None
    return store


def _is_damage(error: BaseException | None) -> bool:
    """Whether what a peer gave is the reason of an error, so that it would give the same again."""
    while error is not None and not isinstance(error, _DAMAGE):
        error = error.__cause__
    return error is not None


def genesis_of(peer: PathLike, workspace_id: str | None, signer: Signer | None = None) -> Genesis:
    """The genesis of a peer to clone. Raises WrongWorkspace unless it is of this workspace, if one is named [SY-12].

    signer: signs what is asked, where only members may read.
    """
    genesis = _genesis_there(peer, Identity(signer, workspace_id))
    if workspace_id not in (None, genesis.workspace_id):
        raise WrongWorkspace(
            f"{address(peer)} holds workspace {genesis.workspace_id}, not {shown(workspace_id)}: ask whoever gave you "
            "the id, all 64 digits of it, or name another peer"
        )
    return genesis


def _genesis_there(peer: PathLike, identity: Identity) -> Genesis:
    if peer_scheme(peer) is None:
        source = Store.open(peer_path(peer), peer=True)
        default_recipe(source)
        return source.genesis
    data = genesis_at(os.fspath(peer), identity)
    try:
        genesis = Genesis.decode(data)
        complete_recipe(genesis.recipe)
    except MergeAlgebraError as error:
        if is_damaged(data):
            raise WorkspaceError(
                f"{address(peer)} has a damaged genesis: {error}; name another peer, or have a member mend it: "
                f"{putting_back(os.fspath(peer))}"
            ) from None
        raise type(error)(f"{address(peer)} has a genesis that this version does not know: {error}") from None
    return genesis


def check_peers(own: Path, peers: Iterable[PathLike], *, group: bool) -> None:
    """Raise AddressError for a peer that is this workspace itself, and for a share of a group that is not a folder."""
    for peer in peers:
        if peer_scheme(peer) is None:
            with suppress(OSError, ValueError):  # what is not there, or no path, is told by who reads it
                if own.samefile(peer):
                    raise AddressError(
                        f"{address(peer)} is this workspace itself: sync it with another, or with a share"
                    )
        elif group:
            raise AddressError(
                f"{address(peer)} is not a folder and has no group: `{sync_creating(peer)}` makes a share there, and "
                "who may write is set where it is kept"
            )


def can_make_share(peer: PathLike) -> bool:
    """Whether a share can be made at a path or an address: there is none yet. Raises AddressError and PeerError."""
    return is_new(os.fspath(peer)) if peer_scheme(peer) is not None else not has_genesis(peer_path(peer))


def refuse_missing(peer: PathLike, lacking: Sequence[str], visible: int) -> None:
    """Raise SyncIncomplete for contributions whose tensors a peer did not have, of so many that are visible [SY-12]."""
    if lacking:
        raise SyncIncomplete(
            f"{address(peer)} lacks the tensors of {len(lacking)} of its {visible} contributions, "
            f"{lacking[0][:12]} first"
        )


def completing(path: PathLike, peer: PathLike) -> str:
    """What stands of a clone that did not come to its end, and the command that completes it [SY-12]."""
    return f"{location(Path(path))} is a workspace now; `{sync_again(path, peer)}` completes it"


def check_base_path(path: PathLike, genesis: Genesis, progress: Progress) -> None:
    """Raise BaseMismatch if what is at a path is not the base of a genesis, and as `Checkpoint.open` does."""
    with Checkpoint.open(path) as checkpoint:
        check_base(checkpoint, genesis.base, available_cores(), progress)


def refuse_existing(path: Path) -> None:
    """Raise WorkspaceError where a workspace is already.

    A store without `local.json` is completed: its making was interrupted, or it is an exchange folder.
    """
    with refused_as(WorkspaceError, path):
        if not (has_genesis(path) and is_replica(path)):
            return
    here = f"{location(path)} is a workspace already"
    if peers := list(read_incomplete(Store.open(path)).refusals):
        raise WorkspaceError(
            f"{here}, and its last sync with {address(peers[0])} was not complete: "
            f"`{sync_again(path, peers[0])}` completes it; or choose another folder"
        )
    raise WorkspaceError(f"{here}; choose another folder")
