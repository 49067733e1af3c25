"""Task vectors: fine-tuned minus base, one fp32 number for every element [TV-1 to TV-9]."""

from __future__ import annotations

from collections.abc import Sequence

from generator.reference.patterns import chosen
from generator.reference.refused import Refused
from generator.reference.rounding import (
    F32,
    F64,
    convert,
    is_finite,
    is_infinite,
    magnitude,
    rounded,
    value,
)
from generator.reference.tensors import Tensor, Tensors, in_name_order, tensor_of_bits


def same(base: Tensor, tuned: Tensor, b: int, t: int) -> bool:
    """Equal dtype and bits, or the same infinity [TV-3]."""
    if base.dtype == tuned.dtype and b == t:
        return True
    negative = (bool(b & base.fmt.sign_bit), bool(t & tuned.fmt.sign_bit))
    return is_infinite(base.fmt, b) and is_infinite(tuned.fmt, t) and negative[0] == negative[1]


def tau(base: Tensor, tuned: Tensor, b: int, t: int) -> int | None:
    """The bits of tau for one element, or None where it is not finite [TV-2 to TV-4]."""
    if same(base, tuned, b, t):
        return 0
    if not (is_finite(base.fmt, b) and is_finite(tuned.fmt, t)):
        return None
    difference = value(tuned.fmt, t) - value(base.fmt, b)
    through = (F64, F32) if "F64" in (base.dtype, tuned.dtype) else (F32,)
    return finite_or_none(rounded(difference, *through))


def finite_or_none(bits: int) -> int | None:
    if not is_finite(F32, bits):
        return None
    return bits if magnitude(F32, bits) else 0  # a zero is +0 [TV-6]


def stored_tau(stored: Tensor, s: int) -> int | None:
    """The bits of tau for one element of a stored task vector [TV-5]."""
    return finite_or_none(convert(stored.fmt, s, F32)) if is_finite(stored.fmt, s) else None


def vector(name: str, shape: tuple[int, ...], taus: Sequence[int | None]) -> Tensor:
    """A tensor of taus; the first that is not finite is refused, with its place."""
    if None in taus:
        index = Tensor("F32", shape, b"").index(taus.index(None))
        raise Refused("NonFinite", tensor=name, index=index)
    return tensor_of_bits("F32", shape, [t for t in taus if t is not None])


def check_pair(name: str, base: Tensor, other: Tensor) -> None:
    """One name in both: of one shape, which is judged first, and float against float [TV-1, TV-7]."""
    if base.shape != other.shape:
        raise Refused("ShapeError", tensor=name)
    if base.is_float != other.is_float:
        raise Refused("DtypeError", tensor=name)
    if not base.is_float and base != other:
        raise Refused("IntegerTensorChanged", tensor=name)


def difference_of(name: str, base: Tensor, tuned: Tensor) -> Tensor:
    return vector(
        name,
        base.shape,
        [tau(base, tuned, b, t) for b, t in zip(base.bits(), tuned.bits(), strict=True)],
    )


def between(base: Tensors, tuned: Tensors, take: Sequence[str] = (), leave: Sequence[str] = ()) -> dict[str, Tensor]:
    """The task vector of a fine-tune [TV-2 to TV-8]; patterns choose what is looked at, in both [CT-8]."""
    base, tuned = chosen(base, take, leave), chosen(tuned, take, leave)
    check_names(base, tuned)
    for name, tensor in in_name_order(tuned):
        check_pair(name, base[name], tensor)
    return {name: difference_of(name, base[name], t) for name, t in in_name_order(tuned) if t.is_float}


def check_names(base: Tensors, tuned: Tensors) -> None:
    """Exactly the base's names [TV-8]; the first that is not in both is named."""
    for name, _ in in_name_order({**base, **tuned}):
        if name not in base or name not in tuned:
            raise Refused("NamesError", tensor=name)


def check_held(base: Tensors, held: Tensors) -> None:
    """The tensors of a contribution against the base [CT-5]."""
    for name, tensor in in_name_order(held):
        if name not in base:
            raise Refused("NamesError", tensor=name)
        if not (tensor.is_float and base[name].is_float):
            raise Refused("DtypeError", tensor=name)
        if base[name].shape != tensor.shape:
            raise Refused("ShapeError", tensor=name)


def of_stored(base: Tensors, stored: Tensors, take: Sequence[str] = (), leave: Sequence[str] = ()) -> dict[str, Tensor]:
    """The task vector that a stored one stands for [TV-5]; patterns choose what is looked at, in both [CT-8]."""
    base, stored = chosen(base, take, leave), chosen(stored, take, leave)
    check_held(base, stored)
    return {name: vector(name, t.shape, [stored_tau(t, s) for s in t.bits()]) for name, t in in_name_order(stored)}


def of_contribution(base: Tensors, form: str, held: Tensors) -> dict[str, Tensor]:
    """The task vector of a contribution of either form [CT-7]."""
    if form == "task_vector":
        return of_stored(base, held)
    check_held(base, held)
    return {name: difference_of(name, base[name], t) for name, t in in_name_order(held)}
