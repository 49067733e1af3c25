"""Syncing with a folder: another workspace, or a bare exchange folder that people share [SY-4 to SY-7].

Both sides end with the union of their operations and with the blobs of what is then visible. Everything is checked as
it is copied. Operations go first, so that one large or damaged blob keeps nothing else back, and whatever goes wrong
with one entry is one refusal: the rest goes on. What only one side holds in good order mends the other side.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mergealgebra.crdt.manifest import KINDS
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, OperationError
from mergealgebra.progress import More, Progress, counter, quiet, untold
from mergealgebra.store.blobs import Admit, anything
from mergealgebra.store.local import needed_kinds
from mergealgebra.store.objects import Store
from mergealgebra.sync.admission import Claim, Fits, admission, anything_fits, claims_of
from mergealgebra.sync.way import Side, Way
from mergealgebra.text import location
from mergealgebra.wanted import known_manifests

#: In place of the size of a blob that cannot be read.
_NO_FILE: Final = -1


@dataclass(frozen=True)
class SyncResult:
    """What one sync moved, mended and refused.

    Operations and blobs by id and root, ascending. mended: paths of damaged files, here or there, that a good copy of
    the other side now stands for. refused: one error an entry, in a fixed order; the sync failed when there is any.
    ignored: files of the peer whose names promise nothing, as `FOLDER/NAME`. lost: where retracted blobs were asked
    for, the roots of those that neither side has. not_given: those of the refused that the peer could not store.
    """

    taken_operations: tuple[str, ...]
    taken_blobs: tuple[str, ...]
    given_operations: tuple[str, ...]
    given_blobs: tuple[str, ...]
    mended: tuple[str, ...]
    refused: tuple[MergeAlgebraError, ...]
    ignored: tuple[str, ...]
    lost: tuple[str, ...] = ()
    not_given: tuple[MergeAlgebraError, ...] = ()


def sync(
    store: Store,
    peer: str | os.PathLike[str],
    fits: Fits = anything_fits,
    closed: MergeAlgebraError | None = None,
    progress: Progress = quiet,
    *,
    retracted: bool = False,
    auxiliary: bool = False,
) -> SyncResult:
    """Take from a peer folder what this store lacks, then give it what it lacks [SY-4].

    fits: judges the header of each blob before it is taken. closed: why nothing may be taken, if so.
    progress: told of the bytes of blobs that are read. retracted: take the blobs of retracted contributions too.
    auxiliary: take auxiliary blobs that the default recipe does not need, too; they are given in any case.
    A peer that cannot be written to still gives; that it takes nothing is one refusal. Raises AddressError,
    WrongWorkspace or WorkspaceError when the peer is not a store of this workspace; none is made [SY-7].
    """
    other = Store.open_peer(peer, store.genesis)
    refused: list[MergeAlgebraError] = []
    ours, theirs = _read(store, refused), _read(other, refused)
    joined = ours.state.join(theirs.state)
    taken, given = Way(other, store, refused, closed), Way(store, other, refused)
    taken.carry_operations(joined, ours)
    given.carry_operations(joined, theirs)
    if not joined.operations and not theirs.damaged:
        refused += _half_there(other)
    good = {operation.id for operation in joined.operations}
    refused += [error for side in (ours, theirs) for name, error in side.damaged.items() if name not in good]
    wanted = claims_of(joined.visible().values())
    kinds = KINDS if auxiliary else needed_kinds(store)
    _exchange_blobs(wanted, kinds, taken, given, fits, progress)
    known = claims_of(known_manifests(joined).values(), kinds) if retracted else {}
    lost = _take_blobs({root: known[root] for root in known.keys() - wanted.keys()}, taken, fits, progress)
    return SyncResult(
        tuple(sorted(taken.operations)),
        tuple(taken.blobs),
        tuple(sorted(given.operations)),
        tuple(given.blobs),
        tuple(taken.mended + given.mended),
        tuple(refused),
        _ignored(other),
        lost,
        tuple(given.unwritten),
    )


def _half_there(store: Store) -> list[MergeAlgebraError]:
    """What is wrong with a store without operations, if it has blobs: who wrote them wrote an operation too [SY-2]."""
    with suppress(MergeAlgebraError):  # refused already
        if blobs := len(store.blob_roots()):
            return [
                OperationError(
                    f"{location(store.path)} holds {blobs} files of tensors, and no operation that names them: "
                    "it is half "
                    "there; copy or mount all of it, and sync again"
                )
            ]
    return []


def _ignored(store: Store) -> tuple[str, ...]:
    with suppress(MergeAlgebraError):  # refused already, where it mattered
        return store.ignored()
    return ()


# Operations


def _read(store: Store, refused: list[MergeAlgebraError]) -> Side:
    operations: set[Operation] = set()
    damaged: dict[str, MergeAlgebraError] = {}
    try:
        names = store.operation_ids()
    except MergeAlgebraError as error:
        refused.append(error)
        names = ()
    for name in names:
        try:
            operations.add(store.read_operation(name))
        except MergeAlgebraError as error:
            damaged[name] = error
    return Side(ORSet(store.genesis, frozenset(operations)), damaged)


# Blobs


@dataclass(frozen=True)
class _Pair:
    """A blob here and there: the size of each, None where there is none, and whether somebody found one damaged."""

    ours: int | None
    theirs: int | None
    reported: bool

    @property
    def is_ours(self) -> bool:
        """Whether it is here."""
        return self.ours is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether there is a sign that one of the two is damaged [SY-3]."""
        both = self.ours is not None and self.theirs is not None
        return both and (self.ours != self.theirs or self.ours == _NO_FILE or self.reported)

    @property
    def nbytes(self) -> int:
        """The bytes that are read of it: of the one that is there, or of both, to see which is damaged."""
        sizes = [max(size, 0) for size in (self.ours, self.theirs) if size is not None]
        return sum(sizes) if len(sizes) == 1 or self.is_doubtful else 0


def _exchange_blobs(
    wanted: Mapping[str, list[Claim]], kinds: Collection[str], taken: Way, given: Way, fits: Fits, progress: Progress
) -> None:
    """Carry each blob to the side that lacks it, or mend the one that is damaged. kinds: of auxiliary ones to take."""
    all_pairs = {root: _pair(root, taken, given) for root in wanted}
    # What nobody gave away is with its maker alone, so all is given; to take it there is always another time.
    pairs = {root: pair for root, pair in all_pairs.items() if pair.is_ours or _takes(wanted[root], kinds)}
    done, total = 0, sum(pair.nbytes for pair in pairs.values())
    for root, pair in pairs.items():
        more = counter(progress, "copying blobs", total, done)
        _exchange_blob(root, pair, taken, given, admission(wanted[root], fits), more)
        done += pair.nbytes
        if pair.nbytes:
            progress("copying blobs", done, total)  # a blob that is refused is not read to its end


def _takes(claims: Collection[Claim], kinds: Collection[str]) -> bool:
    """Whether a blob is taken: the tensors of a contribution, and auxiliary ones of these kinds."""
    return any(claim.kind is None or claim.kind in kinds for claim in claims)


def _take_blobs(wanted: Mapping[str, list[Claim]], taken: Way, fits: Fits, progress: Progress) -> tuple[str, ...]:
    """Take what the target lacks; the roots of what the source lacks too."""
    sizes = {root: _bytes(taken.source, root) for root in sorted(wanted) if _bytes(taken.target, root) is None}
    there = {root: max(size, 0) for root, size in sizes.items() if size is not None}
    done, total = 0, sum(there.values())
    for root, nbytes in there.items():
        more = counter(progress, "copying retracted blobs", total, done)
        taken.carry_blob(root, admission(wanted[root], fits), more, mends=False)
        done += nbytes
    return tuple(root for root, size in sizes.items() if size is None)


def _pair(root: str, taken: Way, given: Way) -> _Pair:
    reported = any(side.source.is_reported(root) for side in (taken, given))
    return _Pair(_bytes(given.source, root), _bytes(taken.source, root), reported)


def _exchange_blob(root: str, pair: _Pair, taken: Way, given: Way, admit: Admit, more: More) -> None:
    if pair.ours is None and pair.theirs is not None:
        taken.carry_blob(root, admit, more, mends=False)
    elif pair.ours is not None and pair.theirs is None:
        given.carry_blob(root, anything, more, mends=False)
    elif pair.is_doubtful:
        _mend_blob(root, taken, given, admit, more)


def _bytes(store: Store, root: str) -> int | None:
    """The size of a blob, None where there is none; _NO_FILE for what cannot be one, such as a link."""
    try:
        return store.blob_bytes(root)
    except MergeAlgebraError:
        return _NO_FILE


def _mend_blob(root: str, taken: Way, given: Way, admit: Admit, more: More) -> None:
    """Mend a blob that only one side has in good order. Both are read: of two sizes, at least one is damaged."""
    ours, theirs = (_damage(side.source, root, admit, more) for side in (given, taken))
    if ours and not theirs:
        taken.carry_blob(root, admit, untold, mends=True)
    elif theirs and not ours:
        given.carry_blob(root, anything, untold, mends=True)
    elif ours and theirs:
        taken.refused.extend((ours, theirs))
    else:
        for side in (taken, given):
            side.source.forget_report(root)


def _damage(store: Store, root: str, admit: Admit, more: More) -> MergeAlgebraError | None:
    """What is wrong with a blob; None when it is good."""
    try:
        store.check_blob(root, admit, more)
    except MergeAlgebraError as error:
        return error
    return None
