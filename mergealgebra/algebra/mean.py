"""The weighted mean of the task vectors, which averages the models [ME-1]."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.exact import Coefficients, Sums, grid_exponents, split_by_sign


def lift(v: Array, coefficient: float) -> Sums:
    """One scaled task vector as sums: columns S+, S-. v: (n,) fp32."""
    return Sums(split_by_sign(v), grid_exponents(v))


def finalize(sums: Sums, coefficients: Coefficients) -> Array:
    """tau_m = S / W, W over all contributions: one that lacks the tensor counts as zero. Returns (n,) fp32."""
    xp = array_namespace(sums.grid)
    return xp.astype(sums.total() / coefficients.total, xp.float32)
