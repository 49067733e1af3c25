"""One-shot merges: fine-tuned checkpoints to a model, to the bits that a workspace with them would give [RC-8]."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.engine.checks import refuse_text
from mergealgebra.errors import (
    AuxiliaryError,
    BackendError,
    CheckpointError,
    CoefficientError,
    MergeAlgebraWarning,
    NamesError,
    NothingVisible,
    RecipeError,
)
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, check_kinds, merge_checkpoints
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.recipe import check_recipe
from mergealgebra.sizes import byte_count
from mergealgebra.tensors.choice import Choice, Patterns
from mergealgebra.tensors.task_vector import Tensors
from mergealgebra.text import kind_of

if TYPE_CHECKING:
    from mergealgebra.engine.memory import Merged
    from mergealgebra.engine.sources import Contribution

#: A model to merge, alone or with its coefficient.
Given = Tensors | tuple[Tensors, str]
#: What some methods need beside the models, by kind, a mapping for each model [CT-15].
Beside = Sequence[Mapping[str, Tensors]]

#: What a model has instead of the recipe's numbers: a mapping for all its tensors, or a list of entries [ST-9].
Numbers = Mapping[str, str | Sequence[str]]
Own = Sequence[Numbers | Sequence[Numbers]]


@overload
def merge(
    base: Tensors,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: None = None,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
) -> Merged: ...


@overload
def merge(
    base: Tensors,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: PathLike,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
) -> MergeResult: ...


def merge(
    base: Tensors,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: PathLike | None = None,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
) -> Merged | MergeResult:
    """Merge into a base: task vectors in memory, or with `out` the files of fine-tunes [MG-12, RC-8].

    Equal arguments give equal bits, in any order, on any backend [MG-8]. In memory, base and models are mappings name
    -> array, NumPy (ml_dtypes for bfloat16) or torch, the models task vectors of some of the base's tensors, and the
    merged arrays are returned. With `out`, a new folder or a new file NAME.safetensors, base and models are paths of
    checkpoints, the models fine-tunes, and what is returned tells of the model that was written.

    models: one or more, each alone or as a pair (model, coefficient). coefficients: a decimal for each instead, all "1"
    when left out. take, leave: patterns of tensor names, for all models [CT-8]. backend: numba, numpy, torch,
    torch-cuda, triton, or auto; when left out numpy in memory, and auto for files. threads, block, and for files memory
    (bytes, or text like "200M"): how it is computed, never what. auxiliary: for each model, what the method needs
    beside it, such as {"fisher": arrays, or for files a path} [CT-15]. settings: for each model, what it has instead of
    the recipe's numbers, such as {"density": "0.5"}, or a list of entries with patterns under `tensors` [ST-9].

    Nothing that is passed in changes. Other
    dialects of TIES than `canonical` add in the order of the list in memory, and NumPy alone computes them [RC-9,
    DI-19].

    Raises MergeAlgebraError, naming the argument, tensor and index at fault; then nothing is written.

    >>> import numpy as np, mergealgebra as ma
    >>> base, tuned = {"w": np.zeros(5, np.float32)}, {"w": np.float32([1, -2, 2, 1, 3])}
    >>> ma.merge(base, [tuned], ma.Ties(density="0.2"))["w"].tolist()
    [0.0, 0.0, 0.0, 0.0, 3.0]

    >>> from pathlib import Path; from tempfile import mkdtemp; from safetensors.numpy import load_file, save_file
    >>> start, fine_tune, out = (Path(mkdtemp()) / f"{name}.safetensors" for name in ("base", "fine-tune", "merged"))
    >>> save_file(base, start); save_file(tuned, fine_tune)
    >>> ma.merge(start, [(fine_tune, "0.5")], ma.TaskArithmetic(), out=out).out == out
    True
    >>> load_file(out)["w"].tolist()
    [0.5, -1.0, 1.0, 0.5, 1.5]
    """
    check_recipe(recipe)
    pairs = _pairs(models, coefficients)
    beside, own = _beside(auxiliary, len(pairs)), _own(settings, len(pairs))
    if out is None:
        if memory is not None:
            raise BackendError("memory= limits what a merge of files takes, and arrays are in memory; leave it out")
        for i, kinds in enumerate(beside):
            check_kinds(f"model {i}", kinds, recipe)
        arrays: Any = beside  # paths are refused there
        read = [recipe.own_settings(entries, f"model {i}: settings") for i, entries in enumerate(own)]
        how: dict[str, Any] = {"threads": threads, "block": block, "auxiliary": arrays, "settings": read}
        merged = _merge_arrays(base, pairs, recipe, take, leave, backend or "numpy", how)
        for line in merged.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return merged
    limit = byte_count(memory) if isinstance(memory, str) else memory
    execution = Execution(backend or "auto", threads, block, memory=limit)
    of_files = [
        Model(_path(model, f"model {i}"), coefficient, auxiliary=beside[i], settings=own[i])
        for i, (model, coefficient) in enumerate(pairs)
    ]
    start = _path(base, "the base")
    result = merge_checkpoints(start, of_files, recipe, local_path(out), execution, take=take, leave=leave)
    for line in result.warnings:
        warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
    return result


def _pairs(models: Sequence[Given], coefficients: Sequence[str] | None) -> list[tuple[Tensors, str]]:
    """Each model with its coefficient. Raises NamesError, CoefficientError and NothingVisible."""
    if isinstance(models, (str, os.PathLike, Mapping)):
        raise NamesError(f"models is {kind_of(models)}, not a list; pass a list, such as [model]")
    found = []
    for i, model in enumerate(models):
        if isinstance(model, tuple) and (len(model) != 2 or coefficients is not None):
            wanted = "give coefficients= or pairs, not both" if len(model) == 2 else "pass (model, coefficient)"
            raise CoefficientError(f"model {i} is a tuple of {len(model)}: {wanted}")
        found.append(model if isinstance(model, tuple) else (model, "1"))
    if coefficients is not None:
        refuse_text(coefficients)
        if len(coefficients) != len(found):
            raise CoefficientError(f"{len(coefficients)} coefficients for {len(found)} models; give one for each")
        found = [(model, text) for (model, _), text in zip(found, coefficients, strict=True)]
    if not found:
        raise NothingVisible("there is nothing to merge; pass at least one task vector, or with out= one fine-tune")
    return found


def _beside(auxiliary: Beside | None, models: int) -> Beside:
    """What stands beside each model. Raises AuxiliaryError unless there is a mapping for each."""
    if auxiliary is None:
        return [{}] * models
    if isinstance(auxiliary, (str, Mapping)) or not all(isinstance(kinds, Mapping) for kinds in auxiliary):
        raise AuxiliaryError(f"auxiliary is {kind_of(auxiliary)}; pass a list of mappings, such as [{{'fisher': F}}]")
    if len(auxiliary) != models:
        raise AuxiliaryError(
            f"{len(auxiliary)} entries of auxiliary for {models} models; give one for each, {{}} for none"
        )
    return auxiliary


def _own(settings: Own | None, models: int) -> Sequence[Sequence[Numbers]]:
    """The entries of each model. Raises RecipeError unless there is a mapping or a list for each."""
    if settings is None:
        return [()] * models
    if isinstance(settings, (str, Mapping)) or not isinstance(settings, Sequence):
        raise RecipeError(f"settings is {kind_of(settings)}; pass a list, such as [{{'density': '0.5'}}, {{}}]")
    if len(settings) != models:
        raise RecipeError(f"{len(settings)} entries of settings for {models} models; give one for each, {{}} for none")
    return [([one] if one else []) if isinstance(one, Mapping) else one for one in settings]


def _merge_arrays(
    base: Tensors,
    pairs: Sequence[tuple[Tensors, str]],
    recipe: Method,
    take: Patterns,
    leave: Patterns,
    backend: str,
    how: Mapping[str, Any],
) -> Merged:
    from mergealgebra.engine import memory

    vectors: list[Any] = [model for model, _ in pairs]
    if take or leave:
        mappings = [arrays for arrays in (base, *vectors) if isinstance(arrays, Mapping)]
        choice = Choice.among({name for arrays in mappings for name in arrays}, take, leave)
        vectors = [{n: a for n, a in v.items() if n in choice} if isinstance(v, Mapping) else v for v in vectors]
    arrays: Any = base  # what is no mapping is refused there
    texts = [coefficient for _, coefficient in pairs]
    return memory.merge(arrays, vectors, recipe, texts, backend, identify=_id_of, **how)


def _id_of(base_root: str, contribution: Contribution, root: str) -> str:
    """The id that a task vector in memory has in a workspace of this base [CT-2, CT-3]."""
    return Manifest(
        base=base_root,
        coefficient=decimals.to_hex(contribution.coefficient),
        elements=sum(contribution.source.records[name].size for name in contribution.names),
        form="task_vector",
        tensors=root,
    ).id


def _path(given: Tensors, what: str) -> Path:
    """The path of a checkpoint. Raises CheckpointError for arrays."""
    if not isinstance(given, (str, os.PathLike)):
        raise CheckpointError(
            f"{what} is {kind_of(given)}, and out= writes what files merge to: pass the path of a safetensors "
            "file or a model folder, or omit out= to merge arrays"
        )
    return local_path(given)
