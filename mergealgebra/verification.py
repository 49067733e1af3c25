"""Checking a merged model: against its own lock, and against a workspace by computing it again [LK-5, LK-6]."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from mergealgebra.addresses import PathLike
from mergealgebra.crdt.orset import ORSet
from mergealgebra.engine.limits import thread_count
from mergealgebra.errors import BaseMismatch, UnknownContribution, WorkspaceError
from mergealgebra.execution import Execution
from mergealgebra.lock import Lock, Verification, first_difference, verify_model
from mergealgebra.progress import Progress, quiet
from mergealgebra.recipe import in_words
from mergealgebra.resolution import wanted_blobs
from mergealgebra.resolve import open_merge
from mergealgebra.store.local import advising_set_base
from mergealgebra.text import location, one_line
from mergealgebra.wanted import Wanted
from mergealgebra.workspace import Workspace

#: The most contributions that a remark names.
_NAMED = 4


def verify(
    model: PathLike,
    against: PathLike | Workspace | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check a merged model against its lock, and against a workspace by computing it again [LK-5, LK-6].

    model: a folder, or a file that has its lock beside it [LK-9]. against: a workspace or its path; what is visible
    there now, and its default recipe, may differ from the lock's, which is a remark. Returns what was found;
    `raise_if_failed` turns a difference into an error.
    Raises LockError when the lock is missing or contradicts itself, and as `open_merge` does.

    >>> result = alice.resolve("merged.safetensors")  # the workspace of the example of `Workspace`
    >>> verify("merged.safetensors", against=alice).ok
    True
    """
    execution = Execution(backend, threads, None, progress or quiet)
    lock, found = verify_model(model, thread_count(threads), execution.progress)
    if against is None or not found.ok:
        return found
    if isinstance(against, Workspace):
        workspace, named = against, against.path
    else:
        _refuse_merge_file(Path(against))
        workspace, named = Workspace.open(against), Path(against)
    state = workspace.state
    try:
        wanted = Wanted.locked(lock, state)
    except (BaseMismatch, UnknownContribution) as error:
        return replace(found, problem=one_line(f"{model} cannot come from {named}: {error}"))
    blobs = wanted_blobs(workspace.store, wanted, state)
    with advising_set_base(workspace.store), open_merge(wanted, workspace.base, blobs, execution) as merge:
        problem = _difference(lock, merge.compute(), model, named)
    remarks = tuple(map(one_line, _remarks(lock, state, named)))
    return replace(found, problem=one_line(problem), remarks=remarks)


def _refuse_merge_file(path: Path) -> None:
    if path.suffix in (".yaml", ".yml") and path.is_file():
        raise WorkspaceError(
            f"{location(path)} is a merge file; run `mergealgebra merge` with it into another folder, "
            "and compare model roots"
        )


def _difference(lock: Lock, again: Lock, model: PathLike, against: PathLike) -> str:
    if difference := first_difference(lock.tensors, again.tensors):
        return f"{against} computes another model: {difference} of {model}"
    if lock != replace(again, backend=lock.backend):
        return f"{against} computes the same model, but counts other elements kept or uncertified than {model}"
    return ""


def _remarks(lock: Lock, state: ORSet, against: PathLike) -> Iterator[str]:
    """How a lock differs from what the workspace would merge now."""
    locked, visible = {contribution.id for contribution in lock.contributions}, state.visible().keys()
    if later := visible - locked:
        yield f"later contributions are visible in {against}, which the model does not have: {_ids(later)}"
    if retracted := locked - visible:
        yield f"contributions that the model has were retracted in {against} since: {_ids(retracted)}"
    if lock.recipe != state.genesis.recipe:
        yield f"the model's recipe is not the default one of {against}: {in_words(lock.recipe)}"


def _ids(ids: Collection[str]) -> str:
    named = [id_[:12] for id_ in sorted(ids)[:_NAMED]]
    return ", ".join(named) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
