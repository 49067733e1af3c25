"""Syncing with a folder: another workspace, or a bare exchange folder that people share [SY-4 to SY-7].

Both sides end with the union of their operations and with the blobs of what is then visible. Everything is
checked as it is copied; what is refused does not stop the rest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import BlobDamaged, BlobMissing, MergeAlgebraError, OutputError
from mergealgebra.store.objects import Store


@dataclass(frozen=True)
class SyncResult:
    """What one sync moved and what it refused.

    Operations and blobs by id and root, ascending. refused: one error a file, in a fixed order; the sync failed
    when there is any. ignored: files of the peer whose names promise nothing, as `FOLDER/NAME`.
    """

    taken_operations: tuple[str, ...]
    taken_blobs: tuple[str, ...]
    given_operations: tuple[str, ...]
    given_blobs: tuple[str, ...]
    refused: tuple[MergeAlgebraError, ...]
    ignored: tuple[str, ...]


def sync(store: Store, peer: str | os.PathLike[str]) -> SyncResult:
    """Take from a peer folder what this store lacks, then give it what it lacks [SY-4].

    A peer that is missing or empty becomes a store of the same workspace [SY-7]. A peer that cannot be written to
    still gives; that it takes nothing is one refusal.
    Raises WrongWorkspace or WorkspaceError when the peer is no store of this workspace, and OutputError when this
    store, or a new peer, cannot be written.
    """
    other = Store.create(peer, store.genesis)
    refused: list[MergeAlgebraError] = []
    ours, theirs = _readable(store, refused), _readable(other, refused)
    joined = ours.join(theirs)
    roots = sorted({manifest.tensors for manifest in joined.visible().values()})
    _compare_blobs(store, other, roots, refused)
    taken = _carry(other, store, theirs, roots, _Carried(refused))
    given = _give(store, other, ours, roots, _Carried(refused))
    return SyncResult(
        tuple(sorted(taken.operations)),
        tuple(taken.blobs),
        tuple(sorted(given.operations)),
        tuple(given.blobs),
        tuple(refused),
        other.ignored(),
    )


@dataclass
class _Carried:
    """What has been carried one way so far."""

    refused: list[MergeAlgebraError]
    operations: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)


def _readable(store: Store, refused: list[MergeAlgebraError]) -> ORSet:
    """The state of the operations that are what their names promise; the others are refused [SY-3]."""
    operations: set[Operation] = set()
    for name in store.operation_ids():
        try:
            operations.add(store.read_operation(name))
        except MergeAlgebraError as error:
            refused.append(error)
    return ORSet(store.genesis, frozenset(operations))


def _compare_blobs(ours: Store, theirs: Store, roots: Sequence[str], refused: list[MergeAlgebraError]) -> None:
    """Refuse what is damaged among the blobs that both sides have in different sizes [SY-3].

    Equal blobs are equal files, so that one of the two is damaged; only then are both read.
    """
    for root in roots:
        sizes = ours.blob_bytes(root), theirs.blob_bytes(root)
        if None not in sizes and sizes[0] != sizes[1]:
            for store in (ours, theirs):
                try:
                    store.check_blob(root)
                except (BlobMissing, BlobDamaged) as error:
                    refused.append(error)


def _give(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: _Carried) -> _Carried:
    """Carry until the target can take no more, which is one refusal [SY-4]."""
    try:
        return _carry(source, target, state, roots, carried)
    except OutputError as error:
        carried.refused.append(error)
        return carried


def _carry(source: Store, target: Store, state: ORSet, roots: Sequence[str], carried: _Carried) -> _Carried:
    """Copy what the target lacks, blobs before the operations that name them [SY-2, SY-4].

    An operation is carried even if its blob is refused or missing [SY-5]. Raises OutputError.
    Removes go first: if this dies halfway, nothing retracted is visible in the target [SY-8].
    """
    for root in roots:
        if source.has_blob(root) and not target.has_blob(root):
            _carry_blob(source, target, root, carried)
    held = set(target.operation_ids())
    lacking = [operation for name, operation in state.by_id().items() if name not in held]
    for operation in sorted(lacking, key=lambda operation: operation.kind != "remove"):
        carried.operations.append(target.write_operation(operation))
    return carried


def _carry_blob(source: Store, target: Store, root: str, carried: _Carried) -> None:
    try:
        target.import_blob(source.blob_path(root), root)
    except (BlobMissing, BlobDamaged) as error:
        carried.refused.append(error)
    else:
        carried.blobs.append(root)
