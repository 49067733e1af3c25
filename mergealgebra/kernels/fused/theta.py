"""The models of a tile, and the merged model [TV-13, MG-13, MG-14]."""

from __future__ import annotations

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.memory import (
    INFINITY,
    ahead,
    compiled,
    element,
    magnitude_of,
    pointer,
    read,
    to_bf16,
    to_fp16,
)
from mergealgebra.kernels.fused.table import ADDRESS, BF16, DTYPE, F32, F64, FINETUNED


@compiled
def find_theta(held, base, old, theta):
    """theta of a tile [TV-13]; arguments and result as those of `find_tau`. Zeros may have either sign."""
    address, code, finetuned = held
    read_fp32(address, code, theta)
    if not finetuned and base[1] == F64:
        for i in range(theta.size):
            theta[i] = np.float32(element(base[0], F64, i) + np.float64(theta[i]))
    elif not finetuned:
        for i in range(theta.size):
            theta[i] = np.float32(np.float64(old[i]) + np.float64(theta[i]))
    largest = np.int32(0)
    for i in range(theta.size):
        largest = max(largest, magnitude_of(theta[i]))
    return largest


@compiled
def read_fp32(address, code, x):
    """Numbers of any dtype as fp32, those of F64 rounded."""
    if code == F64:
        for i in range(x.size):
            x[i] = np.float32(element(address, code, i))
    else:
        read(address, code, x)


@compiled
def put(code, out, theta_m):
    """Write the merged model of a tile in the base's dtype, its zeros +0 [MG-13]. False when one is not finite."""
    largest = np.int32(0)
    for i in range(theta_m.size):
        theta_m[i] = theta_m[i] + np.float32(0.0)
        largest = max(largest, magnitude_of(theta_m[i]))
    if largest >= INFINITY:
        return False
    if code == F64:
        wide = carray(pointer(out, np.float64), theta_m.size)
        for i in range(theta_m.size):
            wide[i] = theta_m[i]
        return True
    if code == F32:
        single = carray(pointer(out, np.float32), theta_m.size)
        for i in range(theta_m.size):
            single[i] = theta_m[i]
        return True
    return _put_half(code, out, theta_m)


@compiled
def _put_half(code, out, theta_m):
    merged, infinity = carray(pointer(out, np.uint16), theta_m.size), np.int32(0x7F80 if code == BF16 else 0x7C00)
    largest = np.int32(0)
    for i in range(theta_m.size):
        half = to_bf16(theta_m[i]) if code == BF16 else to_fp16(theta_m[i])
        largest = max(largest, np.int32(half & np.int32(0x7FFF)))
        merged[i] = np.uint16(half)
    return largest < infinity


@compiled
def copy_alike(parts, start, base, out, stored, alike):
    """Copy the bits that all models of a tile have, where they have the same [MG-14]. stored, alike: memory."""
    if base[1] == F64:
        _copy_alike(parts, start, base, out, np.int64, stored, alike)
    elif base[1] == F32:
        _copy_alike(parts, start, base, out, np.int32, stored, alike)
    else:
        _copy_alike(parts, start, base, out, np.int16, stored, alike)


@compiled
def _copy_alike(parts, start, base, out, kind, stored, alike):
    """The same for numbers whose bits are a `kind`."""
    first = carray(pointer(_own(parts[0], start, base), kind), stored.size)
    for i in range(stored.size):
        alike[i] = -1
    for at in range(parts.shape[0]):
        part = parts[at]
        code = part[DTYPE]
        if part[FINETUNED] and code != base[1]:
            return  # its bits are known nowhere
        if not part[FINETUNED]:
            read_fp32(ahead(part[ADDRESS], code, start), code, stored)
            for i in range(stored.size):
                alike[i] &= np.int32(-1) if stored[i] == 0 else np.int32(0)
        own = carray(pointer(_own(part, start, base), kind), stored.size)
        for i in range(stored.size):
            alike[i] &= np.int32(-1) if own[i] == first[i] else np.int32(0)
    merged = carray(pointer(out, kind), stored.size)
    for i in range(stored.size):
        merged[i] = first[i] if alike[i] else merged[i]


@compiled
def _own(part, start, base):
    """Where the bits of a model lie: a task vector has the base's, where it is 0."""
    return ahead(part[ADDRESS], part[DTYPE], start) if part[FINETUNED] else np.uint64(base[0])
