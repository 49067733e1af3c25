"""Numbers at an address, as fp32 and back: Numba takes no arrays of mixed dtypes in one list, and no bf16 or fp16."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from mergealgebra.kernels.fused.table import BF16, F32, F64

#: How functions here are compiled: each IEEE operation as it stands, and nothing made for calls from Python.
compiled: Final = njit(error_model="numpy", fastmath=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)

INFINITY: Final = np.int32(0x7F800000)


@intrinsic
def bits_of(_, x):
    """The bits of an fp32 number as int32."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int32))

    return types.int32(types.float32), code


@intrinsic
def number_of(_, x):
    """The fp32 number with these int32 bits."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), code


@intrinsic
def double_of(_, x):
    """The fp64 number with these int64 bits."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), code


@intrinsic
def pointer(_, address, kind):
    """An address as a pointer to numbers of a kind."""

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(kind.dtype)(types.uint64, kind), code


@compiled
def magnitude_of(x):
    """The bits of |x|. All counting is in int32, as Numba would widen it: twice as many fit into a register."""
    return np.int32(bits_of(x) & np.int32(0x7FFFFFFF))


@compiled
def read(address, code, x):
    """The F32, BF16 or F16 numbers at an address, exactly, as fp32."""
    n = x.size
    if code == F32:
        single = carray(pointer(address, np.float32), n)
        for i in range(n):
            x[i] = single[i]
    elif code == BF16:
        half = carray(pointer(address, np.uint16), n)
        for i in range(n):
            x[i] = number_of(np.int32(np.int32(half[i]) << np.int32(16)))
    else:
        half = carray(pointer(address, np.uint16), n)
        for i in range(n):
            x[i] = _from_fp16(np.int32(half[i]))


@compiled
def element(address, code, at):
    """One number of any of the dtypes, exactly, as fp64."""
    if code == F64:
        return carray(pointer(address, np.float64), at + 1)[at]
    if code == F32:
        return np.float64(carray(pointer(address, np.float32), at + 1)[at])
    half = np.int32(carray(pointer(address, np.uint16), at + 1)[at])
    return np.float64(number_of(half << np.int32(16)) if code == BF16 else _from_fp16(half))


@compiled
def _from_fp16(half):
    """An fp16 number as fp32: its exponent is 112 less, and 255 where it is 31; subnormals are whole 2^-24."""
    magnitude = np.int32(half & np.int32(0x7FFF))
    rebias = np.int32(224 << 23) if magnitude >= np.int32(0x7C00) else np.int32(112 << 23)
    normal = np.int32((magnitude << np.int32(13)) + rebias)
    subnormal = bits_of(np.float32(magnitude) * np.float32(2.0**-24))
    sign = np.int32((half & np.int32(0x8000)) << np.int32(16))
    return number_of(np.int32((normal if magnitude >= np.int32(0x0400) else subnormal) | sign))


@compiled
def to_bf16(x):
    """The bits of the nearest bf16 number, ties to even; x is no NaN."""
    bits = bits_of(x)
    odd = np.int32(np.int32(bits >> np.int32(16)) & np.int32(1))
    return np.int32(np.int32(bits + np.int32(0x7FFF) + odd) >> np.int32(16))


@compiled
def to_fp16(x):
    """The bits of the nearest fp16 number, ties to even; x is no NaN."""
    magnitude = magnitude_of(x)
    odd = np.int32(np.int32(magnitude >> np.int32(13)) & np.int32(1))
    normal = np.int32(np.int32(magnitude + np.int32(0xFFF - (112 << 23)) + odd) >> np.int32(13))
    # Adding 0.5 leaves whole 2^-24 in the low bits, rounded by the addition itself.
    subnormal = np.int32(bits_of(number_of(magnitude) + np.float32(0.5)) - np.int32(0x3F000000))
    half = normal if magnitude >= np.int32(113 << 23) else subnormal
    half = half if half < np.int32(0x7C00) and magnitude < INFINITY else np.int32(0x7C00)
    return np.int32(half | np.int32(np.int32(bits_of(x) >> np.int32(16)) & np.int32(0x8000)))


@compiled
def ahead(address, code, elements):
    """The address so many elements further on."""
    size = 8 if code == F64 else 4 if code == F32 else 2
    return np.uint64(address) + np.uint64(elements * size)
