"""Reading one block of every input, into memory that is used again, and hashing it while it is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mergealgebra.encoding import LeafHasher
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Block, Contribution, Source
from mergealgebra.kernels.blocks import Part, Where
from mergealgebra.kernels.reference import Host
from mergealgebra.tensors.dtypes import DTYPES


@dataclass(frozen=True)
class Auxiliary:
    """Which input auxiliary tensors are: of which contribution, and of what kind."""

    index: int
    kind: str


@dataclass(frozen=True)
class _Named:
    name: str

    def __repr__(self) -> str:
        return self.name


#: The base among the inputs; contributions have their indices in the plan's order.
BASE: Final = _Named("BASE")
#: The result among what is hashed.
RESULT: Final = _Named("RESULT")

#: What is freed once so that the C library keeps as much: bytes for each element of a block, and at most.
_FREED: Final = 128
_MOST_FREED: Final = 1 << 23

#: What is read or written by a merge.
Input = int | Auxiliary | _Named


class Buffers:
    """What one worker keeps between blocks: memory for each input. Made in the worker, and checked there [MG-9].

    sampled: the sample of the base that was taken last, and of which tensors.
    """

    def __init__(self, plan: Plan) -> None:
        plan.kernel.check_worker()
        _let_freed_memory_be_used_again(min(_MOST_FREED, _FREED * plan.block))
        self.plan = plan
        self.sampled: tuple[tuple[str, ...], Host] = ((), np.empty(0, np.float32))
        self._memory: dict[Input | str, np.ndarray[Any, np.dtype[np.uint8]]] = {}

    def read(self, what: Input, block: Block) -> Host:
        """A block of an input, in its storage dtype, good until the next block of that input is read."""
        return self._read(what, block, what)

    def peek(self, what: Input, block: Block) -> Host:
        """The same, good until the next peek at any input: in one memory for all, which stays in the cache."""
        return self._read(what, block, "peek")

    def _read(self, what: Input, block: Block, slot: Input | str) -> Host:
        source = self._source(what)
        nbytes = block.size * DTYPES[source.records[block.name].dtype].itemsize
        return np.asarray(source.read(block.name, block.start, block.stop, self._for(slot, nbytes)))

    def _source(self, what: Input) -> Source:
        if isinstance(what, int):
            return self.plan.contributions[what].source
        if isinstance(what, Auxiliary):
            return self.plan.contributions[what.index].auxiliary[what.kind]
        if what == BASE:
            return self.plan.base
        raise LookupError(f"{what!r} is not an input")

    def _for(self, slot: Input | str, nbytes: int) -> memoryview:
        if slot not in self._memory or self._memory[slot].size < nbytes:
            self._memory[slot] = np.empty(nbytes, np.uint8)
        return self._memory[slot].data


def _let_freed_memory_be_used_again(nbytes: int) -> None:
    """Have the C library keep what arrays between two equations leave, at most twice so much, for the next block.

    glibc gives memory back to the system at once, which has to clear it each time, up to twice the size of the largest
    allocation that was ever freed: then a quarter of a merge is spent on that. Elsewhere this changes nothing.
    """
    np.empty(nbytes, np.uint8)


class Hashers:
    """The leaves of a span, of each input and of the result, as the span is read and written block by block."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._hashers = {what: LeafHasher() for what in inputs}

    def take(self, what: Input, array: Host) -> None:
        """Take the next block of an input, if that is hashed."""
        if what in self._hashers:
            self._hashers[what].update(array.view(np.uint8).data)

    def take_part(self, index: int, part: Part) -> None:
        """Take the next block of a contribution, its auxiliary tensors included."""
        self.take(index, part.values)
        for kind, array in part.auxiliary.items():
            self.take(Auxiliary(index, kind), array)

    def digests(self) -> Mapping[Input, list[bytes]]:
        """The digests of the leaves, by input; call once, at the end of the span."""
        return {what: hasher.digests() for what, hasher in self._hashers.items()}


def hashed_inputs(plan: Plan, name: str) -> list[Input]:
    """What is read of a tensor and hashed: the base, contributions that store it, and their auxiliary tensors."""
    if not plan.hashed:
        return []
    found: list[Input] = [BASE]
    for index, contribution in plan.holders(name):
        if name not in contribution.computed:
            found.append(index)
        found += _auxiliary(plan, index)
    return found


def inputs_of(plan: Plan, index: int) -> list[Input]:
    """What is read of one contribution."""
    return [index, *_auxiliary(plan, index)]


def _auxiliary(plan: Plan, index: int) -> list[Input]:
    return [Auxiliary(index, kind) for kind in sorted(plan.needs.auxiliary)]


def parts_of(plan: Plan, buffers: Buffers, block: Block, answers: Answers) -> Iterator[tuple[int, Part]]:
    """What each contribution holds of a block, with its index."""
    for index, contribution in plan.holders(block.name):
        yield index, part_of(buffers, index, contribution, block, answers, range(len(plan.stages)))


def hashed_parts(
    plan: Plan, buffers: Buffers, block: Block, answers: Answers, hashers: Hashers
) -> Iterator[tuple[int, Part]]:
    """The same, each hashed on the way."""
    for index, part in parts_of(plan, buffers, block, answers):
        hashers.take_part(index, part)
        yield index, part


def part_of(
    buffers: Buffers, index: int, contribution: Contribution, block: Block, answers: Answers, stages: range
) -> Part:
    """What one contribution holds of a block, and what was found for these stages."""
    plan = buffers.plan
    found = tuple(_found(plan, answers, stage, index, block) for stage in stages)
    coefficient = plan.coefficient(index, block.name)
    auxiliary = {kind: buffers.read(Auxiliary(index, kind), block) for kind in plan.needs.auxiliary}
    values = buffers.read(index, block)
    form, where = contribution.form_of(block.name), where_of(plan, contribution, block)
    weights = answers.weights_of(index, block.name, len(plan.rounds))
    way = plan.way(block.name, index)
    return Part(values, form, coefficient, found, where, auxiliary, weights=weights, way=way)


def where_of(plan: Plan, contribution: Contribution, block: Block) -> Where:
    """Where a block of a contribution lies."""
    root = contribution.tensors if plan.needs.roots and contribution.tensors else ""
    id_ = contribution.id if plan.needs.task and contribution.id else ""
    return Where(block.name, tuple(plan.base.records[block.name].shape), block.start, root, id_)


def _found(plan: Plan, answers: Answers, stage: int, index: int, block: Block) -> Any:
    statistic, answer = plan.stages_of(block.name, index)[stage].statistic, answers.of(stage, index, block.name)
    if statistic is None or answer is None:
        return None
    return statistic.within(answer, block.name, block.start, block.stop)
