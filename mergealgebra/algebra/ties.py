"""TIES-Merging (Yadav et al., NeurIPS 2023, Algorithm 1) after trim: elect, then disjoint mean [TI-6 to TI-8].

The sums along the way, (S+, W+, S-, W-), are a commutative monoid; the method is its finalizer.
"""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.exact import Coefficients, Sums, grid_exponents, split_by_sign


def lift(v: Array, coefficient: float) -> Sums:
    """One trimmed, scaled task vector as sums: columns S+, S-, W+, W-. v: (n,) fp32; a zero does not vote."""
    xp = array_namespace(v)
    positive, negative = split_by_sign(v)
    votes_for, votes_against = xp.astype(v > 0, xp.float64), xp.astype(v < 0, xp.float64)
    columns = (positive, negative, votes_for * coefficient, -(votes_against * coefficient))
    return Sums(columns, grid_exponents(v))


def finalize(sums: Sums, coefficients: Coefficients) -> Array:
    """The merged task vector, tau_m. Returns (n,) fp32."""
    return disjoint_mean(sums, elect(sums))


def elect(sums: Sums) -> Array:
    """One sign a coordinate: that of the exact sum of v; a zero sum elects 0 [TI-7]. Returns (n,) int8."""
    return sums.sign()


def disjoint_mean(sums: Sums, gamma: Array) -> Array:
    """The mean of the v that agree with gamma, 0 where gamma is 0 [TI-8]. Returns (n,) fp32."""
    xp = array_namespace(gamma)
    value = xp.where(gamma > 0, sums.rounded(0), sums.rounded(1))
    weight = xp.where(gamma > 0, sums.rounded(2), -sums.rounded(3))
    mean = value / xp.where(gamma == 0, 1.0, weight)
    return xp.astype(xp.where(gamma == 0, 0.0, mean), xp.float32)
