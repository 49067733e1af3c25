"""Checking a store to its last byte, and mending it from a peer: `fsck`, for a workspace or an exchange folder [SY-11].

Every file of the peer is checked before it is taken, so a peer can mend a store and cannot spoil it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mergealgebra.addresses import PathLike
from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.records import Record
from mergealgebra.disk import refused_as_output
from mergealgebra.errors import ForeignOperation, MergeAlgebraError, PackError, WorkspaceError, WrongWorkspace
from mergealgebra.key_files import Passphrase
from mergealgebra.progress import More, Progress, counter, quiet
from mergealgebra.signing import KeySource, signer_when_needed
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.blobs import anything
from mergealgebra.store.entries import GENESIS, OPERATIONS, PACKS, ROOT, Entry
from mergealgebra.store.holdings import needed_kinds
from mergealgebra.store.incomplete import read_incomplete
from mergealgebra.store.inspection import damaged_caches, damaged_notes, mend, told_of, unsealed_caches
from mergealgebra.store.local import began_with, check_genesis, is_replica
from mergealgebra.store.objects import Store, has_operation
from mergealgebra.store.operation_store import parts
from mergealgebra.store.unfinished import unfinished_blobs
from mergealgebra.sync.admission import Claim, Fits, admission, claims_of
from mergealgebra.sync.good_copies import GoodCopies, check_workspace, good_copies
from mergealgebra.sync.held import entering
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.replica import judge
from mergealgebra.text import by_caller, location


@dataclass
class Inspection:
    """What was found. operations, blobs: how many are good now. mended: paths of files that a peer's copy has replaced.

    damaged: a line for each file that is not what its name promises. missing: a line for each visible contribution
    whose tensors are not here. unnamed: blobs that no add here names, and that claim more bytes than are on the disk:
    they are not read. unused: entries of the cache without this workspace's seal, which are made again. unfinished:
    blobs that came in part, which a sync goes on from; it hashes what is there again. foreign: files whose names
    promise nothing, as `FOLDER/NAME`, and a line for each operation that a signed workspace passes over [SG-7].
    """

    operations: int = 0
    blobs: int = 0
    mended: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all that should be here is here and good."""
        return not self.damaged and not self.missing


def inspect(
    folder: PathLike,
    *,
    repair: PathLike | None = None,
    progress: Progress = quiet,
    key: KeySource | None = None,
    passphrase: bytes | Passphrase | None = None,
) -> Inspection:
    """Check the genesis, every operation and every blob of a store.

    repair: a peer, a folder or an address, whose good copies replace what is damaged or missing here. key, passphrase:
    as of `Workspace.sync`, for a server that only members read. Raises WorkspaceError when the folder, or the peer,
    holds no workspace, WrongWorkspace when it is another one's, PeerError when it does not answer, and OutputError.

    >>> import tempfile
    >>> from mergealgebra.crdt.genesis import Genesis
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.create(folder, Genesis("ab" * 32, "team", {"method": "mean", "lambda": "1"}))
    ...     inspect(folder).ok
    True
    """
    found = Inspection()
    with nullcontext() if repair is None else good_copies(repair, folder, _asking(folder, key, passphrase)) as peer:
        store = _opened(Path(folder), peer, found)
        beside = [peer.store] if peer is not None and peer.store is not None else []
        with judge([store, *beside]) as fits:
            _Check(store, peer, found, progress, fits).run()
    return found


def _asking(folder: PathLike, key: KeySource | None, passphrase: bytes | Passphrase | None) -> Identity:
    """As whom a server is asked, about the workspace that a folder has, or had."""
    try:
        store = Store.open(folder)
    except MergeAlgebraError:
        return Identity(signer_when_needed(None, key, passphrase), began_with(Path(folder)))
    return Identity(signer_when_needed(store, key, passphrase), store.genesis.workspace_id)


def _opened(folder: Path, peer: GoodCopies | None, found: Inspection) -> Store:
    """The store, its genesis mended by the peer's if that is the one it began with."""
    try:
        store = _own_store(folder)
        if peer is None or store.genesis == peer.genesis or not _lost_genesis(folder, peer, store):
            return store
    except WorkspaceError:
        if peer is None or not (peer.genesis.workspace_id == began_with(folder) or _lost_genesis(folder, peer)):
            raise
    entry = Entry(folder, ROOT, GENESIS)
    write_atomically(entry, peer.genesis.encode())
    found.mended.append(str(entry.path))
    return _own_store(folder)


def _lost_genesis(folder: Path, peer: GoodCopies, store: Store | None = None) -> bool:
    """Whether a shared folder was one of the peer's workspace: it has sound operations of that, and none of its own.

    store: what it is by the genesis that it has now. To a replica, `local.json` says it.
    """
    with suppress(OSError):
        if not is_replica(folder) and has_operation(Store(folder, peer.genesis)):
            return store is None or not has_operation(store)
    return False


def _own_store(folder: Path) -> Store:
    store = Store.open(folder)
    check_genesis(store)
    return store


T = TypeVar("T")


class _NoPeer(MergeAlgebraError):
    """Nobody was named who could have a good copy."""


class _Check:
    """One check of a store, with a peer that may mend it."""

    def __init__(
        self, store: Store, peer: GoodCopies | None, found: Inspection, progress: Progress, fits: Fits
    ) -> None:
        self._store, self._peer, self._found, self._progress, self._fits = store, peer, found, progress, fits
        self._claims: Mapping[str, Sequence[Claim]] = {}
        if peer is not None:
            check_workspace(peer, store)

    def run(self) -> None:
        operations = set(self._operations())
        self._found.operations = len(operations)
        manifests = [item.payload.manifest for item in operations if isinstance(item.payload, Add)]
        self._claims, here = claims_of(manifests), set(self._store.blob_roots())  # of all that were ever added
        unread = {root for root in here if root not in self._claims and self._store.is_sparse(root)}
        self._found.unnamed += (str(self._store.blob_path(root)) for root in sorted(unread))
        self._blobs(sorted(here - unread))
        for id_, manifest in ORSet(self._store.genesis, frozenset(operations)).visible().items():
            for root, claims in claims_of([manifest], needed_kinds(self._store.genesis)).items():
                if root not in here:
                    self._missing(id_, root, claims)
        self._found.damaged += damaged_notes(self._store.path)
        self._caches()
        with suppress(OSError):
            self._found.unfinished += (str(left.path) for left in unfinished_blobs(self._store.path))
        self._found.foreign += sorted(self._store.ignored())

    def _operations(self) -> Iterator[Operation]:
        """Every sound operation, as often as it is here: each file is read anew."""
        packs = sorted(name for name in self._store.names(PACKS) if is_id(name))
        for name in filter(is_id, self._store.names(OPERATIONS)):
            try:
                yield self._store.read_alone(name)
            except ForeignOperation as error:
                self._found.foreign.append(f"{error}; that is no damage, nothing reads the file: delete it")
            except MergeAlgebraError as error:
                with self._noted(error):
                    yield self._mended(name)
        for name in packs:
            try:
                sound, foreign = self._store.check_pack(name)
                what = "leave it there, with the others of its pack" if sound else "delete the pack"
                self._found.foreign += (f"{error}; that is no damage, nothing reads it: {what}" for error in foreign)
                yield from sound
            except MergeAlgebraError as error:
                with self._noted(error):
                    yield from self._mended_pack(name)

    def _mended(self, name: str) -> Operation:
        operation = self._good(lambda peer: peer.operation(self._store, name))
        self._store.mend_operation(Record.of(operation))
        self._found.mended.append(str(self._store.operation_path(name)))
        return operation

    def _mended_pack(self, name: str) -> list[Operation]:
        """Mend a pack by the peer's of that name; else write anew what stands in it and what the peer has [PK-7]."""
        try:
            operations, pack = self._good(lambda peer: peer.pack(name))
            self._store.write_pack(pack)
        except (PackError, WrongWorkspace):
            operations = self._rescued(name)
        self._found.mended.append(str(self._store.pack(name).path))
        return operations

    def _rescued(self, name: str) -> list[Operation]:
        """What a damaged pack held, written again. Raises PackError when some of it is nowhere to be found."""
        reading, held = self._store.read(anew=True), set(self._store.kept_ids(name) or ())
        theirs = self._good(lambda peer: peer.lacking(self._store, reading))
        here = self._store.read(anew=True).state
        salvaged = ORSet(theirs.genesis, frozenset(self._store.salvaged(name)))
        found = entering(here.join(salvaged), theirs, held).join(salvaged)
        lost = [id_ for id_ in held if not (found.has(id_) or here.has(id_))]
        if lost:
            raise PackError(f"{location(self._store.pack(name).path)}: {len(lost)} operations of it are not there")
        lacking = list(found.difference(here).records().values())
        for part in parts(lacking):
            self._store.write_records(part)
        if name not in self._store.read(anew=True).packs:  # what was written may be that very pack
            with refused_as_output(self._store.pack(name).path):
                self._store.pack(name).remove()
        return [record.operation for record in lacking]

    def _blobs(self, roots: Sequence[str]) -> None:
        sizes = {root: self._size(root) for root in roots}
        done, total = 0, sum(sizes.values())
        for root in roots:
            self._blob(root, counter(self._progress, "checking blobs", total, done))
            done += sizes[root]
            self._progress("checking blobs", done, total)  # one that is damaged is not read to its end

    def _size(self, root: str) -> int:
        """The bytes of a blob, 0 for what cannot be one, such as a link."""
        with suppress(MergeAlgebraError):
            return self._store.blob_bytes(root) or 0
        return 0

    def _blob(self, root: str, more: More) -> None:
        admit = admission(self._claims[root], self._fits) if root in self._claims else anything
        try:
            self._store.check_blob(root, admit, more)
        except MergeAlgebraError as error:
            with self._noted(error):
                self._take(root)
                self._found.blobs += 1
        else:
            self._store.forget_report(root)
            self._found.blobs += 1

    def _missing(self, id_: str, root: str, claims: Sequence[Claim]) -> None:
        try:
            self._take(root)
        except MergeAlgebraError:
            complete = read_incomplete(self._store).nothing  # or the next sync may bring them
            retract = by_caller(f"retract {id_[:12]}", f"retract({id_[:12]!r})")
            self._found.missing.append(
                f"contribution {id_[:12]}: its {claims[0].what} are not here; sync with a replica that has them"
                + (f", or take it back for everybody: `{retract}`" if complete else "")
            )
        else:
            self._found.blobs += 1

    def _caches(self) -> None:
        """A damaged cache does no harm. With a peer to mend from, it goes, and the index of a share is written."""
        spoilt = {entry.path: entry for entry in damaged_caches(self._store.path)}
        unsealed = (entry.path for entry in unsealed_caches(self._store.path, self._store.genesis.workspace_id))
        self._found.unused += sorted(str(path) for path in unsealed if path not in spoilt)
        for entry in spoilt.values():
            if self._peer is None:
                self._found.damaged.append(told_of(entry))
            else:
                mend(self._store, entry)
                self._found.mended.append(str(entry.path))

    def _take(self, root: str) -> None:
        self._good(lambda peer: peer.take_blob(self._store, root, self._claims.get(root, ()), self._fits))
        self._store.forget_report(root)
        self._found.mended.append(str(self._store.blob_path(root)))

    def _good(self, take: Callable[[GoodCopies], T]) -> T:
        if self._peer is None:
            raise _NoPeer
        return take(self._peer)

    @contextmanager
    def _noted(self, error: MergeAlgebraError) -> Iterator[None]:
        """Note what is wrong, unless the body mends it."""
        try:
            yield
        except _NoPeer:
            self._found.damaged.append(str(error))
        except MergeAlgebraError as why:
            self._found.damaged.append(f"{error}; and the peer does not mend it: {why}")
