"""The methods of angles: coefficients from dot products in the fixed tree [DT, SL, MU, MS, KA], with `Fraction`.

Every number of these is a `Fraction` that F64 holds; `r` rounds to one. Numbers are small enough not to overflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from generator.reference.functions import ROUNDED
from generator.reference.recipes import Recipe
from generator.reference.rounding import F32, F64, rn, value

Numbers = Sequence[Fraction]
ZERO, ONE = Fraction(0), Fraction(1)
NOTHING = Fraction(1, 2**40)
CHUNK = 4096


def r(x: Fraction) -> Fraction:
    """RN64."""
    return value(F64, rn(F64, x))


def function(name: str, x: Fraction) -> Fraction:
    """A correctly rounded function [EF-4]."""
    return value(F64, ROUNDED[name](F64, x))


def total(terms: Iterable[Fraction]) -> Fraction:
    """RN64 of the exact sum of terms, each rounded first [DT-5]."""
    return r(sum(map(r, terms), ZERO))


def clamped(x: Fraction) -> Fraction:
    return max(-ONE, min(ONE, x))


# -- dot products --------------------------------------------------------------------------------------------


def chunk_sum(products: Numbers, first: int = 0, step: int = 1) -> Fraction:
    """Of the products at first, first + step, ...: the halves of these are folded onto each other last [DT-2]."""
    if first >= len(products):
        return ZERO
    if step == CHUNK:
        return products[first]
    return r(chunk_sum(products, first, 2 * step) + chunk_sum(products, first + step, 2 * step))


def dot(x: Numbers, y: Numbers) -> Fraction:
    """x . y [DT-1 to DT-3]."""
    products = [a * b for a, b in zip(x, y, strict=True)]
    sums = [chunk_sum(products[i : i + CHUNK]) for i in range(0, len(products), CHUNK)] or [ZERO]
    while len(sums) > 1:
        pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
        sums = [r(pair[0] + pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
    return sums[0]


# -- what all of them look at [DT-6, DT-7] -------------------------------------------------------------------


class Tensors:
    """One tensor of the contributions that hold it: fp32 bits of each, and of the coefficients."""

    def __init__(self, vectors: Sequence[Sequence[int]], coefficients: Sequence[int]) -> None:
        xs = [[value(F32, bits) for bits in vector] for vector in vectors]
        cs = [value(F32, bits) for bits in coefficients]
        self.n = len(xs)
        self.N = [function("sqrt", dot(x, x)) for x in xs]
        self.directed = [norm > max(self.N) / 2**100 for norm in self.N]
        self.p = [[self.cosine(xs, i, j) for j in range(self.n)] for i in range(self.n)]
        W = r(sum(cs, ZERO))
        self.w = [r(c / W) for c in cs]
        self.M = total(w * norm for w, norm in zip(self.w, self.N, strict=True))

    def cosine(self, xs: Sequence[Numbers], i: int, j: int) -> Fraction:
        if not (self.directed[i] and self.directed[j]):
            return ZERO
        return ONE if i == j else clamped(r(dot(xs[i], xs[j]) / r(self.N[i] * self.N[j])))

    def masked(self) -> list[Fraction]:
        """w where there is a direction."""
        return [w if directed else ZERO for w, directed in zip(self.w, self.directed, strict=True)]

    def square(self, x: Numbers) -> Fraction:
        pairs = ((i, j) for i in range(self.n) for j in range(self.n))
        return max(ZERO, total(r(x[i] * x[j]) * self.p[i][j] for i, j in pairs))

    def unit(self, x: Numbers) -> list[Fraction] | None:
        """[KA-2]."""
        Q = self.square(x)
        return None if Q <= NOTHING else [r(each / function("sqrt", Q)) for each in x]

    def scaled(self, s: Fraction, x: Numbers) -> list[Fraction]:
        return [r(r(s * x[i]) / self.N[i]) if self.directed[i] else ZERO for i in range(self.n)]


# -- the methods ---------------------------------------------------------------------------------------------


def arc(t: Tensors, straight: Fraction) -> Numbers:
    if t.n == 1:
        return [ONE]
    p = t.p[0][1]
    if abs(p) > straight:
        return t.w
    phi = function("acos", p)
    return [r(function("sin", r(w * phi)) / function("sin", phi)) for w in t.w]


def slerp(t: Tensors, recipe: Recipe) -> Numbers:
    return arc(t, r(Fraction("0.9995")))


def nuslerp(t: Tensors, recipe: Recipe) -> Numbers:
    return arc(t, 1 - NOTHING)


def multislerp(t: Tensors, recipe: Recipe) -> Numbers:
    Q = t.square(t.masked())
    return t.w if Q <= NOTHING else t.scaled(r(t.M / function("sqrt", Q)), t.masked())


def model_stock(t: Tensors, recipe: Recipe) -> Numbers:
    factor = ONE
    if t.n > 1:
        cosines = [t.p[i][j] for i in range(t.n) for j in range(i)]
        C = r(total(cosines) / len(cosines))
        D = r(1 + r((t.n - 1) * C))
        factor = ZERO if D <= NOTHING else r(r(t.n * C) / D)
    return [r(factor * w) for w in t.w]


def karcher(t: Tensors, recipe: Recipe) -> Numbers:
    m = t.unit(t.masked())
    if m is None:
        return t.w
    for _ in range(recipe.steps):
        moved = step(t, m, r(recipe.tolerance))
        if moved is None:
            break
        m = moved
    return t.scaled(t.M, m)


def step(t: Tensors, m: Numbers, tolerance: Fraction) -> list[Fraction] | None:
    """[KA-3]; None where it is not made."""
    d = [clamped(total(p * each for p, each in zip(row, m, strict=True))) for row in t.p]
    f = [r(x * stretched(cosine)) for x, cosine in zip(t.masked(), d, strict=True)]
    g = total(a * b for a, b in zip(f, d, strict=True))
    T = [r(a - r(g * b)) for a, b in zip(f, m, strict=True)]
    length = function("sqrt", t.square(T))
    if length <= tolerance:
        return None
    c, s = function("cos", length), function("sin", length)
    return t.unit([r(r(c * a) + r(r(s * b) / length)) for a, b in zip(m, T, strict=True)])


def stretched(cosine: Fraction) -> Fraction:
    if abs(cosine) >= 1 - NOTHING:
        return ONE if cosine > 0 else ZERO
    phi = function("acos", cosine)
    return r(phi / function("sin", phi))


METHODS: Mapping[str, Callable[[Tensors, Recipe], Numbers]] = {
    "slerp": slerp,
    "nuslerp": nuslerp,
    "multislerp": multislerp,
    "model_stock": model_stock,
    "karcher": karcher,
}


def weighed(recipe: Recipe, vectors: Sequence[Sequence[int]], coefficients: Sequence[int]) -> list[int]:
    """The fp32 bits of the coefficient that each contribution has instead of its own."""
    return [rn(F32, a) for a in METHODS[recipe.method](Tensors(vectors, coefficients), recipe)]


def copies(weights: Sequence[int]) -> bool:
    """Whether models that agree are copied, where they may be [MG-14]."""
    return abs(sum((value(F32, a) for a in weights), ZERO) - 1) <= Fraction(1, 2**20)
