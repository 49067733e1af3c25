"""How far the rows of a model are from those of the base: the divergence of their softmaxes [AF-2, AF-3].

exp and log are correctly rounded, and what crosses a row is added in the fixed tree, so that all libraries agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mergealgebra.algebra import elementary
from mergealgebra.algebra.arrays import Array, array_namespace, to_numpy
from mergealgebra.algebra.dots import row_sums
from mergealgebra.algebra.method import Group, View
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
        powers = elementary.exp(wide - xp.max(wide, axis=1)[:, None])
    else:
        largest = xp.max(xp.where(usable, wide, -_LARGEST), axis=1)
        powers = xp.where(usable, elementary.exp(xp.where(usable, wide, 0.0) - largest[:, None]), 0.0)
    whole = row_sums(powers)
    shares = xp.astype(powers, xp.float64) / xp.where(whole == 0, 1.0, whole)[:, None]
    return shares + EPSILON


def importance(tau: Array, divergences: Array) -> Array:
    """The magnitude of each change times the divergence of its row, at most the largest fp32 number [AF-3].

    tau: (n,) fp32; a change that is not finite has none. divergences: (r,) fp64, r rows. Returns (n,) fp32, its zeros
    +0.
    """
    xp = array_namespace(tau)
    magnitudes = xp.astype(xp.abs(tau), xp.float64)
    if not bool(xp.all(xp.isfinite(magnitudes))):
        magnitudes = xp.where(xp.isfinite(magnitudes), magnitudes, 0.0)
    found = magnitudes.reshape((divergences.shape[0], -1)) * divergences[:, None]
    return xp.astype(xp.clip(found, -_LARGEST, _LARGEST), xp.float32).reshape((-1,)) + 0.0


@dataclass(frozen=True)
class RowDivergences(Unproved):
    """A `Statistic`: how far the rows of a tensor moved; the stage gets those of its block as `found`, fp64.

    tau: a view to the change that is looked at, (n,) fp32. name: what it is, for the key. The view has the base, and
    whole rows.
    """

    tau: Callable[[View], Array]
    name: str
    scope: Literal["tensor"] = "tensor"

    @property
    def key(self) -> tuple[str, ...]:
        """As `Statistic.key`."""
        return "divergences of rows", self.name

    def nothing(self, look: None) -> dict[int, Any]:
        """As `Statistic.nothing`: divergences by where their block begins, and how long a row is."""
        return {}

    def observe(self, look: None, view: View, seen: dict[int, Any]) -> dict[int, Any]:
        """As `Statistic.observe`."""
        columns = row_length(view)
        seen[view.start] = columns, to_numpy(row_divergences(view.base, self.tau(view), columns))
        return seen

    def combine(self, look: None, one: dict[int, Any], other: dict[int, Any]) -> dict[int, Any]:
        """As `Statistic.combine`: blocks lie apart."""
        return {**one, **other}

    def nbytes(self, look: None) -> int:
        """As `Statistic.nbytes`: a number for each row."""
        return 1 << 20

    def settle(self, look: None, group: Group, seen: dict[int, Any]) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        if not seen:
            raise LookupError("there are fewer elements than the group has")
        return True, (seen[0][0], np.concatenate([seen[start][1] for start in sorted(seen)]))

    def within(self, answer: Any, tensor: str, start: int, stop: int) -> Any:
        """As `Statistic.within`, of whole rows."""
        columns, divergences = answer
        return divergences[start // columns : stop // columns]
