"""Applying the merged task vector of a tile to the base [MG-2 to MG-4]."""

from __future__ import annotations

import math

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.memory import (
    INFINITY,
    bits_of,
    compiled,
    magnitude_of,
    number_of,
    pointer,
    to_bf16,
    to_fp16,
)
from mergealgebra.kernels.fused.table import BF16, F32, F64


@compiled
def apply(base, out, old, tau_m, lambda32):
    """base + lambda * tau_m, rounded, where that moves it [MG-2, MG-3, MG-4]. False when a number is not finite."""
    largest = np.int32(0)
    for i in range(tau_m.size):
        largest = max(largest, magnitude_of(tau_m[i]))
    if largest >= INFINITY:
        return False
    if base[1] == F64:
        return _apply_to_fp64(base[0], out, tau_m, lambda32)
    if base[1] == F32:
        return _apply_to_fp32(base[0], out, tau_m, lambda32)
    bits, merged = carray(pointer(base[0], np.uint16), tau_m.size), carray(pointer(out, np.uint16), tau_m.size)
    infinity = np.int32(0x7F80 if base[1] == BF16 else 0x7C00)
    largest = np.int32(0)
    for i in range(tau_m.size):
        x = np.float32(np.float64(old[i]) + np.float64(tau_m[i]) * lambda32)
        half = to_bf16(x) if base[1] == BF16 else to_fp16(x)
        moved = tau_m[i] != 0 and lambda32 != 0
        finite = (np.int32(half & np.int32(0x7FFF)) < infinity) & (magnitude_of(x) < INFINITY)
        largest = max(largest, np.int32(moved and not finite))
        merged[i] = np.uint16(half) if moved else bits[i]
    return largest == 0


@compiled
def _apply_to_fp32(base, out, tau_m, lambda32):
    bits, merged = carray(pointer(base, np.int32), tau_m.size), carray(pointer(out, np.int32), tau_m.size)
    largest = np.int32(0)
    for i in range(tau_m.size):
        old = number_of(bits[i])
        x = np.float32(np.float64(old) + np.float64(tau_m[i]) * lambda32)
        moved = tau_m[i] != 0 and lambda32 != 0
        largest = max(largest, magnitude_of(x) if moved else np.int32(0))
        merged[i] = bits_of(x) if moved else bits[i]
    return largest < INFINITY


@compiled
def _apply_to_fp64(base, out, tau_m, lambda32):
    old, merged = carray(pointer(base, np.float64), tau_m.size), carray(pointer(out, np.float64), tau_m.size)
    bits, moved_bits = carray(pointer(base, np.int64), tau_m.size), carray(pointer(out, np.int64), tau_m.size)
    for i in range(tau_m.size):
        moved_bits[i] = bits[i]
        if tau_m[i] != 0 and lambda32 != 0:
            merged[i] = old[i] + np.float64(tau_m[i]) * lambda32
            if not math.isfinite(merged[i]):
                return False
    return True
