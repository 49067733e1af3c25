"""Task vectors and models of a block, in the dtypes that checkpoints hold: to subtract, and to add [TV-2 to TV-6].

Arrays are one-dimensional, NumPy or torch.
"""

from __future__ import annotations

import numpy as np

from mergealgebra.algebra.apply import apply, changed
from mergealgebra.algebra.arrays import Array, array_namespace, either
from mergealgebra.algebra.difference import difference, finite_difference, stored
from mergealgebra.tensors.dtypes import bits, name_of, narrow, widen


def subtract(finetuned: Array, base: Array) -> Array:
    """tau of a block of a fine-tune [TV-2, TV-3]. Both (n,), float dtypes. Returns (n,) fp32, perhaps not finite.

    >>> subtract(np.array([1, 2], np.float16), np.array([1, 1.5], np.float16))
    array([0. , 0.5], dtype=float32)
    """
    wide = widen(finetuned), widen(base)
    if (found := finite_difference(*wide)) is not None:
        return found
    xp = array_namespace(finetuned, base)
    same = bits(finetuned) == bits(base) if finetuned.dtype == base.dtype else xp.zeros_like(base, dtype=xp.bool)
    return difference(*wide, same)


def read_stored(values: Array) -> Array:
    """tau of a block of a stored task vector [TV-5]. (n,) of a float dtype. Returns (n,) fp32, perhaps not finite.

    >>> read_stored(np.array([0.5, -1], np.float64))
    array([ 0.5, -1. ], dtype=float32)
    """
    xp = array_namespace(widen(values))
    tau = stored(widen(values))
    # RN32 of a finite number may be infinite, never the other way round, so tau alone tells what is not finite.
    return xp.where(xp.isfinite(tau), tau, xp.nan)


def tau(values: Array, base: Array, form: str) -> Array:
    """The task vector of a block, in either form [TV-2, TV-5]. Both (n,), storage dtypes.

    Returns (n,) fp32, perhaps not finite.
    """
    return subtract(values, base) if form == "finetuned" else read_stored(values)


def theta(values: Array, base: Array, form: str) -> Array:
    """The model of a block, in either form [TV-13]: RN32 of it; of a task vector RN32(RN64(base + tau)).

    Both (n,), storage dtypes. Returns (n,) fp32, perhaps not finite, its zeros +0.
    """
    if form == "finetuned":
        wide = widen(values)
    else:
        old, xp = widen(base), array_namespace(widen(base))
        wide = xp.astype(old, xp.float64) + xp.astype(read_stored(values), xp.float64)
    xp = array_namespace(wide)
    return xp.astype(wide, xp.float32, copy=False) + 0.0


def own_bits(values: Array, base: Array, form: str) -> tuple[Array, Array]:
    """A model of a block in the base's dtype, and where it is known bit by bit [MG-14]. Both (n,), storage dtypes.

    A fine-tune is, if it has the base's dtype; a task vector where it is 0, as it leaves the base there.
    """
    xp = array_namespace(widen(base))
    if form == "finetuned":
        same = name_of(values) == name_of(base)
        return (values if same else base), xp.full(base.shape, same, dtype=xp.bool, device=base.device)
    return base, read_stored(values) == 0


def add(base: Array, tau_m: Array, lambda32: float) -> tuple[Array, Array]:
    """The merged block and a mask of where it is not finite [MG-2 to MG-5].

    base: (n,) of a float dtype. tau_m: (n,) fp32. Returns (n,) of the base's dtype, and (n,) bool.

    >>> add(np.ones(2, np.float16), np.array([1, 1e9], np.float32), 1.0)
    (array([ 2., inf], dtype=float16), array([False,  True]))
    """
    xp = array_namespace(widen(base), tau_m)
    merged = narrow(apply(widen(base), tau_m, lambda32), name_of(base))
    moved = changed(tau_m, lambda32)
    whole = xp.where(moved, merged, base) if name_of(base) == "F64" else either(moved, merged, base)
    return whole, moved & ~xp.isfinite(widen(merged))


def index_in(shape: tuple[int, ...], position: int) -> list[int]:
    """The coordinates of an element from its position in C order [TV-9].

    >>> index_in((2, 3), 4)
    [1, 1]
    """
    return [int(i) for i in np.unravel_index(position, shape)] if shape else []
