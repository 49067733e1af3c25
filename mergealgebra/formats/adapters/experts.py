"""Experts that a library holds in one parameter and the base has apart: matrix by matrix, expert by expert [AD-9].

transformers joins them when it loads a model, so an adapter has factors of what no file has.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from types import MappingProxyType
from typing import Final

from mergealgebra.errors import AdapterError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, factors, turned
from mergealgebra.formats.adapters.keys import Module
from mergealgebra.formats.adapters.layers import other_shape, pair, rank_of
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import location

#: What stands under one another in a parameter, by its name: as most models call it, and as Mixtral does.
_STACKED: Final = MappingProxyType(
    {"gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")), "down_proj": (("down_proj",), ("w2",))}
)
_PLACES: Final = (("mlp.experts", "mlp.experts"), ("mlp.experts", "block_sparse_moe.experts"))


@dataclass(frozen=True)
class Scattered:
    """A parameter of several experts that the base has apart. names: of each expert, what stands under one another."""

    names: tuple[tuple[str, ...], ...]
    heights: tuple[int, ...]
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the parameter."""
        return len(self.names), sum(self.heights), self.width


def scattered(parameter: str, base: Checkpoint) -> Scattered | None:
    """The matrices of the base that a library joins to a parameter of this name; None where there are none."""
    own, _, last = parameter.rpartition(".")
    for ours, theirs in _PLACES:
        for stacked in _STACKED.get(last, ()) if own.endswith(ours) else ():
            place = own.removesuffix(ours) + theirs
            each = (tuple(f"{place}.{expert}.{name}.weight" for name in stacked) for expert in count())
            names = tuple(takewhile(lambda one: base.records.keys() >= {*one}, each))
            shapes = {tuple(base.records[name].shape for name in one) for one in names}
            if len(shapes) == 1:
                (of_one,) = shapes
                if len({shape[1:] for shape in of_one}) == 1 and len(of_one[0]) == 2:
                    return Scattered(names, tuple(shape[0] for shape in of_one), of_one[0][1])
    return None


def scattered_factors(of: Scattered, module: Module, rank: int, scale: float) -> dict[str, Part]:
    """The factors of each matrix of each expert. rank: of each. Raises AdapterError or ShapeError."""
    up, down = pair(module, keys.UP, keys.DOWN)
    experts, rows, width = of.shape
    if rank_of(up, down) != experts * rank:
        raise AdapterError(
            f"{location(down.path, down.name)} has rank {down.shape[0]}, expected {rank} for each of {experts} experts"
        )
    if (up.shape[0], down.shape[1]) != (rows, width):
        raise other_shape(up, (experts, up.shape[0], down.shape[1]), of.names[0][0], of.shape)
    made: dict[str, Part] = {}
    for expert, names in enumerate(of.names):
        first = 0
        for name, height in zip(names, of.heights, strict=True):
            chosen = (expert, slice(first, first + height))
            ups = turned(up, 2, 0, 1, sizes=(rows, rank, experts), chosen=chosen)
            downs = turned(down, 0, 1, 2, sizes=(experts, rank, width), chosen=(expert,))
            made |= factors(name, ups, downs, scale)
            first += height
    return made
