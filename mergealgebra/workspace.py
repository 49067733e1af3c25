"""A workspace: one replica's folder, with everything its owner does to it.

The operation set decides what is visible, the store holds it, `resolve` turns it into a model. This module only
joins them, and writes nothing before all it depends on has been checked. What reads tensors is imported when it is
needed: to look at a workspace, or to take something back, is quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from mergealgebra.addresses import PathLike, local_path, peer_path
from mergealgebra.crdt.fields import check_text
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import NOTE_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.disk import reason
from mergealgebra.errors import (
    MergeAlgebraWarning,
    OperationError,
    OutputError,
    RecipeError,
    SyncIncomplete,
    UnknownContribution,
)
from mergealgebra.history import Retraction, by_time, now, seen_before, to_take_back
from mergealgebra.interrupts import standing
from mergealgebra.methods.method import Method
from mergealgebra.progress import Progress, quiet
from mergealgebra.recipe import check_recipe
from mergealgebra.sizes import byte_count
from mergealgebra.store.cache import AGGREGATE, THRESHOLDS, Cache
from mergealgebra.store.local import (
    advising_set_base,
    base_path,
    check_genesis,
    check_own_name,
    default_recipe,
    incomplete_lines,
    own_name,
    refuse_exchange_folder,
    refuse_no_workspace,
    write_local,
    write_name,
)
from mergealgebra.store.objects import Store
from mergealgebra.text import location, shown, sync_command
from mergealgebra.wanted import Wanted, known_manifests

if TYPE_CHECKING:
    from mergealgebra.details import Details
    from mergealgebra.incremental.folder import Home
    from mergealgebra.lock import Lock
    from mergealgebra.merge_result import MergeResult
    from mergealgebra.publication import ContributionId
    from mergealgebra.sync.folder import SyncResult
    from mergealgebra.tensors.task_vector import Tensors


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
    def init(
        cls,
        path: PathLike,
        *,
        base: PathLike,
        recipe: Method,
        name: str = "",
        as_name: str | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """A new workspace for improving `base`; equal arguments give one workspace id on every machine [OS-1].

        as_name: as in `set_name`; no part of the id. progress: called as the base is read. Raises WorkspaceError when
        something is there already, OperationError for `as_name`, and as `Checkpoint.open` does.
        """
        from mergealgebra.creation import new_genesis, new_replica, refuse_existing

        check_own_name(as_name)
        refuse_existing(local_path(path))
        store = new_replica(path, new_genesis(base, recipe, name, progress or quiet), base, as_name)
        return cls(store.path, store)

    @staticmethod
    def init_share(
        path: PathLike,
        *,
        base: PathLike,
        recipe: Method,
        name: str = "",
        group: bool = False,
        progress: Progress | None = None,
    ) -> Store:
        """A share of the workspace that `init` makes of the same arguments: a folder to sync with, nobody's workspace.

        group: all members of the folder's group may write there [SY-16]. Raises as `init` does.
        """
        from mergealgebra.creation import new_genesis, refuse_existing

        refuse_existing(local_path(path))
        return Store.create(path, new_genesis(base, recipe, name, progress or quiet), group=group)

    @classmethod
    def clone(
        cls,
        peer: PathLike,
        path: PathLike,
        *,
        base: PathLike,
        workspace_id: str | None = None,
        as_name: str | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """A new replica of the workspace that a peer holds, synced with it [SY-12]. base: where the base is here.

        workspace_id: what the peer must hold, the whole id from somebody you trust; whatever it holds if None.
        as_name: as in `set_name`. Raises WrongWorkspace for another workspace, BaseMismatch when it is not the peer's
        base, and as `init` and `sync` do.
        """
        from mergealgebra.creation import (
            check_base_path,
            completing,
            new_replica,
            refuse_existing,
            refuse_missing,
            source_of,
        )
        from mergealgebra.sync.replica import sync_replica

        check_own_name(as_name)
        source = source_of(peer, workspace_id)
        default_recipe(source)
        refuse_existing(local_path(path))
        check_base_path(base, source.genesis, progress or quiet)
        store = new_replica(path, source.genesis, base, as_name, peer)
        workspace, made = cls(store.path, store), completing(path, peer)
        try:
            with standing(made):
                sync_replica(store, peer, progress or quiet)
            refuse_missing(peer, workspace.missing(), len(workspace.visible()))
        except SyncIncomplete as error:
            raise SyncIncomplete(f"{error}; {made}") from None
        return workspace

    @classmethod
    def open(cls, path: PathLike) -> Workspace:
        """The workspace in a folder. Raises WorkspaceError when there is none, or its genesis is damaged."""
        refuse_no_workspace(local_path(path))
        store = Store.open(path)
        check_genesis(store)
        default_recipe(store)
        return cls(store.path, store)

    # What it holds

    @property
    def state(self) -> ORSet:
        """The operations here. Raises OperationError, naming the file, when one is damaged [SY-3]."""
        return self.store.state()

    @property
    def recipe(self) -> Method:
        """How this workspace merges when nothing else is said."""
        return default_recipe(self.store)

    @property
    def merge_id(self) -> str:
        """What the visible contributions merge to by its own recipe; replicas compare it before they move a tensor."""
        return self.state.merge_id

    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by id, in canonical order [OS-9]."""
        return self.state.visible()

    def log(self) -> list[Operation]:
        """All operations by their time, an add before the remove of that second; those without a time last."""
        return list(by_time(self.state.operations))

    @property
    def as_name(self) -> str | None:
        """Under which name its owner contributes, retracts and attests; None if unset. Raises WorkspaceError."""
        return own_name(self.store)

    @property
    def base(self) -> Path:
        """Where the base is on this machine. Raises WorkspaceError when it is not there any more; see `set_base`."""
        return base_path(self.store)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why contributions may be lacking here: a line for each peer with whom the last sync was incomplete [SY-4]."""
        return tuple(incomplete_lines(self.store))

    def missing(self, state: ORSet | None = None) -> list[str]:
        """The visible contributions whose tensors are not here, in canonical order [SY-5]. state: what is here."""
        visible, kinds = (state or self.state).visible(), self.recipe.needs.auxiliary
        return [id_ for id_, manifest in visible.items() if not all(map(self.store.has_blob, manifest.roots(kinds)))]

    @property
    def _thresholds(self) -> Cache:
        return Cache(self.store.path, THRESHOLDS)

    def _aggregate(self, *, always: bool = False) -> Home:
        from mergealgebra.incremental.folder import Home  # most merges keep nothing, and start without it
        from mergealgebra.store.entries import made_part
        from mergealgebra.store.private import private_key

        store = self.store.path
        return Home(partial(made_part, store, AGGREGATE), partial(private_key, store), always)

    def show(self, contribution: str, *, threads: int | None = None, progress: Progress | None = None) -> Details:
        """What is known of a contribution, visible or not: who, when, how large, what it changes, in which merges.

        contribution: the id or a unique prefix of it. Raises UnknownContribution.
        """
        from mergealgebra.details import details

        with advising_set_base(self.store):
            return details(contribution, self.store, lambda: self.base, threads, progress or quiet)

    def blobs(self, state: ORSet) -> dict[str, Path]:
        """Where the blobs of a state's visible contributions are, by tensors root; those not here are left out."""
        return self._found(state.visible().values())

    def blobs_of(self, wanted: Wanted, state: ORSet) -> dict[str, Path]:
        """The same of what is wanted. Raises BlobMissing for a retracted one, which `sync` brings only if asked."""
        found = self._found(wanted.contributions.values())
        wanted.refuse_lost(found, state, self.path)
        return found

    def _found(self, manifests: Iterable[Manifest]) -> dict[str, Path]:
        roots = {root for manifest in manifests for root in manifest.roots()}
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
        auxiliary: Mapping[str, Tensors] = MappingProxyType({}),
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> ContributionId:
        """Publish a fine-tuned checkpoint, or with form "task_vector" a difference, for everyone to merge.

        With form "low_rank" its tensors' names say how each is stored, as factors or whole [CT-13].

        checkpoint: a path, or name -> array, NumPy or torch; a TaskVector is a difference.
        coefficient: a decimal. take, leave: patterns of tensor names [CT-8]. auxiliary: what some methods need beside
        it, "fisher" or "gram", each a path or name -> array [CT-15]. All of it is read and checked first:
        raises NamesError, ShapeError, DtypeError, NonFinite and the like, naming file, tensor and index, and
        Implausible for what can only be a mistake, unless `force` insists [CT-11, CT-12]. Warns, also of a visible
        contribution that is nearly the same [OS-15], and of what was here before [OS-16]; what comes back has the same
        lines in `warnings`.
        """
        from mergealgebra.figures import keep_figures
        from mergealgebra.likeness import likeness
        from mergealgebra.publication import ContributionId, Offer, publish

        _check_note(note)
        state, name = self.state, self.as_name
        offer = Offer(checkpoint, form, coefficient, take, leave, force, auxiliary)
        visible = state.visible()
        with advising_set_base(self.store):
            made = publish(offer, self.store, self.base, self.recipe, visible, threads, progress or quiet)
        alike = likeness(made.manifest, visible, self.store, self.base)
        before = seen_before(made.manifest.id, state)
        keep_figures(self.store.path, made.manifest.id, made.measure.to_map())
        operation = self._publish(state.add(made.manifest, time=now(), note=note, name=name))
        contribution = ContributionId(made.manifest.id, operation, made.measure, (*made.warnings, *before, *alike))
        for line in contribution.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return contribution

    def measure(self, *, threads: int | None = None, progress: Progress | None = None) -> tuple[str, ...]:
        """Measure what visible contributions change, where that is not known here yet [CT-11]; `show` does it for one.

        Returns a line for each that cannot be measured. Raises WorkspaceError when the base is not there.
        """
        from mergealgebra.details import measure_visible

        return measure_visible(self.store, self.base, threads, progress or quiet)

    def set_base(self, base: PathLike, *, progress: Progress | None = None) -> None:
        """Say where the base is on this machine now. Raises BaseMismatch for another model, and as `contribute`."""
        from mergealgebra.creation import check_base_path

        refuse_exchange_folder(self.store)
        check_base_path(base, self.store.genesis, progress or quiet)
        write_local(self.store, base)

    def set_name(self, name: str | None) -> None:
        """Say under which name you contribute, retract and attest from now on; None for no name any more.

        Everybody who syncs can read it, and nothing proves it. Raises OperationError for what is not 1 to 256 bytes of
        text without control characters [OS-3].
        """
        write_name(self.store, name)

    def retract(self, contribution: str, *, note: str | None = None) -> str:
        """Take a visible contribution back; returns its id. contribution: the id or a unique prefix of it.

        Raises UnknownContribution, also when it was taken back already.
        """
        if retracted := self.retract_all([contribution], note=note).contributions:
            return retracted[0]
        raise UnknownContribution(f"contribution {shown(contribution)} was taken back already")

    def retract_all(
        self, contributions: Iterable[str], *, note: str | None = None, state: ORSet | None = None
    ) -> Retraction:
        """Take several visible contributions back, all or none.

        contributions: their ids or unique prefixes of them; those taken back already are passed over [OS-10]. state:
        what was read here a moment ago; read now if None. Raises UnknownContribution for one that is not known here.
        """
        _check_note(note)
        state, name = state or self.state, self.as_name
        try:
            ids, gone = to_take_back(contributions, state)
        except UnknownContribution as error:
            raise UnknownContribution(f"{error}; nothing was taken back") from None
        if not ids:
            return Retraction((), gone, state, state)
        delta = state.remove(*ids, time=now(), note=note, name=name)
        self._publish(delta)
        return Retraction(ids, gone, state, state | delta)

    def sync(
        self,
        peer: PathLike,
        *,
        create: bool | Literal["group"] = False,
        retracted: bool = False,
        auxiliary: bool = False,
        progress: Progress | None = None,
    ) -> SyncResult:
        """Exchange operations and blobs with another workspace or a share, both ways [SY-4].

        create: make a share there first, if nothing is there, with "group" one in which all members of the folder's
        group may write [SY-16]; otherwise it must be there [SY-7]. retracted: also take the tensors of contributions
        that were taken back, for old merges. auxiliary: also take auxiliary tensors that the workspace's recipe does
        not need. Raises AddressError for what is not a folder of this machine, and
        SyncIncomplete when something was refused; the good rest has then been exchanged. That it was incomplete is
        written down here, until a sync with that peer is complete. progress: called as blobs are copied and checked.
        """
        from mergealgebra.sync.replica import sync_replica

        what = f"{location(Path(peer))} is a shared folder now" if create else "what was exchanged so far stays"
        options = ["--retracted" if retracted else "", "--auxiliary" if auxiliary else ""]
        again = sync_command(self.path, peer, *options)
        if create:
            Store.create(peer_path(peer), self.store.genesis, group=create == "group")
        with standing(f"{what}; `{again}` completes it"):
            return sync_replica(self.store, peer, progress or quiet, retracted=retracted, auxiliary=auxiliary)

    def resolve(
        self,
        out: PathLike,
        *,
        recipe: Method | None = None,
        lock: PathLike | None = None,
        backend: str = "auto",
        threads: int | None = None,
        block: int | None = None,
        memory: int | str | None = None,
        keep_aggregate: bool | Literal["always"] = False,
        progress: Progress | None = None,
        state: ORSet | None = None,
    ) -> MergeResult:
        """Merge the visible contributions into a new folder or file NAME.safetensors, and attest to it [OS-12].

        recipe: another one than the workspace's. lock: a `merge.lock`, to make the model that it describes once more.
        backend, threads, block, memory: how it is computed, never what [MG-8]. keep_aggregate: keep the sums in the
        cache, so that the next merge reads little but what changed [SY-9]; where that saves no time they are not kept,
        unless it is "always" [SY-15]. progress: called as the work goes on. state: what was read
        here a moment ago; read now if None. Warns of the result's `warnings`.
        Raises NothingVisible, BaseMismatch, BlobMissing, BlobDamaged, NonFinite, OutputError, UnknownContribution or
        VerificationFailed for a lock; then nothing is written. An attest that cannot be written is a warning.
        """
        from mergealgebra.attestations import disagreements
        from mergealgebra.lock import Lock
        from mergealgebra.resolve import Execution, resolve
        from mergealgebra.store.runs import Runs

        if keep_aggregate not in (True, False, "always"):
            raise RecipeError(f"keep_aggregate is {keep_aggregate!r}; expected True, False or 'always'")
        state, name = state or self.state, self.as_name
        expected = None if lock is None else Lock.read_named(local_path(lock))
        wanted = self._wanted(state, recipe, expected)
        if keep_aggregate and wanted.merge_id != state.merge_id:
            raise RecipeError("the sums are kept of what is visible by the default recipe alone; do not keep them here")
        aggregate = self._aggregate(always=keep_aggregate == "always") if keep_aggregate else None
        limit = byte_count(memory) if isinstance(memory, str) else memory
        execution = Execution(
            backend,
            threads,
            block,
            progress or quiet,
            limit,
            answers=self._thresholds,
            aggregate=aggregate,
            noted=Runs(self.store.path).noted,
        )
        blobs = self._found(known_manifests(state).values()) if keep_aggregate else self.blobs_of(wanted, state)
        with advising_set_base(self.store):
            result = resolve(wanted, self.base, blobs, local_path(out), execution, expected)
        attested = state.attest(result.merge_id, result.model_root, name=name)
        unwritten: list[str] = []
        if not attested <= state:
            try:
                self._publish(attested)
            except OutputError as error:
                unwritten.append(f"the model is whole; that you made it could not be written down: {reason(error)}")
        differing = [line for merge_id, line in disagreements(state | attested) if merge_id == result.merge_id]
        result = replace(result, warnings=(*result.warnings, *unwritten, *differing))
        for line in result.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return result

    def _wanted(self, state: ORSet, recipe: Method | None, lock: Lock | None) -> Wanted:
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


def _check_note(note: str | None) -> None:
    if note is not None:
        check_text(note, NOTE_BYTES, "the note", OperationError)
