"""The dtypes that a checkpoint may hold, and the exact or once-rounded way into fp32 and back [EN-12].

The algebra sees fp32 and fp64 only; every other dtype is widened on the way in and narrowed on the way out.
Arrays are NumPy's or torch's, and torch is never imported: an array that is torch's has imported it already.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import ml_dtypes
import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.errors import DtypeError


@dataclass(frozen=True)
class Dtype:
    """A supported dtype: the name safetensors gives it, and NumPy's little-endian dtype of what is read at a time.

    itemsize: bytes of that: an element, or a byte of packed ones. bits: of an element. is_float: whether it is merged.
    """

    name: str
    itemsize: int
    is_float: bool
    numpy: np.dtype[Any]
    bits: int


def _dtype(name: str, numpy: Any, is_float: bool = False, bits: int = 0) -> Dtype:
    dtype = np.dtype(numpy).newbyteorder("<")
    return Dtype(name, dtype.itemsize, is_float, dtype, bits or 8 * dtype.itemsize)


#: The dtypes by the name that safetensors writes [EN-12]. Packed ones are read as bytes, which NumPy calls so too.
DTYPES: Final = {
    dtype.name: dtype
    for dtype in (
        _dtype("F64", np.float64, is_float=True),
        _dtype("F32", np.float32, is_float=True),
        _dtype("BF16", ml_dtypes.bfloat16, is_float=True),
        _dtype("F16", np.float16, is_float=True),
        _dtype("BOOL", np.bool_),
        _dtype("U8", np.uint8),
        _dtype("I8", np.int8),
        _dtype("U16", np.uint16),
        _dtype("I16", np.int16),
        _dtype("U32", np.uint32),
        _dtype("I32", np.int32),
        _dtype("U64", np.uint64),
        _dtype("I64", np.int64),
        _dtype("C64", np.complex64),
        _dtype("F8_E4M3", ml_dtypes.float8_e4m3fn),
        _dtype("F8_E5M2", ml_dtypes.float8_e5m2),
        _dtype("F8_E8M0", ml_dtypes.float8_e8m0fnu),
        _dtype("F8_E4M3FNUZ", ml_dtypes.float8_e4m3fnuz),
        _dtype("F8_E5M2FNUZ", ml_dtypes.float8_e5m2fnuz),
        _dtype("F6_E2M3", ml_dtypes.float6_e2m3fn, bits=6),
        _dtype("F6_E3M2", ml_dtypes.float6_e3m2fn, bits=6),
        _dtype("F4", ml_dtypes.float4_e2m1fn, bits=4),
    )
}

_FLOATS: Final = tuple(dtype for dtype in DTYPES.values() if dtype.is_float)
#: Numbers that are not whole, and that nothing here computes with: they are copied, like whole ones.
UNMERGED: Final = frozenset(name for name in DTYPES if name.startswith(("F8_", "F6_", "F4", "C")))

#: NumPy and torch call their dtypes alike: "float32", "bfloat16", "bool".
_BY_ARRAY_NAME: Final = {dtype.numpy.name: dtype.name for dtype in DTYPES.values()}

#: Each step down rounds once; fp64 never steps past fp32, as both libraries round such casts twice [MG-3].
_STEPS_DOWN: Final = {("F64", "F64"), ("F32", "F32"), ("F32", "BF16"), ("F32", "F16")}


def lookup(name: str, where: str) -> Dtype:
    """The dtype that safetensors calls `name` [EN-12].

    where: the file and tensor, for the message. Raises DtypeError when it is unknown.
    """
    if name in DTYPES:
        return DTYPES[name]
    floats = ", ".join(dtype.name for dtype in _FLOATS)
    raise DtypeError(
        f"{where}: {name[:40]!r} is not a dtype of safetensors; write the tensor again, a weight as one of {floats}"
    )


def unmerged(*names: str) -> str:
    """What a message that two tensors differ says of their dtypes; nothing where they are whole numbers.

    >>> unmerged("F8_E4M3", "BF16")
    ': F8_E4M3 cannot be merged, so convert both to F64, F32, BF16 or F16 first'
    >>> unmerged("I64", "I64")
    ''
    """
    found = next((name for name in names if name in UNMERGED), None)
    if found is None:
        return ""
    *most, last = (dtype.name for dtype in _FLOATS)
    return f": {found} cannot be merged, so convert both to {', '.join(most)} or {last} first"


def name_of(array: Array, where: str = "an array") -> str:
    """The name that safetensors gives the dtype of a NumPy array or torch tensor [EN-12].

    Byte order is not part of it. Raises DtypeError for any other dtype, and for what is not an array.
    """
    array_name = _array_name(array)
    if not array_name:
        raise DtypeError(f"{where}: a {type(array).__name__} is not an array; pass NumPy arrays or torch tensors")
    if array_name not in _BY_ARRAY_NAME:
        floats = ", ".join(dtype.numpy.name for dtype in _FLOATS)
        raise DtypeError(f"{where}: {array_name} is not supported; convert it, a weight to one of {floats}")
    return _BY_ARRAY_NAME[array_name]


def widen(array: Array) -> Array:
    """A float array for the algebra, exact: F32, BF16 and F16 become fp32, F64 stays fp64.

    Subnormals keep their value and NaN stays NaN. The result may be the input itself; it has the input's
    shape and kind. Raises DtypeError for integers and booleans.
    """
    name = name_of(array)
    if not DTYPES[name].is_float:
        raise DtypeError(f"an array of dtype {name} where floats are expected: only float tensors are merged")
    return _cast(array, "F64" if name == "F64" else "F32")


def narrow(array: Array, name: str) -> Array:
    """An fp32 or fp64 result in its storage dtype, rounded once to nearest even [MG-3].

    fp32 narrows to F32, BF16 or F16, and overflow gives infinities; fp64 to F64 only: whoever wants less
    rounds to fp32 first. The result may be the input itself. Raises DtypeError for any other pair.
    """
    if (name_of(array), name) not in _STEPS_DOWN:
        raise DtypeError(f"{name_of(array)} to {name} is not one rounding step: round to fp32 first")
    return _cast(array, name)


def bits(array: Array) -> Array:
    """The bits of an array as integers of the same size: what tells -0 from 0, and NaN from NaN.

    Shape stays, and so does the memory unless it is big-endian. NumPy gives unsigned integers; torch, which
    can do little with those, signed ones, or uint8. Raises DtypeError for an unsupported dtype.
    """
    name = name_of(array)
    size = DTYPES[name].itemsize
    if not is_torch(array):
        return _cast(array, name).view(f"<u{size}")
    torch = sys.modules["torch"]
    return array.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])


def to_host(array: Any, where: str = "an array") -> np.ndarray[Any, Any]:
    """The same elements and shape as a NumPy array, little-endian, not copied if that can be.

    where: what the array is, for the message. Raises DtypeError as `name_of` does, and for tensors without their data.
    """
    dtype = DTYPES[name_of(array, where)].numpy
    if is_torch(array):
        _refuse_incomplete(array, where)
        return np.asarray(bits(array.detach().cpu().resolve_conj().resolve_neg().contiguous()).numpy()).view(dtype)
    return np.asarray(array).astype(dtype, copy=False)


def _refuse_incomplete(tensor: Any, where: str) -> None:
    """Raise DtypeError for a torch tensor whose elements are not there one after the other."""
    if tensor.is_meta:
        raise DtypeError(f"{where} is on torch's meta device, without data; load the weights, with device_map='cpu'")
    if tensor.is_nested or tensor.layout is not sys.modules["torch"].strided:
        if tensor.is_nested:
            kind, dense = "nested", "torch.nested.to_padded_tensor"
        else:
            kind, dense = f"sparse ({str(tensor.layout).removeprefix('torch.')})", "tensor.to_dense()"
        raise DtypeError(f"{where} is a {kind} tensor; pass it dense, with {dense}")


def to_torch(host: np.ndarray[Any, Any], device: Any = "cpu") -> Any:
    """The same elements and shape as a torch tensor on a device. torch must have been imported."""
    torch = sys.modules["torch"]
    integers = torch.from_numpy(np.ascontiguousarray(host).view(f"<i{host.itemsize}"))  # torch reads no NumPy bfloat16
    return integers.reshape(host.shape).view(getattr(torch, host.dtype.name)).to(device)


def like(host: np.ndarray[Any, Any], model: Any) -> Any:
    """A NumPy array as the kind of array that `model` is, on its device."""
    return to_torch(host, model.device) if is_torch(model) else host


def _cast(array: Array, name: str) -> Array:
    numpy = DTYPES[name].numpy
    if is_torch(array):
        return array.to(getattr(sys.modules["torch"], numpy.name))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return array.astype(numpy, copy=False)


def _array_name(array: Array) -> str:
    if is_torch(array):
        return str(array.dtype).removeprefix("torch.")
    if isinstance(array, (np.ndarray, np.generic)):
        return _numpy_name(array.dtype)
    return ""


@cache
def _numpy_name(dtype: np.dtype[Any]) -> str:
    """What NumPy puts together each time it is asked."""
    return dtype.name


def is_torch(array: object) -> bool:
    """Whether an array is a torch tensor, found out without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)
