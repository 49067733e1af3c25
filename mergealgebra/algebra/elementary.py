"""exp, log and tanh of arrays, correctly rounded: RN32 of the real function, whatever library computes it [EF-1].

A library's fp64 routine is off by less than 2^-49 of the result [EF-2]. Nearly always all numbers within 2^-48 of what
it gives round to one fp32 number, and then that is the answer: the certificate [EF-3]. About one in ten million lacks
it, and is computed from integers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mergealgebra.algebra import real_functions
from mergealgebra.algebra.arrays import Array, array_namespace, to_numpy, with_values
from mergealgebra.algebra.decimals import round_to_fp32
from mergealgebra.algebra.real_functions import RealFunction, nearest

#: Twice the error that EF-2 allows: that covers the rounding of the ends.
BELOW, ABOVE = 1 - 2.0**-48, 1 + 2.0**-48

#: The bits of an fp64 number that an fp32 number has not, and what takes one halfway to the side of zero.
_BELOW_FP32, _TOWARD_ZERO = (1 << 29) - 1, 1 - 2.0**-30
_SMALL, _LEAST_NORMAL = 2.0**-20, 2.0**-126

Host = np.ndarray[Any, Any]


def exp(x: Array) -> Array:
    """RN32(e^x): 0 where it is too small, +inf where it is too large. x: fp64 or fp32. Returns fp32.

    >>> exp(np.array([0.0, 1.0, -1000.0, 1000.0]))
    array([1.       , 2.7182817, 0.       ,       inf], dtype=float32)
    """
    return _computed(real_functions.exp, x)


def log(x: Array) -> Array:
    """RN32(log x): -inf of 0, NaN below. x: fp64 or fp32. Returns fp32, its zeros +0."""
    return _computed(real_functions.log, x)


def tanh(x: Array) -> Array:
    """RN32(tanh x). x: fp64 or fp32. Returns fp32, its zeros +0."""
    return _computed(real_functions.tanh, x)


def settled(function: RealFunction, x: Array, y: Array) -> Array:
    """RN32(f(x)) of fp64 arguments x, given what somebody's fp64 routine makes of them [EF-3].

    y: fp64, shaped like x, as close to f(x) as EF-2 says. Returns fp32, its zeros +0.
    """
    xp = array_namespace(x, y)
    with np.errstate(over="ignore"):
        low, high = xp.astype(y * BELOW, xp.float32), xp.astype(y * ABOVE, xp.float32)
    apart = low != high
    found = low + 0.0
    if not bool(xp.any(apart)):
        return found
    # NaN is apart from itself, and stays.
    indices = np.flatnonzero(to_numpy(apart & ~xp.isnan(y)))
    arguments = to_numpy(xp.reshape(x, (-1,)))[indices]
    exact = _without_certificate(function, arguments)
    return xp.reshape(with_values(xp.reshape(found, (-1,)), indices, exact), found.shape)


def _computed(function: RealFunction, x: Array) -> Array:
    xp = array_namespace(x)
    wide = xp.astype(x, xp.float64, copy=False)
    with np.errstate(all="ignore"):
        y = getattr(xp, function.__name__)(wide)
    return settled(function, wide, y)


def _without_certificate(function: RealFunction, x: Host) -> Host:
    """RN32(f(x)) of fp64 arguments without a certificate. Inputs of few bits give some of them again and again."""
    arguments, places = np.unique(x, return_inverse=True)
    found = (arguments * _TOWARD_ZERO).astype(np.float32)
    known = _is_small_and_halfway(arguments) if function is real_functions.tanh else np.zeros(arguments.size, bool)
    found[~known] = [_rn32(function, argument) for argument in arguments[~known].tolist()]
    return np.asarray(found[places])


def _is_small_and_halfway(x: Host) -> Host:
    """Where fp64 numbers are small, and halfway between two fp32 numbers, as products of short ones often are.

    There tanh x, nearer to zero than x by less than x^3 / 3, rounds to the one nearer to zero [EF-3].
    """
    size = np.abs(x)
    halfway = (x.view(np.int64) & _BELOW_FP32) == (_BELOW_FP32 + 1) >> 1
    return np.asarray(halfway & (size < _SMALL) & (size >= _LEAST_NORMAL))


def _rn32(function: RealFunction, x: float) -> float:
    """RN32(f(x)) from integers, of an x without a certificate: f(x) is neither 0 nor halfway [EF-3]."""
    return nearest(function, Fraction(x), lambda value, scale: round_to_fp32(_ratio(value, scale)))


def _ratio(value: int, scale: int) -> Fraction:
    return Fraction(value, 1 << scale) if scale >= 0 else Fraction(value << -scale)
