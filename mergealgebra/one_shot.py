"""One-shot merges: fine-tuned checkpoints to a model, to the bits that a workspace with them would give [RC-8]."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.algebra import decimals
from mergealgebra.contribution import Chosen, choose, choose_auxiliary, refuse_unknown_kinds
from mergealgebra.contribution_blobs import as_contribution
from mergealgebra.credits import Credit, titles
from mergealgebra.engine.checks import refuse_text
from mergealgebra.engine.limits import thread_count
from mergealgebra.errors import (
    AuxiliaryError,
    BackendError,
    CheckpointError,
    CoefficientError,
    MergeAlgebraWarning,
    NamesError,
    NothingVisible,
)
from mergealgebra.kernels.blocks import whole_round
from mergealgebra.merge_input import Input
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.model_folder.output import refuse_occupied
from mergealgebra.recipe import check_recipe
from mergealgebra.resolve import Execution, Merge
from mergealgebra.sizes import byte_count
from mergealgebra.tensors.array_checkpoint import as_checkpoint
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice, Patterns, as_patterns, leave_out_in_file, leave_out_in_python
from mergealgebra.tensors.companions import companions
from mergealgebra.tensors.single_file import is_single_file, refuse_parts
from mergealgebra.tensors.task_vector import Tensors
from mergealgebra.text import kind_of, listed, location, shown

if TYPE_CHECKING:
    from mergealgebra.engine.memory import Merged

#: A model to merge, alone or with its coefficient.
Given = Tensors | tuple[Tensors, str]
#: What some methods need beside the models, by kind, a mapping for each model [CT-15].
Beside = Sequence[Mapping[str, Tensors]]


@dataclass(frozen=True)
class Model:
    """A model of a one-shot merge: a fine-tuned checkpoint, its coefficient, a decimal, and patterns [CT-8].

    auxiliary: by kind, what the method needs beside it [CT-15].
    """

    path: Path
    coefficient: str = "1"
    take: Patterns = ()
    leave: Patterns = ()
    auxiliary: Mapping[str, Tensors] = field(default_factory=dict)


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
    beside it, such as {"fisher": arrays, or for files a path} [CT-15]. Nothing that is passed in changes. Other
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
    beside = _beside(auxiliary, len(pairs))
    if out is None:
        if memory is not None:
            raise BackendError("memory= limits what a merge of files takes, and arrays are in memory; leave it out")
        for i, kinds in enumerate(beside):
            _check_kinds(f"model {i}", kinds, recipe)
        arrays: Any = beside  # paths are refused there
        merged = _merge_arrays(base, pairs, recipe, take, leave, arrays, backend=backend, threads=threads, block=block)
        for line in merged.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return merged
    limit = byte_count(memory) if isinstance(memory, str) else memory
    execution = Execution(backend or "auto", threads, block, memory=limit)
    of_files = [
        Model(_path(model, f"model {i}"), coefficient, auxiliary=beside[i])
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


def _check_kinds(label: str, kinds: Mapping[str, Tensors], recipe: Method, listed_in: Path | None = None) -> None:
    """Raise AuxiliaryError unless a model comes with what the method needs, and with nothing else [CT-16, RC-8]."""
    refuse_unknown_kinds(kinds)
    needed = recipe.needs.auxiliary
    for kind in sorted(kinds.keys() - needed):
        raise AuxiliaryError(f"{label} comes with {kind}, and {recipe.name} does not use it: leave it out")
    for kind in sorted(needed - kinds.keys()):
        give = (
            f"write `{kind}: PATH` beside its path in {location(listed_in)}" if listed_in else "name it in auxiliary="
        )
        raise AuxiliaryError(f"{label} has no {kind}, which {recipe.name} needs of all models: {give}")


def _merge_arrays(
    base: Tensors,
    pairs: Sequence[tuple[Tensors, str]],
    recipe: Method,
    take: Patterns,
    leave: Patterns,
    auxiliary: Sequence[Mapping[str, Mapping[str, Any]]],
    *,
    backend: str | None,
    threads: int | None,
    block: int | None,
) -> Merged:
    from mergealgebra.engine import memory

    vectors: list[Any] = [model for model, _ in pairs]
    if take or leave:
        mappings = [arrays for arrays in (base, *vectors) if isinstance(arrays, Mapping)]
        choice = Choice.among({name for arrays in mappings for name in arrays}, take, leave)
        vectors = [{n: a for n, a in v.items() if n in choice} if isinstance(v, Mapping) else v for v in vectors]
    arrays: Any = base  # what is no mapping is refused there
    texts = [coefficient for _, coefficient in pairs]
    return memory.merge(
        arrays, vectors, recipe, texts, backend or "numpy", threads=threads, block=block, auxiliary=auxiliary
    )


def _path(given: Tensors, what: str) -> Path:
    """The path of a checkpoint. Raises CheckpointError for arrays."""
    if not isinstance(given, (str, os.PathLike)):
        raise CheckpointError(
            f"{what} is {kind_of(given)}, and out= writes what files merge to: pass the path of a safetensors "
            "file or a model folder, or omit out= to merge arrays"
        )
    return local_path(given)


def merge_checkpoints(
    base: Path,
    models: Sequence[Model],
    recipe: Method,
    out: Path,
    execution: Execution = Execution(),
    *,
    take: Patterns = (),
    leave: Patterns = (),
    listed_in: Path | None = None,
) -> MergeResult:
    """One-shot merge of fine-tuned checkpoints, to the bits that a workspace with them would give [RC-8].

    take, leave: patterns of tensor names, for all models [CT-8]. listed_in: the file that names the models, for
    messages; None for a list in Python. Raises RecipeError when two models are the same contribution or one is the
    base [RC-10], and as `resolve` does.
    """
    from mergealgebra import first_look  # merges of arrays start without it

    refuse_occupied(out)
    for number, model in enumerate(models):
        _check_kinds(f"models[{number}] ({location(model.path)})", model.auxiliary, recipe, listed_in)
    with ExitStack() as opened:
        original = opened.enter_context(Checkpoint.open(base))
        # What cannot be written is told before anything is hashed.
        if is_single_file(out):
            refuse_parts(out, original)
        else:
            companions(original)
        first_look.refuse_base(base, [model.path for model in models], recipe)
        checkpoints = [opened.enter_context(Checkpoint.open(model.path)) for model in models]
        looked = Choice.among(original.records.keys() | _names(checkpoints), take, leave)
        inputs, remarks = [], dict[str, list[str]]()
        known_as = titles([model.path for model in models])
        for model, checkpoint, title in zip(models, checkpoints, known_as, strict=True):
            chosen = _choose(model, checkpoint, original, looked, listed_in)
            told = (*_left_out(checkpoint, looked, model), *chosen.remarks)
            inputs.append(replace(_input(model, chosen, opened), credit=Credit(title, remarks=told)))
            for remark in chosen.remarks:
                remarks.setdefault(remark, []).append(location(model.path))
        if whole := whole_round(recipe):
            from mergealgebra.engine.whole import refuse_little_memory  # before everything is hashed

            refuse_little_memory(original, [input_.contribution for input_ in inputs], whole, execution.memory)
        warnings = first_look.left_by_all(original, checkpoints, Choice(leave=as_patterns(leave)))
        warnings += first_look.doubts(inputs, original, recipe, _remove(listed_in))
        if whole or recipe.needs.roots:
            inputs = _in_canonical_order(original, inputs, thread_count(execution.threads))
        result = Merge(original, inputs, recipe, execution, None).write(out)
        return replace(result, warnings=[*map(_told, remarks, remarks.values()), *warnings, *result.warnings])


def _names(checkpoints: Sequence[Checkpoint]) -> set[str]:
    return {name for checkpoint in checkpoints for name in checkpoint.records}


def _choose(model: Model, checkpoint: Checkpoint, base: Checkpoint, looked: Choice, listed_in: Path | None) -> Chosen:
    """What is merged of a model, of the names that are looked at in all models."""
    both = {*base.records, *checkpoint.records}
    own = Choice.among(both, model.take, model.leave)
    advice = leave_out_in_file(location(listed_in), as_patterns(model.leave)) if listed_in else leave_out_in_python
    return choose("finetuned", checkpoint, base, frozenset(looked.of(own.of(both))), advice, _remove(listed_in))


def _remove(listed_in: Path | None) -> str:
    return f"remove it from {location(listed_in) if listed_in else 'models'}"


def _left_out(checkpoint: Checkpoint, looked: Choice, model: Model) -> list[str]:
    """What the patterns leave out of a model, as its card tells it."""
    own = Choice(as_patterns(model.take), as_patterns(model.leave))
    left = [name for name in checkpoint.records if name not in looked or name not in own]
    return [f"left out as asked: {listed(map(shown, left))}"] if left else []


def _input(model: Model, chosen: Chosen, opened: ExitStack) -> Input:
    label = location(model.path)
    coefficient = decimals.fp32(model.coefficient, f"{label}: coefficient")
    given = {k: opened.enter_context(as_checkpoint(model.auxiliary[k], k)) for k in sorted(model.auxiliary)}
    kinds = {kind: choose_auxiliary(kind, tensors, chosen) for kind, tensors in given.items()}
    one = as_contribution(label, "finetuned", coefficient, chosen.checkpoint, chosen.names, kinds=kinds)
    return Input(chosen.checkpoint, one, kinds=kinds)


def _told(remark: str, models: Sequence[str]) -> str:
    """A remark, and the models that it is about."""
    return f"{models[0]}{f' and {len(models) - 1} more' if len(models) > 1 else ''}: {remark}"


def _in_canonical_order(base: Checkpoint, inputs: Sequence[Input], threads: int) -> list[Input]:
    """The inputs by their ids, with the roots of their tensors [TI-1, DI-19, RM-1].

    They are read once more for it, for a method whose sums have an order, or whose masks follow from the roots.
    """
    base_root = base.root(threads)
    found = []
    for input_ in inputs:
        manifest = input_.manifest_for(base_root, input_.read_now(threads))
        known = replace(input_.contribution, tensors=manifest.tensors)
        found.append((manifest.id, replace(input_, contribution=known)))
    return [input_ for _, input_ in sorted(found, key=lambda entry: entry[0])]
