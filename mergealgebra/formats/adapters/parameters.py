"""Factors of parameters that `target_parameters` names, such as the experts of a layer in one tensor [AD-9]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from mergealgebra.errors import AdapterError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, as_shape, factors, turned
from mergealgebra.formats.adapters.experts import Scattered, scattered
from mergealgebra.formats.adapters.keys import Module
from mergealgebra.formats.adapters.layers import other_shape, pair, rank_of
from mergealgebra.formats.adapters.modules import BaseNames, unwrapped
from mergealgebra.formats.adapters.peft_config import PeftConfig
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import listed, location, shown


@dataclass
class Parameters:
    """Of each module whose factors are of a parameter that is named: that parameter, by the adapter's own names.

    apart: the parameters that the base has as several matrices.
    """

    names: dict[str, str] = field(default_factory=dict)
    apart: dict[str, Scattered] = field(default_factory=dict)

    def scattered(self, module: str) -> Scattered | None:
        """The matrices that a module changes; None where it changes one tensor."""
        return self.apart.get(self.names.get(module, ""))


def parameters(config: PeftConfig, modules: Mapping[str, Module], base: Checkpoint) -> Parameters:
    """Which modules have factors of which parameters.

    Raises AdapterError where the shapes do not say whose factors are whose.
    """
    found = Parameters()
    for own, group in _groups(config, modules).items():
        named = sorted(_named(config, own))
        if len(named) < len(group):
            continue  # they are of its weight
        found.apart |= {name: apart for name in named if (apart := scattered(name, base))}
        whole = [name for name in named if name not in found.apart]
        theirs = BaseNames(base.records.keys(), location(config.path)).resolve(whole)
        shapes = [found.apart[n].shape if n in found.apart else base.records[theirs[n]].shape for n in named]
        fitting = [
            order
            for order in permutations(range(len(named)), len(group))
            if all(_fits(module, shapes[i]) for module, i in zip(group, order, strict=True))
        ]
        if len(fitting) != 1:
            several = "do not say" if fitting else "fit none, so they do not say"
            raise AdapterError(
                f"{location(config.path)}: 'target_parameters' names {listed(map(shown, named))}, and the shapes "
                f"{several} whose factors {shown(group[0].name)} has: train them as adapters of their own"
            )
        found.names |= {module.name: named[i] for module, i in zip(group, fitting[0], strict=True)}
    return found


def expert_factors(name: str, module: Module, rank: int, scale: float, shape: tuple[int, ...]) -> dict[str, Part]:
    """The factors for a parameter of three axes, expert by expert. rank: of each. Raises AdapterError or ShapeError."""
    up, down = pair(module, keys.UP, keys.DOWN)
    experts, rows, columns = shape
    outs, ins = up.shape[0], down.shape[1]
    if rank_of(up, down) != experts * rank:
        raise AdapterError(
            f"{location(down.path, down.name)} has rank {down.shape[0]}, expected {rank} for each of {experts} experts"
        )
    if (outs, ins) not in ((rows, columns), (columns, rows)):
        raise other_shape(up, (experts, outs, ins), name, shape)
    if rows == columns:
        raise AdapterError(
            f"{location(up.path, up.name)}: {shown(name)} is square, so whether its factors are transposed is unknown: "
            "merge the adapter into its model with peft (merge_and_unload), and contribute that model"
        )
    of_ups, of_downs = (outs, rank, experts), (experts, rank, ins)
    if (outs, ins) == (rows, columns):
        return factors(name, turned(up, 2, 0, 1, sizes=of_ups), as_shape(down, of_downs), scale)
    return factors(name, turned(down, 0, 2, 1, sizes=of_downs), turned(up, 2, 1, 0, sizes=of_ups), scale)


def _groups(config: PeftConfig, modules: Mapping[str, Module]) -> dict[str, list[Module]]:
    """The modules with factors of parameters of one module, by its name."""
    found: dict[str, list[Module]] = {}
    for module in modules.values():
        own = unwrapped(f"{module.name}.")[:-1]
        if config.target_parameters and any(_named(config, own)) and keys.DOWN in module.tensors:
            found.setdefault(own, []).append(module)
    return found


def _named(config: PeftConfig, module: str) -> Iterator[str]:
    """The parameters of a module that are named."""
    for target in dict.fromkeys(config.target_parameters):
        name = f"{module}.{target.rpartition('.')[2]}"
        if f".{name}".endswith(f".{target}"):
            yield name


def _fits(module: Module, shape: Sequence[int]) -> bool:
    up, down = pair(module, keys.UP, keys.DOWN)
    sizes = (up.shape[0], down.shape[-1])
    if len(shape) == 3:
        return tuple(shape[1:]) in (sizes, sizes[::-1])
    return tuple(shape) == sizes
