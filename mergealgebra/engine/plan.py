"""What a merge reads and in which order: contributions, and the base's elements cut into spans and blocks."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import lcm
from typing import Any, Final, Protocol

from mergealgebra.algebra.exact import Coefficients
from mergealgebra.algebra.method import Round, Stage, WholeRound
from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import (
    BackendError,
    CoefficientError,
    DtypeError,
    MethodError,
    NamesError,
    NothingVisible,
    RecipeError,
)
from mergealgebra.kernels.blocks import Kernel, Reduction
from mergealgebra.methods.method import Method
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.strange_names import name_advice
from mergealgebra.tensors.task_vector import check_shapes
from mergealgebra.text import by_caller, shown

#: Elements in a span, what a worker does at a time: in every dtype a whole number of leaves [EN-6].
SPAN: Final = LEAF_BYTES
#: Bytes of all inputs in a block: few enough to stay in the last cache from reading to reducing, many for each call.
CACHE_BYTES: Final = 1 << 25
LEAST_BLOCK: Final = 1 << 12
#: Memory beyond the imports that a merge may take, if nobody says otherwise.
MEMORY: Final = 256 << 20
#: What a worker needs beside blocks and results.
_WORKER_BYTES: Final = 1 << 20


class Record(Protocol):
    """What is known of a tensor before it is read."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def size(self) -> int: ...


class Source(Protocol):
    """Named tensors that can be read piece by piece: a checkpoint, or arrays in memory."""

    @property
    def records(self) -> Mapping[str, Record]: ...

    def read(self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None) -> Any:
        """Elements [start, stop) in C order, in the storage dtype. into: memory that may be used for them."""
        ...


@dataclass(frozen=True)
class Block:
    """Elements [start, stop) of one tensor, which are reduced at a time."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many elements they are."""
        return self.stop - self.start


@dataclass(frozen=True)
class Span(Block):
    """Elements of one tensor that one worker takes at a time: some blocks, and whole leaves [EN-6]."""

    def blocks(self, size: int) -> Iterator[Block]:
        """The same in blocks of this size, the last perhaps smaller."""
        for start in range(self.start, self.stop, size):
            yield Block(self.name, start, min(start + size, self.stop))


@dataclass(frozen=True)
class Contribution:
    """A task vector to merge, where its tensors are, and how it is called in messages.

    form: `finetuned` (its tensors are a fine-tune's) or `task_vector` (they are the difference) [CT-1]. names: the
    tensors that it holds; a name that it lacks is absent, not zero [CT-7]. tensors: the root of its tensors, if that is
    known, under which what is found of it may be kept, and from which masks are made. forms: of tensors that have
    another form than the rest. computed: tensors that the source computes from what is stored, and vouches for itself.
    auxiliary: by kind, tensors of the same names.
    """

    label: str
    form: str
    coefficient: float
    source: Source
    names: frozenset[str]
    tensors: str | None = None
    forms: Mapping[str, str] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    auxiliary: Mapping[str, Source] = field(default_factory=dict)

    def form_of(self, name: str) -> str:
        """The form of one of its tensors."""
        return self.forms.get(name, self.form)


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

    @cached_property
    def reduction(self) -> Reduction:
        """How blocks are reduced."""
        coefficients = Coefficients(tuple(contribution.coefficient for contribution in self.contributions))
        return Reduction(self.recipe, coefficients)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all rounds, in order; none where whole tensors are seen."""
        if whole_round(self.recipe):
            return ()
        return tuple(stage for round_ in self.reduction.rounds for stage in round_.stages)

    def stages_before(self, number: int) -> range:
        """Which stages of the same round come before a stage: each round begins with the contribution itself."""
        first = 0
        for round_ in self.reduction.rounds:
            if number < first + len(round_.stages):
                return range(first, number)
            first += len(round_.stages)
        raise LookupError(f"there is no stage {number}")

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

    def held_names(self) -> list[str]:
        """The tensors that some contribution holds, in name order."""
        return [name for name, holders in self._holders.items() if holders]

    def spans(self, name: str) -> Iterator[Span]:
        """One tensor, in order, as workers take it."""
        record = self.base.records[name]
        size = max(1, lcm(SPAN, unit_elements(self.recipe, record)))
        for start in range(0, record.size, size):
            yield Span(name, start, min(start + size, record.size))

    def blocks(self, span: Span) -> Iterator[Block]:
        """A span in blocks of whole units."""
        unit = unit_elements(self.recipe, self.base.records[span.name])
        return span.blocks(max(unit, self.block // unit * unit))


def unit_elements(recipe: Method, record: Record) -> int:
    """How many elements of a tensor belong together: one, a row, or all of them."""
    found = 1
    for round_ in recipe.rounds:
        if isinstance(round_, WholeRound):
            continue
        if round_.unit == "row":
            found = max(found, record.shape[-1] if record.shape else 1)
        elif round_.unit == "tensor":
            found = max(found, record.size)
    return found


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
    check_arity(recipe, len(contributions))
    for contribution in contributions:
        _check(contribution, base, recipe)
    if whole := whole_round(recipe):
        from mergealgebra.engine.whole import refuse_little_memory  # few merges need it

        refuse_little_memory(base, contributions, whole, memory)
    memory = MEMORY if memory is None else _check_positive(memory, "memory")
    unit = 1 if whole else max((unit_elements(recipe, r) for r in base.records.values()), default=1)
    threads, block = _fit(_Sizes.of(base, contributions), thread_count(threads), block, memory, unit)
    return Plan(base, tuple(contributions), recipe, kernel, threads, block, memory, hashed)


def whole_round(recipe: Method) -> WholeRound | None:
    """The only round of a method over whole tensors; None for one that is computed block by block."""
    for round_ in recipe.rounds:
        if not isinstance(round_, Round | WholeRound):
            raise MethodError(f"{recipe.name}: {shown(round_)} is not a round; `rounds` returns (algebra.Round(...),)")
    found = [round_ for round_ in recipe.rounds if isinstance(round_, WholeRound)]
    if found and len(recipe.rounds) > 1:
        raise RecipeError(f"{recipe.name}: a round over whole tensors must be the only one")
    return found[0] if found else None


def check_arity(recipe: Method, contributions: int) -> None:
    """Raise RecipeError for more or fewer contributions than the method takes."""
    arity = recipe.needs.arity
    if arity is not None and contributions != arity:
        raise RecipeError(f"{recipe.name} merges exactly {arity} contributions, and there are {contributions}")


@dataclass(frozen=True)
class _Sizes:
    """Bytes of one element in all inputs together, and bytes of the largest piece of the result."""

    row: int
    piece: int

    @classmethod
    def of(cls, base: Source, contributions: Sequence[Contribution]) -> _Sizes:
        sources = [contribution.source for contribution in contributions]
        auxiliary = [source for contribution in contributions for source in contribution.auxiliary.values()]
        row = sum(map(_widest, (base, *sources, *auxiliary)))
        return cls(row, max((min(r.size, SPAN) * DTYPES[r.dtype].itemsize for r in base.records.values()), default=0))

    def needed(self, threads: int, block: int) -> int:
        """Bytes in use at once, pieces that wait to be written among them."""
        return threads * (block * self.row + _WORKER_BYTES) + (2 * threads + 1) * self.piece


def _widest(source: Source) -> int:
    return max((DTYPES[record.dtype].itemsize for record in source.records.values()), default=0)


def _fit(sizes: _Sizes, threads: int, block: int | None, memory: int, unit: int) -> tuple[int, int]:
    """Threads and block that stay within the memory: smaller blocks first, then fewer threads.

    unit: the most elements that must be in one block.
    """
    least = max(unit, LEAST_BLOCK if block is None else _check_positive(block, "block"))
    block = min(SPAN, block or max(LEAST_BLOCK, 1 << max(1, CACHE_BYTES // max(1, sizes.row)).bit_length() - 1))
    block = max(block, unit)
    while sizes.needed(threads, block) > memory:
        if block > least:
            block = max(least, block // 2)
        elif threads > 1:
            threads -= 1
        else:
            raise BackendError(
                f"memory: {memory:,} bytes are too few, this merge takes {sizes.needed(1, block):,} or more; "
                + by_caller("raise --memory, or lower --block", "raise memory=, or lower block=")
            )
    return threads, block


def thread_count(threads: int | None) -> int:
    """So many threads, or one for each core when left out. Raises BackendError."""
    if threads is None:
        return available_cores()
    return _check_positive(threads, "threads")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_text(coefficients: Sequence[str]) -> None:
    """Raise CoefficientError for one text where a list of them must be: its characters are no coefficients."""
    if isinstance(coefficients, str):
        raise CoefficientError(
            f"coefficients is {shown(coefficients)}, one text; pass a list, such as [{coefficients!r}]"
        )


def _check_positive(number: int, what: str) -> int:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise BackendError(f"{what}: {shown(number)} is not a whole number; write it without a point and quotes")
    if number < 1:
        raise BackendError(f"{what}: {number} is below 1; leave it out for the default")
    return number


def _check(contribution: Contribution, base: Source, recipe: Method) -> None:
    """Names, shapes and dtypes fit the base, and the contribution the method [CT-5]."""
    check_usable(contribution, recipe)
    if recipe.needs.roots and contribution.tensors is None:
        raise RecipeError(
            f"{contribution.label}: {recipe.name} makes masks from the root of its tensors; hash it first"
        )
    if contribution.forms and (whole := whole_round(recipe)):
        raise RecipeError(
            f"{contribution.label} holds tensors in several forms, and {whole.name} takes contributions of one: merge "
            "by a recipe without a dialect, or retract it"
        )
    for name in sorted(contribution.names, key=str.encode):
        if name not in base.records:
            todo = name_advice([name]) or "it belongs to another model"
            raise NamesError(f"{contribution.label}: tensor {name!r} is not in the base; {todo}")
        ours, theirs = contribution.source.records[name], base.records[name]
        check_shapes(f"{contribution.label}: tensor {name!r}", name, tuple(ours.shape), tuple(theirs.shape))
        if not (DTYPES[ours.dtype].is_float and DTYPES[theirs.dtype].is_float):
            raise DtypeError(
                f"{contribution.label}: tensor {name!r} is {ours.dtype}, the base's {theirs.dtype}; "
                "only float tensors have a task vector; leave it out"
            )


def check_usable(contribution: Contribution, recipe: Method) -> None:
    """Coefficient and auxiliary tensors fit the method [RC-6]. Raises CoefficientError, RecipeError and the like."""
    recipe.check_coefficient(contribution.coefficient, contribution.label)
    for kind in sorted(recipe.needs.auxiliary):
        _check_auxiliary(contribution, kind, recipe)


def _check_auxiliary(contribution: Contribution, kind: str, recipe: Method) -> None:
    """A number for each element of each tensor."""
    source = contribution.auxiliary.get(kind)
    if source is None:
        raise RecipeError(
            f"{contribution.label} has no {kind} tensors, which {recipe.name} needs: contribute it again with them, or "
            "merge by another method"
        )
    for name in sorted(contribution.names, key=str.encode):
        if name not in source.records:
            raise NamesError(f"{contribution.label}: its {kind} tensors lack {name!r}; {recipe.name} needs all of them")
        ours, theirs = source.records[name], contribution.source.records[name]
        check_shapes(f"{contribution.label}: {kind} of {name!r}", name, tuple(ours.shape), tuple(theirs.shape))
        if not DTYPES[ours.dtype].is_float:
            raise DtypeError(f"{contribution.label}: {kind} of {name!r} is {ours.dtype}; it must be a float tensor")
