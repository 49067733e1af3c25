"""The pages of an aggregate on disk: its sums, page by page, each with its seal.

A page is a number of elements of one tensor, in whole units of the method. It has one index in the file, which follows
from the layout alone, so workers read and write pages in any order.
"""

from __future__ import annotations

import hmac
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.method import Columns
from mergealgebra.engine.sources import Block, Span, span_size
from mergealgebra.incremental.seals import PAGE_BYTES, Seal
from mergealgebra.kernels.blocks import StoredBits, StoredSums

#: Elements in a page, which are reduced at a time; about so many where units of several elements belong together.
PAGE: Final = 1 << 16
#: Bytes of a record of the table: the seal of the page, and the joined one of its inputs.
RECORD: Final = 2 * PAGE_BYTES

#: Dtypes of the sums of coefficients: none where nothing votes, whole numbers while all coefficients are 1.
VOTES: Final = {"": None, "int16": np.int16, "float64": np.float64}
#: The most contributions that are counted in 16 bits.
LARGEST_COUNT: Final = int(np.iinfo(np.int16).max)
#: Bytes of a model's own bits, which are those of the widest tensor; 0 for a method that copies none.
BITS: Final = (0, 2, 4, 8)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Unfit(Exception):
    """A kept aggregate turned out to be damaged, or not the one that is needed. Nobody sees it: merge in full."""


def votes_of(columns: Columns, coefficients: Sequence[float]) -> str:
    """How the sums of these coefficients are kept, for a round with these columns: a key of `VOTES`."""
    if not columns.votes:
        return ""
    whole = len(coefficients) <= LARGEST_COUNT and all(coefficient == 1 for coefficient in coefficients)
    return "int16" if whole else "float64"


def wider(votes: str, other: str) -> str:
    """How sums that were kept in one way and will be in the other are kept: fractions may still be among them."""
    return max(votes, other, key=list(VOTES).index)


@dataclass(frozen=True)
class Element:
    """What is kept of one element. sums: how many sums. votes: a key of `VOTES`. bits: bytes of a model's own bits."""

    sums: int = 1
    votes: str = ""
    bits: int = 0

    @property
    def nbytes(self) -> int:
        """Its bytes: S, A and a grid for each sum; V and W; a model's bits, and two counts."""
        dtype = VOTES[self.votes]
        votes = 0 if dtype is None else 2 * np.dtype(dtype).itemsize
        return 17 * self.sums + votes + (self.bits + 4 if self.bits else 0)


@dataclass(frozen=True)
class Paged:
    """A tensor in pages. size: its elements. unit: how many of them belong together. page: those of a page."""

    name: str
    size: int
    unit: int
    page: int

    @cached_property
    def span(self) -> int:
        """The elements of a span, with which a page begins anew."""
        return span_size(self.unit)

    @cached_property
    def _in_span(self) -> int:
        """How many pages a whole span is."""
        return -(-self.span // self.page)

    @property
    def count(self) -> int:
        """How many pages there are."""
        return self.size // self.span * self._in_span - (-(self.size % self.span) // self.page)

    def index(self, start: int) -> int:
        """The number of the page that begins here."""
        return start // self.span * self._in_span + start % self.span // self.page

    def pages(self) -> Iterator[Block]:
        """All of them, in order."""
        for start in range(0, self.size, self.span):
            yield from Span(self.name, start, min(start + self.span, self.size)).blocks(self.page)


@dataclass(frozen=True)
class Layout:
    """Where each page lies. tensors: in name order. element: what is kept of each of their elements."""

    tensors: tuple[Paged, ...]
    element: Element

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return self.element.nbytes * sum(tensor.size for tensor in self.tensors)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return sum(tensor.count for tensor in self.tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def index(self, page: Block) -> int:
        """The number of a page."""
        tensor, _, first = self._first[page.name]
        return first + tensor.index(page.start)

    def offset(self, page: Block) -> int:
        """Where the bytes of a page begin."""
        return (self._first[page.name][1] + page.start) * self.element.nbytes

    @cached_property
    def _first(self) -> dict[str, tuple[Paged, int, int]]:
        """Each tensor, with its first element and its first page."""
        found, elements, pages = {}, 0, 0
        for tensor in self.tensors:
            found[tensor.name] = tensor, elements, pages
            elements, pages = elements + tensor.size, pages + tensor.count
        return found


def sums_in(memory: Bytes, element: Element) -> StoredSums:
    """The sums of a page in its bytes, one after the other; nothing is copied."""
    n, q, at = memory.size // element.nbytes, element.sums, 0

    def taken(dtype: Any, *shape: int) -> Any:
        nonlocal at
        start, at = at, at + np.dtype(dtype).itemsize * math.prod(shape)
        return memory[start:at].view(dtype).reshape(shape)

    sums, magnitudes = taken(np.float64, 2, q, n)
    votes, none = VOTES[element.votes], np.empty(0)
    signs, weights = (none, none) if votes is None else taken(votes, 2, n)
    models = StoredBits(taken(f"u{element.bits}", n), *taken(np.int16, 2, n)) if element.bits else None
    return StoredSums(sums, magnitudes, signs, weights, taken(np.uint8, q, n), models)


def clear(sums: StoredSums) -> None:
    """Make sums those of nothing."""
    sums.put(slice(None), _NOTHING)


_NOTHING: Final = StoredSums(0.0, 0.0, 0, 0, 255, StoredBits(0, 0, 0))


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
