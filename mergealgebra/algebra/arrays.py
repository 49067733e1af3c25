"""What the equations need beyond the array API standard, for NumPy and torch alike.

Arrays are one-dimensional, fp32 or fp64. `array_namespace` gives the library an array belongs to: NumPy itself, which
follows the standard, or torch by way of array-api-compat. Neither that nor torch is imported for NumPy's arrays.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mergealgebra.errors import SubnormalsFlushed

#: A NumPy array or a torch tensor.
Array = Any

_INTEGERS: Final = {2: np.int16, 4: np.int32, 8: np.int64}


def array_namespace(*arrays: Array) -> Any:
    """The array API of the library that these arrays belong to."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(*arrays)


def int_bits(x: Array) -> Array:
    """The bits of an fp32 array as int32, not copied."""
    return x.view(array_namespace(x).int32)


def kept(x: Array, mask: Array) -> Array:
    """x where a mask is true, +0 elsewhere. x: fp32 or fp64.

    NumPy's `where` takes twenty times as long where nothing foretells the mask, for it branches at each element; a
    product of the bits does not.

    >>> kept(np.float32([np.inf, -1]), np.array([False, True])).tolist()
    [0.0, -1.0]
    """
    if isinstance(x, np.ndarray):
        return (x.view(_INTEGERS[x.itemsize]) * mask).view(x.dtype)
    return array_namespace(x).where(mask, x, 0.0)


def either(mask: Array, x: Array, y: Array) -> Array:
    """x where a mask is true, y elsewhere, as fast as `kept`. x, y: of one dtype of up to four bytes.

    >>> either(np.array([False, True]), np.float32([1, 2]), np.float32([3, 4])).tolist()
    [3.0, 2.0]
    """
    if isinstance(x, np.ndarray):
        one, other = x.view(_INTEGERS[x.itemsize]), y.view(_INTEGERS[x.itemsize])
        return (other ^ ((one ^ other) * mask)).view(x.dtype)
    return array_namespace(x).where(mask, x, y)


def first_true(mask: Array) -> int | None:
    """The least index at which a mask is true, or None."""
    xp = array_namespace(mask)
    return int(xp.argmax(xp.astype(mask, xp.uint8))) if bool(xp.any(mask)) else None


def to_numpy(x: Array) -> np.ndarray[Any, Any]:
    """The same values as a NumPy array on the host."""
    return x if isinstance(x, np.ndarray) else np.asarray(x.cpu())


def with_values(x: Array, indices: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> Array:
    """A copy of x with `values` at `indices`, both NumPy arrays."""
    xp = array_namespace(x)
    copy = xp.asarray(x, copy=True)
    where = xp.asarray(indices, device=x.device)
    copy[where] = xp.asarray(values, dtype=x.dtype, device=x.device)
    return copy


def refuse_flushed_subnormals(xp: Any, device: Any = None) -> None:
    """Raise SubnormalsFlushed if this thread, with this library, reads or writes subnormals as zero [MG-9]."""
    # For torch as long as a block, so that it is shared among the threads that a block is shared among.
    length = 1 if xp is np else 1 << 17
    for dtype, smallest in ((xp.float32, 2.0**-149), (xp.float64, 2.0**-1074)):
        least = xp.full((length,), smallest, dtype=dtype, device=device)
        if not bool(xp.all(least + least > least)) or not bool(xp.all((least * 2.0) * 0.5 == least)):
            raise SubnormalsFlushed(
                "this process flushes subnormal numbers to zero, so its merged bits would differ from everyone "
                "else's; do not call torch.set_flush_denormal(True), and unload libraries built with -ffast-math"
            )
