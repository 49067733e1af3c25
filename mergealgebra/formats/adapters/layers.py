"""What a module of an adapter changes: a tensor of the base, by factors of its shape [AD-5]."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mergealgebra.errors import AdapterError, NamesError, ShapeError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, as_shape, factors, turned
from mergealgebra.formats.adapters.keys import Module
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location, shown


@dataclass
class Turning:
    """Whether products are transposed, and what the shapes say of it. flag: what the adapter says of all of them."""

    flag: bool = False
    plain: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    either: list[str] = field(default_factory=list)

    def decide(self, name: str, fits_plain: bool, fits_turned: bool) -> bool:
        """Whether this one is. Where only one fits, that is it: peft corrects its own setting so, layer by layer."""
        if fits_plain and fits_turned:
            self.either.append(name)
            return self.flag
        (self.turned if fits_turned else self.plain).append(name)
        return fits_turned

    def check(self, where: str) -> None:
        """Raise AdapterError where a square layer is told by a setting that other layers contradict."""
        against = self.plain if self.flag else self.turned
        if self.either and against:
            raise AdapterError(
                f"{where}: whether the product for {shown(self.either[0])}, which is square, is transposed is not "
                f"known: `fan_in_fan_out` is {str(self.flag).lower()}, and {shown(against[0])} says otherwise; train "
                "or save the two kinds of layers as two adapters"
            )


def weight_factors(
    name: str, module: Module, scale: float, shape: tuple[int, ...], turning: Turning
) -> dict[str, Part]:
    """The factors for a tensor of the base of this shape. Raises AdapterError or ShapeError, naming file and tensor."""
    if keys.EMBEDDING_DOWN in module.tensors or keys.EMBEDDING_UP in module.tensors:
        up, down = pair(module, keys.EMBEDDING_UP, keys.EMBEDDING_DOWN)
        rank_of(up, down)
        if (down.shape[-1], up.shape[0]) != shape:
            raise other_shape(up, (down.shape[-1], up.shape[0]), name, shape)
        return factors(name, turned(down, 1, 0), turned(up, 1, 0), scale)
    up, down = pair(module, keys.UP, keys.DOWN)
    rank, rows, rest = rank_of(up, down), up.shape[0], math.prod(down.shape[1:])
    plain = shape[:1] == (rows,) and rest == math.prod(shape[1:])
    transposed = down.shape == (rank, rest) and shape == (rest, rows)
    if not (plain or transposed):
        raise other_shape(up, (rows, *down.shape[1:]), name, shape)
    if turning.decide(name, plain, transposed):
        return factors(name, turned(down, 1, 0), turned(as_shape(up, (rows, rank)), 1, 0), scale)
    return factors(name, as_shape(up, (rows, rank)), as_shape(down, (rank, *shape[1:])), scale)


def bias_factors(name: str, record: TensorRecord, scale: float) -> dict[str, Part]:
    """The bias of a factor, which is scaled as the product is: one column, times one."""
    return factors(name, as_shape(record, (*record.shape, 1)), np.ones(1, np.float32), scale)


def pair(module: Module, up: str, down: str) -> tuple[TensorRecord, TensorRecord]:
    """Both factors of a module. Raises NamesError where one is missing."""
    if missing := [role for role in (up, down) if role not in module.tensors]:
        there = next(iter(module.tensors.values()))
        lacks = "the other factor of its module is" if len(missing) == 1 else "the factors of its module are"
        raise NamesError(
            f"{location(there.path, there.name)} is there, and {lacks} missing: get or save the adapter again"
        )
    return module.tensors[up], module.tensors[down]


def rank_of(up: TensorRecord, down: TensorRecord) -> int:
    """The rank of both factors. Raises ShapeError where they disagree."""
    if len(up.shape) < 2 or len(down.shape) < 2 or up.shape[1] != down.shape[0] or math.prod(up.shape[2:]) != 1:
        raise ShapeError(
            f"{location(up.path, up.name)} has shape {list(up.shape)} and {shown(down.name)} {list(down.shape)}: "
            "expected [m, r] and [r, ...], r the rank; save the adapter again"
        )
    return down.shape[0]


def other_shape(record: TensorRecord, made: tuple[int, ...], name: str, shape: tuple[int, ...]) -> ShapeError:
    """The error for factors of a product of another shape than the base's."""
    return ShapeError(
        f"{location(record.path, record.name)} makes a change of the shape {list(made)}, and {shown(name)} of the base "
        f"has {list(shape)}: the adapter was trained on another base; name that one"
    )
