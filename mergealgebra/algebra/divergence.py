"""How far the rows of a model are from those of the base: the divergence of their softmaxes [AF-2, AF-3].

exp and log are correctly rounded, and what crosses a row is added in the fixed tree, so that all libraries agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mergealgebra.algebra import elementary
from mergealgebra.algebra.arrays import Array, array_namespace, to_numpy
from mergealgebra.algebra.dots import row_sums
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.ranked import Ranked
from mergealgebra.algebra.rows import row_length
from mergealgebra.algebra.unproved import Unproved

#: What is added to every share of a softmax, so that none is 0.
EPSILON: Final = 1e-8
_LARGEST: Final = float(np.finfo(np.float32).max)


def row_divergences(base: Array, tau: Array, columns: int) -> Array:
    """The Kullback-Leibler divergence of softmax(base + tau) from softmax(base), by row.

    base: (n,) of a float dtype. tau: (n,) fp32, n a multiple of the columns. Where a model is not finite, neither of
    the two has a share. Returns (n / columns,) fp64.
    """
    xp = array_namespace(tau)
    with np.errstate(over="ignore", invalid="ignore"):
        old = xp.astype(base, xp.float32)
        new = old + tau
    usable = (xp.isfinite(old) & xp.isfinite(new)).reshape((-1, columns))
    everywhere = None if bool(xp.all(usable)) else usable
    p, q = (_softmax(x.reshape((-1, columns)), everywhere) for x in (new, old))
    terms = xp.astype(p * xp.astype(elementary.log(p / q), xp.float64), xp.float32)
    return row_sums(terms)


def _softmax(rows: Array, usable: Array | None) -> Array:
    """The share of each element in its row, and EPSILON. rows: (r, c) fp32. usable: where; None if everywhere.

    Returns fp64.
    """
    xp = array_namespace(rows)
    wide = xp.astype(rows, xp.float64)
    if usable is None:
        wide -= xp.astype(xp.max(rows, axis=1), xp.float64)[:, None]
        powers = elementary.exp(wide)
    else:
        largest = xp.max(xp.where(usable, wide, -_LARGEST), axis=1)
        powers = xp.where(usable, elementary.exp(xp.where(usable, wide, 0.0) - largest[:, None]), 0.0)
    shares = xp.astype(powers, xp.float64)
    whole = row_sums(shares)
    shares /= xp.where(whole == 0, 1.0, whole)[:, None]
    shares += EPSILON
    return shares


def importance(tau: Array, divergences: Array) -> Array:
    """The magnitude of each change times the divergence of its row, at most the largest fp32 number [AF-3].

    tau: (n,) fp32; a change that is not finite has none. divergences: (r,) fp64, r rows. Returns (n,) fp32, its zeros
    +0.
    """
    xp = array_namespace(tau)
    magnitudes = xp.abs(tau)
    if not bool(xp.max(magnitudes) <= _LARGEST):
        magnitudes = xp.where(xp.isfinite(magnitudes), magnitudes, 0.0)
    found = xp.astype(magnitudes, xp.float64).reshape((divergences.shape[0], -1))
    found *= divergences[:, None]
    largest = float(xp.max(magnitudes)) * float(xp.max(xp.abs(divergences)))
    if not largest <= _LARGEST:
        found = xp.clip(found, -_LARGEST, _LARGEST)
    return xp.astype(found, xp.float32).reshape((-1,)) + 0.0


@dataclass(frozen=True)
class Moved:
    """How far the rows of a tensor moved: so many elements in a row, and the divergence of each, fp64."""

    columns: int
    divergences: Any

    def between(self, start: int, stop: int) -> Any:
        """Those of whole rows, from an element on."""
        return self.divergences[start // self.columns : stop // self.columns]


@dataclass(frozen=True)
class _Closer:
    """The second look: what the first found of the rows, and where ranks lie."""

    moved: Moved
    ranked: Any


@dataclass(frozen=True)
class RankedImportances(Unproved):
    """A `Statistic`: the divergences of a tensor's rows, and of its importances those at some ranks [AF-2 to AF-4].

    The stage gets both as `found`: the divergences of its block, fp64, and a tuple of fp32 numbers. One pass finds the
    divergences, and about where the ranks lie, for rows are seen whole; another finds those. tau: a view to the change
    that is looked at, (n,) fp32. ranks: as in `Ranked`. name: what both are, for the key.
    """

    tau: Callable[[View], Array]
    ranks: Callable[[int], Sequence[int]]
    name: str
    scope: Literal["tensor"] = "tensor"

    @property
    def _ranked(self) -> Ranked:
        return Ranked(self.ranks, self.name)

    @property
    def key(self) -> tuple[str, ...]:
        """As `Statistic.key`."""
        return "importances", self.name

    def nothing(self, look: _Closer | None) -> tuple[Any, dict[int, Any]]:
        """As `Statistic.nothing`: counts, and divergences by where their block begins, and how long a row is."""
        return self._ranked.nothing(_ranks_in(look)), {}

    def observe(self, look: _Closer | None, view: View, seen: tuple[Any, dict[int, Any]]) -> Any:
        """As `Statistic.observe`."""
        change, (counts, rows) = self.tau(view), seen
        if look is None:
            columns = row_length(view)
            divergences = row_divergences(view.base, change, columns)
            rows[view.start] = columns, to_numpy(divergences)
        else:
            xp, there = array_namespace(change), look.moved.between(view.start, view.start + change.shape[0])
            divergences = xp.asarray(there, device=change.device)
        return self._ranked.observe(_ranks_in(look), view.with_tau(importance(change, divergences)), counts), rows

    def combine(self, look: _Closer | None, one: Any, other: Any) -> Any:
        """As `Statistic.combine`: blocks lie apart."""
        return self._ranked.combine(_ranks_in(look), one[0], other[0]), {**one[1], **other[1]}

    def nbytes(self, look: _Closer | None) -> int:
        """As `Statistic.nbytes`: beside counts, a number for each row."""
        return (1 << 20) + self._ranked.nbytes(_ranks_in(look))

    def settle(self, look: _Closer | None, group: Group, seen: Any) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        counts, rows = seen
        _, found = self._ranked.settle(_ranks_in(look), group, counts)
        if look is not None:
            return True, (look.moved, found)
        moved = Moved(rows[0][0], np.concatenate([rows[start][1] for start in sorted(rows)]))
        return False, _Closer(moved, found)

    def within(self, answer: tuple[Moved, tuple[float, ...]], tensor: str, start: int, stop: int) -> Any:
        """As `Statistic.within`, of whole rows."""
        moved, numbers = answer
        return moved.between(start, stop), numbers


def _ranks_in(look: _Closer | None) -> Any:
    return () if look is None else look.ranked
