"""The merge of a workspace: what is visible there, or what a lock describes, becomes a model, with an attest to it.

It joins `resolve` and the store, and keeps in the workspace's cache what makes its next merge quicker [SY-9].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.attestations import disagreements
from mergealgebra.crdt.operations import Signer
from mergealgebra.crdt.orset import ORSet
from mergealgebra.disk import reason
from mergealgebra.errors import NotAllowed, OutputError, RecipeError
from mergealgebra.execution import Execution
from mergealgebra.lock import Lock
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.recipe import check_recipe
from mergealgebra.resolve import resolve
from mergealgebra.store.answers import KeptAnswers
from mergealgebra.store.cache import AGGREGATE
from mergealgebra.store.entries import made_part
from mergealgebra.store.holdings import blobs_here
from mergealgebra.store.local import advising_set_base, base_path, own_name
from mergealgebra.store.objects import Store
from mergealgebra.store.private import private_key
from mergealgebra.store.runs import Runs
from mergealgebra.wanted import Wanted, known_manifests

if TYPE_CHECKING:
    from mergealgebra.incremental.folder import Home
    from mergealgebra.incremental.outcome import Outcome


@dataclass(frozen=True)
class Request:
    """What is to be merged and where to. recipe: another one than the workspace's. lock: of a model to make once more.

    keep_aggregate: whether to keep the sums for the next merge; "always" also where that saves no time [SY-15].
    attest: whether to say which model came out [SG-12]. signer: of that, in a signed workspace.
    Raises RecipeError.
    """

    out: PathLike
    recipe: Method | None = None
    lock: PathLike | None = None
    keep_aggregate: bool | Literal["always"] = False
    attest: bool = True
    signer: Signer | None = None

    def __post_init__(self) -> None:
        if self.keep_aggregate not in (True, False, "always"):
            raise RecipeError(f"keep_aggregate is {self.keep_aggregate!r}; expected True, False or 'always'")

    def wanted(self, state: ORSet, lock: Lock | None) -> Wanted:
        """The merge that is meant. lock: as it was read. Raises RecipeError, BaseMismatch and UnknownContribution."""
        if self.recipe is not None:
            check_recipe(self.recipe)
        if lock is None:
            wanted = Wanted.visible(state, self.recipe)
        elif self.recipe is None:
            wanted = Wanted.locked(lock, state)
        else:
            raise RecipeError("a lock has a recipe of its own; give one of the two")
        return wanted


def resolve_and_attest(store: Store, request: Request, execution: Execution, state: ORSet | None) -> MergeResult:
    """Merge, and write an attest to what came out [OS-12].

    state: the operations here, where the caller has just read them. An attest that cannot be written is a warning.
    Raises as `Workspace.resolve` does; then no model is written.
    """
    state, name = state or store.state(), own_name(store)
    lock = None if request.lock is None else Lock.read_named(local_path(request.lock))
    wanted = request.wanted(state, lock)
    execution = replace(execution, answers=KeptAnswers(store.path), noted=Runs(store.path).noted)
    keeps = bool(request.keep_aggregate) and wanted.merge_id == state.merge_id
    if keeps:
        execution = replace(execution, aggregate=aggregate_home(store, always=request.keep_aggregate == "always"))
        blobs = blobs_here(store, known_manifests(state).values())
    else:
        blobs = wanted_blobs(store, wanted, state)
    with advising_set_base(store):
        result = resolve(wanted, base_path(store), blobs, local_path(request.out), execution, lock)
    if request.keep_aggregate and not keeps:
        result = replace(result, aggregate=_not_kept(wanted.recipe))
    known, unattested = _attested(store, state, request, result, name)
    differing = [line for merge_id, line in disagreements(known) if merge_id == result.merge_id]
    return replace(result, warnings=(*result.warnings, *unattested, *differing))


def _attested(
    store: Store, state: ORSet, request: Request, result: MergeResult, name: str | None
) -> tuple[ORSet, list[str]]:
    """The state with an attest to a result, which is written if it may be; else a line that says why not [SG-12]."""
    if not request.attest:
        return state, []
    try:
        attest = state.attest(result.merge_id, result.model_root, name=name, signer=request.signer)
    except NotAllowed as error:
        return state, [f"the model is whole, and is not attested: {error}"]
    return state | attest, [] if attest <= state else _write(store, attest)


def wanted_blobs(store: Store, wanted: Wanted, state: ORSet) -> dict[str, Path]:
    """Where the blobs of a merge are, by tensors root; visible ones that are not here are left out.

    Raises BlobMissing for a retracted one that is not here: `sync` brings it only if asked.
    """
    found = blobs_here(store, wanted.contributions.values())
    wanted.refuse_lost(found, state, store.path)
    return found


def aggregate_home(store: Store, *, always: bool = False) -> Home:
    """Where the merges of a workspace keep sums. always: also where that saves no time [SY-15]."""
    from mergealgebra.incremental.folder import Home  # most merges keep nothing, and start without it

    return Home(partial(made_part, store.path, AGGREGATE), partial(private_key, store.path), always)


def _not_kept(recipe: Method) -> Outcome:
    """What is said of the sums of a merge that is not that of what is visible by the workspace's own recipe."""
    from mergealgebra.incremental.cost import why_not_kept
    from mergealgebra.incremental.outcome import Outcome

    own = "sums are kept of what is visible by the workspace's own recipe alone"
    return Outcome(why_not_kept(recipe) or own, None)


def _write(store: Store, attest: ORSet) -> list[str]:
    """Write an attest; a line if that is not possible."""
    try:
        store.write_delta(attest)
    except OutputError as error:
        return [f"the model is whole; that you made it could not be written down: {reason(error)}"]
    return []
