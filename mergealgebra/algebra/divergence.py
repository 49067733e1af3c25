"""How far the rows of a model are from those of the base: the divergence of their softmaxes [AF-2, AF-3].

exp and log are correctly rounded, and what crosses a row is added in the fixed tree, so that all libraries agree.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mergealgebra.algebra import elementary
from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.dots import row_sums

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
    p, q = (_softmax(xp.where(usable, x.reshape((-1, columns)), 0.0), usable) for x in (new, old))
    terms = xp.astype(p * xp.astype(elementary.log(p / q), xp.float64), xp.float32)
    return row_sums(terms)


def _softmax(rows: Array, usable: Array) -> Array:
    """The share of each element in its row, and EPSILON. rows: (r, c) fp32, 0 where it is not usable. Returns fp64."""
    xp = array_namespace(rows)
    wide = xp.astype(rows, xp.float64)
    largest = xp.max(xp.where(usable, wide, -_LARGEST), axis=1)
    powers = xp.where(usable, elementary.exp(wide - largest[:, None]), 0.0)
    whole = row_sums(powers)
    shares = xp.astype(powers, xp.float64) / xp.where(whole == 0, 1.0, whole)[:, None]
    return shares + EPSILON


def importance(base: Array, tau: Array, columns: int) -> Array:
    """The magnitude of each change times the divergence of its row, at most the largest fp32 number [AF-3].

    As `row_divergences`; a change that is not finite has none. Returns (n,) fp32, its zeros +0.
    """
    xp = array_namespace(tau)
    finite = xp.isfinite(tau)
    known = xp.where(finite, tau, 0.0)
    magnitudes = xp.abs(xp.astype(known, xp.float64)).reshape((-1, columns))
    found = magnitudes * row_divergences(base, tau, columns)[:, None]
    return xp.astype(xp.clip(found, -_LARGEST, _LARGEST), xp.float32).reshape((-1,)) + 0.0
