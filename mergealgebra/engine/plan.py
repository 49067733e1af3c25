"""What a merge reads and in which order: contributions, and the base's float elements cut into blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from mergealgebra.algebra import decimals
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.engine.backends import Backend
from mergealgebra.errors import BackendError, DtypeError, NamesError, NothingVisible
from mergealgebra.recipe import Recipe
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.task_vector import check_shapes, read_stored, subtract

#: Elements in a block: few enough for its sums to stay near the cache, fewer when there are many contributions.
MOST_ELEMENTS = 1 << 17
ELEMENTS_OF_ALL = 1 << 22


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

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Any:
        """Elements [start, stop) in C order, in the storage dtype."""
        ...


@dataclass(frozen=True)
class Block:
    """Elements [start, stop) of one tensor."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Contribution:
    """A task vector to merge, where its tensors are, and how it is called in messages.

    form: `finetuned` (its tensors are a fine-tune's) or `task_vector` (they are the difference) [CT-1].
    names: the tensors that it holds; a name that it lacks is absent, not zero [CT-7].
    """

    label: str
    form: str
    coefficient: float
    source: Source
    names: frozenset[str]

    def tau(self, block: Block, base: Array, load: Callable[[Any], Array]) -> Array:
        """The task vector of a block [TV-2, TV-5]. Returns (n,) fp32, perhaps not finite."""
        values = load(self.source.read(block.name, block.start, block.stop))
        return subtract(values, base) if self.form == "finetuned" else read_stored(values)


@dataclass(frozen=True)
class Plan:
    """A merge, checked and ready to run. What it gives depends on the first three alone [MG-8]."""

    base: Source
    contributions: Sequence[Contribution]
    recipe: Recipe
    backend: Backend
    threads: int
    block: int

    @cached_property
    def coefficients(self) -> Coefficients:
        """The coefficients of all contributions."""
        return Coefficients(tuple(contribution.coefficient for contribution in self.contributions))

    def held_names(self) -> list[str]:
        """The tensors that some contribution holds, in name order."""
        held = frozenset[str]().union(*(contribution.names for contribution in self.contributions))
        return [name for name in self.base.records if name in held]

    def blocks(self, name: str) -> Iterator[Block]:
        """The blocks of one tensor, in order."""
        size = self.base.records[name].size
        for start in range(0, size, self.block):
            yield Block(name, start, min(size, start + self.block))

    def holders(self, name: str) -> list[tuple[int, Contribution]]:
        """The contributions that hold a tensor, with their places in the order."""
        return [(i, c) for i, c in enumerate(self.contributions) if name in c.names]


def make_plan(
    base: Source,
    contributions: Sequence[Contribution],
    recipe: Recipe,
    backend: Backend,
    *,
    threads: int | None = None,
    block: int | None = None,
) -> Plan:
    """A plan for contributions in canonical order, everything checked that headers can tell.

    threads: all cores when left out.
    Raises NothingVisible [MG-11], NamesError, ShapeError, DtypeError or CoefficientError.
    """
    if not contributions:
        raise NothingVisible("there is nothing to merge: no contribution is visible; contribute one, or sync")
    if block is not None:
        _check_positive(block, "block")
    for contribution in contributions:
        _check(contribution, base, recipe)
    block = block or max(1 << 12, min(MOST_ELEMENTS, ELEMENTS_OF_ALL // len(contributions)))
    return Plan(base, tuple(contributions), recipe, backend, thread_count(threads), block)


def thread_count(threads: int | None) -> int:
    """So many threads, or one for each core when left out. Raises BackendError."""
    if threads is None:
        return available_cores()
    return _check_positive(threads, "threads")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_positive(number: int, what: str) -> int:
    if number < 1:
        raise BackendError(f"{what}: {number} is below 1; leave it out for the default")
    return number


def _check(contribution: Contribution, base: Source, recipe: Recipe) -> None:
    """Names, shapes and dtypes fit the base, and the coefficient the method [CT-5, RC-6]."""
    decimals.check_coefficient(contribution.coefficient, contribution.label, negative=recipe.negative_coefficients)
    for name in sorted(contribution.names, key=str.encode):
        if name not in base.records:
            raise NamesError(f"{contribution.label}: tensor {name!r} is not in the base; it belongs to another model")
        ours, theirs = contribution.source.records[name], base.records[name]
        check_shapes(f"{contribution.label}: tensor {name!r}", tuple(ours.shape), tuple(theirs.shape))
        if not (DTYPES[ours.dtype].is_float and DTYPES[theirs.dtype].is_float):
            raise DtypeError(
                f"{contribution.label}: tensor {name!r} is {ours.dtype}, the base's {theirs.dtype}; "
                "only float tensors have a task vector"
            )
