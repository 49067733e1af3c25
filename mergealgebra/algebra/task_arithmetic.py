"""Task arithmetic (Ilharco et al., 2023): the weighted sum of the task vectors [TA-1]."""

from __future__ import annotations

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.exact import Coefficients, Sums
from mergealgebra.algebra.mean import lift

__all__ = ["finalize", "lift"]


def finalize(sums: Sums, coefficients: Coefficients) -> Array:
    """tau_m = S. Returns (n,) fp32."""
    xp = array_namespace(sums.grid)
    return xp.astype(sums.total(), xp.float32)
