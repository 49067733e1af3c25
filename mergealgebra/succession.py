"""A signed workspace that takes over what another one shows: base, recipe and visible contributions [SG-14].

Maintainers never change, so a team that wants others, or wants any at all, goes on in a new workspace. What is visible
comes along with its tensors; the merge id stays, for it names none of the people.
"""

from __future__ import annotations

from collections.abc import Iterable

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Signer
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.permission import permission
from mergealgebra.creation import check_base_path, new_replica, refuse_existing
from mergealgebra.errors import BlobMissing, MergeAlgebraError, NotAllowed
from mergealgebra.history import stories
from mergealgebra.interrupts import standing
from mergealgebra.progress import Progress
from mergealgebra.store.blobs import anything
from mergealgebra.store.holdings import missing
from mergealgebra.store.local import base_path, check_own_name
from mergealgebra.store.objects import Store
from mergealgebra.text import location


def succeed(
    path: PathLike,
    old: PathLike,
    maintainers: Iterable[str],
    signer: Signer | None,
    name: str | None,
    owner: str | None,
    base: PathLike | None,
    progress: Progress,
) -> Store:
    """The store of a new workspace with what is visible in an old one, signed by one of its maintainers.

    name: its own if None. base: where it is, if not where the old workspace says. Raises NotAllowed, BlobMissing for
    tensors that the old one lacks, and as `Workspace.init` does.
    """
    check_own_name(owner)
    source = Store.open(local_path(old))
    state = source.state()
    keys = tuple(sorted(set(maintainers)))
    genesis = Genesis(source.genesis.base, source.genesis.name if name is None else name, source.genesis.recipe, keys)
    empty = ORSet(genesis)
    _refuse(source, state, empty, signer)
    refuse_existing(local_path(path))
    where = base_path(source) if base is None else base
    check_base_path(where, genesis, progress)
    store = new_replica(path, genesis, where, owner)
    made = f"{location(store.path)} is a workspace without all of it now: remove it before you try again"
    try:
        with standing(made):
            _carry(source, store, state, empty, signer)
    except MergeAlgebraError as error:
        raise type(error)(f"{error}; {made}") from None
    return store


def _refuse(source: Store, state: ORSet, empty: ORSet, signer: Signer | None) -> None:
    """Refuse what would end halfway: an unsigned successor, a signer who is not a maintainer, tensors that lack."""
    if not empty.genesis.is_signed:
        raise NotAllowed("a workspace that takes over another one is signed: name at least one maintainer")
    if state.visible():
        permission(empty.authority, signer)
    if lacking := missing(source, state):
        raise BlobMissing(
            f"{location(source.path)} lacks the tensors of {len(lacking)} contributions, {lacking[0][:12]} first: sync "
            "it with who has them, or take them back there"
        )


def _carry(source: Store, store: Store, state: ORSet, empty: ORSet, signer: Signer | None) -> None:
    """Copy the tensors of what is visible, then add it, with who said what of it [SY-2]."""
    told = stories(state)
    for id_, manifest in state.visible().items():
        for root in (manifest.tensors, *(entry.root for entry in manifest.auxiliary)):
            if source.has_blob(root) and not store.has_blob(root):
                store.import_blob(source.blob(root), root, anything)
        add = told[id_].told_by
        store.write_delta(empty.add(manifest, time=add.time, note=add.note, name=add.name, signer=signer))
