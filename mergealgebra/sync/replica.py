"""Syncing somebody's own replica: blobs are judged by the base, and a sync that was incomplete stays known [SY-4]."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from itertools import groupby
from pathlib import Path

from mergealgebra.addresses import live_scheme, peer_scheme, whole_path
from mergealgebra.contribution_blobs import check_auxiliary_fit, check_fit
from mergealgebra.crdt.operations import Signer
from mergealgebra.errors import MergeAlgebraError, OutputError, PeerError, SyncIncomplete
from mergealgebra.progress import Progress, quiet
from mergealgebra.store.base_leaves import Base
from mergealgebra.store.blobs import Records
from mergealgebra.store.incomplete import CUT_SHORT, NOT_GIVEN, read_incomplete, write_incomplete
from mergealgebra.store.local import base_path
from mergealgebra.store.objects import Store
from mergealgebra.sync.admission import Claim, Fits
from mergealgebra.sync.folder import SyncResult, sync
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.live import sync_together
from mergealgebra.sync.peer import Unserved
from mergealgebra.sync.remote import check_peer, share_at, sync_at
from mergealgebra.sync.schemes import live_peer
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES


def sync_replica(
    store: Store,
    peer: str | os.PathLike[str],
    progress: Progress = quiet,
    *,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
    signer: Signer | None = None,
) -> SyncResult:
    """Sync a replica with a peer, a folder or an address, and write down whether all of it went well.

    retracted, auxiliary, give: as of `sync`. signer: signs what is asked of a server that wants to know [PR-20]. Raises
    SyncIncomplete when something was refused; the good rest has then been exchanged. Otherwise as `sync`.
    """
    check_peer(peer)
    name = _name(peer)
    before = read_incomplete(store).refusals.get(name, [])
    unwritten = _write_down(store, name, [CUT_SHORT])
    try:
        with base_of([store]) as base:
            result = _sync(
                store, peer, base, unwritten, progress, signer, retracted=retracted, auxiliary=auxiliary, give=give
            )
    except MergeAlgebraError:
        _write_down(store, name, before)
        raise
    return _concluded(store, name, result)


def sync_with_all(
    store: Store,
    peers: Sequence[str | os.PathLike[str]],
    progress: Progress = quiet,
    *,
    create: bool | str = False,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
    signer: Signer | None = None,
) -> list[SyncResult | MergeAlgebraError]:
    """Sync a replica with several peers, in their order; with live ones that follow each other at once [PR-16, BL-10].

    create: make shares that are not there, with "group" those of their group. signer: as of `sync_replica`. Returns for
    each what that returns or raises.
    """

    def alone(peer: str | os.PathLike[str]) -> SyncResult:
        if create:
            share_at(peer, store.genesis, group=create == "group")
        return sync_replica(store, peer, progress, retracted=retracted, auxiliary=auxiliary, give=give, signer=signer)

    found: list[SyncResult | MergeAlgebraError] = []
    for live, group in groupby(peers, lambda peer: live_scheme(peer) is not None):
        some = list(group)
        if live and len(some) > 1 and not create:  # of which each says that nothing is made there
            results = _sync_live_ones(
                store, some, progress, signer, retracted=retracted, auxiliary=auxiliary, give=give
            )
            for peer, result in zip(some, results, strict=True):  # one may be a web server with files
                found.append(_or_error(partial(alone, peer)) if isinstance(result, Unserved) else result)
        else:
            found += [_or_error(partial(alone, peer)) for peer in some]
    return found


def _sync_live_ones(
    store: Store,
    peers: Sequence[str | os.PathLike[str]],
    progress: Progress,
    signer: Signer | None,
    *,
    retracted: bool,
    auxiliary: bool,
    give: bool,
) -> list[SyncResult | MergeAlgebraError]:
    refused = {peer: error for peer in peers if (error := _address_error(peer)) is not None}
    names = [_name(peer) for peer in peers if peer not in refused]
    before = [read_incomplete(store).refusals.get(name, []) for name in names]
    unwritten = [_write_down(store, name, [CUT_SHORT]) for name in names]
    identity = Identity(signer, store.genesis.workspace_id)
    results: list[SyncResult | MergeAlgebraError]
    with base_of([store]) as base, ExitStack() as opened:
        others = [opened.enter_context(live_peer(name, identity)) for name in names]
        try:
            results = sync_together(
                store,
                others,
                fits_by(base),
                unwritten,
                progress,
                base=base,
                retracted=retracted,
                auxiliary=auxiliary,
                give=give,
            )
        except MergeAlgebraError as error:  # of what is here
            results = [error] * len(names)
    found = iter([_noted(store, name, told, result) for name, told, result in zip(names, before, results, strict=True)])
    return [refused[peer] if peer in refused else next(found) for peer in peers]


def _address_error(peer: str | os.PathLike[str]) -> MergeAlgebraError | None:
    try:
        check_peer(peer)
    except MergeAlgebraError as error:
        return error
    return None


def _noted(
    store: Store, name: str, before: Sequence[str], result: SyncResult | MergeAlgebraError
) -> SyncResult | MergeAlgebraError:
    """A result that is written down. before: what was, which stays where nothing was synced."""
    if isinstance(result, MergeAlgebraError):
        _write_down(store, name, before)
        return result
    return _or_error(partial(_concluded, store, name, result))


def _or_error(step: Callable[[], SyncResult]) -> SyncResult | MergeAlgebraError:
    try:
        return step()
    except MergeAlgebraError as error:
        return error


def _concluded(store: Store, name: str, result: SyncResult) -> SyncResult:
    """Write down how a sync went. Raises SyncIncomplete when something was refused."""
    _write_down(store, name, [f"{NOT_GIVEN if error in result.not_given else ''}{error}" for error in result.refused])
    if result.refused:
        raise SyncIncomplete(f"{result.refused[0]} ({_how_incomplete(result)})") from result.refused[0]
    return result


def _how_incomplete(result: SyncResult) -> str:
    """What a sync did not do, and that it did the rest."""
    not_given = [error for error in result.refused if error in result.not_given]
    files = [error for error in result.refused if error not in not_given and not isinstance(error, PeerError)]
    if len(files) + len(not_given) < len(result.refused):  # the peer broke off, or more is to come
        return "not everything was synced; what came stays"
    said = [f"{len(files)} file{'' if len(files) == 1 else 's'} refused"] if files else []
    said += ["the peer did not get all that it lacks"] if not_given else []
    return f"{', and '.join(said)}; the rest was synced"


def _sync(
    store: Store,
    peer: str | os.PathLike[str],
    base: Base,
    closed: OutputError | None,
    progress: Progress,
    signer: Signer | None,
    *,
    retracted: bool,
    auxiliary: bool,
    give: bool,
) -> SyncResult:
    """Sync with a folder, or with whatever is at an address."""
    fits = fits_by(base)
    if peer_scheme(peer) is None:
        return sync(store, peer, fits, closed, progress, retracted=retracted, auxiliary=auxiliary, give=give)
    who = Identity(signer, store.genesis.workspace_id)
    return sync_at(
        store,
        os.fspath(peer),
        who,
        fits,
        closed,
        progress,
        base=base,
        retracted=retracted,
        auxiliary=auxiliary,
        give=give,
    )


def begin(store: Store, peer: str | os.PathLike[str]) -> None:
    """Write down, before the first sync of a new replica, that it is not complete. Raises OutputError."""
    write_incomplete(store, _name(peer), [CUT_SHORT])


def _name(peer: str | os.PathLike[str]) -> str:
    return str(whole_path(peer)) if peer_scheme(peer) is None else os.fspath(peer)


def _write_down(store: Store, peer: str, refusals: Sequence[str]) -> OutputError | None:
    """Write down what a sync with a peer refused; returns why that cannot be, on a full or read-only disk."""
    try:
        write_incomplete(store, peer, refusals)
    except OutputError as error:
        return error
    return None


@contextmanager
def judge(stores: Sequence[Store]) -> Iterator[Fits]:
    """Judges blobs by the base of the first store that has one, opened at the first blob; without a base all fit."""
    with base_of(stores) as base:
        yield fits_by(base)


@contextmanager
def base_of(stores: Sequence[Store]) -> Iterator[Base]:
    """The base of the first store that has one, opened when it is first asked for."""
    with ExitStack() as opened:

        @cache
        def base() -> Checkpoint | None:
            for store in stores:
                with suppress(MergeAlgebraError):
                    return opened.enter_context(Checkpoint.open(base_path(store)))
            return None

        yield base


def fits_by(base: Base) -> Fits:
    """Judges blobs by a base; without one all fit."""

    def fits(claim: Claim, path: Path, records: Records) -> None:
        original = base()
        if original is None:
            return
        blob = Checkpoint(path, dict(records))
        if claim.kind is None:
            check_fit(claim.manifest, blob, original)
        else:
            shapes = {name: r.shape for name, r in original.records.items() if DTYPES[r.dtype].is_float}
            check_auxiliary_fit(claim.manifest, claim.kind, blob, shapes, whole=False)

    return fits
