"""What a kernel takes and gives: one block of a merge, the parts that contributions hold of it, and the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients, Indices
from mergealgebra.algebra.trim import Counts, Window


@dataclass(frozen=True)
class Part:
    """What one contribution holds of a block, and what trim keeps of it.

    values: (n,) in the storage dtype. form: `finetuned` or `task_vector` [CT-1]. coefficient: an fp32 number.
    threshold: the fp32 bits of the least magnitude kept; 0 keeps zeros too, for a method without trim.
    ties: of the elements equal to the threshold, only those before this position are kept [TI-5].
    """

    values: Array
    form: str
    coefficient: float
    threshold: int
    ties: int

    def at(self, positions: Indices) -> Part:
        """The part at some ascending positions; those before `ties` are still the first."""
        ties = int(np.searchsorted(positions, self.ties))
        return Part(self.values[positions], self.form, self.coefficient, self.threshold, ties)


@dataclass(frozen=True)
class Reduction:
    """How a merge reduces its blocks: the same for all of them. method: a key of `algebra.methods.REDUCERS`."""

    method: str
    coefficients: Coefficients
    lambda32: float


@dataclass(frozen=True)
class Reduced:
    """A block of the merged model, and what was counted on the way.

    data: (n,) in the base's dtype. kept, above: for each part, how many elements trim kept, and how many of them
    lie above the threshold. uncertified: how many coordinates needed integers to sum them exactly [EX-3].
    """

    data: Array
    kept: tuple[int, ...]
    above: tuple[int, ...]
    uncertified: int


class Kernel(Protocol):
    """Reduces blocks and counts magnitudes, to the bits of the equations. Arrays are on the host, 1-D."""

    @property
    def name(self) -> str:
        """What the backend is called in a lock."""
        ...

    def check_worker(self) -> None:
        """Raise SubnormalsFlushed when the calling thread, or the device, reads or writes subnormals as zero [MG-9]."""
        ...

    def reduce(self, base: Any, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """The merged block. base: (n,) in its storage dtype. None when some number is not finite, to be named."""
        ...

    def count(self, base: Any, part: Part, window: Window, counts: Counts) -> bool:
        """Add to `counts` how many magnitudes of tau lie in each bin of a window, and last, above it.

        base: (n,) in its storage dtype. counts: (bins + 1,) int64. False when some tau is not finite, to be named.
        """
        ...


@dataclass(frozen=True)
class StoredSums:
    """The sums of a block, as an aggregate keeps them from merge to merge; kernels change them in index.

    sums, magnitudes: (n,) fp64, S = sum of v and A = sum of |v|; where A is infinite, nothing here means anything.
    signs, weights: V and W, likewise of the coefficients with the signs of the v: (n,) int16, fp64 where those are
    not all 1, and (0,) for a method without votes. grid: (n,) uint8, the biased exponent of the least grid of any v
    that ever was among them, 255 where there was none [EX-2].
    """

    sums: Array
    magnitudes: Array
    signs: Array
    weights: Array
    grid: Array

    def pairs(self) -> list[tuple[Array, Array]]:
        """S and A, and V and W where there are votes."""
        votes = [(self.signs, self.weights)] if self.weights.size else []
        return [(self.sums, self.magnitudes), *votes]

    def put(self, at: Any, other: StoredSums) -> None:
        """Set these at some positions. other: as many sums as positions, or the same for all."""
        self.sums[at], self.magnitudes[at], self.grid[at] = other.sums, other.magnitudes, other.grid
        if self.weights.size:
            self.signs[at], self.weights[at] = other.signs, other.weights


#: The sums of a coordinate without certificate.
UNKNOWN: Final = StoredSums(0.0, math.inf, 0, 0, 255)


@dataclass(frozen=True)
class Updated:
    """A block of the merged model after an update of its sums, but for the positions in `missed`.

    data: (n,) in the base's dtype, at the missed positions the base's. kept, above: as in `Reduced`, for each part,
    the retracted ones first. missed: the ascending positions whose sums have no certificate, and now mean nothing.
    """

    data: Array
    kept: tuple[int, ...]
    above: tuple[int, ...]
    missed: Indices


@runtime_checkable
class UpdatingKernel(Kernel, Protocol):
    """A kernel that can also bring the sums of an aggregate up to date."""

    def update(
        self, base: Any, kept: StoredSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """Take parts out of the sums, put others in, and merge the block [EX-4, EX-5].

        base: (n,) in its storage dtype. reduction: that of all contributions that are in the sums afterwards; their
        coefficients are certified. None when some number is not finite; then the sums are spoilt.
        """
        ...
