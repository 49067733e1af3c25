"""What each tensor has, in few entries of the settings of mergekit's dialect: numbers for some layers [MK-12, NA-13].

{tensors: model.layers.*.mlp.*, layers: "0 80", density: ["0.3", "1"]}

Entries are tried from the first to the last, as those of `entries` are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mergealgebra.formats.mergekit.entries import Family, Number, families_of, patterns
from mergealgebra.formats.mergekit.layers import place_of
from mergealgebra.formats.mergekit.values import Value, decimal_of
from mergealgebra.tensors.layers import layer_of

#: The first layer and the one after the last; None for all tensors.
Layers = tuple[int, int] | None


def say_by_layers(
    key: str, values: Mapping[str, Value], text: Callable[[Value], str], *, lists: bool
) -> tuple[str, list[dict[str, Any]]]:
    """What most tensors have, and entries for the others. values: by tensor, at least one. lists: whether there may be
    gradients. text: of one number.
    """
    clusters: dict[tuple[Number, Layers], list[Family]] = {}
    for family in families_of(values):
        for number, layers, names in _parts(family, values, text, lists=lists):
            clusters.setdefault((number, layers), []).append(replace(family, names=names))
    count = {place: sum(len(family.names) for family in found) for place, found in clusters.items()}
    plain = _most_common(count) or text(next(iter(values.values())))
    said: list[dict[str, Any]] = []
    done: set[str] = set()
    for number, layers in sorted(clusters, key=lambda place: (count[place], str(place))):
        if number != plain:
            families = clusters[number, layers]
            mine = {name for family in families for name in family.names}
            around = [name for name in values if layers is None or _is_in(name, layers)]
            for pattern in patterns(families, mine | done, around):
                where = {} if layers is None else {"layers": f"{layers[0]} {layers[1]}"}
                said.append({"tensors": pattern, **where, key: number if isinstance(number, str) else list(number)})
            done |= mine
    return plain, said


def _most_common(count: Mapping[tuple[Number, Layers], int]) -> str:
    """The number that most tensors have; empty where all have gradients."""
    found: dict[str, int] = {}
    for (number, _), tensors in count.items():
        if isinstance(number, str):
            found[number] = found.get(number, 0) + tensors
    return max(found, key=lambda number: (found[number], number), default="")


def _is_in(name: str, layers: tuple[int, int]) -> bool:
    layer = layer_of(name)
    return layer is not None and layers[0] <= layer < layers[1]


def _parts(
    family: Family, values: Mapping[str, Value], text: Callable[[Value], str], *, lists: bool
) -> Iterator[tuple[Number, Layers, Sequence[str]]]:
    """The numbers of a family, each with the layers and the tensors that have it."""
    texts = {name: text(values[name]) for name in family.names}
    if len(set(texts.values())) == 1:
        yield texts[family.names[0]], None, family.names
        return
    names = {place.layer: name for name in family.names if (place := place_of(name))}
    if any(layer_of(name) != layer for layer, name in names.items()):  # the name has a number before the layer's
        yield from ((texts[name], None, [name]) for name in family.names)
        return
    layers = sorted(names)
    while layers:
        count = _gradient([(layer, values[names[layer]]) for layer in layers]) if lists else 0
        first, points = layers[0], values[names[layers[0]]].points
        number: Number = tuple(map(decimal_of, points)) if count else texts[names[first]]
        if not count:
            alike = (i for i, layer in enumerate(layers) if layer != first + i or texts[names[layer]] != number)
            count = next(alike, len(layers))
        yield number, (first, first + count), [names[layer] for layer in layers[:count]]
        layers = layers[count:]


def _gradient(own: Sequence[tuple[int, Value]]) -> int:
    """How many layers from the first one on have the numbers of one gradient, from its first point to its last; or 0.

    own: layers, ascending, and what they have.
    """
    first, points = own[0][0], own[0][1].points
    count = next((i + 1 for i, (_, value) in enumerate(own) if value.t == 1), 0)
    if not points or count < 2:
        return 0
    fits = (
        layer == first + i and value.points == points and value.t * (count - 1) == i
        for i, (layer, value) in enumerate(own[:count])
    )
    return count if all(fits) else 0
