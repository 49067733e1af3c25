"""What a merge reads and in which order: contributions, and the base's elements cut into spans and blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from mergealgebra.algebra import decimals
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import BackendError, CoefficientError, DtypeError, NamesError, NothingVisible
from mergealgebra.kernels.blocks import Kernel, Reduction
from mergealgebra.recipe import Recipe
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
    """Elements [start, stop) of one tensor."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many elements they are."""
        return self.stop - self.start

    def cut(self, size: int) -> Iterator[Block]:
        """The same in blocks of this size, the last perhaps smaller."""
        for start in range(self.start, self.stop, size):
            yield Block(self.name, start, min(start + size, self.stop))


@dataclass(frozen=True)
class Contribution:
    """A task vector to merge, where its tensors are, and how it is called in messages.

    form: `finetuned` (its tensors are a fine-tune's) or `task_vector` (they are the difference) [CT-1].
    names: the tensors that it holds; a name that it lacks is absent, not zero [CT-7].
    tensors: the root of its tensors, if that is known, under which its thresholds may be kept.
    forms: of tensors that have another form. computed: tensors whose values the source computes, and vouches for: they
    are not hashed. auxiliary: by kind, what some methods need beside the tensors [CT-15].
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
        """The form of one tensor."""
        return self.forms.get(name, self.form)


@dataclass(frozen=True)
class Plan:
    """A merge, checked and ready to run. What it gives depends on the first three alone [MG-8].

    hashed: whether the inputs and the result are hashed on the way. block: elements that are reduced at a time.
    """

    base: Source
    contributions: Sequence[Contribution]
    recipe: Recipe
    kernel: Kernel
    threads: int
    block: int
    memory: int
    hashed: bool

    @cached_property
    def reduction(self) -> Reduction:
        """How blocks are reduced."""
        coefficients = Coefficients(tuple(contribution.coefficient for contribution in self.contributions))
        return Reduction(self.recipe.method, coefficients, self.recipe.lambda32)

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

    def spans(self, name: str) -> Iterator[Block]:
        """One tensor, in order, as workers take it."""
        return Block(name, 0, self.base.records[name].size).cut(SPAN)


def make_plan(
    base: Source,
    contributions: Sequence[Contribution],
    recipe: Recipe,
    kernel: Kernel,
    *,
    threads: int | None = None,
    block: int | None = None,
    memory: int | None = None,
    hashed: bool = False,
) -> Plan:
    """A plan, everything checked that headers can tell. The order of the contributions is for messages alone.

    threads: all cores when left out. block: what suits the cache. memory: bytes beyond the imports, 256 MiB, and for
    other dialects of TIES no limit.
    Raises NothingVisible [MG-11], NamesError, ShapeError, DtypeError, CoefficientError or BackendError.
    """
    if not contributions:
        raise NothingVisible("there is nothing to merge: no contribution is visible; contribute one, or sync")
    for contribution in contributions:
        _check(contribution, base, recipe)
    if recipe.foreign:
        from mergealgebra.engine.dialect_memory import refuse_little_memory  # few merges need it

        refuse_little_memory(base, contributions, recipe.foreign, memory)
    memory = MEMORY if memory is None else _check_positive(memory, "memory")
    threads, block = _fit(_Sizes.of(base, contributions), thread_count(threads), block, memory)
    return Plan(base, tuple(contributions), recipe, kernel, threads, block, memory, hashed)


@dataclass(frozen=True)
class _Sizes:
    """Bytes of one element in all inputs together, and bytes of the largest piece of the result."""

    row: int
    piece: int

    @classmethod
    def of(cls, base: Source, contributions: Sequence[Contribution]) -> _Sizes:
        row = sum(_widest(source) for source in (base, *(contribution.source for contribution in contributions)))
        return cls(row, max((min(r.size, SPAN) * DTYPES[r.dtype].itemsize for r in base.records.values()), default=0))

    def needed(self, threads: int, block: int) -> int:
        """Bytes in use at once, pieces that wait to be written among them."""
        return threads * (block * self.row + _WORKER_BYTES) + (2 * threads + 1) * self.piece


def _widest(source: Source) -> int:
    return max((DTYPES[record.dtype].itemsize for record in source.records.values()), default=0)


def _fit(sizes: _Sizes, threads: int, block: int | None, memory: int) -> tuple[int, int]:
    """Threads and block that stay within the memory: smaller blocks first, then fewer threads."""
    least = LEAST_BLOCK if block is None else _check_positive(block, "block")
    block = min(SPAN, block or max(LEAST_BLOCK, 1 << max(1, CACHE_BYTES // max(1, sizes.row)).bit_length() - 1))
    while sizes.needed(threads, block) > memory:
        if block > least:
            block //= 2
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


def _check(contribution: Contribution, base: Source, recipe: Recipe) -> None:
    """Names, shapes and dtypes fit the base, and the coefficient the method [CT-5, RC-6]."""
    decimals.check_coefficient(contribution.coefficient, contribution.label, negative=recipe.negative_coefficients)
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
