"""Products and quotients, rounded where the specification says."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace


def scaled(tau: Array, coefficient: float) -> Array:
    """v = RN32(c * tau) [TI-6, ME-1, TA-2]. tau: (n,) fp32; c an fp32 number.

    Returns (n,) fp32, perhaps not finite, its zeros +0.
    """
    return tau if coefficient == 1 else tau * coefficient + 0.0


def product(x: Array, y: Array) -> Array:
    """RN32(x * y). Both (n,) fp32. Returns (n,) fp32, perhaps not finite, its zeros +0."""
    return x * y + 0.0


def quotient(x: Array, y: Array | float) -> Array:
    """RN32(RN64(x / y)) [ME-1, TI-8]. x: (n,) fp32 or fp64. y: (n,) fp64, or an fp64 number. Returns (n,) fp32."""
    xp = array_namespace(x)
    return xp.astype(xp.astype(x, xp.float64, copy=False) / y, xp.float32)
