"""Exact sums of fp32 numbers, held in fp64 [EX-1, EX-2, EX-3].

Plain fp64 addition is exact while every term is a whole multiple of one power of two, the grid, and the
magnitudes add up to less than 2^53 of it. That is the certificate. Trimmed task vectors nearly always
have it. The few coordinates that lose it are held as Python integers in units of 2^-149, of which every
fp32 number is a multiple. So each sum is exact at every moment, whatever the order of the additions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, int_bits, to_numpy, with_values

#: Every fp32 number is a whole number of these.
UNIT = 2.0**-149
_UNITS_IN_ONE = 1 << 149
_NO_GRID = 255
#: 2^53 grids, by the biased exponent of the grid: what certified magnitudes add up to less than.
LIMITS = np.ldexp(1.0, np.arange(256) - 97)

Integers = np.ndarray[Any, np.dtype[np.object_]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


def _no_indices() -> Indices:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Sums:
    """Sums at n coordinates, exact at every moment: a commutative monoid under `combine`.

    columns: fp64 arrays of shape (n,). Each holds terms of one sign: first the sum of the positive v, then
        that of the negative v, then whatever the method sums along with them.
    grid: (n,) uint8, the biased exponent of the least grid of the v so far; 255 where there is none.
    uncertified: (u,) ascending indices at which the columns are not exact and `integers` counts.
    integers: (columns, u) Python integers, the exact sums there in units of 2^-149.
    """

    columns: tuple[Array, ...]
    grid: Array
    uncertified: Indices = field(default_factory=_no_indices)
    integers: Integers = field(default_factory=lambda: np.empty((0, 0), object))

    @property
    def weighs(self) -> bool:
        """Whether sums of coefficients are among the columns, which the certificate of v does not cover."""
        return len(self.columns) > 2

    def combine(self, other: Sums) -> Sums:
        """Both sums in one: commutative, associative, exact [EX-4]."""
        xp = array_namespace(self.grid)
        columns = tuple(x + y for x, y in zip(self.columns, other.columns, strict=True))
        grid = xp.minimum(self.grid, other.grid)
        return self._with(other, np.add, columns, grid, _failing(columns, grid))

    def retract(self, other: Sums) -> Sums:
        """The sums without `other`, which must be among them: undoes `combine` exactly [EX-5]."""
        columns = tuple(x - y for x, y in zip(self.columns, other.columns, strict=True))
        return self._with(other, np.subtract, columns, self.grid, _no_indices())

    def as_integers(self) -> Sums:
        """The same sums with no use made of the certificate."""
        everywhere = np.arange(self.grid.shape[0])
        return Sums(self.columns, self.grid, everywhere, self._integers_at(everywhere))

    def sign(self) -> Array:
        """The sign of S+ + S-, exactly: they are compared, never added. Returns (n,) int8 [TI-7]."""
        xp = array_namespace(self.grid)
        positive, negative = self.columns[0], -self.columns[1]
        sign = xp.astype(positive > negative, xp.int8) - xp.astype(positive < negative, xp.int8)
        return self._corrected(sign, lambda of: _signs(of[0] + of[1]))

    def rounded(self, column: int) -> Array:
        """RN64 of one column. Returns (n,) fp64."""
        return self._corrected(self.columns[column], lambda of: _rn64(of[column]))

    def total(self) -> Array:
        """RN64(S+ + S-), the sum of all v. Returns (n,) fp64."""
        return self._corrected(self.columns[0] + self.columns[1], lambda of: _rn64(of[0] + of[1]))

    def _with(self, other: Sums, join: np.ufunc, columns: tuple[Array, ...], grid: Array, failing: Indices) -> Sums:
        """The joined sums: what failed once stays uncertified, and is joined as integers."""
        uncertified = np.union1d(np.union1d(self.uncertified, other.uncertified), failing)
        if not uncertified.size:
            return Sums(columns, grid)
        integers = join(self._integers_at(uncertified), other._integers_at(uncertified))
        return Sums(columns, grid, uncertified, integers)

    def _integers_at(self, indices: Indices) -> Integers:
        """The exact sums at ascending indices that include all uncertified ones. Returns (columns, n) integers."""
        values = np.stack([to_numpy(column)[indices] for column in self.columns])
        integers = np.asarray(_to_integers(values / UNIT))
        if self.uncertified.size:
            integers[:, np.searchsorted(indices, self.uncertified)] = self.integers
        return integers

    def _corrected(self, certified: Array, exact: Callable[[Integers], np.ndarray[Any, Any]]) -> Array:
        if not self.uncertified.size:
            return certified
        return with_values(certified, self.uncertified, exact(self.integers))


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of all contributions to a merge, as fp32 numbers.

    They are certified once per merge: where they are not, sums of them are made of integers [EX-3].
    """

    values: tuple[float, ...]

    @cached_property
    def certified(self) -> bool:
        """Whether fp64 additions of any of them are exact [EX-2]."""
        magnitudes = np.abs(np.asarray(self.values, np.float32))
        limit = LIMITS[grid_exponents(magnitudes).min(initial=_NO_GRID)]
        return bool(math.fsum(magnitudes.tolist()) < limit)

    @property
    def total(self) -> float:
        """RN64 of their exact sum [ME-1]."""
        return math.fsum(self.values)


def grid_exponents(v: Array) -> Array:
    """The biased exponent of each number's grid, 255 for zero [EX-2].

    v: (n,) fp32. Returns (n,) uint8: an fp32 number with biased exponent E is a multiple of 2^(max(E, 1) - 150).
    """
    xp = array_namespace(v)
    exponents = (int_bits(v) >> 23) & 255
    exponents = xp.where(exponents == 0, 1, exponents)
    return xp.astype(xp.where(v == 0, _NO_GRID, exponents), xp.uint8)


def split_by_sign(v: Array) -> tuple[Array, Array]:
    """The positive and the negative part of v, in fp64. v: (n,) fp32, its zeros +0."""
    xp = array_namespace(v)
    wide = xp.astype(v, xp.float64)
    return xp.clip(wide, 0.0, None), xp.clip(wide, None, 0.0)


def _failing(columns: tuple[Array, ...], grid: Array) -> Indices:
    """Where the certificate fails: first the cheap test of the block as a whole, then each coordinate."""
    xp = array_namespace(grid)
    if not grid.shape[0]:
        return _no_indices()
    magnitudes = columns[0] - columns[1]
    if float(xp.max(magnitudes)) < LIMITS[int(xp.min(grid))]:
        return _no_indices()
    return np.flatnonzero(to_numpy(magnitudes) >= LIMITS[to_numpy(grid)])


def _rn64(integers: Integers) -> np.ndarray[Any, Any]:
    # The true division of Python integers is correctly rounded.
    return np.array([integer / _UNITS_IN_ONE for integer in integers])


def _signs(integers: Integers) -> np.ndarray[Any, Any]:
    return np.array([(integer > 0) - (integer < 0) for integer in integers])


_to_integers = np.frompyfunc(int, 1, 1)
