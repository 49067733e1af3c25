"""Threads, and blocks that fit the memory and the cache."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mergealgebra.engine.sources import SPAN, Contribution, Source, span_size
from mergealgebra.errors import BackendError
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.text import by_caller, shown

#: Bytes of all inputs in a block: few enough to stay in the last cache from reading to reducing, many for each call.
CACHE_BYTES: Final = 1 << 25
LEAST_BLOCK: Final = 1 << 12
#: Memory beyond the imports that a merge may take, if nobody says otherwise.
MEMORY: Final = 256 << 20
#: What a worker needs beside blocks and results.
_WORKER_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """Bytes of one element in all inputs together, of the largest piece of the result, and of a worker beside those."""

    row: int
    piece: int
    worker: int

    @classmethod
    def of(cls, base: Source, contributions: Sequence[Contribution], units: Mapping[str, int]) -> Sizes:
        """The sizes of a merge. units: how many elements of each tensor belong together."""
        sources = [contribution.source for contribution in contributions]
        auxiliary = [source for contribution in contributions for source in contribution.auxiliary.values()]
        row = sum(map(_widest, (base, *sources, *auxiliary)))
        pieces = (min(r.size, span_size(units[name])) * DTYPES[r.dtype].itemsize for name, r in base.records.items())
        worker = _WORKER_BYTES + sum(getattr(source, "worker_bytes", 0) for source in sources)
        return cls(row, max(pieces, default=0), worker)

    def needed(self, threads: int, block: int) -> int:
        """Bytes in use at once, pieces that wait to be written among them."""
        return threads * (block * self.row + self.worker) + (2 * threads + 1) * self.piece


def _widest(source: Source) -> int:
    return max((DTYPES[record.dtype].itemsize for record in source.records.values()), default=0)


def fit(sizes: Sizes, threads: int, block: int | None, memory: int, unit: int, most: int = SPAN) -> tuple[int, int]:
    """Threads and block that stay within the memory: smaller blocks first, then fewer threads.

    unit: the most elements that must be in one block. most: what suits the kernel, where no block is given.
    """
    least = max(unit, LEAST_BLOCK if block is None else check_positive(block, "block"))
    cached = 1 << max(1, CACHE_BYTES // max(1, sizes.row)).bit_length() - 1
    block = min(SPAN, block or max(LEAST_BLOCK, min(most, cached)))
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
    return check_positive(threads, "threads")


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_positive(number: int, what: str) -> int:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise BackendError(f"{what}: {shown(number)} is not a whole number; write it without a point and quotes")
    if number < 1:
        raise BackendError(f"{what}: {number} is below 1; leave it out for the default")
    return number
