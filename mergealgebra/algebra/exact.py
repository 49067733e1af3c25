"""Exact sums of fp32 numbers, held in fp64 [EX-1, EX-2, EX-3].

Plain fp64 addition is exact while every term is a whole multiple of one power of two, the grid, and the
magnitudes add up to less than 2^53 of it. That is the certificate. Trimmed task vectors nearly always
have it. The few coordinates that lose it are held as Python integers in units of 2^-149, of which every
fp32 number is a multiple. So each sum is exact at every moment, whatever the order of the additions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from functools import reduce as fold
from typing import TYPE_CHECKING, Any

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, int_bits, to_numpy, with_values

if TYPE_CHECKING:
    from mergealgebra.algebra.method import Terms

#: Every fp32 number is a whole number of these.
UNIT = 2.0**-149
_UNITS_IN_ONE = 1 << 149
_NO_GRID = 255
_GREATEST = 0x7FFFFFFF
_LEAST = -0x80000000
#: 2^53 grids, by the biased exponent of the grid: what certified magnitudes add up to less than.
LIMITS = np.ldexp(1.0, np.arange(256) - 97)

Integers = np.ndarray[Any, np.dtype[np.object_]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


def _no_indices() -> Indices:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Sums:
    """Sums at n coordinates, exact at every moment: a commutative monoid under `combine`.

    columns: fp64 arrays of shape (n,), two for each sum: of its positive and of its negative terms. The sums of terms
    come first; where a method has votes, those of the coefficients are the last two. grids: (n,) uint8 for each sum of
    terms: the biased exponent of the least grid so far; 255 where there is none. maxima: (n,) fp32 each, the greatest
    terms. They cannot be taken back. uncertified: (u,) ascending indices at which some column is not exact and
    `integers` counts. integers: (columns, u) Python integers, the exact sums there in units of 2^-149.
    """

    columns: tuple[Array, ...]
    grids: tuple[Array, ...]
    maxima: tuple[Array, ...] = ()
    uncertified: Indices = field(default_factory=_no_indices)
    integers: Integers = field(default_factory=lambda: np.empty((0, 0), object))

    @classmethod
    def of(cls, terms: Terms, votes: bool = False) -> Sums:
        """What one contribution adds. votes: whether its coefficient is summed too, with the sign of its first term."""
        columns = [column for term in terms.sums for column in split_by_sign(term)]
        if votes:
            xp, first = array_namespace(terms.sums[0]), terms.sums[0]
            columns += [
                xp.astype(first > 0, xp.float64) * terms.votes,
                -(xp.astype(first < 0, xp.float64) * terms.votes),
            ]
        return cls(tuple(columns), tuple(map(grid_exponents, terms.sums)), terms.maxima)

    @property
    def weighs(self) -> bool:
        """Whether sums of coefficients are among the columns, which no certificate of terms covers."""
        return len(self.columns) > 2 * len(self.grids)

    def combine(self, other: Sums) -> Sums:
        """Both sums in one: commutative, associative, exact [EX-4]."""
        xp = array_namespace(*self.columns, *self.maxima)
        columns = tuple(x + y for x, y in zip(self.columns, other.columns, strict=True))
        grids = tuple(xp.minimum(x, y) for x, y in zip(self.grids, other.grids, strict=True))
        maxima = tuple(xp.maximum(x, y) for x, y in zip(self.maxima, other.maxima, strict=True))
        return self._with(other, np.add, Sums(columns, grids, maxima), _failing(columns, grids))

    def retract(self, other: Sums) -> Sums:
        """The sums without `other`, which must be among them: undoes `combine` exactly [EX-5]. There are no maxima."""
        columns = tuple(x - y for x, y in zip(self.columns, other.columns, strict=True))
        return self._with(other, np.subtract, Sums(columns, self.grids), _no_indices())

    def as_integers(self) -> Sums:
        """The same sums with no use made of the certificate."""
        everywhere = np.arange(self.columns[0].shape[0])
        return Sums(self.columns, self.grids, self.maxima, everywhere, self._integers_at(everywhere))

    def sign(self, sum_: int = 0) -> Array:
        """The sign of a sum, exactly: its two columns are compared, never added. Returns (n,) int8 [TI-7]."""
        positive, negative = self.columns[2 * sum_], -self.columns[2 * sum_ + 1]
        xp = array_namespace(positive)
        sign = xp.astype(positive > negative, xp.int8) - xp.astype(positive < negative, xp.int8)
        return self._corrected(sign, lambda of: _signs(of[2 * sum_] + of[2 * sum_ + 1]))

    def rounded(self, column: int) -> Array:
        """RN64 of one column. Returns (n,) fp64."""
        return self._corrected(self.columns[column], lambda of: _rn64(of[column]))

    def total(self, sum_: int = 0) -> Array:
        """RN64 of a sum, of all its terms. Returns (n,) fp64."""
        whole = self.columns[2 * sum_] + self.columns[2 * sum_ + 1]
        return self._corrected(whole, lambda of: _rn64(of[2 * sum_] + of[2 * sum_ + 1]))

    def _with(self, other: Sums, join: np.ufunc, joined: Sums, failing: Indices) -> Sums:
        """The joined sums: what failed once stays uncertified, and is joined as integers."""
        uncertified = np.union1d(np.union1d(self.uncertified, other.uncertified), failing)
        if not uncertified.size:
            return joined
        integers = join(self._integers_at(uncertified), other._integers_at(uncertified))
        return Sums(joined.columns, joined.grids, joined.maxima, uncertified, integers)

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


def prepared(sums: Sums, coefficients: Coefficients) -> Sums:
    """The same sums, as integers if they hold sums of coefficients that fp64 cannot hold [EX-3]."""
    return sums if coefficients.certified or not sums.weighs else sums.as_integers()


def combine(sums: Iterable[Sums]) -> Sums:
    """All sums in one, in the order given; any other order gives the same. At least one is needed [EX-4]."""
    return fold(Sums.combine, sums)


def sums_of(terms: Sequence[Terms], votes: bool, coefficients: Coefficients) -> Sums:
    """All terms of a block in one: what `combine` gives of them. At least one is needed. votes: as for `Sums.of`.

    What certifies the whole certifies every sum on the way, for magnitudes grow and grids shrink: it is looked at once.
    """
    if votes and not coefficients.certified:
        return combine(Sums.of(term, votes).as_integers() for term in terms)
    added = [_added([term.sums[i] for term in terms]) for i in range(len(terms[0].sums))]
    columns = [column for s, a, _ in added for column in ((a + s) * 0.5, (s - a) * 0.5)]
    whole = Sums((*columns, *(_votes(terms) if votes else ())), tuple(grid for *_, grid in added), maxima_of(terms))
    return with_integers(whole, [_failing_of(magnitudes, grid) for _, magnitudes, grid in added], terms, votes)


def with_integers(whole: Sums, failing: Sequence[Indices], terms: Sequence[Terms], votes: bool) -> Sums:
    """Sums of these terms, as integers too where one of them has no certificate. failing: where that is, of each."""
    if not any(positions.size for positions in failing):
        return whole
    uncertified = np.unique(np.concatenate(failing))
    integers = combine(Sums.of(_only(term, uncertified), votes).as_integers() for term in terms).integers
    return replace(whole, uncertified=uncertified, integers=integers)


def _only(terms: Terms, at: Indices) -> Terms:
    """What is summed of a contribution at some positions, on the host."""
    return replace(terms, sums=tuple(to_numpy(term)[at] for term in terms.sums), maxima=())


def _added(values: Sequence[Array]) -> tuple[Array, Array, Array]:
    """S = sum of v, A = sum of |v|, and the least grid, of arrays v: (n,) fp32."""
    xp = array_namespace(values[0])
    s, least = xp.astype(values[0], xp.float64), _below(values[0])
    a = abs(s)
    for v in values[1:]:
        wide = xp.astype(v, xp.float64)
        s += wide
        a += abs(wide)
        least = xp.minimum(least, _below(v))
    return s, a, _grids_above(least & _GREATEST)


def _votes(terms: Sequence[Terms]) -> tuple[Array, Array]:
    """The sums of the coefficients of positive and of negative terms; those that are alike are counted."""
    xp, first = array_namespace(terms[0].sums[0]), terms[0].sums[0]
    alike: dict[float, list[Array]] = {}
    for term in terms:
        alike.setdefault(term.votes, []).append(term.sums[0])
    plus, minus = 0.0, 0.0
    for vote, values in alike.items():
        count = xp.zeros((2, *first.shape), dtype=xp.int32, device=first.device)
        for value in values:
            count[0] += value > 0
            count[1] += value < 0
        weights = xp.astype(count, xp.float64) * vote
        plus, minus = plus + weights[0], minus - weights[1]
    return plus, minus


def maxima_of(terms: Sequence[Terms]) -> tuple[Array, ...]:
    """The greatest of the terms of which that is taken."""
    maxima = terms[0].maxima
    for term in terms[1:]:
        maxima = tuple(array_namespace(x).maximum(x, y) for x, y in zip(maxima, term.maxima, strict=True))
    return maxima


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of all contributions to a merge, as fp32 numbers; and of those that hold the tensor at hand.

    They are certified once per merge: where they are not, sums of them are made of integers [EX-3].
    """

    values: tuple[float, ...]
    held: tuple[float, ...] = ()

    @cached_property
    def certified(self) -> bool:
        """Whether fp64 additions of any of them are exact [EX-2]."""
        magnitudes = np.abs(np.asarray(self.values, np.float32))
        limit = LIMITS[grid_exponents(magnitudes).min(initial=_NO_GRID)]
        return bool(math.fsum(magnitudes.tolist()) < limit)

    @property
    def total(self) -> float:
        """RN64 of the exact sum of all [ME-1]."""
        return math.fsum(self.values)

    @property
    def held_total(self) -> float:
        """RN64 of the exact sum of those that hold the tensor."""
        return math.fsum(self.held)


def grid_exponents(v: Array) -> Array:
    """The biased exponent of each number's grid, 255 for zero [EX-2].

    v: (n,) fp32. Returns (n,) uint8: an fp32 number with biased exponent E is a multiple of 2^(max(E, 1) - 150).
    """
    xp = array_namespace(v)
    exponents = xp.astype((int_bits(v) >> 23) & 255, xp.uint8)
    exponents = exponents | xp.astype(exponents == 0, xp.uint8)
    return exponents | xp.astype(v == 0, xp.uint8) * _NO_GRID


def _below(v: Array) -> Array:
    """What has the order of the magnitudes, but that 0 comes last. v: (n,) fp32. Returns (n,) int32.

    Its bits but the first are those of the magnitude, less one; of 0 it is the greatest int32.
    """
    return (int_bits(v) | _LEAST) - 1


def _grids_above(least: Array) -> Array:
    """As `grid_exponents`, of magnitudes of which the bits, less one, are given; of 0 the greatest int32."""
    xp = array_namespace(least)
    exponents = xp.astype((least + (least != _GREATEST)) >> 23, xp.uint8)
    return exponents | xp.astype(exponents == 0, xp.uint8)


def split_by_sign(v: Array) -> tuple[Array, Array]:
    """The positive and the negative part of v, in fp64. v: (n,) fp32, its zeros +0."""
    xp = array_namespace(v)
    wide = xp.astype(v, xp.float64)
    return xp.clip(wide, 0.0, None), xp.clip(wide, None, 0.0)


def _failing(columns: tuple[Array, ...], grids: tuple[Array, ...]) -> Indices:
    """Where the certificate of some sum fails: each has one of its own [EX-7]."""
    failing = [_failing_of(columns[2 * i] - columns[2 * i + 1], grid) for i, grid in enumerate(grids)]
    return np.unique(np.concatenate(failing)) if len(failing) > 1 else failing[0] if failing else _no_indices()


def _failing_of(magnitudes: Array, grid: Array) -> Indices:
    """Where these magnitudes are too large: first the cheap test of the block as a whole, then each coordinate."""
    xp = array_namespace(grid)
    if not grid.shape[0] or float(xp.max(magnitudes)) < LIMITS[int(xp.min(grid))]:
        return _no_indices()
    return np.flatnonzero(to_numpy(magnitudes) >= LIMITS[to_numpy(grid)])


def _rn64(integers: Integers) -> np.ndarray[Any, Any]:
    # The true division of Python integers is correctly rounded.
    return np.array([integer / _UNITS_IN_ONE for integer in integers])


def _signs(integers: Integers) -> np.ndarray[Any, Any]:
    return np.array([(integer > 0) - (integer < 0) for integer in integers])


_to_integers = np.frompyfunc(int, 1, 1)
