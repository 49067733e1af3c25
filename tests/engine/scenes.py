"""Merges of tiny checkpoints in a folder, and what they leave there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import mergealgebra as ma
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import Tensors, base, fine_tune, write_file, write_folder

TIES = ma.Ties(density="0.5")
#: Ways to compute a merge; none changes what comes out.
WAYS = {
    "one thread": Execution("numpy", threads=1),
    "blocks of one": Execution("numpy", threads=2, block=1),
    "blocks of seven": Execution("numpy", threads=3, block=7),
    "torch": Execution("torch", threads=1),
    "torch, blocks of five": Execution("torch", threads=2, block=5),
    "numba": Execution("numba", threads=1),
    "numba, three threads": Execution("numba", threads=3),
    "numba, blocks of eleven": Execution("numba", threads=2, block=11),
}


def merged(
    root: Path,
    fine_tunes: Sequence[Mapping[str, object]] | None = None,
    start: Mapping[str, object] | None = None,
    recipe: Method = TIES,
    execution: Execution = WAYS["one thread"],
    coefficients: Sequence[str] = (),
    out: str = "out",
) -> MergeResult:
    """Write a base and fine-tunes (three of `tests.models` if left out) below `root`, and merge them to `out`."""
    start = base() if start is None else start
    fine_tunes = [fine_tune(number) for number in range(3)] if fine_tunes is None else fine_tunes
    write_folder(root / "base", start)
    models = []
    for number, tensors in enumerate(fine_tunes):
        path = write_file(root / f"ft{number}.safetensors", tensors)
        models.append(Model(path, coefficients[number] if coefficients else "1"))
    return merge_checkpoints(root / "base", models, recipe, root / out, execution)


def tensors_of(path: Path) -> Tensors:
    """The tensors of a checkpoint."""
    with Checkpoint.open(path) as checkpoint:
        return {name: checkpoint.read(name).reshape(record.shape) for name, record in checkpoint.records.items()}


def names_in(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}
