"""Which tensors the result of a mergekit file has, and which tensor of which model each is made from [MK-6, MK-8]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mergealgebra.formats.mergekit.document import Document, Module, Reference, Slice, Source
from mergealgebra.formats.mergekit.layers import (
    Place,
    comes_before,
    part_of_stack,
    place_of,
    position,
    stack_of_module,
    stacks_of,
)
from mergealgebra.formats.mergekit.nodes import Where
from mergealgebra.text import listed, shown

#: The names of the tensors of each model.
Names = Mapping[Reference, Sequence[str]]


@dataclass(frozen=True)
class Target:
    """One tensor of the result. t: where it is among the layers of its slice [MK-5].

    sources: by model, what is written of it, and the name of the tensor there. base: its base, where there is one.
    slice, module: in which it is; None of a file of whole models.
    """

    name: str
    t: Fraction
    sources: Mapping[Reference, tuple[Source, str]]
    base: Reference | None
    slice: Slice | None = None
    module: Module | None = None

    @property
    def origin(self) -> tuple[Reference, str]:
        """The model that gives it its name and place: its base, if that is a source, or the first; the name there."""
        model = self.base if self.base is not None and self.base in self.sources else next(iter(self.sources))
        return model, self.sources[model][1]


@dataclass(frozen=True)
class Layout:
    """All tensors of the result. layers: how many each stack has there, where that may be another number.

    whole: whether all models are merged as they are, tensor by tensor of the same name, from the first layer on.
    """

    targets: Sequence[Target]
    layers: Mapping[str, int]
    whole: bool


def lay_out(document: Document, names: Names) -> Layout:
    """The tensors of a merge. names: of the tensors of each of its models. Raises RecipeError, naming file and line."""
    if document.modules:
        return _of_slices(document, names)
    sources = {source.model: source for source in document.models}
    first = names[document.base or document.models[0].model]
    stacks = stacks_of(first)
    targets = [
        Target(
            name,
            position(name, stacks),
            {model: (source, name) for model, source in sources.items() if name in names[model]},
            document.base,
        )
        for name in first
    ]
    return Layout(targets, {}, whole=True)


def _of_slices(document: Document, names: Names) -> Layout:
    first = names[_reference_of(document.modules[0].slices[0], document)]
    stacks = stacks_of(first)
    used: dict[str, Module] = {}
    for module in document.modules:
        if (stack := stack_of_module(module.name, stacks)) is None:
            raise _no_stack(module, stacks)
        if stack in used:
            raise module.where.refuse(f"module {shown(module.name)} has the layers of {shown(used[stack].name)}")
        used[stack] = _with_layers(module, stack, names)
    if left := stacks.keys() - used.keys():
        raise document.where.refuse(f"no module has the layers {listed(sorted(left))}; write one for them")
    targets: list[Target] = []
    layers: dict[str, int] = {}
    for stack, module in used.items():
        found = list(_layers(stack, module, document, names))
        targets += found
        layers[stack] = sum(_length(slice_) for slice_ in module.slices)
    for name in _outside(document, names, used):
        targets.append(_outer(name, used[_nearest(name, used)], document, names))
    same = all(name == target.name for target in targets for _, name in target.sources.values())
    alike = len({frozenset(_models(module)) for module in document.modules}) == 1
    whole = same and alike and all(len(module.slices) == 1 for module in document.modules) and layers == stacks
    return Layout(sorted(targets, key=lambda target: target.name), {} if layers == stacks else layers, whole)


def _no_stack(module: Module, stacks: Mapping[str, int]) -> Exception:
    if not stacks:
        return module.where.refuse("no tensor of the model has a layer's number in its name, so nothing can be sliced")
    found = listed(f"`{stack}`" for stack in stacks)
    if module.name in ("", "default"):
        return module.where.refuse(f"the model has several stacks of layers, {found}: write `modules`, one for each")
    return module.where.refuse(
        f"no stack of layers, or more than one, has {shown(module.name)} in its name; the model has {found}"
    )


def _reference_of(slice_: Slice, document: Document) -> Reference:
    """The model whose tensors a slice has: its base, if it is a source, or the first."""
    base = slice_.base or document.base
    models = [source.model for source in slice_.sources]
    return base if base is not None and base in models else models[0]


def _length(slice_: Slice) -> int:
    start, stop = _range(slice_.sources[0])
    return stop - start


def _range(source: Source) -> tuple[int, int]:
    if source.layers is None:
        raise source.where.refuse("`layer_range` is missing; write `layer_range: [0, 8]`")
    return source.layers


def _with_layers(module: Module, stack: str, names: Names) -> Module:
    """A module of whole models has all layers of each [MK-8]."""
    if not module.whole:
        return module
    (slice_,) = module.slices
    sources = []
    for source in slice_.sources:
        count = len(_by_layer(stack, names[source.model]))
        sources.append(replace(source, layers=(0, count)))
        if count != _range(sources[0])[1]:
            raise source.where.refuse(
                f"{shown(source.model.text)} has {count} layers in `{stack}`, and {shown(sources[0].model.text)} has "
                f"{_range(sources[0])[1]}: write `slices` with `layer_range` for module {shown(module.name)}"
            )
    return replace(module, slices=(replace(slice_, sources=tuple(sources)),))


def _layers(stack: str, module: Module, document: Document, names: Names) -> Iterator[Target]:
    """The tensors of a module's layers, numbered anew."""
    place = {model: _by_layer(stack, names[model]) for model in {*_models(module)}}
    done = 0
    for slice_ in module.slices:
        for source in slice_.sources:
            _check_range(source, stack, len(place[source.model]), _length(slice_))
        reference = next(s for s in slice_.sources if s.model == _reference_of(slice_, document))
        count = _length(slice_)
        for i in range(count):
            for suffix in place[reference.model].get(_range(reference)[0] + i, ()):
                yield Target(
                    Place(stack, done + i, suffix).name,
                    part_of_stack(i, count),
                    {
                        source.model: (source, Place(stack, _range(source)[0] + i, suffix).name)
                        for source in slice_.sources
                        if suffix in place[source.model][_range(source)[0] + i]
                    },
                    slice_.base or document.base,
                    slice_,
                    module,
                )
        done += count


def _models(module: Module) -> Iterator[Reference]:
    for slice_ in module.slices:
        yield from (source.model for source in slice_.sources)


def _by_layer(stack: str, names: Sequence[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for place in map(place_of, names):
        if place is not None and place.stack == stack:
            found.setdefault(place.layer, []).append(place.suffix)
    return found


def _check_range(source: Source, stack: str, layers: int, count: int) -> None:
    start, stop = _range(source)
    if stop > layers:
        raise source.where.refuse(
            f"`layer_range: [{start}, {stop}]` goes beyond the last layer of {shown(source.model.text)}, which has "
            f"{layers} in `{stack}`: the range ends at {layers} at most"
        )
    if stop - start != count:
        raise source.where.refuse(
            f"`layer_range: [{start}, {stop}]` is {stop - start} layers, and the first source of its slice has "
            f"{count}: all sources of a slice have equally many"
        )


def _outside(document: Document, names: Names, used: Mapping[str, Module]) -> list[str]:
    """The tensors that are in no stack, of the models that give them."""
    found: dict[str, None] = {}
    for module in document.modules:
        for slice_ in (module.slices[0], module.slices[-1]):
            for name in names[_reference_of(slice_, document)]:
                place = place_of(name)
                if place is None or place.stack not in used:
                    found[name] = None
    return list(found)


def _nearest(name: str, used: Mapping[str, Module]) -> str:
    """The stack whose name begins as the tensor's does, for longest; of equal ones the first in the file."""

    def alike(stack: str) -> int:
        count = 0
        for ours, theirs in zip(name.split("."), stack.split("."), strict=False):
            if ours != theirs:
                break
            count += 1
        return count

    return max(used, key=alike)


def _outer(name: str, module: Module, document: Document, names: Names) -> Target:
    """A tensor before the layers belongs to the first slice, one after them to the last."""
    slice_ = module.slices[0] if comes_before(name) else module.slices[-1]
    sources = {source.model: (source, name) for source in slice_.sources if name in names[source.model]}
    if not sources:
        raise slice_.where.refuse(
            f"no source of this slice has {shown(name)}, which the result needs of it: name models of one kind"
        )
    return Target(name, Fraction(0), sources, slice_.base or document.base, slice_, module)


def where_of(target: Target, document: Document) -> Where:
    """Where a tensor is spoken of: its slice, or the file."""
    return target.slice.where if target.slice is not None else document.where
