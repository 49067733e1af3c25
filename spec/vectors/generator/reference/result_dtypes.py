"""The dtype of a merged model where it is not the base's [RC-15]."""

from __future__ import annotations

from generator.reference.refused import Refused
from generator.reference.rounding import BF16, F16, F32, F64, convert, is_finite, is_infinite, magnitude
from generator.reference.tensors import FLOATS, Tensor, tensor_of_bits

#: What a number that is stored is rounded to in turn, on its way to a dtype.
STEPS = {"F64": (F64,), "F32": (F32,), "BF16": (F32, BF16), "F16": (F32, F16)}
NAN = {"F64": 0x7FF8 << 48, "F32": 0x7FC00000, "BF16": 0x7FC0, "F16": 0x7E00}


def in_dtype(base: Tensor, bits: int, out: str) -> int | None:
    """The bits of a stored number in a dtype; None for one that becomes infinite."""
    if out in ("", base.dtype):
        return bits
    if magnitude(base.fmt, bits) > base.fmt.infinity:
        return NAN[out]
    found, fmt = bits, base.fmt
    for target in STEPS[out]:
        found, fmt = convert(fmt, found, target), target
    return None if is_infinite(fmt, found) and is_finite(base.fmt, bits) else found


def copied(name: str, t: Tensor, out: str) -> Tensor:
    """A tensor that no contribution holds."""
    if out in ("", t.dtype) or t.dtype not in FLOATS:
        return t
    bits = []
    for position, stored in enumerate(t.bits()):
        found = in_dtype(t, stored, out)
        if found is None:
            raise Refused("NonFinite", tensor=name, index=t.index(position))
        bits.append(found)
    return tensor_of_bits(out, t.shape, bits)
