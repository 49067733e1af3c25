"""Cutting the largest magnitudes of a tile [BC-2]."""

from __future__ import annotations

import numpy as np

from mergealgebra.kernels.fused.memory import compiled, magnitude_of


@compiled
def cut(ceiling, tau):
    """Leave out what lies above a ceiling. Returns how many those are, and how many did not lie below it."""
    above, not_below = np.int32(0), np.int32(0)
    for i in range(tau.size):
        magnitude = magnitude_of(tau[i])
        above = np.int32(above + np.int32(magnitude > ceiling))
        not_below = np.int32(not_below + np.int32(magnitude >= ceiling))
        tau[i] = np.float32(0.0) if magnitude > ceiling else tau[i]
    return above, not_below
