"""Trim, elect, disjoint mean, mean, task arithmetic, apply [TI, ME, TA, MG], and the certificate [EX-2, EX-3]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from generator.reference.decimals import check_coefficient
from generator.reference.recipes import Recipe
from generator.reference.refused import Refused
from generator.reference.rounding import (
    BF16,
    F16,
    F32,
    F64,
    is_finite,
    magnitude,
    rn,
    rounded,
    value,
)
from generator.reference.tensors import Tensor, Tensors, in_name_order, tensor_of_bits

RESULT_ROUNDINGS = {"F64": (F64,), "F32": (F64, F32), "BF16": (F64, F32, BF16), "F16": (F64, F32, F16)}


@dataclass(frozen=True)
class Voter:
    """A contribution ready to be reduced: fp32 bits of c, and its task vector (F32 tensors), trimmed or whole."""

    c: int
    taus: Mapping[str, Tensor]

    @property
    def coefficient(self) -> Fraction:
        return value(F32, self.c)


# -- trim ----------------------------------------------------------------------------------------------------


def keep(magnitudes: Sequence[int], density: Fraction, boundary: str) -> list[bool]:
    """Which elements of one group are kept, from the magnitudes' bits, which order like the numbers [TI-3 to 5]."""
    if not magnitudes:
        return []
    m = max(1, floor(density * len(magnitudes)))
    t = sorted(magnitudes, reverse=True)[m - 1]
    kept = [x != 0 and x >= t for x in magnitudes]
    if boundary == "keep_all":
        return kept
    room = m - sum(x > t for x in magnitudes)
    for i, x in enumerate(magnitudes):
        if kept[i] and x == t:
            kept[i] = room > 0
            room -= 1
    return kept


def trim(taus: Tensors, recipe: Recipe) -> tuple[dict[str, Tensor], int]:
    """The trimmed vector, +0 where nothing is kept, and the number of kept elements [TI-2]."""
    ordered = in_name_order(taus)
    groups = [ordered] if recipe.scope == "model" else [[entry] for entry in ordered]
    trimmed: dict[str, Tensor] = {}
    count = 0
    for group in groups:
        flat = [magnitude(F32, bits) for _, t in group for bits in t.bits()]
        kept = iter(keep(flat, recipe.density, recipe.boundary))
        for name, t in group:
            bits = [b if next(kept) else 0 for b in t.bits()]
            count += sum(b != 0 for b in bits)
            trimmed[name] = tensor_of_bits("F32", t.shape, bits)
    return trimmed, count


# -- one coordinate ------------------------------------------------------------------------------------------


def product(c: int, tau: int) -> int:
    """v = RN32(c * tau); a tau of zero gives a v of zero [TI-6, ME-1]."""
    return rn(F32, value(F32, c) * value(F32, tau))


def ratio(S: Fraction, W: Fraction) -> int:
    """RN32(RN64(RN64(S) / RN64(W))) [TI-8, ME-1]."""
    return rounded(value(F64, rn(F64, S)) / value(F64, rn(F64, W)), F64, F32)


def sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def reduce(recipe: Recipe, pairs: Sequence[tuple[Fraction, Fraction]], total: Fraction) -> int:
    """The bits of tau_m at one coordinate, from the (v, c) of those that hold it; `total` is the sum of all c."""
    S = sum((v for v, _ in pairs), Fraction(0))
    if recipe.method == "task_arithmetic":
        return rounded(S, F64, F32)
    if recipe.method == "mean":
        return ratio(S, total)
    gamma = sign(S)
    if gamma == 0:
        return 0
    agreeing = [(v, c) for v, c in pairs if sign(v) == gamma]
    return ratio(sum((v for v, _ in agreeing), Fraction(0)), sum((c for _, c in agreeing), Fraction(0)))


def apply(base: Tensor, b: int, lambda32: int, tau_m: int) -> int | None:
    """The result's bits, or None when it is not finite [MG-2 to MG-5]."""
    if magnitude(F32, tau_m) == 0 or magnitude(F32, lambda32) == 0:
        return b
    if not is_finite(base.fmt, b):
        return None
    exact = value(base.fmt, b) + value(F32, lambda32) * value(F32, tau_m)
    bits = rounded(exact, *RESULT_ROUNDINGS[base.dtype])
    return bits if is_finite(base.fmt, bits) else None


# -- the certificate -----------------------------------------------------------------------------------------


def grid(bits: int) -> Fraction:
    """2^(max(E, 1) - 150) [EX-2]."""
    return Fraction(2) ** (max(magnitude(F32, bits) >> 23, 1) - 150)


def certified(numbers: Sequence[int]) -> bool:
    """Whether a sum of fp32 numbers, given as bits, is certified [EX-2].

    The exact sum of the magnitudes gives the verdict of the fp64 sum in any order: below the bound every
    partial sum is exact, and rounding is monotonic, so a sum that reaches the bound never rounds below it.
    """
    nonzero = [x for x in numbers if magnitude(F32, x)]
    if not nonzero:
        return True
    return sum(abs(value(F32, x)) for x in nonzero) < 2**53 * min(map(grid, nonzero))


# -- all coordinates -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Merged:
    tensors: dict[str, Tensor]
    tau_m: dict[str, Tensor]
    uncertified: int


def check_coefficients(voters: Sequence[Voter], recipe: Recipe) -> None:
    if not voters:
        raise Refused("NothingVisible")
    for i, voter in enumerate(voters):
        try:
            check_coefficient(voter.c, recipe.method)
        except Refused as refused:
            raise Refused(refused.rule, contribution=i) from None


def merge(base: Tensors, voters: Sequence[Voter], recipe: Recipe) -> Merged:
    """The merged model [MG-1 to MG-7], its tau_m, and the number of uncertified coordinates [EX-3].

    voters hold trimmed vectors for TIES and whole ones for the other methods.
    """
    check_coefficients(voters, recipe)
    total = sum((voter.coefficient for voter in voters), Fraction(0))
    all_certified = certified([voter.c for voter in voters])
    tensors, tau_m, uncertified = dict(base), {}, 0
    for name, base_tensor in in_name_order(base):
        holders = [(i, voter) for i, voter in enumerate(voters) if name in voter.taus]
        if not holders:
            continue
        taus, results, failed = merge_tensor(name, base_tensor, holders, recipe, total)
        tensors[name] = tensor_of_bits(base_tensor.dtype, base_tensor.shape, results)
        tau_m[name] = tensor_of_bits("F32", base_tensor.shape, taus)
        uncertified += failed if all_certified else base_tensor.elements
    return Merged(tensors, tau_m, uncertified)


def merge_tensor(
    name: str, base: Tensor, holders: Sequence[tuple[int, Voter]], recipe: Recipe, total: Fraction
) -> tuple[list[int], list[int], int]:
    """The bits of tau_m and of the results, and how many coordinates fail the certificate [MG-6]."""
    columns = [voter.taus[name].bits() for _, voter in holders]
    taus, results, failed = [], [], 0
    for position, b in enumerate(base.bits()):
        index = base.index(position)
        vs = []
        for (i, voter), column in zip(holders, columns, strict=True):
            v = product(voter.c, column[position])
            if not is_finite(F32, v):
                raise Refused("NonFinite", contribution=i, tensor=name, index=index)
            vs.append(v)
        pairs = [(value(F32, v), voter.coefficient) for v, (_, voter) in zip(vs, holders, strict=True)]
        tau_m = reduce(recipe, pairs, total)
        result = apply(base, b, recipe.lambda32, tau_m) if is_finite(F32, tau_m) else None
        if result is None:
            raise Refused("NonFinite", tensor=name, index=index)
        failed += not certified(vs)
        taus.append(tau_m)
        results.append(result)
    return taus, results, failed
