"""Syncing with a folder: another workspace, or a bare exchange folder that people share [SY-4 to SY-7].

Both sides end with the union of their operations and with the blobs of what is then visible. Everything is checked as
it is copied. Operations go first, so that one large or damaged blob keeps nothing else back, and whatever goes wrong
with one entry is one refusal: the rest goes on. Where only one side has a good file, it mends the other side's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypedDict

from mergealgebra.crdt.manifest import KINDS
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, OperationError
from mergealgebra.progress import More, Progress, counter, quiet, untold
from mergealgebra.store.blobs import Admit, anything
from mergealgebra.store.holdings import needed_kinds
from mergealgebra.store.objects import Store
from mergealgebra.store.packing import pack_up, tidy_share
from mergealgebra.sync.admission import Claim, Fits, admission, anything_fits, claims_of, is_taken
from mergealgebra.sync.way import Side, Way
from mergealgebra.text import location
from mergealgebra.wanted import known_manifests


class SyncOptions(TypedDict, total=False):
    """What is said of a sync with several peers, as of `Workspace.sync`."""

    create: bool | Literal["group"]
    retracted: bool
    auxiliary: bool
    give: bool


@dataclass(frozen=True)
class SyncResult:
    """What one sync moved, mended and refused.

    Operations and blobs by id and root, ascending. mended: paths of damaged files, here or there, that a good copy of
    the other side now stands for. refused: one error an entry, in a fixed order; the sync failed when there is any.
    ignored: files of the peer whose names promise nothing, as `FOLDER/NAME`. lost: where retracted blobs were asked
    for, the roots of those that neither side has. not_given: those of the refused that the peer could not store.
    passed_over: one error for each file of the peer that may not enter the set of a signed workspace [SG-7]. held_back:
    how many operations of either side are not admissible, and stay where they are [SG-10].
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
    passed_over: tuple[MergeAlgebraError, ...] = ()
    held_back: int = 0


def sync(
    store: Store,
    peer: str | os.PathLike[str],
    fits: Fits = anything_fits,
    closed: MergeAlgebraError | None = None,
    progress: Progress = quiet,
    *,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
) -> SyncResult:
    """Take from a peer folder what this store lacks, then give it what it lacks [SY-4].

    fits: judges the header of each blob before it is taken. closed: why nothing may be taken, if so.
    progress: told of the bytes of blobs that are read. retracted: take the blobs of retracted contributions too.
    auxiliary: take auxiliary blobs that the default recipe does not need, too; they are given in any case.
    give: whether the peer is given anything, and what is damaged there is mended [PR-24].
    A peer that cannot be written to still gives; that it takes nothing is one refusal. Raises AddressError,
    WrongWorkspace or WorkspaceError when the peer is not a store of this workspace; none is made [SY-7].
    """
    other = Store.open_peer(peer, store.genesis)
    refused: list[MergeAlgebraError] = []
    ours = _read(store, refused)
    theirs = _read(other, refused, ours.state)
    everything = ours.state.join(theirs.state)
    for side in (ours, theirs):
        everything = everything.join(ORSet(store.genesis, frozenset(side.salvaged)))
    joined, held_back = everything.admissible, len(everything.operations) - len(everything.admissible.operations)
    taken, given = Way(other, store, refused, closed, marks=give), Way(store, other, refused, closed=not give)
    taken.carry_operations(joined, ours)
    given.carry_operations(joined, theirs)
    if give:
        with suppress(MergeAlgebraError, OSError):  # refused already, where it mattered
            tidy_share(other, pack_up(other, other.read(everything)))
    if not joined.operations and not theirs.damaged:
        refused += _half_there(other)
    refused += [error for side in (ours, theirs) for name, error in side.damaged.items() if not joined.has(name)]
    wanted = claims_of(joined.visible().values())
    kinds = KINDS if auxiliary else needed_kinds(store.genesis)
    _exchange_blobs(wanted, kinds, taken, given, fits, progress)
    known = claims_of(known_manifests(joined).values(), kinds) if retracted else {}
    lost = _take_blobs({root: known[root] for root in known.keys() - wanted.keys()}, taken, fits, progress)
    return _result(taken, given, lost, theirs.foreign, held_back)


def _result(
    taken: Way, given: Way, lost: tuple[str, ...], foreign: tuple[MergeAlgebraError, ...], held_back: int
) -> SyncResult:
    return SyncResult(
        tuple(sorted(taken.operations)),
        tuple(taken.blobs),
        tuple(sorted(given.operations)),
        tuple(given.blobs),
        tuple(taken.mended + given.mended),
        tuple(taken.refused),
        _ignored(taken.source),
        lost,
        tuple(given.unwritten),
        foreign,
        held_back,
    )


def _half_there(store: Store) -> list[MergeAlgebraError]:
    """What is wrong with a store of blobs without operations: whoever wrote a blob wrote an operation too [SY-2]."""
    with suppress(MergeAlgebraError):  # refused already
        if blobs := len(store.blob_roots()):
            return [
                OperationError(
                    f"{location(store.path)} holds {blobs} files of tensors, and no operation that names them: it is "
                    "half there; copy or mount all of it, and sync again"
                )
            ]
    return []


def _ignored(store: Store) -> tuple[str, ...]:
    with suppress(MergeAlgebraError):  # refused already, where it mattered
        return store.ignored()
    return ()


# Operations


def _read(store: Store, refused: list[MergeAlgebraError], known: ORSet | None = None) -> Side:
    """The operations of a store. known: a state whose operations need not be decoded again."""
    try:
        reading = store.read(known, anew=True)
    except MergeAlgebraError as error:
        refused.append(error)
        return Side(ORSet(store.genesis))
    salvaged = [operation for name in reading.damaged_packs for operation in store.salvaged(name)]
    return Side(reading.state, reading.damaged, reading.damaged_packs, salvaged, reading.foreign)


# Blobs


@dataclass(frozen=True)
class _Copy:
    """A blob on one side: whether anything is there, whether that is a file, and the bytes of the file."""

    is_there: bool
    is_file: bool = False
    nbytes: int = 0


@dataclass(frozen=True)
class _Pair:
    """A blob on both sides, and whether somebody found one of the two damaged."""

    ours: _Copy
    theirs: _Copy
    reported: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether there is a sign that one of the two is damaged [SY-3]."""
        both = self.ours.is_there and self.theirs.is_there
        return both and (self.ours != self.theirs or not self.ours.is_file or self.reported)

    @property
    def nbytes(self) -> int:
        """The bytes that are read of it: of the one that is there, or of both, to see which is damaged."""
        only_one = self.ours.is_there != self.theirs.is_there
        return self.ours.nbytes + self.theirs.nbytes if only_one or self.is_doubtful else 0


def _exchange_blobs(
    wanted: Mapping[str, list[Claim]], kinds: Collection[str], taken: Way, given: Way, fits: Fits, progress: Progress
) -> None:
    """Carry each blob to the side that lacks it, or mend the one that is damaged. kinds: of auxiliary ones to take."""
    all_pairs = {root: _pair(root, taken, given) for root in wanted}
    # What nobody gave away is with its maker alone, so all is given; to take it there is always another time.
    pairs = {root: pair for root, pair in all_pairs.items() if pair.ours.is_there or is_taken(wanted[root], kinds)}
    done, total = 0, sum(pair.nbytes for pair in pairs.values())
    for root, pair in pairs.items():
        more = counter(progress, "copying blobs", total, done)
        _exchange_blob(root, pair, taken, given, admission(wanted[root], fits), more)
        done += pair.nbytes
        if pair.nbytes:
            progress("copying blobs", done, total)  # a blob that is refused is not read to its end


def _take_blobs(wanted: Mapping[str, list[Claim]], taken: Way, fits: Fits, progress: Progress) -> tuple[str, ...]:
    """Take what the target lacks; the roots of what the source lacks too."""
    lacking = [root for root in sorted(wanted) if not _copy_in(taken.target, root).is_there]
    copies = {root: _copy_in(taken.source, root) for root in lacking}
    there = {root: copy.nbytes for root, copy in copies.items() if copy.is_there}
    done, total = 0, sum(there.values())
    for root, nbytes in there.items():
        more = counter(progress, "copying retracted blobs", total, done)
        taken.carry_blob(root, admission(wanted[root], fits), more, mends=False)
        done += nbytes
    return tuple(root for root, copy in copies.items() if not copy.is_there)


def _pair(root: str, taken: Way, given: Way) -> _Pair:
    reported = any(side.source.is_reported(root) for side in (taken, given))
    return _Pair(_copy_in(given.source, root), _copy_in(taken.source, root), reported)


def _exchange_blob(root: str, pair: _Pair, taken: Way, given: Way, admit: Admit, more: More) -> None:
    if pair.theirs.is_there and not pair.ours.is_there:
        taken.carry_blob(root, admit, more, mends=False)
    elif pair.ours.is_there and not pair.theirs.is_there:
        given.carry_blob(root, anything, more, mends=False)
    elif pair.is_doubtful:
        _mend_blob(root, taken, given, admit, more)


def _copy_in(store: Store, root: str) -> _Copy:
    """What a store has of a blob; something else may stand in its place, such as a link."""
    try:
        nbytes = store.blob_bytes(root)
    except MergeAlgebraError:
        return _Copy(is_there=True)
    return _Copy(is_there=False) if nbytes is None else _Copy(True, True, nbytes)


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
            if side.marks:
                side.source.forget_report(root)


def _damage(store: Store, root: str, admit: Admit, more: More) -> MergeAlgebraError | None:
    """What is wrong with a blob; None when it is good."""
    try:
        store.check_blob(root, admit, more)
    except MergeAlgebraError as error:
        return error
    return None
