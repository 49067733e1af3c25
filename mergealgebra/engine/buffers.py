"""Reading one block of every input, into memory that is used again, and hashing it while it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mergealgebra.encoding import LeafHasher
from mergealgebra.engine.groups import Trimming
from mergealgebra.engine.plan import Block, Plan, Source
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.equations import Host
from mergealgebra.tensors.dtypes import DTYPES

#: The place of the base among the inputs; contributions have theirs in the plan's order, from 0.
BASE: Final = -1
#: The slot of a worker's memory for whatever is looked at once.
_PEEK: Final = -3


class Buffers:
    """What one worker keeps between blocks: memory for each input. Made in the worker, and checked there [MG-9]."""

    def __init__(self, plan: Plan) -> None:
        plan.kernel.check_worker()
        self._plan = plan
        self._memory: dict[int, np.ndarray[Any, np.dtype[np.uint8]]] = {}

    def read(self, index: int, block: Block) -> Host:
        """A block of an input, in its storage dtype, good until the next block of that input is read."""
        return self._read(index, block, index)

    def peek(self, index: int, block: Block) -> Host:
        """The same, good until the next glance at any input: in one memory for all, which stays in the cache."""
        return self._read(index, block, _PEEK)

    def _read(self, index: int, block: Block, slot: int) -> Host:
        source: Source = self._plan.base if index == BASE else self._plan.contributions[index].source
        nbytes = block.size * DTYPES[source.records[block.name].dtype].itemsize
        return np.asarray(source.read(block.name, block.start, block.stop, self._for(slot, nbytes)))

    def _for(self, slot: int, nbytes: int) -> memoryview:
        if slot not in self._memory or self._memory[slot].size < nbytes:
            self._memory[slot] = np.empty(nbytes, np.uint8)
        return self._memory[slot].data


class Hashers:
    """The leaves of a span, of each input and of the result, as the span is read and written block by block."""

    def __init__(self, indices: Sequence[int]) -> None:
        self._hashers = {index: LeafHasher() for index in indices}

    def take(self, index: int, array: Host) -> None:
        """Take the next block of an input, if that is hashed."""
        if index in self._hashers:
            self._hashers[index].update(array.view(np.uint8).data)

    def digests(self) -> Mapping[int, list[bytes]]:
        """The digests of the leaves, by index; call once, at the end of the span."""
        return {index: hasher.digests() for index, hasher in self._hashers.items()}


def parts_of(
    plan: Plan, buffers: Buffers, block: Block, trimming: Trimming | None = None
) -> Iterator[tuple[int, Part]]:
    """What each contribution holds of a block, with its place; not trimmed if nothing says how."""
    trimming = trimming if plan.recipe.trim else None
    for index, contribution in plan.holders(block.name):
        bits, ties = trimming.of(index, block.name).within(block.start, block.stop) if trimming else (0, block.size)
        yield (
            index,
            Part(buffers.read(index, block), contribution.form_of(block.name), contribution.coefficient, bits, ties),
        )
