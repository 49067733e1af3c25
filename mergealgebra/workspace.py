"""A workspace: one replica's folder, with everything its owner does to it.

The operation set decides what is visible, the store holds it, `resolve` turns it into a model. This module only
joins them, and writes nothing before all it depends on has been checked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mergealgebra.addresses import PathLike, local_path, peer_path
from mergealgebra.crdt.fields import check_text
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import NOTE_BYTES, OPERATION_TIMES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import (
    BlobMissing,
    MergeAlgebraError,
    OperationError,
    OutputError,
    RecipeError,
    SyncIncomplete,
    UnknownContribution,
    WrongWorkspace,
)
from mergealgebra.progress import Progress, quiet
from mergealgebra.recipe import Recipe, check_recipe, complete_recipe
from mergealgebra.store.cache import AGGREGATE, THRESHOLDS, Cache
from mergealgebra.store.entries import made_part
from mergealgebra.store.local import (
    base_path,
    check_genesis,
    incomplete_lines,
    refuse_exchange_folder,
    write_local,
)
from mergealgebra.store.objects import Store
from mergealgebra.store.private import private_key
from mergealgebra.store.runs import Runs
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.replica import sync_replica
from mergealgebra.text import place, shown
from mergealgebra.wanted import Wanted, known_manifests

if TYPE_CHECKING:
    from mergealgebra.engine.kept_folder import Home
    from mergealgebra.lock import Lock
    from mergealgebra.merge_result import MergeResult
    from mergealgebra.publication import ContributionId
    from mergealgebra.tensors.task_vector import Tensors

#: Digits of an id that name a contribution, if no other begins with them.
_LEAST_PREFIX = 4


@dataclass(frozen=True, repr=False)
class Workspace:
    """One replica. Nothing is kept in memory, so several processes may use one workspace at once."""

    path: Path
    store: Store

    def __repr__(self) -> str:
        genesis = self.store.genesis
        return f"Workspace({str(self.path)!r}, name={genesis.name!r}, id={genesis.workspace_id[:12]}...)"

    # Making and opening

    @classmethod
    def init(cls, path: PathLike, *, base: PathLike, recipe: Recipe, name: str = "") -> Workspace:
        """A new workspace for improving `base`; equal arguments give one workspace id on every machine [OS-1].

        Raises WorkspaceError when something is there already, and as `Checkpoint.open` does.
        """
        from mergealgebra.creation import new_genesis, new_replica, refuse_existing

        refuse_existing(local_path(path))
        store = new_replica(path, new_genesis(base, recipe, name), base)
        return cls(store.path, store)

    @staticmethod
    def init_share(path: PathLike, *, base: PathLike, recipe: Recipe, name: str = "") -> Store:
        """A share of the workspace that `init` makes of the same arguments: a folder to sync with, nobody's workspace.

        Raises as `init` does.
        """
        from mergealgebra.creation import new_genesis, refuse_existing

        refuse_existing(local_path(path))
        return Store.create(path, new_genesis(base, recipe, name))

    @classmethod
    def clone(cls, peer: PathLike, path: PathLike, *, base: PathLike, workspace_id: str | None = None) -> Workspace:
        """A new replica of the workspace that a peer holds, synced with it [SY-12]. base: where the base is here.

        workspace_id: what the peer must hold, from somebody you trust; whatever it holds if None. Raises
        WrongWorkspace for another one, BaseMismatch when it is not the peer's base, and as `init` and `sync` do.
        """
        from mergealgebra.creation import check_base_path, new_replica, refuse_existing

        source = Store.open(peer_path(peer))
        if workspace_id not in (None, source.genesis.workspace_id):
            raise WrongWorkspace(
                f"{place(Path(peer))} holds workspace {source.genesis.workspace_id}, not {shown(workspace_id)}: ask "
                "whoever gave you the id, or name another folder"
            )
        _recipe_of(source)
        refuse_existing(local_path(path))
        check_base_path(base, source.genesis)
        store = new_replica(path, source.genesis, base, peer)
        workspace = cls(store.path, store)
        try:
            workspace.sync(peer)
            workspace._refuse_missing(peer)
        except SyncIncomplete as error:
            raise SyncIncomplete(f"{error}; {place(Path(path))} is a workspace now, sync it again") from None
        return workspace

    @classmethod
    def open(cls, path: PathLike) -> Workspace:
        """The workspace in a folder. Raises WorkspaceError when there is none, or its genesis is damaged."""
        store = Store.open(path)
        check_genesis(store)
        _recipe_of(store)
        return cls(store.path, store)

    def _refuse_missing(self, peer: PathLike) -> None:
        if missing := self.missing():
            raise SyncIncomplete(
                f"{place(Path(peer))} lacks the tensors of {len(missing)} of its {len(self.visible())} contributions, "
                f"{missing[0][:12]} first"
            )

    # What it holds

    @property
    def state(self) -> ORSet:
        """The operations here. Raises OperationError, naming the file, when one is damaged [SY-3]."""
        return self.store.state()

    @property
    def recipe(self) -> Recipe:
        """How this workspace merges when nothing else is said."""
        return _recipe_of(self.store)

    @property
    def merge_id(self) -> str:
        """What the visible contributions merge to by its own recipe; replicas compare it before they move a tensor."""
        return self.state.merge_id

    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by id, in canonical order [OS-9]."""
        return self.state.visible()

    def log(self) -> list[Operation]:
        """All operations by their time, an add before the remove of that second; those without a time last."""
        return sorted(self.state.operations, key=_time_and_kind)

    @property
    def base(self) -> Path:
        """Where the base is on this machine. Raises WorkspaceError when it is not there any more; see `set_base`."""
        return base_path(self.store)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why contributions may be lacking here: a line for each peer with whom the last sync was incomplete [SY-4]."""
        return tuple(incomplete_lines(self.store))

    def missing(self) -> list[str]:
        """The visible contributions whose tensors are not here, in canonical order [SY-5]."""
        return [id_ for id_, manifest in self.visible().items() if not self.store.has_blob(manifest.tensors)]

    @property
    def _thresholds(self) -> Cache:
        return Cache(self.store.path, THRESHOLDS)

    @property
    def _aggregate(self) -> Home:
        from mergealgebra.engine.kept_folder import Home  # most merges keep nothing, and start without it

        store = self.store.path
        return Home(partial(made_part, store, AGGREGATE), partial(private_key, store))

    def blobs(self, state: ORSet) -> dict[str, Path]:
        """Where the blobs of a state's visible contributions are, by tensors root; those not here are left out."""
        return self._found(state.visible().values())

    def blobs_of(self, wanted: Wanted, state: ORSet) -> dict[str, Path]:
        """The same of what is wanted. Raises BlobMissing for a retracted contribution, which no sync brings back."""
        found = self._found(wanted.contributions.values())
        for id_ in sorted(wanted.contributions.keys() - state.visible().keys()):
            if wanted.contributions[id_].tensors not in found:
                raise BlobMissing(
                    f"contribution {id_[:12]} was retracted, and its tensors are not here any more; "
                    "contribute its checkpoint again, or use a replica that has them"
                )
        return found

    def _found(self, manifests: Iterable[Manifest]) -> dict[str, Path]:
        roots = {manifest.tensors for manifest in manifests}
        return {root: self.store.blob_path(root) for root in roots if self.store.blob_bytes(root) is not None}

    # What its owner does

    def contribute(
        self,
        checkpoint: Tensors,
        coefficient: str = "1",
        *,
        form: str | None = None,
        take: Sequence[str] = (),
        leave: Sequence[str] = (),
        force: bool = False,
        note: str | None = None,
        threads: int | None = None,
        progress: Progress = quiet,
    ) -> ContributionId:
        """Publish a fine-tuned checkpoint, or with form "task_vector" a difference, for everyone to merge.

        checkpoint: a path, or name -> array, NumPy or torch; a TaskVector is a difference.
        coefficient: a decimal. take, leave: patterns of tensor names [CT-8]. All of it is read and checked first:
        raises NamesError, ShapeError, DtypeError, NonFinite and the like, naming file, tensor and index, and
        Implausible for what can only be a mistake, unless `force` insists [CT-11].
        """
        from mergealgebra.publication import ContributionId, Offer, publish

        if note is not None:
            check_text(note, NOTE_BYTES, "the note", OperationError)
        state = self.state
        offer = Offer(checkpoint, form, coefficient, take, leave, force)
        made = publish(offer, self.store, self.base, self.recipe, threads, progress)
        operation = self._publish(state.add(made.manifest, time=_now(), note=note))
        return ContributionId(made.manifest.id, operation, made.measure, made.warnings)

    def set_base(self, base: PathLike) -> None:
        """Say where the base is on this machine now. Raises BaseMismatch for another model, and as `contribute`."""
        from mergealgebra.creation import check_base_path

        refuse_exchange_folder(self.store)
        check_base_path(base, self.store.genesis)
        write_local(self.store, base)

    def retract(self, contribution: str, *, note: str | None = None) -> str:
        """Take a visible contribution back; returns its id. contribution: the id or a unique prefix of it.

        Raises UnknownContribution.
        """
        return self.retract_all([contribution], note=note)[0]

    def retract_all(self, contributions: Iterable[str], *, note: str | None = None) -> tuple[str, ...]:
        """Take several visible contributions back, all or none; returns their ids, ascending.

        contributions: their ids or unique prefixes of them. Raises UnknownContribution.
        """
        state = self.state
        visible = state.visible()
        ids = tuple(sorted({_named(contribution, visible) for contribution in contributions}))
        if ids:
            self._publish(state.remove(*ids, time=_now(), note=note))
        return ids

    def sync(self, peer: PathLike, *, create: bool = False) -> SyncResult:
        """Exchange operations and blobs with another workspace or a share, both ways [SY-4].

        create: make a share there first, if nothing is there; otherwise it must be there [SY-7]. Raises AddressError
        for what is not a folder of this machine, and SyncIncomplete when something was refused; the good rest has then
        been exchanged. That it was incomplete is written down here, until a sync with that peer is complete.
        """
        if create:
            Store.create(peer_path(peer), self.store.genesis)
        return sync_replica(self.store, peer)

    def resolve(
        self,
        out: PathLike,
        *,
        recipe: Recipe | None = None,
        lock: PathLike | None = None,
        backend: str = "auto",
        threads: int | None = None,
        block: int | None = None,
        memory: int | None = None,
        keep_aggregate: bool = False,
        progress: Progress = quiet,
    ) -> MergeResult:
        """Merge the visible contributions into a new model folder, and attest to what came out [OS-12].

        recipe: another one than the workspace's. lock: a `merge.lock`, to make the model that it describes once more.
        backend, threads, block, memory: how it is computed, never what [MG-8]. keep_aggregate: keep the sums in the
        cache, so that the next merge reads little but what changed [SY-9]. progress: called as the work goes on.
        Raises NothingVisible, BaseMismatch, BlobMissing, BlobDamaged, NonFinite, OutputError, UnknownContribution or
        VerificationFailed for a lock; then nothing is written.
        """
        from mergealgebra.lock import Lock
        from mergealgebra.resolve import How, resolve

        state, expected = self.state, None if lock is None else Lock.read_file(local_path(lock))
        wanted = self._wanted(state, recipe, expected)
        if keep_aggregate and wanted.merge_id != state.merge_id:
            raise RecipeError("the sums are kept of what is visible by the default recipe alone; do not keep them here")
        aggregate = self._aggregate if keep_aggregate else None
        how = How(backend, threads, block, progress, memory, self._thresholds, aggregate, Runs(self.store.path).noted)
        blobs = self._found(known_manifests(state).values()) if keep_aggregate else self.blobs_of(wanted, state)
        result = resolve(wanted, self.base, blobs, local_path(out), how, expected)
        attested = state.attest(result.merge_id, result.model_root)
        if not attested <= state:
            try:
                self._publish(attested)
            except OutputError as error:
                raise OutputError(f"{out} is written and whole, only the attest to it is not: {error}") from error
        return result

    def _wanted(self, state: ORSet, recipe: Recipe | None, lock: Lock | None) -> Wanted:
        if recipe is not None:
            check_recipe(recipe)
        if lock is None:
            return Wanted.visible(state, recipe)
        if recipe is not None:
            raise RecipeError("a lock has a recipe of its own; give one of the two")
        return Wanted.locked(lock, state)

    def _publish(self, delta: ORSet) -> str:
        """Let the operations of a delta appear; returns the id of the first."""
        first, *_ = (self.store.write_operation(operation) for operation in delta.by_id().values())
        return first


def _now() -> int | None:
    """The time for an operation; None where the clock shows one that an operation cannot have, such as 1969."""
    now = int(time.time())
    return now if now in OPERATION_TIMES else None


def _named(prefix: str, visible: Iterable[str]) -> str:
    """The one visible contribution whose id begins so. Raises UnknownContribution."""
    if len(prefix) < _LEAST_PREFIX:
        raise UnknownContribution(f"{shown(prefix)} is too short; give {_LEAST_PREFIX} digits of the id, or more")
    matching = [id_ for id_ in visible if id_.startswith(prefix.lower())]
    if len(matching) != 1:
        found = f"{len(matching)} visible contributions begin" if matching else "no visible contribution begins"
        raise UnknownContribution(f"{found} with {shown(prefix)}; `status` lists them")
    return matching[0]


def _time_and_kind(operation: Operation) -> tuple[float, str, str]:
    return math.inf if operation.time is None else operation.time, operation.kind, operation.id


def _recipe_of(store: Store) -> Recipe:
    """The recipe of a workspace, which its genesis has in full [OS-1]. Raises RecipeError or DecimalError."""
    try:
        return complete_recipe(store.genesis.recipe)
    except MergeAlgebraError as error:
        raise type(error)(f"{store.path}: the genesis has a recipe that this version does not know: {error}") from None
