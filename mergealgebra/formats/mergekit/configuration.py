"""What a stack of other layers changes in config.json: their number, and lists with an entry for each [MK-8]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mergealgebra.formats.mergekit.layers import place_of

_COUNTS: Final = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers", "depth")
_OF_DECODERS: Final = ("num_decoder_layers", "decoder_layers")
_OF_VISION: Final = ("vision", "visual")


#: A layer's number in its model, and the configuration of that.
Origin = tuple[Mapping[str, Any], int]


def changed_configuration(
    config: Mapping[str, Any],
    layers: Mapping[str, int],
    came_from: Mapping[str, Sequence[Origin]],
    old: Mapping[str, int],
) -> dict[str, object]:
    """The values to replace, by key. layers: how many each stack has now. old: before. came_from: what each layer was.

    A stack that the configuration does not count changes nothing.
    """
    found: dict[str, object] = {}
    for stack, count in layers.items():
        for key, value in _entries(config, stack):
            name = key.rpartition(".")[2]
            if name in (*_COUNTS, *_OF_DECODERS) and value == old[stack] and not isinstance(value, bool):
                if (name in _OF_DECODERS) == ("decoder" in stack and _has_decoders(config)):
                    found[key] = count
            elif isinstance(value, list) and len(value) == old[stack] > 1:
                found[key] = [_of_layer(key, stack, origin, value) for origin in came_from[stack]]
    before = {key: value for stack in layers for key, value in _entries(config, stack)}
    return {key: value for key, value in found.items() if value != before[key]}


def _of_layer(key: str, stack: str, origin: Origin, others: Sequence[object]) -> object:
    """What the list of its own model says of a layer; else, where that has none, `others`."""
    config, layer = origin
    own = dict(_entries(config, stack)).get(key)
    return own[layer] if isinstance(own, list) and layer < len(own) else others[min(layer, len(others) - 1)]


def _has_decoders(config: Mapping[str, Any]) -> bool:
    return any(key in config for key in _OF_DECODERS)


def _entries(config: Mapping[str, Any], stack: str) -> Iterator[tuple[str, object]]:
    """The entries that may count this stack: at the top, or of the inner object of its kind."""
    vision = any(word in stack for word in _OF_VISION)
    for key, value in config.items():
        if isinstance(value, dict):
            if key.endswith("_config") and vision == ("vision" in key):
                yield from ((f"{key}.{inner}", found) for inner, found in value.items())
        elif not vision or "vision_config" not in config:
            yield key, value


def layers_of(names: Mapping[str, tuple[Mapping[str, Any], str]]) -> dict[str, list[Origin]]:
    """By stack, what each layer was. names: of the result, each with its model's configuration and its name there."""
    found: dict[str, dict[int, Origin]] = {}
    for name, (config, of) in names.items():
        new, old = place_of(name), place_of(of)
        if new is not None and old is not None:
            found.setdefault(new.stack, {})[new.layer] = (config, old.layer)
    return {stack: [by_layer[layer] for layer in sorted(by_layer)] for stack, by_layer in found.items()}
