"""What a merge reads and in which order: contributions, and the base's elements cut into spans and blocks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any

from mergealgebra.algebra.decimals import round_to_fp32
from mergealgebra.algebra.dots import CHUNK
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.algebra.method import Round, Stage, WholeRound
from mergealgebra.algebra.needs import Needs
from mergealgebra.engine.checks import (
    check,
    check_arity,
    check_method,
    check_named,
    check_out_dtype,
    check_plain,
    check_task,
)
from mergealgebra.engine.limits import MEMORY, Sizes, check_positive, fit, thread_count
from mergealgebra.engine.result_dtype import Result, results
from mergealgebra.engine.sources import Block, Contribution, Record, Source, Span, span_size
from mergealgebra.errors import NothingVisible
from mergealgebra.kernels.blocks import Kernel, Reduction, Way, block_rounds, whole_round
from mergealgebra.methods.method import Method
from mergealgebra.methods.numbers import Plain, by_tensor, unused
from mergealgebra.tensors.dtypes import DTYPES


@dataclass(frozen=True)
class Plan:
    """A merge, checked and ready to run: a job that can travel, for it holds addresses and no memory.

    What it gives depends on the first three alone [MG-8]. hashed: whether the inputs and the result are hashed on the
    way. block: elements that are reduced at a time, in whole units of the method. token: tells jobs apart.
    """

    base: Source
    contributions: Sequence[Contribution]
    recipe: Method
    kernel: Kernel
    threads: int
    block: int
    memory: int
    hashed: bool
    token: str = field(default_factory=lambda: secrets.token_hex(8), compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What travels: the fields, and nothing that was computed from them."""
        return {field_.name: getattr(self, field_.name) for field_ in fields(self)}

    @cached_property
    def coefficients(self) -> Coefficients:
        """Those of all contributions, where settings do not change them."""
        return Coefficients(self._scaled(self._everywhere))

    @cached_property
    def _plain(self) -> Mapping[str, Plain]:
        """By tensor, what it is merged by, where settings say something of it [ST-2]."""
        return settled(self.recipe, self.base)

    @property
    def remarks(self) -> list[str]:
        """A line for each setting that is not used."""
        return [*unused(self.recipe, _floats(self.base))] if self.recipe.settings else []

    @cached_property
    def _everywhere(self) -> Plain:
        return Plain(self.recipe)

    def plain(self, name: str) -> Plain:
        """What a tensor is merged by: its recipe without settings."""
        return self._plain.get(name, self._everywhere)

    @cached_property
    def _products(self) -> dict[int, tuple[float, ...]]:
        return {}

    def _scaled(self, plain: Plain) -> tuple[float, ...]:
        """All coefficients times a number, each rounded once [ST-4, ST-8]."""
        if id(plain) not in self._products:
            exact = (Fraction(one.coefficient) * plain.of(one.id).factor for one in self.contributions)
            self._products[id(plain)] = tuple(map(round_to_fp32, exact))
        return self._products[id(plain)]

    @cached_property
    def _reductions(self) -> dict[str, Reduction]:
        return {}

    @cached_property
    def _shared(self) -> dict[tuple[int, tuple[int, ...]], Reduction]:
        return {}

    def reduction(self, name: str) -> Reduction:
        """How the blocks of a tensor are reduced; tensors that are merged alike share it."""
        found = self._reductions.get(name)
        if found is None:
            plain, held = self.plain(name), tuple(index for index, _ in self.counted(name))
            values = self._scaled(plain)
            made = Reduction(plain.method, Coefficients(values, tuple(values[index] for index in held)))
            found = self._reductions[name] = self._shared.setdefault((id(plain), held), made)
        return found

    def coefficient(self, index: int, name: str) -> float:
        """The coefficient of a contribution at a tensor; where it is 0 the tensor counts as absent [ST-4]."""
        return self.reduction(name).coefficients.values[index]

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds of the method, all of which are block by block."""
        return block_rounds(self.recipe)

    @cached_property
    def needs(self) -> Needs:
        """What the method needs."""
        return self.recipe.needs

    @cached_property
    def results(self) -> Mapping[str, Result]:
        """The tensors of the merged model, by name."""
        return results(self.base, self.recipe)

    @cached_property
    def units(self) -> Mapping[str, int]:
        """How many elements of each tensor belong together."""
        rounds = self.recipe.rounds
        return {name: unit_of(rounds, record) for name, record in self.base.records.items()}

    @cached_property
    def _ways(self) -> dict[tuple[int, str], Way]:
        return {}

    def way(self, name: str, index: int) -> Way | None:
        """How a contribution goes into the sums of a tensor, where that is not as the others do [ST-8]."""
        plain, id_ = self.plain(name), self.contributions[index].id
        if id_ is None or id_ not in plain.own:
            return None
        key = id(plain), id_
        if key not in self._ways:
            self._ways[key] = Way(block_rounds(plain.own[id_].method))
        return self._ways[key]

    def stages_of(self, name: str, index: int) -> tuple[Stage, ...]:
        """The stages of a contribution at a tensor: as many as `stages`, perhaps with other numbers [ST-2, ST-8]."""
        return (self.way(name, index) or self.reduction(name)).stages

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all rounds, in order; none where whole tensors are seen."""
        if whole_round(self.recipe):
            return ()
        return tuple(stage for round_ in self.rounds for stage in round_.stages)

    def stages_in(self, round_: int) -> range:
        """Which stages are those of a round."""
        first = sum(len(earlier.stages) for earlier in self.rounds[:round_])
        return range(first, first + len(self.rounds[round_].stages))

    def round_of(self, stage: int) -> int:
        """The number of the round of a stage."""
        return next(number for number in range(len(self.rounds)) if stage in self.stages_in(number))

    def stages_before(self, stage: int) -> range:
        """Which stages of the same round come before a stage: each round begins with the contribution itself."""
        return range(self.stages_in(self.round_of(stage)).start, stage)

    @cached_property
    def _holders(self) -> Mapping[str, list[tuple[int, Contribution]]]:
        held: dict[str, list[tuple[int, Contribution]]] = {name: [] for name in self.base.records}
        for index, contribution in enumerate(self.contributions):
            for name in contribution.names:
                held[name].append((index, contribution))
        return held

    def holders(self, name: str) -> list[tuple[int, Contribution]]:
        """The contributions that hold a tensor, with their indices in the order."""
        return self._holders[name]

    def counted(self, name: str) -> list[tuple[int, Contribution]]:
        """Those of them that do not count as if they lacked it, because their coefficient there is 0 [ST-4]."""
        values = self._scaled(self.plain(name))
        return [(index, one) for index, one in self.holders(name) if values[index]]

    def held_names(self) -> list[str]:
        """The tensors that some contribution holds, in name order."""
        return [name for name, holders in self._holders.items() if holders]

    def counted_names(self) -> list[str]:
        """Those of them that do not count as absent."""
        return [name for name in self.held_names() if self.reduction(name).coefficients.held]

    def spans(self, name: str) -> Iterator[Span]:
        """One tensor, in order, as workers take it."""
        record = self.base.records[name]
        size = span_size(self.units[name])
        for start in range(0, record.size, size):
            yield Span(name, start, min(start + size, record.size))

    def blocks(self, span: Span) -> Iterator[Block]:
        """A span in blocks of whole units."""
        return span.blocks(block_of(self.units[span.name], self.block))


def block_of(unit: int, block: int) -> int:
    """A block of about so many elements, in whole units.

    >>> block_of(3, 10), block_of(30, 10)
    (9, 30)
    """
    return max(unit, block // unit * unit)


def unit_of(rounds: Sequence[Round | WholeRound], record: Record) -> int:
    """How many elements of a tensor a block must be a whole number of: those that belong together, and whole chunks."""
    found = together(rounds, record)
    if DTYPES[record.dtype].is_float:
        found = lcm(found, *(chunk for round_ in rounds if isinstance(round_, Round) for chunk in _chunks(round_)))
    return max(1, min(found, record.size))


def together(rounds: Sequence[Round | WholeRound], record: Record) -> int:
    """How many elements of a tensor belong together in these rounds: one, a row, or all of them.

    Of what is no float one: it is copied.
    """
    found = 1
    if not DTYPES[record.dtype].is_float:
        return found
    for round_ in rounds:
        if isinstance(round_, WholeRound):
            continue
        if round_.unit == "row":
            found = max(found, record.shape[-1] if record.shape else 1)
        elif round_.unit == "tensor":
            found = max(found, record.size)
    return max(1, min(found, record.size))


def _chunks(round_: Round) -> Iterator[int]:
    """What blocks must be whole numbers of for the statistics of a round [DT-4]."""
    if round_.weigh is not None:
        yield CHUNK
    for stage in round_.stages:
        yield getattr(stage.statistic, "unit", 1)


def settled(recipe: Method, base: Source) -> Mapping[str, Plain]:
    """By float tensor of the base, what it is merged by; nothing for a recipe without settings. Raises NamesError."""
    if not recipe.settings:
        return {}
    return by_tensor(recipe, _floats(base))


def _floats(base: Source) -> list[str]:
    return [name for name, record in base.records.items() if DTYPES[record.dtype].is_float]


def make_plan(
    base: Source,
    contributions: Sequence[Contribution],
    recipe: Method,
    kernel: Kernel,
    *,
    threads: int | None = None,
    block: int | None = None,
    memory: int | None = None,
    hashed: bool = False,
) -> Plan:
    """A plan, everything checked that headers can tell. The order of the contributions is for messages alone.

    threads: all cores when left out. block: what suits the cache. memory: bytes beyond the imports, 256 MiB, and for
    a method over whole tensors no limit.
    Raises NothingVisible [MG-11], NamesError, ShapeError, DtypeError, CoefficientError, RecipeError or BackendError.
    """
    if not contributions:
        raise NothingVisible("there is nothing to merge: no contribution is visible; contribute one, or sync")
    check_method(recipe)
    check_plain(recipe, settled(recipe, base), contributions)
    check_out_dtype(recipe, base)
    check_arity(recipe, len(contributions))
    check_task(recipe, contributions)
    check_named(recipe, contributions)
    for contribution in contributions:
        check(contribution, base, recipe)
    if whole := whole_round(recipe):
        from mergealgebra.engine.whole import refuse_little_memory  # few merges need it

        refuse_little_memory(base, contributions, whole, memory)
    memory = MEMORY if memory is None else check_positive(memory, "memory")
    units = {name: unit_of(recipe.rounds, record) for name, record in base.records.items()}
    sizes, unit = Sizes.of(base, contributions, units), max(units.values(), default=1)
    threads, block = fit(sizes, thread_count(threads), block, memory, unit, kernel.block)
    return Plan(base, tuple(contributions), recipe, kernel, threads, block, memory, hashed)
