"""The methods, but for those of elements.py, apply [TI, ME, TA, FM, DA, MG], and the certificate [EX-2, EX-3, EX-7]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from generator.reference import elements, geometry
from generator.reference.decimals import SIGNED, check_coefficient
from generator.reference.masks import keeps, mask_key
from generator.reference.recipes import ARITY, Recipe
from generator.reference.refused import Refused
from generator.reference.result_dtypes import copied, in_dtype
from generator.reference.rounding import (
    BF16,
    F16,
    F32,
    F64,
    is_finite,
    magnitude,
    ratio,
    rn,
    rounded,
    value,
)
from generator.reference.tensors import FLOATS, Tensor, Tensors, in_name_order, tensor_of_bits

RESULT_ROUNDINGS = {"F64": (F64,), "F32": (F64, F32), "BF16": (F64, F32, BF16), "F16": (F64, F32, F16)}


@dataclass(frozen=True)
class Voter:
    """A contribution ready to be reduced: fp32 bits of c, its task vector after all stages, and F, both F32 tensors.

    own: for a method that copies, the bits of the model in the base's dtype [MG-14]. On theta, taus are thetas.
    terms: of a method of several rounds, all that is summed of each element, v first.
    """

    c: int
    taus: Mapping[str, Tensor]
    fisher: Mapping[str, Tensor] = field(default_factory=dict)
    own: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    terms: Mapping[str, Sequence[tuple[int, ...]]] = field(default_factory=dict)

    @property
    def coefficient(self) -> Fraction:
        return value(F32, self.c)


# -- drop ----------------------------------------------------------------------------------------------------


def dropped(taus: Tensors, root: bytes, recipes: Mapping[str, Recipe]) -> dict[str, Tensor]:
    """What DARE leaves of a task vector, perhaps not finite; root: of the tensors that are contributed [DA-1]."""
    result = {}
    for name, t in taus.items():
        recipe = recipes[name]
        if recipe.drop is None:
            raise ValueError(f"{recipe.method} drops nothing")
        divisor = value(F64, rn(F64, recipe.drop))
        key = mask_key(recipe.seed, root, name)
        bits = [
            rounded(value(F32, b) / divisor, F64, F32) if keeps(key, i, recipe.drop) else 0
            for i, b in enumerate(t.bits())
        ]
        result[name] = tensor_of_bits("F32", t.shape, bits)
    return result


def left(taus: Tensors) -> int:
    """How many elements are not zero [LK-2]."""
    return sum(magnitude(F32, b) != 0 for t in taus.values() for b in t.bits())


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


def trim(taus: Tensors, recipes: Mapping[str, Recipe]) -> tuple[dict[str, Tensor], int]:
    """The trimmed vector, +0 where nothing is kept, and the number of kept elements [TI-2]."""
    trimmed: dict[str, Tensor] = {}
    count = 0
    for group in groups(taus, recipes):
        recipe = recipes[group[0][0]]
        if recipe.density is None:
            raise ValueError(f"{recipe.method} trims nothing")
        flat = [magnitude(F32, bits) for _, t in group for bits in t.bits()]
        kept = iter(keep(flat, recipe.density, recipe.boundary))
        for name, t in group:
            bits = [b if next(kept) else 0 for b in t.bits()]
            count += sum(b != 0 for b in bits)
            trimmed[name] = tensor_of_bits("F32", t.shape, bits)
    return trimmed, count


def groups(taus: Tensors, recipes: Mapping[str, Recipe]) -> list[list[tuple[str, Tensor]]]:
    """What is trimmed together: tensors of one density, or each by itself [TI-2, ST-5]."""
    found: dict[object, list[tuple[str, Tensor]]] = {}
    for name, t in in_name_order(taus):
        by = recipes[name].density if recipes[name].scope == "model" else name
        found.setdefault(by, []).append((name, t))
    return list(found.values())


# -- one coordinate ------------------------------------------------------------------------------------------


def product(c: int, tau: int) -> int:
    """v = RN32(c * tau); a tau of zero gives a v of zero, one that is not finite stays so [TI-6, ME-1]."""
    return rn(F32, value(F32, c) * value(F32, tau)) if is_finite(F32, tau) else tau


@dataclass(frozen=True)
class Terms:
    """What one contribution adds at a coordinate, as fp32 bits: v and, for Fisher merging, w and tau; and its c."""

    c: Fraction
    v: int
    more: tuple[int, ...] = ()

    @property
    def is_finite(self) -> bool:
        return all(is_finite(F32, x) for x in (self.v, *self.more))


def terms_of(recipe: Recipe, voter: Voter, name: str, tau: int, position: int) -> Terms:
    """v [TI-6, ME-1, DA-2], or w and v [FM-1]."""
    if voter.terms:
        v, *more = voter.terms[name][position]
        return Terms(voter.coefficient, v, tuple(more))
    if recipe.method in elements.METHODS:
        return Terms(voter.coefficient, elements.v_of(recipe, voter.c, tau))
    if recipe.method != "fisher":
        return Terms(voter.coefficient, product(voter.c, tau))
    w = product(voter.c, voter.fisher[name].bits()[position])
    v = rn(F32, value(F32, w) * value(F32, tau)) if is_finite(F32, w) else w
    return Terms(voter.coefficient, v, (w, tau))


def sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def total(xs: Iterable[int]) -> Fraction:
    """The exact sum of fp32 numbers, given as bits."""
    return sum((value(F32, x) for x in xs), Fraction(0))


def reduce(recipe: Recipe, terms: Sequence[Terms], coefficients: Fraction) -> int:
    """The bits of tau_m at one coordinate, from the terms of those that hold it; `coefficients` is the sum of all c."""
    if recipe.method in elements.METHODS:
        return elements.METHODS[recipe.method]([(one.c, value(F32, one.v)) for one in terms], recipe)
    S = total(one.v for one in terms)
    if recipe.method in (*SIGNED, *geometry.METHODS, "arcee_fusion"):  # those that only add
        return rounded(S, F64, F32)
    if recipe.method == "mean":
        return ratio(S, coefficients)
    if recipe.method in ("fisher", "pcb"):
        W, T = (total(one.more[i] for one in terms) for i in (0, 1))
        return ratio(S, W) if W else ratio(T, Fraction(len(terms))) if recipe.method == "fisher" else 0
    if not recipe.elects:
        raise ValueError(f"no clauses for {recipe.method}")
    gamma = sign(S)
    if gamma == 0:
        return 0
    agreeing = [one for one in terms if sign(value(F32, one.v)) == gamma]
    return ratio(total(one.v for one in agreeing), sum((one.c for one in agreeing), Fraction(0)))


def apply(base: Tensor, b: int, lambda32: int, tau_m: int, out: str = "") -> int | None:
    """The result's bits, or None when it is not finite [MG-2 to MG-5, RC-15]."""
    if magnitude(F32, tau_m) == 0 or magnitude(F32, lambda32) == 0:
        return in_dtype(base, b, out)
    if not is_finite(base.fmt, b):
        return None
    exact = value(base.fmt, b) + value(F32, lambda32) * value(F32, tau_m)
    bits = rounded(exact, *RESULT_ROUNDINGS[out or base.dtype])
    return bits if is_finite(FLOATS[out or base.dtype], bits) else None


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


@dataclass(frozen=True)
class Settings:
    """By tensor, the recipe without settings, and what multiplies coefficients [ST-2, ST-4].

    own: of contributions that entries are for, by position, the same [ST-8].
    """

    recipes: Mapping[str, Recipe]
    factors: Mapping[str, Fraction]
    own: Mapping[int, Settings] = field(default_factory=dict)

    @classmethod
    def none(cls, names: Iterable[str], recipe: Recipe) -> Settings:
        return cls(dict.fromkeys(names, recipe), {})

    def of(self, contribution: int) -> Settings:
        """What is done to a contribution before the sums."""
        return self.own.get(contribution, self)

    def counts(self, c: int, name: str, contribution: int) -> bool:
        """Whether a contribution of this coefficient counts as one that holds the tensor."""
        return scaled(c, self.of(contribution).factors.get(name, Fraction(1)), name, contribution) != 0

    def at(self, name: str, voters: Sequence[Voter]) -> list[Voter]:
        """The voters with the coefficients that they have at a tensor."""
        factors = [self.of(i).factors.get(name, Fraction(1)) for i in range(len(voters))]
        return [
            replace(voter, c=scaled(voter.c, factor, name, i))
            for i, (voter, factor) in enumerate(zip(voters, factors, strict=True))
        ]


def scaled(c: int, factor: Fraction, name: str, contribution: int) -> int:
    """RN32 of the exact product, a zero as +0 [ST-4]."""
    bits = rn(F32, value(F32, c) * factor)
    if not is_finite(F32, bits):
        raise Refused("CoefficientError", contribution=contribution, tensor=name)
    return bits if magnitude(F32, bits) else 0


def merge(base: Tensors, everywhere: Sequence[Voter], recipe: Recipe, settings: Settings | None = None) -> Merged:
    """The merged model [MG-1 to MG-7], its tau_m, and the number of uncertified coordinates [EX-3].

    everywhere: the voters, which hold what the stages of the method left of their vectors.
    """
    check_coefficients(everywhere, recipe)
    if len(everywhere) != ARITY.get(recipe.method, len(everywhere)):
        raise Refused("RecipeError")
    settings = settings or Settings.none(base, recipe)
    tensors, tau_m, uncertified = dict(base), {}, 0
    for name, base_tensor in in_name_order(base):
        voters = settings.at(name, everywhere)
        coefficients = sum((voter.coefficient for voter in voters), Fraction(0))
        all_certified = certified([voter.c for voter in voters])
        holders = [(i, voter) for i, voter in enumerate(voters) if name in voter.taus]
        if not holders:
            tensors[name] = copied(name, base_tensor, recipe.out)
            continue
        taus, results, failed = merge_tensor(
            name, base_tensor, holders, settings.recipes.get(name, recipe), coefficients
        )
        tensors[name] = tensor_of_bits(recipe.out or base_tensor.dtype, base_tensor.shape, results)
        tau_m[name] = tensor_of_bits("F32", base_tensor.shape, taus)
        uncertified += failed if all_certified else base_tensor.elements
    return Merged(tensors, tau_m, uncertified)


def merge_tensor(
    name: str, base: Tensor, holders: Sequence[tuple[int, Voter]], recipe: Recipe, coefficients: Fraction
) -> tuple[list[int], list[int], int]:
    """The bits of tau_m and of the results, and how many coordinates fail the certificate [MG-6]."""
    columns = [voter.taus[name].bits() for _, voter in holders]
    copies = recipe.copies
    if recipe.method in geometry.METHODS:
        weights = geometry.weighed(recipe, columns, [voter.c for _, voter in holders])
        holders = [(i, replace(voter, c=weight)) for (i, voter), weight in zip(holders, weights, strict=True)]
        copies = copies and geometry.copies(weights)
    taus, results, failed = [], [], 0
    for position, b in enumerate(base.bits()):
        index = base.index(position)
        terms = []
        for (i, voter), column in zip(holders, columns, strict=True):
            one = terms_of(recipe, voter, name, column[position], position)
            if not one.is_finite:
                raise Refused("NonFinite", contribution=i, tensor=name, index=index)
            terms.append(one)
        tau_m = reduce(recipe, terms, coefficients)
        result = None
        if is_finite(F32, tau_m) and recipe.on_theta:
            own = [voter.own[name][position] for _, voter in holders] if copies else []
            result = elements.result_of_theta(base, tau_m, own, recipe.out)
        elif is_finite(F32, tau_m):
            result = apply(base, b, recipe.lambda32, tau_m, recipe.out)
        if result is None:
            raise Refused("NonFinite", tensor=name, index=index)
        summed = () if recipe.method in elements.WITHOUT_SUMS else ((one.v, *one.more) for one in terms)
        sums = zip(*summed, strict=True)
        failed += not all(map(certified, sums))  # each sum has a certificate of its own [EX-7]
        taus.append(tau_m)
        results.append(result)
    return taus, results, failed
