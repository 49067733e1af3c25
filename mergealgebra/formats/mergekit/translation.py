"""A mergekit file as a merge of ours: a recipe, a base, and models with their own settings [MK-5, MK-7, MK-9]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mergealgebra.formats.mergekit.document import Document, Module, Reference, Source
from mergealgebra.formats.mergekit.entries import Said, say
from mergealgebra.formats.mergekit.layout import Layout, Names, Target, lay_out, where_of
from mergealgebra.formats.mergekit.lookup import Lookup, is_asked
from mergealgebra.formats.mergekit.methods import KINDS, Kind, as_mergekit
from mergealgebra.formats.mergekit.values import Value
from mergealgebra.text import did_you_mean, listed, shown

#: By tensor of the result: which model it comes from, and its name there.
Tensors = Mapping[str, tuple[Reference, str]]

#: dtypes as mergekit writes them, and as safetensors does.
DTYPE_NAMES: Final[Mapping[str, str]] = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}


@dataclass(frozen=True)
class Part:
    """What is merged as one contribution: a model, or tensors of several. numbers: by key of ours.

    values: what the file says, by its key and by tensor.
    """

    tensors: Tensors
    numbers: Mapping[str, Said]
    values: Mapping[str, Mapping[str, Value]]

    @property
    def model(self) -> Reference:
        """The first of its models."""
        return next(iter(self.tensors.values()))[0]

    def settings(self) -> list[dict[str, Any]]:
        """Its entries, as a model of a merge file has them [ST-9]."""
        found = []
        for key, said in self.numbers.items():
            found += [{"tensors": pattern, key: _written(number)} for pattern, number in said.entries]
            if key != "coefficient" or said.entries or said.plain == "0":
                found.append({key: said.plain})
        return found

    @property
    def coefficient(self) -> str:
        """Of the contribution itself, where it is one number for all tensors."""
        said = self.numbers.get("coefficient", Said("1"))
        return "1" if said.entries or said.plain == "0" else said.plain


@dataclass(frozen=True)
class Translated:
    """A merge. recipe: its map. base: None where it is the part of the least root [MK-9].

    zeros: whether the base has zeros for its values, so that whole models are added up. dtype: of the result; empty for
    the base's. note: where it is known to differ from mergekit's. remarks: lines about what nothing reads. shared: what
    the file says of all models, by its key and by tensor.
    """

    document: Document
    recipe: Mapping[str, Any]
    base: Tensors | None
    parts: Sequence[Part]
    zeros: bool
    dtype: str
    layout: Layout
    whole: bool
    note: str
    remarks: Sequence[str]
    shared: Mapping[str, Mapping[str, Value]]

    @property
    def models(self) -> set[Reference]:
        """The models that something is merged of."""
        return {model for part in self.parts for model, _ in part.tensors.values()}

    def difference(self) -> list[str]:
        """A line about where the method here is known to give something else than mergekit's [MK-7]."""
        return [f"{self.document.method} is not computed here as by mergekit: {self.note}"] if self.note else []


def kind_of(document: Document) -> Kind:
    """What is known of a file's method. Raises RecipeError for one that mergekit does not have."""
    kind = KINDS.get(document.method)
    if kind is None:
        near = did_you_mean(document.method, KINDS) or f"; expected one of {', '.join(KINDS)}"
        raise document.where.refuse(f"`merge_method`: {shown(document.method)} is not a method of mergekit's{near}")
    return kind


def translate(document: Document, names: Names, *, in_dialect: bool = False) -> Translated:
    """The merge that a file describes. names: of the tensors of its models.

    in_dialect: whether mergekit's dialect is to compute it, which has all that it says. Raises RecipeError, naming the
    line.
    """
    kind = kind_of(document)
    document = _with_base(document, kind)
    layout = lay_out(document, names)
    _refuse_gradients(document, layout)
    lookup = Lookup(document, kind)
    shared = {
        key: {target.name: lookup.shared(key, target) for target in layout.targets}
        for key, parameter in kind.reads.items()
        if parameter.scope == "shared"
    }
    if not in_dialect:
        _refuse_others(document, kind, shared)
    parts = list(_parts(document, kind, layout, lookup, shared))
    ours, zeros = _ours(document, kind, shared)
    base = _base(document, kind, layout)
    said = {ours_key: say(shared[key]) for key, ours_key in kind.keys.items() if key in shared}
    alike = {key: number for key, number in parts[0].numbers.items() if all(p.numbers[key] == number for p in parts)}
    alike.pop("coefficient", None)
    said |= alike
    parts = [replace(p, numbers={key: n for key, n in p.numbers.items() if key not in alike}) for p in parts]
    recipe: dict[str, Any] = {"method": ours, **kind.fixed, **{key: one.plain for key, one in said.items()}}
    entries = [{"tensors": p, key: _written(n)} for key, one in said.items() for p, n in one.entries]
    if entries:
        recipe["settings"] = entries
    note = kind.note if ours == kind.ours else ""
    remarks = (*document.remarks, *lookup.remarks())
    return Translated(document, recipe, base, parts, zeros, _dtype(document), layout, kind.whole, note, remarks, shared)


def _written(number: str | tuple[str, ...]) -> str | list[str]:
    return number if isinstance(number, str) else list(number)


def _with_base(document: Document, kind: Kind) -> Document:
    """The base is one of the models that are merged whole, and a source of modules that have `models`, also where it is
    not among them."""
    base = document.base
    of_slices = [slice_.base for module in document.modules for slice_ in module.slices]
    if kind.base == "needed" and base is None and (not of_slices or None in of_slices):
        raise document.where.refuse(f"`base_model` is missing, and {document.method} needs it: name one of the models")
    if base is not None and document.modules:
        return replace(document, modules=[_with_source(module, base) for module in document.modules])
    if base is None or not kind.whole or base in (source.model for source in document.models):
        return document
    return replace(document, models=(*document.models, Source(base, {}, base.where)))


def _with_source(module: Module, base: Reference) -> Module:
    sources = module.slices[0].sources
    if not module.whole or base in (source.model for source in sources):
        return module
    slice_ = replace(module.slices[0], sources=(*sources, Source(base, {}, base.where)))
    return replace(module, slices=(slice_,))


def _refuse_gradients(document: Document, layout: Layout) -> None:
    if any(target.t for target in layout.targets):
        return
    from mergealgebra.formats.mergekit.grammar import all_settings

    for key, setting, _ in all_settings(document):
        if setting.gradients:
            raise setting.where.refuse(
                f"`{key}` is a list over layers, and no tensor has a layer's number in its name: write one number"
            )


def _refuse_others(document: Document, kind: Kind, shared: Mapping[str, Mapping[str, Value]]) -> None:
    """Raise RecipeError for a setting that has one value here, and is written with another."""
    for key, only in kind.only.items():
        for value in shared[key].values():
            if value.where is not None and bool(value.number) != only:
                raise value.where.refuse(
                    f"`{key}: {str(not only).lower()}`: {kind.ours} here has no such way; leave it out for ours, which "
                    f"has `{key}: {str(only).lower()}`, or merge with {as_mergekit(document.method)}"
                )


def _parts(
    document: Document, kind: Kind, layout: Layout, lookup: Lookup, shared: Mapping[str, Mapping[str, Value]]
) -> Iterator[Part]:
    """The contributions: each model one; where their number is fixed, each place among the sources one."""
    tensors: dict[int | Reference, dict[str, tuple[Reference, str]]] = {}
    numbers: dict[int | Reference, dict[str, dict[str, Value]]] = {}
    for target in layout.targets:
        merged = _merged(target, document, kind)
        for place, model in enumerate(merged):
            which: int | Reference = place if kind.models is not None else model
            tensors.setdefault(which, {})[target.name] = (model, target.sources[model][1])
            own = numbers.setdefault(which, {})
            for key, parameter in kind.reads.items():
                if is_asked(parameter, is_base=model == target.base):
                    value = lookup.of_model(key, target, model)
                    own.setdefault(key, {})[target.name] = value
            if document.method == "slerp":
                own.setdefault("weight", {})[target.name] = _of_t(shared["t"][target.name], is_base=place == 0)
    keys = {"weight": "coefficient"} if document.method == "slerp" else kind.keys
    names = [target.name for target in layout.targets]
    for which, held in tensors.items():
        said = {keys[key]: say(values, names) for key, values in numbers[which].items() if key in keys}
        yield Part(held, said, numbers[which])


def _of_t(t: Value, *, is_base: bool) -> Value:
    """A model's weight in SLERP, from `t`: the way from the base to the other."""
    if not 0 <= t.number <= 1:
        raise (t.where.refuse if t.where else RuntimeError)(f"`t` is {t.number}; expected a number from 0 to 1")
    if not is_base:
        return t
    return Value(1 - t.number, tuple(1 - point for point in t.points), t.where)


def _merged(target: Target, document: Document, kind: Kind) -> list[Reference]:
    """The models that a tensor is merged of, in the order of the file; of SLERP the base first."""
    models, base = list(target.sources), target.base
    others = [model for model in models if model != base]
    where = where_of(target, document)
    if kind.base == "needed" and base is not None and base not in models and document.modules:
        raise where.refuse(
            f"the base {shown(base.text)} is not among the sources of this slice, and {document.method} needs it: add "
            f"`- {{model: {base.text}, layer_range: [...]}}`"
        )
    counted = models if document.method == "passthrough" else others
    if kind.models is not None and len(counted) != kind.models:
        beside = "" if document.method == "passthrough" or base is None else " beside the base"
        raise where.refuse(
            f"{document.method} takes {kind.models} model{'s' if kind.models > 1 else ''}{beside}, and here "
            f"{'is' if len(counted) == 1 else 'are'} {len(counted)}: {listed([m.text for m in counted] or ['none'])}"
        )
    if document.method == "slerp" and base is not None:
        return [base, *others]
    return models if kind.whole else others


def _ours(document: Document, kind: Kind, shared: Mapping[str, Mapping[str, Value]]) -> tuple[str, bool]:
    """Our method, and whether it works on a base of zeros."""
    normalize = {bool(value.number) for value in shared.get("normalize", {}).values()}
    if len(normalize) > 1:
        raise document.where.refuse("`normalize` differs by tensor; write it once, at the top of the file")
    if document.method == "linear" and normalize == {False}:
        return "task_arithmetic", True
    if document.method == "task_arithmetic" and normalize == {True}:
        return "mean", False
    return kind.ours, document.method in ("nuslerp", "multislerp") and document.base is None


def _base(document: Document, kind: Kind, layout: Layout) -> Tensors | None:
    """The base of each tensor; None where no base is named, or it is not there."""
    found: dict[str, tuple[Reference, str]] = {}
    for target in layout.targets:
        if target.base is None:
            return None
        if target.base in target.sources:
            found[target.name] = (target.base, target.sources[target.base][1])
        elif not document.modules:
            found[target.name] = (target.base, target.name)
        elif kind.whole or kind.base == "possible":
            return None
        else:
            raise where_of(target, document).refuse(
                f"the base {shown(target.base.text)} has no tensor {shown(target.name)} in this slice"
            )
    return found


def _dtype(document: Document) -> str:
    written = document.out_dtype or document.dtype
    if written in ("", "auto"):
        return ""
    if written not in DTYPE_NAMES:
        raise document.where.refuse(f"dtype {shown(written)} is not one of {', '.join(DTYPE_NAMES)}")
    return DTYPE_NAMES[written]
