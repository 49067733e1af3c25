"""Dot products in one fixed tree, whoever computes them and in whatever blocks [DT-1 to DT-4].

    p_k      = x_k y_k, in fp64: exact
    chunk    = 4,096 of them, the last filled up with zeros, folded by halves
    x . y    = the sums of the chunks, folded by neighbours

What crosses the elements of a tensor has an order of its own, so the order of the additions can be fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, to_numpy
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.unproved import Unproved

#: Elements whose products are added before anything else is [DT-2].
CHUNK: Final = 1 << 12

#: The sums of the chunks of a tensor, or of some of them.
ChunkSums = np.ndarray[Any, np.dtype[np.float64]]
#: (x, y), both (n,) fp32: a dot product of a block.
Pair = tuple[Array, Array]


def chunk_sums(x: Array, y: Array) -> ChunkSums:
    """The sums of the chunks of a dot product [DT-1, DT-2]. x, y: (n,) fp32 or fp64, finite; a block of whole chunks.

    Returns (ceil(n / 4096),) fp64, NumPy.

    >>> chunk_sums(np.float32([1, 2, 3]), np.float32([4, 5, 6])).tolist()
    [32.0]
    """
    xp = array_namespace(x)
    products = xp.astype(x, xp.float64, copy=False) * xp.astype(y, xp.float64, copy=False)
    if missing := -products.shape[0] % CHUNK:
        products = xp.concat([products, xp.zeros(missing, dtype=xp.float64, device=products.device)])
    chunks = products.reshape((-1, CHUNK))
    half = CHUNK // 2
    while half:  # into new memory: NumPy takes a third longer to add in place
        chunks = chunks[:, :half] + chunks[:, half:]
        half //= 2
    return np.asarray(to_numpy(chunks)[:, 0])


def fold(sums: ChunkSums) -> float:
    """The sum of the chunks of a whole tensor: neighbours are added until one is left, an odd last one waits [DT-3].

    sums: (k,) fp64, in order. Returns an fp64 number; 0 of none.

    >>> fold(np.array([2.0**53, 1, 1])) == 2**53 + 1
    False
    """
    while sums.size > 1:
        even = sums.size // 2 * 2
        sums = np.concatenate([sums[:even:2] + sums[1:even:2], sums[even:]])
    return float(sums[0]) if sums.size else 0.0


def pairs_of(count: int, known: int = 0, *, squares: bool = False) -> list[tuple[int, int]]:
    """Of which vectors dot products are taken, in order. known: the first so many are left out with each other.

    squares: only of each with itself.

    >>> pairs_of(3, known=2)
    [(0, 2), (1, 2), (2, 2)]
    """
    return [(i, j) for i in range(count) for j in range(max(i, known), i + 1 if squares else count)]


def row_sums(rows: Array) -> Array:
    """The sum of each row, in the tree of a tensor of its own [DT-2, DT-3].

    rows: (r, c) fp32 or fp64, with c at least 1. Returns (r,) fp64 of the same library.

    >>> row_sums(np.float32([[1, 2, 3], [4, 5, 6]]))
    array([ 6., 15.])
    """
    xp = array_namespace(rows)
    wide = xp.astype(rows, xp.float64, copy=False)
    # A chunk that is mostly zeros is folded from the first half that is not: 0 + x is x.
    width = min(CHUNK, 1 << (rows.shape[1] - 1).bit_length())
    if missing := -rows.shape[1] % width:
        filling = xp.zeros((rows.shape[0], missing), dtype=xp.float64, device=rows.device)
        wide = xp.concat([wide, filling], axis=1)
    chunks = wide.reshape((rows.shape[0], -1, width))
    while width > 1:
        width //= 2
        chunks = chunks[:, :, :width] + chunks[:, :, width:]
    sums = chunks[:, :, 0]
    while sums.shape[1] > 1:
        even = sums.shape[1] // 2 * 2
        sums = xp.concat([sums[:, :even:2] + sums[:, 1:even:2], sums[:, even:]], axis=1)
    return sums[:, 0]


def dot(x: Array, y: Array) -> float:
    """x . y in the fixed tree. x, y: (n,) fp32 or fp64, finite, a whole tensor. Returns an fp64 number."""
    return fold(chunk_sums(x, y))


@dataclass(frozen=True)
class Dotted:
    """The dot products of one tensor, and how many elements it has."""

    dots: tuple[float, ...]
    elements: int


@dataclass(frozen=True)
class Dots(Unproved):
    """A `Statistic` of dot products, in the fixed tree.

    pairs: a view to the pairs of arrays whose dot products are wanted, as many each time. answer: the dot products by
    tensor, to what the stage gets as `found`. key: what both depend on, as texts. scope: whether the answer is about
    one tensor of a contribution, or all of them.
    """

    pairs: Callable[[View], Sequence[Pair]]
    answer: Callable[[Mapping[str, Dotted]], Any]
    key: Sequence[str]
    scope: Literal["model", "tensor"] = "tensor"
    unit: int = CHUNK

    def nothing(self, look: None) -> dict[tuple[str, int], tuple[int, list[ChunkSums]]]:
        """As `Statistic.nothing`."""
        return {}

    def observe(self, look: None, view: View, seen: Any) -> Any:
        """As `Statistic.observe`: the chunks of a block, by where it begins."""
        seen[view.tensor, view.start] = view.tau.shape[0], [chunk_sums(x, y) for x, y in self.pairs(view)]
        return seen

    def combine(self, look: None, one: Any, other: Any) -> Any:
        """As `Statistic.combine`: blocks lie apart, so nothing is added yet."""
        return {**one, **other}

    def nbytes(self, look: None) -> int:
        """As `Statistic.nbytes`: a number for each chunk of a large tensor."""
        return 1 << 20

    def settle(self, look: None, group: Group, seen: Any) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        blocks: dict[str, list[tuple[int, list[ChunkSums]]]] = {}
        for (tensor, _), block in sorted(seen.items()):
            blocks.setdefault(tensor, []).append(block)
        return True, self.answer({name: _dotted(blocks[name]) for name in group.names if name in blocks})


def _dotted(blocks: Sequence[tuple[int, list[ChunkSums]]]) -> Dotted:
    columns = zip(*(sums for _, sums in blocks), strict=True)
    return Dotted(tuple(fold(np.concatenate(column)) for column in columns), sum(size for size, _ in blocks))
