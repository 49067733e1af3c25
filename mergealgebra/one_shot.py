"""One-shot merges: fine-tuned checkpoints to a model, to the bits that a workspace with them would give [RC-8]."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.errors import (
    BackendError,
    CheckpointError,
    MergeAlgebraWarning,
    TokenizerError,
)
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, check_kinds, merge_checkpoints
from mergealgebra.formats.models import tokenizer_wanted
from mergealgebra.merge_arguments import Beside, Numbers, Own, beside_each, own_of_each, pairs_of, refuse_form
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.recipe import check_recipe
from mergealgebra.sizes import byte_count
from mergealgebra.tensors.choice import Patterns
from mergealgebra.tensors.form_names import FINETUNED
from mergealgebra.tensors.task_vector import Tensors
from mergealgebra.text import kind_of

if TYPE_CHECKING:
    from mergealgebra.engine.memory import Merged
    from mergealgebra.torch_models.adapters import Adapter
    from mergealgebra.torch_models.weights import Module

    #: What a model in memory may be: arrays by name, or what torch and peft hold it in.
    InMemory = Tensors | Module | Adapter
    #: A model to merge, alone or with its coefficient.
    Given = InMemory | tuple[InMemory, str]

#: What `like` is, and what comes back.
Like = TypeVar("Like")


@overload
def merge(
    base: InMemory,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: None = None,
    form: str | None = None,
    like: None = None,
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
    base: InMemory,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: None = None,
    form: str | None = None,
    like: Like,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
) -> Like: ...


@overload
def merge(
    base: InMemory,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: PathLike,
    form: str | None = None,
    like: None = None,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
    tokenizer_source: PathLike | None = None,
) -> MergeResult: ...


def merge(
    base: InMemory,
    models: Sequence[Given],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str | None = None,
    *,
    out: PathLike | None = None,
    form: str | None = None,
    like: Any = None,
    take: Patterns = (),
    leave: Patterns = (),
    threads: int | None = None,
    block: int | None = None,
    memory: int | str | None = None,
    auxiliary: Beside | None = None,
    settings: Own | None = None,
    tokenizer_source: PathLike | None = None,
) -> Any:
    """Merge into a base: task vectors or models in memory, or with `out` the files of fine-tunes [MG-12, MG-16, RC-8].

    Equal arguments give equal bits, in any order, on any backend [MG-8]. In memory the merged arrays are returned, by
    name. Base and models are mappings name -> array, NumPy (ml_dtypes for bfloat16) or torch, the models task vectors
    of some of the base's tensors; form="finetuned" says that they are state_dicts of fine-tunes. Or they are torch
    modules, such as a PreTrainedModel, each a fine-tune, or with LoRA adapters in it the one that is active;
    `ma.Adapter(model, name)` is another. What is a model is merged to the bits that its file would give. like: a
    module, or a state_dict, of which a copy with the merged arrays is returned. With `out`, a new folder or a new file
    NAME.safetensors, base and models are paths of checkpoints, the models fine-tunes, and what is returned tells of the
    model that was written.

    models: one or more, each alone or as a pair (model, coefficient). coefficients: a decimal for each instead, all "1"
    when left out. take, leave: patterns of tensor names, for all models [CT-8]. backend: numba, numpy, torch,
    torch-cuda, triton, or auto; when left out numpy for task vectors in memory, and otherwise auto. threads, block, and
    for files memory (bytes, or text like "200M"): how it is computed, never what. auxiliary: for each model, what the
    method needs beside it, such as {"fisher": arrays, or for files a path} [CT-15].
    settings: for each model, what it has instead of the recipe's numbers, such as {"density": "0.5"}, or a list of
    entries with patterns under `tensors` [ST-9]. tokenizer_source: for files, whose tokens the merged model has:
    "base", "union" or the path of a model [TK-2]. Nothing that is passed in changes.
    Other dialects of TIES than `canonical` add in the order of the list where task vectors in memory are merged, and
    NumPy alone computes them [RC-9, DI-19].

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
    refuse_form(form, like, out)
    pairs = pairs_of(models, coefficients)
    beside, own = beside_each(auxiliary, len(pairs)), own_of_each(settings, len(pairs))
    _refuse_unlike(like)
    limit = byte_count(memory) if isinstance(memory, str) else memory
    if out is None:
        if tokenizer_source is not None:
            raise TokenizerError("tokenizer_source= aligns the rows of model folders, with out=; leave it out")
        if limit is not None:
            raise BackendError("memory= limits what a merge of files takes, and arrays are in memory; leave it out")
        result = _in_memory(
            *(base, pairs, recipe, form, Execution(backend or "", threads, block), beside, own), take=take, leave=leave
        )
        _warn(result.warnings)
        return result if like is None else _filled(like, result)
    execution = Execution(backend or "auto", threads, block, memory=limit)
    of_files = [
        Model(_path(model, f"model {i}"), coefficient, auxiliary=beside[i], settings=own[i])
        for i, (model, coefficient) in enumerate(pairs)
    ]
    start = _path(base, "the base")
    written = merge_checkpoints(
        *(start, of_files, recipe, local_path(out), execution),
        take=take,
        leave=leave,
        tokenizer=tokenizer_wanted(tokenizer_source),
    )
    _warn(written.warnings)
    return written


def _in_memory(
    base: Any,
    pairs: Sequence[tuple[Any, str]],
    recipe: Method,
    form: str | None,
    execution: Execution,
    beside: Beside,
    own: Sequence[Sequence[Numbers]],
    *,
    take: Patterns,
    leave: Patterns,
) -> Merged:
    """What models or task vectors in memory are merged to. execution: its backend is empty where none was asked for."""
    if form == FINETUNED or any(map(_is_model, (base, *(model for model, _ in pairs)))):
        from mergealgebra.torch_models.merge import merge_models

        how = replace(execution, backend=execution.backend or "auto")
        beside_them: dict[str, Any] = {"auxiliary": beside, "settings": own, "take": take, "leave": leave}
        return merge_models(base, pairs, recipe, how, form, **beside_them)
    from mergealgebra.array_merge import merge_arrays

    for i, kinds in enumerate(beside):
        check_kinds(f"model {i}", kinds, recipe)
    arrays: Any = beside  # paths are refused there
    read = [recipe.own_settings(entries, f"model {i}: settings") for i, entries in enumerate(own)]
    others = {"threads": execution.threads, "block": execution.block, "auxiliary": arrays, "settings": read}
    return merge_arrays(base, pairs, recipe, take, leave, execution.backend or "numpy", others)


def _refuse_unlike(like: object) -> None:
    if like is not None:
        from mergealgebra.torch_models.copies import refuse_unlike

        refuse_unlike(like)


def _filled(like: Any, merged: Merged) -> Any:
    from mergealgebra.torch_models.copies import filled

    return filled(like, merged)


def _warn(lines: Sequence[str]) -> None:
    """Warn whoever called `merge`."""
    for line in lines:
        warnings.warn(line, MergeAlgebraWarning, stacklevel=3)


def _is_model(given: object) -> bool:
    """Whether this is a module or an adapter in one: then torch has been imported."""
    if "torch" not in sys.modules:
        return False
    from mergealgebra.torch_models.merge import is_model

    return is_model(given)


def _path(given: Any, what: str) -> Path:
    """The path of a checkpoint. Raises CheckpointError for arrays."""
    if not isinstance(given, (str, os.PathLike)):
        raise CheckpointError(
            f"{what} is {kind_of(given)}, and out= writes what files merge to: pass the path of a safetensors "
            "file or a model folder, or omit out= to merge arrays"
        )
    return local_path(given)
