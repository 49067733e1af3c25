"""Syncing somebody's own replica: blobs are judged by the base, and a sync that was incomplete stays known [SY-4]."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from mergealgebra.addresses import peer_scheme
from mergealgebra.contribution_blobs import check_auxiliary_fit, check_fit
from mergealgebra.errors import MergeAlgebraError, OutputError, SyncIncomplete
from mergealgebra.progress import Progress, quiet
from mergealgebra.store.blobs import Records
from mergealgebra.store.incomplete import NOT_GIVEN, read_incomplete, write_incomplete
from mergealgebra.store.local import base_path
from mergealgebra.store.objects import Store
from mergealgebra.sync.admission import Claim, Fits
from mergealgebra.sync.folder import SyncResult, sync
from mergealgebra.sync.remote import sync_at
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES

#: Written down until a sync has ended.
_CUT_SHORT: Final = "it was cut short"


def sync_replica(
    store: Store,
    peer: str | os.PathLike[str],
    progress: Progress = quiet,
    *,
    retracted: bool = False,
    auxiliary: bool = False,
) -> SyncResult:
    """Sync a replica with a peer, a folder or an address, and write down whether all of it went well.

    retracted, auxiliary: as of `sync`. Raises SyncIncomplete when something was refused; the good rest has then been
    exchanged. Otherwise as `sync`.
    """
    name = _name(peer)
    before = read_incomplete(store).refusals.get(name, [])
    unwritten = _write_down(store, name, [_CUT_SHORT])
    try:
        with judge([store]) as fits:
            result = _sync(store, peer, fits, unwritten, progress, retracted=retracted, auxiliary=auxiliary)
    except MergeAlgebraError:
        _write_down(store, name, before)
        raise
    _write_down(store, name, [f"{NOT_GIVEN if error in result.not_given else ''}{error}" for error in result.refused])
    if result.refused:
        files = "1 file" if len(result.refused) == 1 else f"{len(result.refused)} files"
        raise SyncIncomplete(f"{result.refused[0]} ({files} refused; the rest was synced)")
    return result


def _sync(
    store: Store,
    peer: str | os.PathLike[str],
    fits: Fits,
    closed: OutputError | None,
    progress: Progress,
    *,
    retracted: bool,
    auxiliary: bool,
) -> SyncResult:
    """Sync with a folder, or with whatever is at an address."""
    if peer_scheme(peer) is None:
        return sync(store, peer, fits, closed, progress, retracted=retracted, auxiliary=auxiliary)
    return sync_at(store, os.fspath(peer), fits, closed, progress, retracted=retracted, auxiliary=auxiliary)


def begin(store: Store, peer: str | os.PathLike[str]) -> None:
    """Write down, before the first sync of a new replica, that it is not complete. Raises OutputError."""
    write_incomplete(store, _name(peer), [_CUT_SHORT])


def _name(peer: str | os.PathLike[str]) -> str:
    return str(Path(peer).absolute()) if peer_scheme(peer) is None else os.fspath(peer)


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
    with ExitStack() as opened:

        @cache
        def base() -> Checkpoint | None:
            for store in stores:
                with suppress(MergeAlgebraError):
                    return opened.enter_context(Checkpoint.open(base_path(store)))
            return None

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

        yield fits
