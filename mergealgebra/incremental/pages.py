"""The pages of an aggregate on disk: its sums, page by page, each with its seal.

A page is a number of elements of one tensor. It has one index in the file, which follows from the layout alone, so
workers read and write pages in any order.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.method import Columns
from mergealgebra.engine.sources import Block
from mergealgebra.incremental.seals import PAGE_BYTES, Seal
from mergealgebra.kernels.blocks import StoredSums

#: Elements in a page, which are reduced at a time.
PAGE: Final = 1 << 16
#: Bytes of a record of the table: the seal of the page, and the joined one of its inputs.
RECORD: Final = 2 * PAGE_BYTES

#: Dtypes of the sums of coefficients: none where nothing votes, whole numbers while all coefficients are 1.
VOTES: Final = {"": None, "int16": np.int16, "float64": np.float64}
_LARGEST_COUNT: Final = np.iinfo(np.int16).max

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Unfit(Exception):
    """A kept aggregate turned out to be damaged, or not the one that is needed. Nobody sees it: merge in full."""


def votes_of(columns: Columns, coefficients: Sequence[float]) -> str:
    """How the sums of these coefficients are kept, for a round with these columns: a key of `VOTES`."""
    if not columns.votes:
        return ""
    whole = len(coefficients) <= _LARGEST_COUNT and all(coefficient == 1 for coefficient in coefficients)
    return "int16" if whole else "float64"


def wider(votes: str, other: str) -> str:
    """How sums that were kept in one way and will be in the other are kept: fractions may still be among them."""
    return max(votes, other, key=list(VOTES).index)


@dataclass(frozen=True)
class Layout:
    """Where each page lies. tensors: (name, elements), in name order. votes: a key of `VOTES`."""

    tensors: tuple[tuple[str, int], ...]
    votes: str

    @property
    def element_bytes(self) -> int:
        """Bytes of the sums of one element."""
        dtype = VOTES[self.votes]
        return 17 + (0 if dtype is None else 2 * np.dtype(dtype).itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return self.element_bytes * sum(size for _, size in self.tensors)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return sum(-(-size // PAGE) for _, size in self.tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def index(self, page: Block) -> int:
        """The number of a page."""
        return self._first[page.name][1] + page.start // PAGE

    def offset(self, page: Block) -> int:
        """Where the bytes of a page begin."""
        return (self._first[page.name][0] + page.start) * self.element_bytes

    @cached_property
    def _first(self) -> dict[str, tuple[int, int]]:
        """The first element and the first page of each tensor."""
        found, elements, pages = {}, 0, 0
        for name, size in self.tensors:
            found[name] = elements, pages
            elements, pages = elements + size, pages - (-size // PAGE)
        return found


def sums_in(memory: Bytes, votes: str) -> StoredSums:
    """The sums of a page in its bytes: S, A, V, W and grids, one after the other; nothing is copied."""
    n = memory.size // Layout((), votes).element_bytes
    dtype, none = VOTES[votes], np.empty(0)
    sums, magnitudes = memory[: 16 * n].view(np.float64).reshape(2, 1, n)
    signs, weights = (none, none) if dtype is None else memory[16 * n : -n].view(dtype).reshape(2, n)
    return StoredSums(sums, magnitudes, signs, weights, memory[memory.size - n :].reshape(1, n))


def clear(sums: StoredSums) -> None:
    """Make sums those of nothing."""
    sums.put(slice(None), _NOTHING)


_NOTHING: Final = StoredSums(0.0, 0.0, 0, 0, 255)


class Pages:
    """The pages of one file, by several threads. table: a record for each page, (pages, 32) bytes.

    descriptor: the file, which the caller opens and closes. token: its name.
    """

    def __init__(self, descriptor: int, layout: Layout, table: Bytes, token: str, seal: Seal) -> None:
        self.layout, self.table = layout, table
        self._descriptor, self._token, self._seal = descriptor, token, seal

    def read(self, page: Block, memory: Bytes) -> None:
        """The bytes of a page, into memory of their size. Raises Unfit when they are not what was written."""
        filled, offset = 0, self.layout.offset(page)
        try:
            while filled < memory.size and (
                count := os.preadv(self._descriptor, [memory[filled:].data], offset + filled)
            ):
                filled += count
        except OSError as error:
            raise Unfit(f"the aggregate cannot be read: {error.strerror}") from error
        if filled < memory.size or not hmac.compare_digest(self._sealed(page, memory), self._record(page)[:PAGE_BYTES]):
            raise Unfit("a page of the aggregate is damaged")

    def inputs(self, page: Block) -> int:
        """The joined seal of the inputs of a page."""
        return int.from_bytes(self._record(page)[PAGE_BYTES:])

    def write(self, page: Block, memory: Bytes, inputs: int) -> None:
        """Write a page. Raises OSError."""
        done, offset = 0, self.layout.offset(page)
        while done < memory.size:
            done += os.pwrite(self._descriptor, memory[done:].data, offset + done)
        record = self._sealed(page, memory) + inputs.to_bytes(PAGE_BYTES)
        self.table[self.layout.index(page)] = np.frombuffer(record, np.uint8)

    def _sealed(self, page: Block, memory: Bytes) -> bytes:
        return self._seal.of_page(self._token, page, memory)

    def _record(self, page: Block) -> bytes:
        return bytes(self.table[self.layout.index(page)])
