"""The merged model of a block: base + lambda * tau_m, rounded at named points [MG-2, MG-3, MG-4]."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace


def apply(base: Array, tau_m: Array, lambda32: float) -> Array:
    """RN32(RN64(base + lambda * tau_m)), or RN64 of it where the base is fp64 [MG-3].

    base: (n,) fp32 or fp64. tau_m: (n,) fp32. lambda32: an fp32 number. Returns (n,) of the base's dtype.
    The product of two fp32 numbers is exact in fp64, so contracting it into the addition changes nothing.
    """
    xp = array_namespace(base, tau_m)
    merged = xp.astype(base, xp.float64) + xp.astype(tau_m, xp.float64) * lambda32
    return xp.astype(merged, base.dtype)


def changed(tau_m: Array, lambda32: float) -> Array:
    """Where the merged model is not a copy of the base's bits [MG-2]. Returns (n,) bool."""
    return (tau_m != 0) & (lambda32 != 0)
