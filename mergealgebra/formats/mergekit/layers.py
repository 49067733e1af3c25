"""Layers, told by the names of tensors: which stacks of them a model has, and what lies before and after [MK-6, MK-8].

model.layers.7.mlp.up_proj.weight       layer 7 of the stack `model.layers`, `mlp.up_proj.weight` in it
model.embed_tokens.weight               before the stack
lm_head.weight                          after it
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

_DIGITS: Final = 9
#: What names of tensors have in them that come before the layers.
_BEFORE: Final = (
    "embed",
    "wte",
    "wpe",
    "word_emb",
    "patch",
    "position",
    "token_type",
    "shared",
    "ln_pre",
    "pre_layrnorm",
)


@dataclass(frozen=True)
class Place:
    """Where a tensor is in its stack."""

    stack: str
    layer: int
    suffix: str

    @property
    def name(self) -> str:
        """The tensor's name."""
        return f"{self.stack}.{self.layer}.{self.suffix}"


def place_of(name: str) -> Place | None:
    """The first part of a name that is a number is its layer's; None where there is none.

    >>> place_of("h.3.mlp.experts.1.weight")
    Place(stack='h', layer=3, suffix='mlp.experts.1.weight')
    """
    parts = name.split(".")
    for i, part in enumerate(parts[:-1]):
        if i and len(part) <= _DIGITS and part.isascii() and part.isdigit():
            return Place(".".join(parts[:i]), int(part), ".".join(parts[i + 1 :]))
    return None


def stacks_of(names: Iterable[str]) -> dict[str, int]:
    """The stacks with how many layers each has: those whose layers are counted from 0 without a gap."""
    found: dict[str, set[int]] = {}
    for place in map(place_of, names):
        if place is not None:
            found.setdefault(place.stack, set()).add(place.layer)
    return {stack: len(layers) for stack, layers in sorted(found.items()) if layers == set(range(len(layers)))}


def position(name: str, stacks: Mapping[str, int]) -> Fraction:
    """Where a tensor is for gradients, from 0 to 1; 0 outside of stacks, and 1 in a stack of one layer [MK-5]."""
    place = place_of(name)
    if place is None or place.stack not in stacks:
        return Fraction(0)
    return part_of_stack(place.layer, stacks[place.stack])


def part_of_stack(layer: int, layers: int) -> Fraction:
    """Where a layer is among so many."""
    return Fraction(layer, layers - 1) if layers > 1 else Fraction(1)


def comes_before(name: str) -> bool:
    """Whether a tensor outside of stacks comes before the layers, as embeddings do [MK-8].

    >>> comes_before("model.embed_tokens.weight"), comes_before("lm_head.weight")
    (True, False)
    """
    return any(part in name.lower() for part in _BEFORE)


#: What mergekit calls modules, and parts of the names of stacks that are in them.
_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "text_decoder": ("language_model", "text_model"),
    "vision_tower": ("vision_tower", "visual", "vision_model"),
    "vision_model": ("vision_model", "visual", "vision_tower"),
}


def stack_of_module(module: str, stacks: Collection[str]) -> str | None:
    """The stack of a module: that which has its name in it; for `text_decoder` also `model.layers`. None if none has.

    Of a file without modules, and of `default`, the only stack there is.
    """
    if module in ("", "default"):
        return next(iter(stacks)) if len(stacks) == 1 else None
    parts = (module, *_MODULES.get(module, ()))
    found = [stack for stack in stacks if not set(parts).isdisjoint(stack.split("."))]
    if not found and module == "text_decoder":
        found = [stack for stack in stacks if stack == "model.layers"]
    return found[0] if len(found) == 1 else None
