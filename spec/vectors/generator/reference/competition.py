"""What wins within a model, or against the base: PCB-Merging, arcee_fusion [PC-1 to PC-6, AF-1 to AF-5]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import ceil, floor

from generator.reference.dots import dot, r64
from generator.reference.functions import rounded_exp, rounded_log, rounded_tanh
from generator.reference.reduction import Voter
from generator.reference.refused import Refused
from generator.reference.rounding import F32, F64, Format, convert, is_finite, rn, rounded, value
from generator.reference.rows import rows_of
from generator.reference.tensors import Tensor, Tensors, tensor_of_bits

ZERO = Fraction(0)
LARGEST = value(F32, F32.infinity - 1)


def r32(x: Fraction) -> Fraction:
    return value(F32, rn(F32, x))


def r64_32(x: Fraction) -> Fraction:
    return value(F32, rounded(x, F64, F32))


def scaled(taus: Tensors, c: int) -> dict[str, list[int]]:
    """The bits of RN32(c tau), perhaps not finite."""
    factor = value(F32, c)
    return {name: [rn(F32, factor * value(F32, b)) for b in t.bits()] for name, t in taus.items()}


def from_above(numbers: Sequence[Fraction], rank: int) -> Fraction:
    return sorted(numbers, reverse=True)[rank - 1]


# -- PCB-Merging ---------------------------------------------------------------------------------------------

Vectors = dict[str, list[Fraction]]


def competed(voters: Sequence[Voter], ratio: Fraction) -> tuple[list[Voter], list[int]]:
    """The voters with the terms of each element, v, s and t, and how many s of each are not 0."""
    bits = [scaled(voter.taus, voter.c) for voter in voters]
    refuse_overflow(voters, bits)
    ts = [{name: [value(F32, b) for b in column] for name, column in one.items()} for one in bits]
    sums = {name: summed([t[name] for t in ts if name in t]) for name in set().union(*ts)}
    found, kept = [], []
    for voter, t in zip(voters, ts, strict=True):
        terms = terms_of(t, sums, len(voters), ratio)
        found.append(replace(voter, terms=terms))
        kept.append(sum(s != 0 for column in terms.values() for _, s, _ in column))
    return found, kept


def refuse_overflow(voters: Sequence[Voter], bits: Sequence[dict[str, list[int]]]) -> None:
    """The first coordinate whose t is not finite, and there the first contribution [MG-6, PC-1]."""
    faults = [
        (name.encode("utf-8"), position, i)
        for i, one in enumerate(bits)
        for name, column in one.items()
        for position, b in enumerate(column)
        if not is_finite(F32, b)
    ]
    if faults:
        name, position, i = min(faults)
        tensor = name.decode("utf-8")
        raise Refused("NonFinite", contribution=i, tensor=tensor, index=voters[i].taus[tensor].index(position))


def summed(columns: Sequence[Sequence[Fraction]]) -> list[Fraction]:
    """S [PC-1]."""
    return [bounded(r64(sum(column, ZERO))) for column in zip(*columns, strict=True)]


def bounded(x: Fraction) -> Fraction:
    """RN32, no larger than the largest finite number."""
    return r32(max(-LARGEST, min(x, LARGEST)))


def terms_of(t: Vectors, sums: Vectors, n: int, ratio: Fraction) -> dict[str, list[tuple[int, ...]]]:
    flat = [abs(x) for column in t.values() for x in column]
    if not flat:
        return {name: [] for name in t}
    g = len(flat) // 10000
    hi, lo = from_above(flat, g + 1), from_above(flat, len(flat) - g)
    scores = {
        name: [score(x, S, hi, lo, n) for x, S in zip(column, sums[name], strict=True)] for name, column in t.items()
    }
    every = [one for column in scores.values() for one in column]
    p, q = max(every), from_above(every, ceil(ratio * len(every)))
    found = {}
    for name, column in t.items():
        ss = [s_of(x, one, p, q) for x, one in zip(column, scores[name], strict=True)]
        vs = [sign(x) * max(lo, min(abs(x), hi)) * s for x, s in zip(column, ss, strict=True)]
        found[name] = [(rn(F32, v), rn(F32, s), rn(F32, x)) for v, s, x in zip(vs, ss, column, strict=True)]
    return found


@cache
def score(t: Fraction, S: Fraction, hi: Fraction, lo: Fraction, n: int) -> Fraction:
    """[PC-3, PC-4]"""
    intra = Fraction(1)
    if hi > lo:
        m = r64(r64(max(lo, min(abs(t), hi)) - lo) / r64(hi - lo))
        intra = value(F32, rounded_exp(F32, r64(n * r64(r64(m * m) - 1))))
    return r32(intra * value(F32, rounded_tanh(F32, t * S)))


def s_of(t: Fraction, score: Fraction, p: Fraction, q: Fraction) -> Fraction:
    """[PC-5]"""
    if p == q:
        return Fraction(score == p > 0)
    return r64_32(r64(score - q) / r64(p - q)) if score > q and t else ZERO


def sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


# -- arcee_fusion --------------------------------------------------------------------------------------------

EPSILON = r64(Fraction("0.00000001"))


def important(base: Tensors, c: int, taus: Tensors) -> dict[str, Tensor]:
    """What is left of a task vector, +0 where it is not important enough [AF-5]."""
    ts, result = scaled(taus, c), {}
    for name, t in taus.items():
        bits = t.bits()
        if all(is_finite(F32, b) for b in ts[name]):
            kept = importances(base[name], t, ts[name])
            least = threshold(kept) if kept else ZERO
            bits = [b if one >= least else 0 for b, one in zip(bits, kept, strict=True)]
        result[name] = tensor_of_bits("F32", t.shape, bits)
    return result


def importances(base: Tensor, t: Tensor, ts: Sequence[int]) -> list[Fraction]:
    """abs(t) times the divergence of its row [AF-3]."""
    models = [both(base.fmt, b, value(F32, x)) for b, x in zip(base.bits(), ts, strict=True)]
    found = []
    for row in rows_of(t):
        kl = divergence([models[i] for i in row])
        found += [bounded(r64(abs(value(F32, ts[i])) * kl)) for i in row]
    return found


#: An element of the model and one of the base; None where one of them is not finite.
Pair = tuple[Fraction, Fraction] | None


def both(fmt: Format, b: int, t: Fraction) -> Pair:
    """theta and theta_0 [AF-2]."""
    old = convert(fmt, b, F32) if is_finite(fmt, b) else F32.infinity
    if not is_finite(F32, old):
        return None
    new = rn(F32, value(F32, old) + t)
    return (value(F32, new), value(F32, old)) if is_finite(F32, new) else None


def divergence(row: Sequence[Pair]) -> Fraction:
    """KL of two rows [AF-3]."""
    if not any(row):
        return ZERO
    ps, qs = (softmax([pair and pair[which] for pair in row]) for which in (0, 1))
    logs = [log(p, q) for p, q in zip(ps, qs, strict=True)]
    return summed_row([r64_32(p * log) for p, log in zip(ps, logs, strict=True)])


def softmax(row: Sequence[Fraction | None]) -> list[Fraction]:
    """p of each element, which is never 0 [AF-2]."""
    largest = max(x for x in row if x is not None)
    es = [ZERO if x is None else power(r64(x - largest)) for x in row]
    z = summed_row(es)
    return [share(e, z) for e in es]


@cache
def power(x: Fraction) -> Fraction:
    return value(F32, rounded_exp(F32, x))


@cache
def share(e: Fraction, z: Fraction) -> Fraction:
    return r64(r64(e / z) + EPSILON)


@cache
def log(p: Fraction, q: Fraction) -> Fraction:
    return value(F32, rounded_log(F32, r64(p / q)))


def summed_row(terms: Sequence[Fraction]) -> Fraction:
    """The sum of fp32 numbers in the fixed tree."""
    return dot(terms, [Fraction(1)] * len(terms))


def threshold(importances: Sequence[Fraction]) -> Fraction:
    """The median and one and a half times the distance of the quartiles [AF-4]."""
    ascending = sorted(importances)
    q1, median, q3 = (ascending[floor(Fraction(k, 4) * (len(ascending) - 1))] for k in (1, 2, 3))
    return r64(median + Fraction(3, 2) * (q3 - q1))
