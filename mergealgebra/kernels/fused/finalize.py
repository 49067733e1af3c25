"""The merged task vector of a tile from its sums, which are exact [TI-7, TI-8, ME-1, TA-1, LI-1]."""

from __future__ import annotations

import numpy as np

from mergealgebra.kernels.fused.memory import compiled
from mergealgebra.kernels.fused.table import LINEAR, MEAN, TASK_ARITHMETIC, TIES_MERGING


@compiled
def finalize(method, sums, numbers, tau_m):
    """What is merged of a tile whose sums are exact [TI-7, TI-8, ME-1, TA-1, LI-1]; False for another method."""
    s, a, whole, wide, _ = sums
    total, _, unit = numbers
    if method == TIES_MERGING:
        _disjoint_mean(s, a, whole, unit, tau_m)
        _disjoint_mean(s, a, wide, unit, tau_m)
    elif method in (MEAN, LINEAR):
        for i in range(s.size):
            tau_m[i] = np.float32(s[i] / total)
    elif method == TASK_ARITHMETIC:
        for i in range(s.size):
            tau_m[i] = np.float32(s[i])
    else:
        return False
    return True


@compiled
def _disjoint_mean(s, a, votes, unit, tau_m):
    """S+ / W+ or S- / W-, as the sign of S says; nothing where V and W are empty."""
    v, w = votes
    for i in range(v.size):
        agreeing = (s[i] + a[i] if s[i] > 0 else s[i] - a[i]) * 0.5
        weight = np.float64(w[i] + v[i] if s[i] > 0 else w[i] - v[i]) * (0.5 * unit)
        tau_m[i] = np.float32(agreeing / weight if s[i] != 0 else 0.0)
