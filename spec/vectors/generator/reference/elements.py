"""The methods by element, and merges of models [LI, NM, RA, EM, MM, NS, PT, MG-13, MG-14], with `Fraction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from generator.reference.decimals import fp32
from generator.reference.recipes import Recipe
from generator.reference.result_dtypes import in_dtype
from generator.reference.rounding import (
    BF16,
    F16,
    F32,
    F64,
    convert,
    is_finite,
    magnitude,
    ratio,
    rn,
    rounded,
    value,
)
from generator.reference.taskvectors import check_held, finite_or_none, stored_tau, vector
from generator.reference.tensors import FLOATS, Tensor, Tensors, in_name_order

THRESHOLD = value(F32, fp32("0.00001"))

#: The coefficient of each contribution that holds the tensor, and its v, as exact numbers.
Held = Sequence[tuple[Fraction, Fraction]]


def linear(held: Held, recipe: Recipe) -> int:
    return ratio(sum((v for _, v in held), Fraction(0)), sum((c for c, _ in held), Fraction(0)))


def negmerge(held: Held, recipe: Recipe) -> int:
    if not (all(v > 0 for _, v in held) or all(v < 0 for _, v in held)):
        return 0
    mean = linear(held, recipe)
    return mean ^ F32.sign_bit if magnitude(F32, mean) else 0


def ram(held: Held, recipe: Recipe) -> int:
    changed = [v for _, v in held if v]
    return ratio(sum(changed, Fraction(0)), Fraction(len(changed))) if changed else 0


def emr(held: Held, recipe: Recipe) -> int:
    vs = [v for _, v in held]
    return rn(F32, max(vs) if sum(vs) > 0 else min(vs))


def magmax(held: Held, recipe: Recipe) -> int:
    return rn(F32, max((v for _, v in held), key=lambda v: (abs(v), v)))


def nearswap(held: Held, recipe: Recipe) -> int:
    ((_, v),) = held
    t = value(F32, recipe.number)
    return rn(F32, max(-t, min(v, t)))


def passthrough(held: Held, recipe: Recipe) -> int:
    ((_, v),) = held
    return rn(F32, v)


METHODS: Mapping[str, Callable[[Held, Recipe], int]] = {
    "linear": linear,
    "negmerge": negmerge,
    "ram": ram,
    "emr": emr,
    "magmax": magmax,
    "nearswap": nearswap,
    "passthrough": passthrough,
}
#: Those that sum nothing, so that no sum can fail its certificate [MM-1].
WITHOUT_SUMS = ("magmax",)


def v_of(recipe: Recipe, c: int, tau: int) -> int:
    """The bits of v, perhaps not finite; tau (or theta) is finite."""
    factor = recipe.number if recipe.method == "passthrough" else c
    if recipe.method == "ram" and abs(value(F32, tau)) <= THRESHOLD:
        return 0
    return rn(F32, value(F32, factor) * value(F32, tau))


# -- models --------------------------------------------------------------------------------------------------

ROUNDINGS = {"F64": (), "F32": (), "BF16": (BF16,), "F16": (F16,)}


def stored_theta(stored: Tensor, s: int) -> int | None:
    return finite_or_none(convert(stored.fmt, s, F32)) if is_finite(stored.fmt, s) else None


def moved_theta(base: Tensor, b: int, tau: int | None) -> int | None:
    """RN32(RN64(base + tau)) [TV-13]."""
    if tau is None or not is_finite(base.fmt, b):
        return None
    return finite_or_none(rounded(value(base.fmt, b) + value(F32, tau), F64, F32))


def thetas_of(base: Tensors, form: str, held: Tensors) -> dict[str, Tensor]:
    """theta of every element that a contribution holds, tensors of F32 [TV-13]."""
    check_held(base, held)
    found = {}
    for name, t in in_name_order(held):
        if form == "finetuned":
            bits = [stored_theta(t, s) for s in t.bits()]
        else:
            pairs = zip(base[name].bits(), t.bits(), strict=True)
            bits = [moved_theta(base[name], b, stored_tau(t, s)) for b, s in pairs]
        found[name] = vector(name, t.shape, bits)
    return found


def own_bits(base: Tensor, form: str, t: Tensor) -> list[int | None]:
    """The bits that a model has in the base's dtype, None where it has none [MG-14]."""
    if form == "finetuned":
        return list(t.bits()) if t.dtype == base.dtype else [None] * t.elements
    zero = [(stored_tau(t, s) or 0) & (F32.sign_bit - 1) == 0 for s in t.bits()]
    return [b if still else None for b, still in zip(base.bits(), zero, strict=True)]


def result_of_theta(base: Tensor, theta_m: int, own: Sequence[int | None], out: str = "") -> int | None:
    """The result's bits, or None when it is not finite [MG-13, MG-14, RC-15].

    own: of each model; empty without copying.
    """
    x, dtype = value(F32, theta_m), out or base.dtype
    bits = rn(F64, x) if dtype == "F64" else rounded(x, F32, *ROUNDINGS[dtype])
    if not is_finite(FLOATS[dtype], bits):
        return None
    if own and own[0] is not None and all(one == own[0] for one in own):
        return in_dtype(base, own[0], out)
    return bits
