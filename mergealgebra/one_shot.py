"""One-shot merges: fine-tuned checkpoints to a model, to the bits that a workspace with them would give [RC-8]."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mergealgebra.algebra import decimals
from mergealgebra.contribution import Chosen, choose
from mergealgebra.credits import Credit, titles
from mergealgebra.engine.output import refuse_occupied
from mergealgebra.engine.plan import Contribution, thread_count
from mergealgebra.merge_result import MergeResult
from mergealgebra.recipe import Recipe
from mergealgebra.resolve import How, Input, Merge
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice, Patterns
from mergealgebra.tensors.companions import companions
from mergealgebra.tensors.single_file import is_single_file, refuse_parts
from mergealgebra.text import place


@dataclass(frozen=True)
class Model:
    """A model of a one-shot merge: a fine-tuned checkpoint, its coefficient, a decimal, and patterns [CT-8]."""

    path: Path
    coefficient: str = "1"
    take: Patterns = ()
    leave: Patterns = ()


def merge_checkpoints(
    base: Path,
    models: Sequence[Model],
    recipe: Recipe,
    out: Path,
    how: How = How(),
    *,
    take: Patterns = (),
    leave: Patterns = (),
) -> MergeResult:
    """One-shot merge of fine-tuned checkpoints, to the bits that a workspace with them would give [RC-8].

    take, leave: patterns of tensor names, for all models [CT-8]. Raises RecipeError when two models are the same
    contribution, and as `resolve` does.
    """
    refuse_occupied(out)
    with ExitStack() as opened:
        original = opened.enter_context(Checkpoint.open(base))
        # What cannot be written is told before anything is hashed.
        if is_single_file(out):
            refuse_parts(out, original)
        else:
            companions(original)
        checkpoints = [opened.enter_context(Checkpoint.open(model.path)) for model in models]
        looked = Choice.among(original.records.keys() | _names(checkpoints), take, leave)
        inputs, remarks = [], dict[str, list[str]]()
        known_as = titles([model.path for model in models])
        for model, checkpoint, title in zip(models, checkpoints, known_as, strict=True):
            chosen = _choose(model, checkpoint, original, looked)
            inputs.append(replace(_input(model, chosen), credit=Credit(title)))
            for remark in chosen.remarks:
                remarks.setdefault(remark, []).append(place(model.path))
        if recipe.foreign:
            from mergealgebra.engine.dialect_memory import refuse_little_memory  # before everything is hashed

            refuse_little_memory(original, [input_.contribution for input_ in inputs], recipe.foreign, how.memory)
            inputs = _in_canonical_order(original, inputs, thread_count(how.threads))
        result = Merge(original, inputs, recipe, how, None).write(out)
        return replace(result, warnings=[*map(_told, remarks, remarks.values()), *result.warnings])


def _names(checkpoints: Sequence[Checkpoint]) -> set[str]:
    return {name for checkpoint in checkpoints for name in checkpoint.records}


def _choose(model: Model, checkpoint: Checkpoint, base: Checkpoint, looked: Choice) -> Chosen:
    """What is merged of a model, of the names that are looked at in all models."""
    own = Choice.among({*base.records, *checkpoint.records}, model.take, model.leave)
    return choose("finetuned", checkpoint, base, frozenset(looked.of(own.of({*base.records, *checkpoint.records}))))


def _input(model: Model, chosen: Chosen) -> Input:
    label = place(model.path)
    coefficient = decimals.fp32(model.coefficient, f"{label}: coefficient")
    names = frozenset(chosen.names)
    return Input(chosen.checkpoint, Contribution(label, "finetuned", coefficient, chosen.checkpoint, names))


def _told(remark: str, models: Sequence[str]) -> str:
    """A remark, and the models that it is about."""
    return f"{models[0]}{f' and {len(models) - 1} more' if len(models) > 1 else ''}: {remark}"


def _in_canonical_order(base: Checkpoint, inputs: Sequence[Input], threads: int) -> list[Input]:
    """The inputs by their ids, for a recipe whose sums have an order; they are read once more for it [TI-1, DI-19]."""
    base_root = base.root(threads)
    return sorted(
        inputs, key=lambda input_: input_.manifest_for(base_root, input_.checkpoint.roots(threads, input_.names)).id
    )
