"""The task vector of a block: fine-tuned minus base, rounded once [TV-2, TV-3, TV-6]."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace


def finite_difference(finetuned: Array, base: Array) -> Array | None:
    """As `difference`, where every difference is finite; else None. Of finite numbers, equal ones leave +0.

    What both lack, infinities and NaN, is equal only where the bits are, and that is looked at where there are any.
    """
    xp, found = array_namespace(finetuned, base), stored(finetuned - base)
    return found if bool(xp.all(xp.isfinite(found))) else None


def difference(finetuned: Array, base: Array, same_bits: Array) -> Array:
    """tau = RN32(finetuned - base), +0 where nothing changed.

    finetuned, base: (n,) fp32 or fp64; if either is fp64 the difference is rounded there first.
    same_bits: (n,) bool, true where both had the same dtype and bits before widening.
    Returns (n,) fp32, not finite where TV-4 makes it an error.
    """
    xp = array_namespace(finetuned, base)
    wide = xp.float64 if xp.float64 in (finetuned.dtype, base.dtype) else xp.float32
    finetuned, base = xp.astype(finetuned, wide, copy=False), xp.astype(base, wide, copy=False)
    unchanged = same_bits | (finetuned == base)
    return stored(xp.where(unchanged, 0.0, finetuned - base))


def stored(values: Array) -> Array:
    """The tau of a stored task vector: RN32, its -0 read as +0 [TV-5, TV-6].

    values: (n,) fp32 or fp64. Returns (n,) fp32.
    """
    xp = array_namespace(values)
    return xp.astype(values, xp.float32, copy=False) + 0.0
