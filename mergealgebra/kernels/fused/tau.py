"""The task vector of a tile [TV-2, TV-3, TV-5]."""

from __future__ import annotations

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.memory import INFINITY, bits_of, compiled, element, magnitude_of, pointer, read
from mergealgebra.kernels.fused.table import F64


@compiled
def find_tau(held, base, old, tau):
    """tau of a tile [TV-2, TV-3, TV-5]; returns the bits of its largest magnitude, infinities and NaN above all.

    held: address, dtype and whether it is a fine-tune. base: address and dtype. old: the base's tile as fp32, unless
    it is F64. Zeros may have either sign: neither is ever kept, nor votes.
    """
    address, code, finetuned = held
    if code == F64 or (finetuned and base[1] == F64):
        return _tau_of_fp64(held, base, tau)
    read(address, code, tau)
    largest = np.int32(0)
    if not finetuned:
        for i in range(tau.size):
            largest = max(largest, magnitude_of(tau[i]))
        return largest
    for i in range(tau.size):
        difference = tau[i] - old[i]
        tau[i] = difference
        largest = max(largest, magnitude_of(difference))
    return largest if largest < INFINITY else _tau_of_unchanged(held, base, old, tau)


@compiled
def _tau_of_unchanged(held, base, old, tau):
    """The same for a tile with infinities or NaN, which are fine where nothing changed [TV-3]."""
    read(held[0], held[1], tau)
    largest = np.int32(0)
    for i in range(tau.size):
        same = held[1] == base[1] and bits_of(tau[i]) == bits_of(old[i])
        tau[i] = np.float32(0.0) if same or tau[i] == old[i] else tau[i] - old[i]
        largest = max(largest, magnitude_of(tau[i]))
    return largest


@compiled
def _tau_of_fp64(held, base, tau):
    """The same where one of both is F64: the difference is rounded to fp64 first [TV-2]."""
    address, code, finetuned = held
    largest = np.int32(0)
    for i in range(tau.size):
        new = element(address, code, i)
        if finetuned:
            old = element(base[0], base[1], i)
            same = code == base[1] and _long(address, i) == _long(base[0], i)
            new = 0.0 if same or new == old else new - old
        tau[i] = np.float32(new)
        largest = max(largest, magnitude_of(tau[i]))
    return largest


@compiled
def _long(address, at):
    return carray(pointer(address, np.int64), at + 1)[at]
