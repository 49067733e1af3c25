"""Checking a merged model: against its own lock, and against a workspace by computing it again [LK-5, LK-6]."""

from __future__ import annotations

from dataclasses import replace

from mergealgebra.engine.plan import thread_count
from mergealgebra.lock import Verification, first_difference, verify_folder
from mergealgebra.progress import Progress, quiet
from mergealgebra.resolve import How, open_merge
from mergealgebra.text import one_line
from mergealgebra.workspace import PathLike, Workspace


def verify(
    model: PathLike,
    against: PathLike | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    progress: Progress = quiet,
) -> Verification:
    """Check a merged model folder against its lock, and against a workspace by computing it again [LK-5, LK-6].

    against: the path of a workspace. Returns what was found; `raise_if_failed` turns a difference into an error.
    Raises LockError when the lock is missing or contradicts itself, and as `open_merge` does.
    """
    how = How(backend, threads, None, progress)
    lock, verification = verify_folder(model, thread_count(threads))
    if against is None or not verification.ok:
        return verification
    workspace = Workspace.open(against)
    state = workspace.state
    problem = ""
    if lock.merge_id != state.merge_id:
        problem = (
            f"{model} has merge id {lock.merge_id}, the workspace {state.merge_id}: other contributions are visible"
        )
    else:
        with open_merge(state, workspace.base, workspace.blobs(state), how) as merge:
            again = merge.compute()
        if difference := first_difference(lock.tensors, again.tensors):
            problem = f"{against} computes another model: {difference} of {model}"
        elif lock != replace(again, backend=lock.backend):
            problem = f"{against} computes the same model, but counts other elements kept or uncertified than {model}"
    return Verification(verification.model_root, verification.merge_id, one_line(problem))
