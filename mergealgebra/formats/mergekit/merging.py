"""A merge as a mergekit file describes it, written with the file beside it [MK-9 to MK-13]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.engine.limits import thread_count
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.formats.mergekit.configuration import changed_configuration, layers_of
from mergealgebra.formats.mergekit.dialect import contributions, in_dialect
from mergealgebra.formats.mergekit.document import Document, Reference
from mergealgebra.formats.mergekit.layers import stacks_of
from mergealgebra.formats.mergekit.methods import as_mergekit
from mergealgebra.formats.mergekit.nodes import Where
from mergealgebra.formats.mergekit.opening import Opener
from mergealgebra.formats.mergekit.refusals import told_with_lines
from mergealgebra.formats.mergekit.tokens import wanted_of
from mergealgebra.formats.mergekit.translation import DTYPE_NAMES, Part, Tensors, Translated, kind_of, translate
from mergealgebra.formats.mergekit.values import decimal_of
from mergealgebra.formats.mergekit.views import Zeros, woven
from mergealgebra.formats.models import open_base
from mergealgebra.formats.tokenizers.files import read_config
from mergealgebra.formats.tokenizers.wanted import Wanted
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import SETTINGS
from mergealgebra.model_folder.additions import Additions
from mergealgebra.recipe import recipe_from_map
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Patterns, escaped
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.forms import Held
from mergealgebra.tensors.single_file import is_single_file
from mergealgebra.text import location, shown

#: What a mergekit file is called beside the model that it made.
CONFIG: Final = "mergekit_config.yml"


@dataclass(frozen=True)
class How:
    """How a file is merged. take, leave: patterns of tensor names, for all models [CT-8].

    as_mergekit: whether mergekit's dialect computes it. masks: the file of masks that it drew [NA-15].
    """

    take: Patterns = ()
    leave: Patterns = ()
    as_mergekit: bool = False
    masks: Path | None = None


#: All of each model, by the methods here.
AS_IT_IS: Final = How()


@dataclass(frozen=True)
class Step:
    """A merge that can be run: its translation, its parts, and their models, open."""

    translated: Translated
    parts: Sequence[Part]
    base: Checkpoint
    held: Sequence[Held]

    def models(self, *, settings: bool) -> list[Model]:
        """The models as `merge_checkpoints` takes them; tensors that some lack are absent there [CT-7].

        settings: whether they have their numbers with them.
        """
        found = []
        for part, held in zip(self.parts, self.held, strict=True):
            absent = [] if self.translated.layout.whole else sorted(self.base.records.keys() - held.records.keys())
            leave = tuple(map(escaped, absent))
            numbers = (part.coefficient, part.settings()) if settings else ("1", [])
            adapted = part.model.lora and isinstance(held, Checkpoint)
            path = Path(f"{held.path}+{part.model.lora}") if adapted else held.path  # not the base, if that has it
            found.append(Model(path, numbers[0], leave=leave, held=held, settings=numbers[1]))
        return found


def prepare(document: Document, opener: Opener, opened: ExitStack, threads: int | None, how: How = AS_IT_IS) -> Step:
    """Open and lay out what a merge needs. Raises RecipeError, naming file and line, and what reading raises."""
    held = opener.all_of(document, whole=how.as_mergekit or bool(document.modules))
    names = {reference: list(one.records) for reference, one in held.items()}
    translated = translate(document, names, in_dialect=how.as_mergekit)
    parts = contributions(translated) if how.as_mergekit else translated.parts
    if how.as_mergekit and translated.layout.whole:
        _refuse_lacking(translated)
    models = [_part(part, held, translated, opened) for part in parts]
    if translated.base is not None:
        base = _whole(translated.base, held, translated, opened)
    else:
        base = _least(translated, models, thread_count(threads), opened)
    return Step(translated, parts, Zeros.like(base) if translated.zeros and not how.as_mergekit else base, models)


def _refuse_lacking(translated: Translated) -> None:
    """Whole models have the same tensors in mergekit; slices show what their sources have."""
    for target in translated.layout.targets:
        for part in translated.parts:
            if target.name not in part.tensors:
                raise part.model.where.refuse(
                    f"{shown(part.model.text)} lacks tensor {shown(target.name)}, and mergekit wants the same in all "
                    "models: leave the model out, or merge without `--as mergekit`"
                )


def _part(part: Part, held: Mapping[Reference, Held], translated: Translated, opened: ExitStack) -> Held:
    if translated.layout.whole and len({model for model, _ in part.tensors.values()}) == 1:
        return held[part.model]
    return _whole(part.tensors, held, translated, opened)


def _whole(tensors: Tensors, held: Mapping[Reference, Held], translated: Translated, opened: ExitStack) -> Checkpoint:
    """The checkpoint of tensors that may come from several models."""
    models = list(dict.fromkeys(model for model, _ in tensors.values()))
    sources: dict[Reference, Checkpoint] = {}
    for model in models:
        one = held[model]
        if not isinstance(one, Checkpoint):
            raise model.where.refuse("an adapter in slices is not merged; merge it into its model first, and name that")
        sources[model] = one
    if len(models) == 1 and translated.layout.whole and not translated.layout.layers:
        return sources[models[0]]
    view = woven(sources[models[0]].path, {name: (sources[model], of) for name, (model, of) in tensors.items()})
    return opened.enter_context(view)


def _least(translated: Translated, parts: Sequence[Held], threads: int, opened: ExitStack) -> Checkpoint:
    """The base: the part of the least root that has all tensors; else of each tensor the least that has it [MK-9]."""
    whole = [part for part in parts if isinstance(part, Checkpoint)]
    if len(whole) == 1:
        return whole[0]
    ordered = sorted(whole, key=lambda part: part.root(threads))
    names = {target.name for target in translated.layout.targets}
    for part in ordered:
        if names <= part.records.keys():
            return part
    tensors = {name: (next(part for part in ordered if name in part.records), name) for name in sorted(names)}
    return opened.enter_context(woven(ordered[0].path, tensors))


def merge_document(
    document: Document,
    out: Path,
    execution: Execution,
    opener: Opener,
    source: bytes,
    how: How = AS_IT_IS,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> MergeResult:
    """Merge what one document describes. source: the file, which is written beside the model; beside: other files.

    Raises as `translate` and `merge_checkpoints` do.
    """
    with ExitStack() as opened:
        step = prepare(document, opener, opened, execution.threads, how)
        translated = step.translated
        dialect = in_dialect(translated, how.masks, _result_in(step.base)) if how.as_mergekit else None
        models = [(part.model, held) for part, held in zip(step.parts, step.held, strict=True)]
        with told_with_lines(document, models):
            result = merge_checkpoints(
                step.base,
                step.models(settings=dialect is None),
                dialect.placeholder if dialect is not None else recipe_of(translated, step.base),
                out,
                execution,
                take=how.take,
                leave=how.leave,
                tokenizer=_tokens(translated, opener),
                additions=Additions(
                    _configuration(step, opener), {} if is_single_file(out) else {CONFIG: source, **beside}
                ),
                whole=translated.whole or translated.zeros,
                named=dialect,
                vocabulary_advice=f"add `tokenizer_source: base` to {location(document.where.path)}",
            )
    said = [line for line in result.warnings if not (translated.whole and line in result.lock.remarks)]
    # No file has these entries: the translation wrote them, and `Lookup` has told what of the file is of no use.
    said = [line for line in said if f": {SETTINGS}[" not in line]
    noted = [f"{line}; mergekit's numbers: {as_mergekit(document.method)}" for line in translated.difference()]
    return replace(
        result,
        models=len(translated.models) if translated.whole else 0,
        warnings=[*translated.remarks, *opener.doubts(document), *([] if how.as_mergekit else noted), *said],
    )


def recipe_of(translated: Translated, base: Checkpoint) -> Method:
    """The recipe here. Raises RecipeError or DecimalError, naming the line."""
    try:
        recipe = recipe_from_map({**translated.recipe, **_out_dtype(translated.dtype, base)})
        for part in translated.parts:
            for setting in part.settings():
                recipe.own_setting(setting, part.model.text)
    except MergeAlgebraError as error:
        raise type(error)(f"{_place_of(str(error), translated)}: {error}") from None
    return recipe


def _place_of(told: str, translated: Translated) -> Where:
    """Where a setting is written that an error is about: one with a number of it, or with its name alone."""
    named = [
        value
        for key, ours in kind_of(translated.document).keys.items()
        for held in (translated.shared, *(part.values for part in translated.parts))
        for value in held.get(key, {}).values()
        if ours in told and value.where is not None
    ]
    exact = [v for v in named if any(f": {decimal_of(n)} " in told for n in (v.number, *v.points))]
    return next((value.where for value in (*exact, *named) if value.where is not None), translated.document.where)


def _tokens(translated: Translated, opener: Opener) -> Wanted | None:
    """What is asked of tokenizers. Raises RecipeError where whole models are added: what lacks a token would be 0."""
    wanted = wanted_of(translated.document, opener.path)
    if wanted is not None and wanted.source is not None and translated.zeros:
        key = "tokenizer" if "tokenizer" in translated.document.tokens else "tokenizer_source"
        raise translated.document.tokens[key].where.refuse(
            f"`{key}` with a sum of whole models is not done: leave out `normalize: false`, or name a base_model"
        )
    return wanted


def _out_dtype(dtype: str, base: Checkpoint) -> dict[str, str]:
    """The key of a recipe whose result has another dtype than the base."""
    floats = {record.dtype for record in base.records.values() if DTYPES[record.dtype].is_float}
    return {"out_dtype": dtype} if dtype and floats != {dtype} else {}


def _result_in(base: Checkpoint) -> Callable[[str], dict[str, str]]:
    """The keys of a recipe whose result has a dtype, by mergekit's name of it."""
    return lambda written: _out_dtype(DTYPE_NAMES.get(written, ""), base)


def _configuration(step: Step, opener: Opener) -> dict[str, object]:
    """What is replaced in config.json, which is that of one model, where layers were stacked anew [MK-8]."""
    layout = step.translated.layout
    if layout.whole or step.base.folder is None:
        return {}
    origins = {target.name: target.origin for target in layout.targets}
    configs = {model: _config_at(opener.path(model))[0] for model in {model for model, _ in origins.values()}}
    config, old = _config_at(step.base.folder)
    layers = {stack: count for stack, count in stacks_of(origins).items() if stack in old}
    came_from = layers_of({name: (configs[model], of) for name, (model, of) in origins.items()})
    return changed_configuration(config, layers, came_from, old)


def _config_at(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A model's configuration, and how many layers its stacks have."""
    with open_base(path) as model:
        return read_config(model), stacks_of(model.records)
