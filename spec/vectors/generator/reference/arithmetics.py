"""Where each option of DI-14 rounds, and where DI-12 applies lambda."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import isfinite
from typing import Protocol

from generator.reference import decimals
from generator.reference.floats import add, bits_of, divide, multiply, nearest, number, to, wide
from generator.reference.reduction import apply
from generator.reference.rounding import F32, F64, Format
from generator.reference.taskvectors import tau
from generator.reference.tensors import Tensor, tensor_of_bits


class Arithmetic(Protocol):
    """How one tensor is computed. tau: a difference; v: one times its coefficient; S: a sum."""

    @property
    def applied(self) -> Format:
        """The format of the result."""
        ...

    def differences(self, tuned: Tensor, base: Tensor) -> list[float]: ...
    def coefficient(self, c: Fraction) -> float: ...
    def weigh(self, c: float, x: float) -> float: ...
    def vote(self, xs: Sequence[float], *, weighted: bool) -> int: ...
    def total(self, vs: Sequence[float]) -> float: ...
    def mean(self, vs: Sequence[float], divisors: Sequence[float]) -> float: ...
    def move(self, base: Tensor, b: float, tau_m: float, lambda_: str, where: str) -> float: ...


def sign(x: float | Fraction) -> int:
    """NaN has none."""
    return (x > 0) - (x < 0)


class Exact:
    """Sums are exact, and rounded where TI-8 and MG-3 say: by the functions that made the vectors of TI and MG."""

    def __init__(self, storage: Format) -> None:
        self.applied = wide(storage)

    def differences(self, tuned: Tensor, base: Tensor) -> list[float]:
        taus = [tau(base, tuned, b, t) for b, t in zip(base.bits(), tuned.bits(), strict=True)]
        return [float("nan") if bits is None else number(F32, bits) for bits in taus]

    def coefficient(self, c: Fraction) -> float:
        return nearest(F32, c)

    def weigh(self, c: float, x: float) -> float:
        return multiply(F32, c, x)

    def vote(self, xs: Sequence[float], *, weighted: bool) -> int:
        return sign(sum(map(Fraction, xs), Fraction(0)))

    def total(self, vs: Sequence[float]) -> float:
        return to(F32, nearest(F64, sum(map(Fraction, vs), Fraction(0))))

    def mean(self, vs: Sequence[float], divisors: Sequence[float]) -> float:
        s, w = (nearest(F64, sum(map(Fraction, xs), Fraction(0))) for xs in (vs, divisors))
        return to(F32, divide(F64, s, w))

    def move(self, base: Tensor, b: float, tau_m: float, lambda_: str, where: str) -> float:
        lambda32 = 0x3F800000 if where == "none" else decimals.fp32(lambda_)
        here = base if base.fmt == F64 else tensor_of_bits("F32", (), [])  # as if the base had the format of the sum
        bits = apply(here, bits_of(here.fmt, b), lambda32, bits_of(F32, tau_m))
        return float("nan") if bits is None else number(here.fmt, bits)


@dataclass(frozen=True)
class Rounded:
    """Each operation rounds to the format of its stage; sums run in the order of the list."""

    held: Format
    given: Format
    weighted: Format
    running: Format
    voted: Format
    summed: Format
    merged: Format
    applied: Format

    def differences(self, tuned: Tensor, base: Tensor) -> list[float]:
        pairs = zip(tuned.bits(), base.bits(), strict=True)
        ends = ((to(self.held, number(tuned.fmt, t)), to(self.held, number(base.fmt, b))) for t, b in pairs)
        return [add(self.held, t, -b) for t, b in ends]

    def coefficient(self, c: Fraction) -> float:
        """The nearest binary64 number, by way of the format that coefficients have."""
        return to(self.weighted, to(self.given, nearest(F64, c)))

    def weigh(self, c: float, x: float) -> float:
        return multiply(self.weighted, c, x)

    def vote(self, xs: Sequence[float], *, weighted: bool) -> int:
        return sign(to(self.summed if weighted else self.voted, self.run(xs)))

    def run(self, xs: Sequence[float]) -> float:
        return reduce(lambda total, x: add(self.running, total, x), xs, 0.0)

    def total(self, vs: Sequence[float]) -> float:
        return to(self.summed, self.run(vs))

    def mean(self, vs: Sequence[float], divisors: Sequence[float]) -> float:
        return to(self.applied, divide(self.merged, self.total(vs), self.total(divisors)))

    def move(self, base: Tensor, b: float, tau_m: float, lambda_: str, where: str) -> float:
        """lambda is a binary32 number, or a binary64 one where the sum is; its product is rounded through that."""
        computed = wide(self.applied)
        factor, b, tau_m = to(computed, nearest(F64, Fraction(lambda_))), to(self.applied, b), to(self.applied, tau_m)
        if where == "after_once" and computed == F32 and isfinite(tau_m):
            return to(self.applied, nearest(F32, Fraction(b) + Fraction(factor) * Fraction(tau_m)))
        scaled = tau_m if where == "none" else to(self.applied, multiply(computed, factor, tau_m))
        return add(self.applied, b, scaled)


def arithmetic(option: str, storage: Format) -> Arithmetic:
    """One option of DI-14 for tensors of a dtype. S is that dtype, W what it is computed in.

    The columns: differences; coefficients; values times these; running sums; unweighted votes; sums; quotient; rest.
    """
    if option == "exact":
        return Exact(storage)
    s, w = storage, wide(storage)
    return {
        "fp32": Rounded(F32, F32, F32, F32, F32, F32, F32, F32),
        "fp64": Rounded(F64, F64, F64, F64, F64, F64, F64, F64),
        "storage": Rounded(s, w, s, w, s, s, s, s),
        "storage_to_sum": Rounded(s, w, s, w, s, s, w, w),
        "storage_to_election": Rounded(s, F32, w, w, s, w, w, s),
    }[option]
