"""Task vectors: fine-tuned minus base, one fp32 number for every element [TV-1 to TV-9, CT-8]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    """One name in both: float against float, of one shape [TV-1, TV-7]."""
    if base.is_float != other.is_float:
        raise Refused("DtypeError", tensor=name)
    if not base.is_float:
        if base != other:
            raise Refused("IntegerTensorChanged", tensor=name)
    elif base.shape != other.shape:
        raise Refused("ShapeError", tensor=name)


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


def of_stored(base: Tensors, stored: Tensors) -> dict[str, Tensor]:
    """The task vector that a stored one stands for [TV-5]."""
    check_held(base, stored)
    return {name: vector(name, t.shape, [stored_tau(t, s) for s in t.bits()]) for name, t in in_name_order(stored)}


def of_contribution(base: Tensors, form: str, held: Tensors) -> dict[str, Tensor]:
    """The task vector of a contribution of either form [CT-7]."""
    if form == "task_vector":
        return of_stored(base, held)
    check_held(base, held)
    return {name: difference_of(name, base[name], t) for name, t in in_name_order(held)}


def chosen(tensors: Tensors, take: Sequence[str], leave: Sequence[str]) -> dict[str, Tensor]:
    """The tensors that are looked at [CT-8]."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if (not take or any(matches(p, name) for p in take)) and not any(matches(p, name) for p in leave)
    }


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches the whole name [CT-8]."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(matches(pattern[1:], name[i:]) for i in range(len(name) + 1))
    if not name:
        return False
    if pattern[0] == "[":
        end = pattern.index("]", 2)
        return in_set(pattern[1:end], name[0]) and matches(pattern[end + 1 :], name[1:])
    return pattern[0] in ("?", name[0]) and matches(pattern[1:], name[1:])


def in_set(members: str, character: str) -> bool:
    """`abc`, `a-z` and their complement behind `!`."""
    if members[0] == "!":
        return not in_set(members[1:], character)
    return any(first <= character <= last for first, last in ranges(members))


def ranges(members: str) -> Iterator[tuple[str, str]]:
    while members:
        if len(members) >= 3 and members[1] == "-":
            yield members[0], members[2]
            members = members[3:]
        else:
            yield members[0], members[0]
            members = members[1:]
