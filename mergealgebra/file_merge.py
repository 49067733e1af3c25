"""One-shot merges of files: fine-tuned checkpoints to a model, as a workspace with them would give it [RC-8]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from mergealgebra.algebra import decimals
from mergealgebra.contribution import Chosen, choose, choose_auxiliary, refuse_unknown_kinds
from mergealgebra.contribution_blobs import as_contribution
from mergealgebra.credits import Credit, hub_name, titles
from mergealgebra.engine.limits import thread_count
from mergealgebra.errors import AuxiliaryError
from mergealgebra.execution import Execution
from mergealgebra.formats.models import adapter_doubts, open_base, open_model
from mergealgebra.formats.tokenizers.alignment import align
from mergealgebra.formats.tokenizers.wanted import Wanted
from mergealgebra.kernels.blocks import whole_round
from mergealgebra.merge_input import Input
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import Setting, contributions_in, for_models
from mergealgebra.model_folder.additions import NOTHING, Additions
from mergealgebra.model_folder.licenses import license_of
from mergealgebra.model_folder.output import refuse_occupied
from mergealgebra.recipe import check_recipe
from mergealgebra.resolve import Merge
from mergealgebra.tensors.array_checkpoint import as_checkpoint
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice, Patterns, as_patterns, leave_out_in_file, leave_out_in_python
from mergealgebra.tensors.companions import companions
from mergealgebra.tensors.form_names import FINETUNED, LOW_RANK
from mergealgebra.tensors.forms import Formed, Held, models_in
from mergealgebra.tensors.single_file import is_single_file, refuse_parts
from mergealgebra.tensors.task_vector import Tensors
from mergealgebra.text import listed, location, shown


@dataclass(frozen=True)
class Model:
    """A model of a one-shot merge: a fine-tuned checkpoint, its coefficient, a decimal, and patterns [CT-8].

    auxiliary: by kind, what the method needs beside it [CT-15]. settings: numbers that it has instead of the recipe's,
    each entry for tensors of a pattern, or for all, such as {"tensors": "*.mlp.*", "density": "0.5"} [ST-9]. held: its
    tensors, opened by the caller, who closes them; `path` then names it. form: of its tensors that are no factors.
    """

    path: Path
    coefficient: str = "1"
    take: Patterns = ()
    leave: Patterns = ()
    auxiliary: Mapping[str, Tensors] = field(default_factory=dict)
    settings: Sequence[Setting | Mapping[str, str | Sequence[str]]] = ()
    held: Held | None = None
    form: str = FINETUNED


#: A recipe, from the ids of the contributions in the order of the models.
Named = Callable[[Sequence[str]], Method]
#: How messages call a model, and its settings.
Own = tuple[str, tuple[Setting, ...]]


def merge_checkpoints(
    base: Path | Checkpoint,
    models: Sequence[Model],
    recipe: Method,
    out: Path,
    execution: Execution = Execution(),
    *,
    take: Patterns = (),
    leave: Patterns = (),
    listed_in: Path | None = None,
    additions: Additions = NOTHING,
    tokenizer: Wanted | None = None,
    whole: bool = False,
    named: Named | None = None,
    vocabulary_advice: str = "",
) -> MergeResult:
    """One-shot merge of fine-tuned checkpoints, to the bits that a workspace with them would give [RC-8].

    base: its path, or itself where the caller opened it, and closes it. additions: what is written beside the weights.
    tokenizer: whose tokens the merged model has; None where all have the same [TK-2]. whole: whether models are merged
    whole, one of which may be the base, and not what they change [MK-9]. named: makes the recipe that `recipe` stands
    for before the ids of the contributions are known, from these in the order of the models. vocabulary_advice: how to
    say whose tokens the merged model has, for a file of another kind.

    take, leave: patterns of tensor names, for all models [CT-8]. listed_in: the file that names the models, for
    messages; None for a list in Python. Raises RecipeError when two models are the same contribution or one is the
    base [RC-10], and as `resolve` does.
    """
    from mergealgebra import first_look  # merges of arrays start without it

    check_recipe(recipe)
    refuse_occupied(out)
    own = checked(models, recipe, listed_in)
    whole = whole or recipe.needs.on == "theta"
    with ExitStack() as opened:
        original = base if isinstance(base, Checkpoint) else opened.enter_context(open_base(base))
        _refuse_unwritable(original, out)
        if not whole:
            first_look.refuse_base(original.path, [model.path for model in models], recipe)
        checkpoints = [model.held or _opened(model, original, opened) for model in models]
        looked = Choice.among(original.records.keys() | _names(checkpoints), take, leave)
        names = [_looked_at(*pair, original, looked) for pair in zip(models, checkpoints, strict=True)]
        brought = align(original, checkpoints, tokenizer, vocabulary_advice or _tokenizer_advice(listed_in), names)
        merge, told = made_ready(
            *(brought.base, models, list(brought.models), own, recipe, execution, opened),
            take=take,
            leave=leave,
            listed_in=listed_in,
            whole=whole,
            named=named,
        )
        result = merge.write(out, additions=brought.additions | additions)
        doubts = [line for m in models if m.held is None for line in adapter_doubts(m.path, original.path)]
        return replace(result, warnings=[*doubts, *brought.remarks, *told, *result.warnings])


def _refuse_unwritable(base: Checkpoint, out: Path) -> None:
    """What cannot be written is told before anything is hashed."""
    if is_single_file(out):
        refuse_parts(out, base)
    else:
        companions(base)


def checked(models: Sequence[Model], recipe: Method, listed_in: Path | None = None) -> list[Own]:
    """How messages call each model, and its settings. Raises where what stands beside it does not fit the method."""
    own = []
    for number, model in enumerate(models):
        label = f"models[{number}] ({location(model.path)})"
        check_kinds(label, model.auxiliary, recipe, listed_in)
        own.append((label, recipe.own_settings(model.settings, f"{label}: settings")))
    return own


def made_ready(
    base: Checkpoint,
    models: Sequence[Model],
    checkpoints: Sequence[Held],
    own: Sequence[Own],
    recipe: Method,
    execution: Execution,
    opened: ExitStack,
    *,
    take: Patterns = (),
    leave: Patterns = (),
    listed_in: Path | None = None,
    whole: bool = False,
    named: Named | None = None,
) -> tuple[Merge, list[str]]:
    """The merge of what was opened of these models, everything checked, and lines of warning. The rest is as above.

    own: the settings of each model, as `checked` gives them. opened: closes what is opened here.
    """
    from mergealgebra import first_look

    looked = Choice.among(base.records.keys() | _names(checkpoints), take, leave)
    inputs, remarks = _inputs(models, checkpoints, base, looked, listed_in, opened)
    if round_ := whole_round(recipe):
        from mergealgebra.engine.whole import refuse_little_memory  # before everything is hashed

        refuse_little_memory(base, [input_.contribution for input_ in inputs], round_, execution.memory)
    warnings = first_look.left_by_all(base, checkpoints, Choice(leave=as_patterns(leave)))
    if listed_in is not None:
        warnings += first_look.twice([model.path for model in models], inputs)
    if not whole:
        warnings += first_look.doubts(inputs, base, recipe, _remove(listed_in))
    if round_ or recipe.needs.roots or recipe.needs.task or contributions_in(recipe) or any(each for _, each in own):
        inputs = _identified(base, inputs, thread_count(execution.threads))
        of_ids = zip(inputs, own, strict=True)
        recipe = for_models(recipe, [(label, input_.id, each) for input_, (label, each) in of_ids])
        if named is not None:
            recipe = named([input_.id for input_ in inputs])
        inputs.sort(key=lambda input_: input_.id)
    return Merge(base, inputs, recipe, execution, None), [*remarks, *warnings]


def _inputs(
    models: Sequence[Model],
    checkpoints: Sequence[Held],
    base: Checkpoint,
    looked: Choice,
    listed_in: Path | None,
    opened: ExitStack,
) -> tuple[list[Input], list[str]]:
    """The inputs of the merge, and a line for what was decided of them."""
    inputs, remarks = [], dict[str, list[str]]()
    origins = [models_in(checkpoint) for checkpoint in checkpoints]
    paths = list(dict.fromkeys(path for each in origins for path in each))
    known_as = dict(zip(paths, titles(paths), strict=True))
    for model, checkpoint, origin in zip(models, checkpoints, origins, strict=True):
        chosen = _choose(model, checkpoint, base, looked, listed_in)
        told = (*_left_out(checkpoint, looked, model), *chosen.remarks)
        inputs.append(
            replace(_input(model, chosen, opened), credit=_credit({path: known_as[path] for path in origin}, told))
        )
        for remark in chosen.remarks:
            remarks.setdefault(remark, []).append(location(model.path))
    return inputs, list(map(_told, remarks, remarks.values()))


def _credit(origins: Mapping[Path, str], remarks: tuple[str, ...]) -> Credit:
    """What the card says of a model. origins: what the models are called that it is made of."""
    found = [
        Credit(title, hub=hub_name(path.absolute()), license=license_of(path if path.is_dir() else None))
        for path, title in origins.items()
    ]
    if len(found) == 1:
        return replace(found[0], remarks=remarks)
    return Credit(listed(sorted(origins.values())), remarks=remarks, stacked=tuple(found))


def _opened(model: Model, base: Checkpoint, opened: ExitStack) -> Held:
    held = open_model(model.path, base)
    opened.callback(held.close)
    return held


def _names(checkpoints: Sequence[Held]) -> set[str]:
    return {name for checkpoint in checkpoints for name in checkpoint.records}


def _choose(model: Model, checkpoint: Held, base: Checkpoint, looked: Choice, listed_in: Path | None) -> Chosen:
    """What is merged of a model, of the names that are looked at in all models."""
    names = _looked_at(model, checkpoint, base, looked)
    advice = leave_out_in_file(location(listed_in), as_patterns(model.leave)) if listed_in else leave_out_in_python
    return choose(_form(model, checkpoint), checkpoint, base, names, advice, _remove(listed_in))


def _looked_at(model: Model, checkpoint: Held, base: Checkpoint, looked: Choice) -> frozenset[str]:
    both = {*base.records, *checkpoint.records}
    return frozenset(looked.of(Choice.among(both, model.take, model.leave).of(both)))


def _tokenizer_advice(listed_in: Path | None) -> str:
    if listed_in is None:
        return "pass tokenizer_source='base'"
    return f"add `tokenizer_source: base` to {location(listed_in)}, or --tokenizer-source base to the command"


def _form(model: Model, checkpoint: Held) -> str:
    """Of what is merged of a model; one of several forms, or of factors, may lack tensors as a task vector may."""
    return LOW_RANK if isinstance(checkpoint, Formed) else model.form


def _remove(listed_in: Path | None) -> str:
    return f"remove it from {location(listed_in) if listed_in else 'models'}"


def _left_out(checkpoint: Held, looked: Choice, model: Model) -> list[str]:
    """What the patterns leave out of a model, as its card tells it."""
    own = Choice(as_patterns(model.take), as_patterns(model.leave))
    left = [name for name in checkpoint.records if name not in looked or name not in own]
    return [f"left out as asked: {listed(map(shown, left))}"] if left else []


def _input(model: Model, chosen: Chosen, opened: ExitStack) -> Input:
    label = location(model.path)
    coefficient = decimals.fp32(model.coefficient, f"{label}: coefficient")
    given = {k: opened.enter_context(as_checkpoint(model.auxiliary[k], k)) for k in sorted(model.auxiliary)}
    kinds = {kind: choose_auxiliary(kind, tensors, chosen) for kind, tensors in given.items()}
    one = as_contribution(label, model.form, coefficient, chosen.checkpoint, chosen.names, kinds=kinds)
    return Input(chosen.checkpoint, one, kinds=kinds)


def _told(remark: str, models: Sequence[str]) -> str:
    """A remark, and the models that it is about."""
    return f"{models[0]}{f' and {len(models) - 1} more' if len(models) > 1 else ''}: {remark}"


def _identified(base: Checkpoint, inputs: Sequence[Input], threads: int) -> list[Input]:
    """The inputs with their ids, and the roots of their tensors [TI-1, DI-19, RM-1, RC-13, ST-9].

    They are read once more for it, for a method whose sums have an order, whose masks follow from the roots, or whose
    task is an id, and for settings by contribution.
    """
    base_root = base.root(threads)
    found = []
    for input_ in inputs:
        manifest = input_.manifest_for(base_root, input_.read_now(threads))
        known = replace(input_.contribution, tensors=manifest.tensors, id=manifest.id)
        found.append(replace(input_, contribution=known))
    return found


def check_kinds(label: str, kinds: Mapping[str, Tensors], recipe: Method, listed_in: Path | None = None) -> None:
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
