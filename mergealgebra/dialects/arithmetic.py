"""The numbers of a dialect: what each step of its merge rounds to, and how its sums run [DI-14, DI-19].

`Exact` is this specification's own arithmetic, `Rounded` that of the others. Both are plain statements, not fast ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.apply import apply, changed
from mergealgebra.dialects.points import Dialect
from mergealgebra.tensors.block_vectors import read_stored, subtract

Array = np.ndarray[Any, Any]
Dtype = np.dtype[Any]

F64: Final = np.dtype(np.float64)
F32: Final = np.dtype(np.float32)

#: What each arithmetic rounds to: differences, coefficients, the sums of agreeing values, their quotient, the result.
#: `storage` is the dtype of the base; `wide` is binary32, or binary64 where the base is that.
STEPS: Final[Mapping[str, tuple[str, str, str, str, str]]] = {
    "fp32": ("fp32", "fp32", "fp32", "fp32", "fp32"),
    "fp64": ("fp64", "fp64", "fp64", "fp64", "fp64"),
    "storage": ("storage", "storage", "storage", "storage", "storage"),
    "storage_to_sum": ("storage", "storage", "storage", "wide", "wide"),
    "storage_to_election": ("storage", "fp32", "wide", "wide", "storage"),
}


@lru_cache(maxsize=4096)
def fp32_of(text: str, what: str) -> float:
    """The fp32 number of a decimal, kept, as questions ask for the same few [RC-2]. Raises DecimalError."""
    return decimals.fp32(text, what)


class Numbers(Protocol):
    """How a dialect computes."""

    def number(self, text: str) -> float:
        """A coefficient or lambda."""
        ...

    def difference(self, finetuned: Array, base: Array) -> Array:
        """The task vector of one tensor. finetuned, base: (d,). Returns (d,)."""
        ...

    def stored(self, values: Array) -> Array:
        """A task vector that is one already."""
        ...

    def weighted(self, values: Array, c: Sequence[float]) -> tuple[Array, Array]:
        """Values times their coefficients, and these. values: (n, d); c: n numbers. Returns (n, d) and (n, 1)."""
        ...

    def total(self, rows: Array) -> Array:
        """The sum over rows. rows: (n, d). Returns (d,)."""
        ...

    def quotient(self, total: Array, divisor: Array | None) -> Array:
        """A total over its divisor, of which 0 counts as 1, or as it is. total, divisor: (d,). Returns (d,)."""
        ...

    def applied(self, base: Array, tau_m: Array, lambda_: float, once: bool) -> Array:
        """Base plus lambda times the merged task vector. base, tau_m: of one shape. once: with one rounding."""
        ...


def numbers_of(dialect: Dialect, dtypes: Sequence[Dtype]) -> Numbers:
    """The numbers of a dialect for tensors of these dtypes, which are merged together."""
    arithmetic = str(dialect["arithmetic"])
    if arithmetic == "exact":
        return Exact()
    storage = promoted(dtypes)
    wide = F64 if storage == F64 else F32
    named = {"storage": storage, "wide": wide, "fp32": F32, "fp64": F64}
    return Rounded(*(named[step] for step in STEPS[arithmetic]))


def rounded_to(dtype: Dtype, array: Array) -> Array:
    """The array in another float dtype; from binary64 to a narrow one by way of binary32 [DI-20, RC-9]."""
    by_way = array.astype(F32) if array.dtype == F64 and dtype.itemsize == 2 else array
    return by_way.astype(dtype)


def promoted(dtypes: Sequence[Dtype]) -> Dtype:
    """The narrowest float dtype that holds all of these; for bfloat16 and float16 that is float32, as in torch."""
    if len(set(dtypes)) == 1:
        return dtypes[0]
    return F64 if F64 in dtypes else F32


class Exact:
    """Sums are exact, and rounded where the specification says [EX-1, TI-6, TI-8, MG-3]."""

    def number(self, text: str) -> float:
        return fp32_of(text, "a number")

    def difference(self, finetuned: Array, base: Array) -> Array:
        return np.asarray(subtract(finetuned, base))

    def stored(self, values: Array) -> Array:
        return np.asarray(read_stored(values))

    def weighted(self, values: Array, c: Sequence[float]) -> tuple[Array, Array]:
        column = np.array(c, F32)[:, None]
        return values * column, column

    def total(self, rows: Array) -> Array:
        """RN64 of the exact sum; what is not finite is as addition has it."""
        plain = rows.astype(F64).sum(axis=0)
        columns = zip(rows.T.tolist(), plain.tolist(), strict=True)
        return np.array([math.fsum(column) if math.isfinite(one) else one for column, one in columns], F64)

    def quotient(self, total: Array, divisor: Array | None) -> Array:
        return (total if divisor is None else total / _or_one(divisor)).astype(F32)

    def applied(self, base: Array, tau_m: Array, lambda_: float, once: bool) -> Array:
        wide = base if base.dtype == F64 else base.astype(F32)
        return np.asarray(np.where(changed(tau_m, lambda_), apply(wide, tau_m, lambda_), wide))


@dataclass(frozen=True)
class Rounded:
    """Each operation rounds, sums run in the order of the list; those of narrow numbers in binary32 [DI-14].

    The dtypes are those of `STEPS`.
    """

    differences: Dtype
    coefficients: Dtype
    sums: Dtype
    quotients: Dtype
    results: Dtype

    def number(self, text: str) -> float:
        return float(text)

    def difference(self, finetuned: Array, base: Array) -> Array:
        return np.asarray(self.stored(finetuned) - self.stored(base))

    def stored(self, values: Array) -> Array:
        return _rounded(values, self.differences)

    def weighted(self, values: Array, c: Sequence[float]) -> tuple[Array, Array]:
        column = _rounded(np.array(c), self.coefficients)[:, None].astype(self.sums)
        return values.astype(self.sums) * column, column

    def total(self, rows: Array) -> Array:
        running = rows.astype(_running(rows.dtype))
        total = np.zeros_like(running[0])
        for row in running:
            total = total + row
        return np.asarray(total.astype(rows.dtype))

    def quotient(self, total: Array, divisor: Array | None) -> Array:
        total = total.astype(self.quotients)
        if divisor is None:
            return total
        return np.asarray(total / _or_one(divisor).astype(self.quotients))

    def applied(self, base: Array, tau_m: Array, lambda_: float, once: bool) -> Array:
        base, running = base.astype(self.results), _running(self.results)
        tau_m = tau_m.astype(self.results)
        if once and running == F32:
            return _added_once(base, tau_m, np.float32(lambda_)).astype(self.results)
        scaled = (tau_m.astype(running) * running.type(lambda_)).astype(self.results)
        return np.asarray(base + scaled)


def _or_one(divisor: Array) -> Array:
    return np.where(divisor == 0, divisor.dtype.type(1), divisor)


def _rounded(array: Array, dtype: Dtype) -> Array:
    """An array in a dtype; to a narrow one by way of binary32, as torch has it."""
    return np.asarray(array.astype(_running(dtype)).astype(dtype))


def _running(dtype: Dtype) -> Dtype:
    """In what numbers of a dtype are added and scaled."""
    return F64 if dtype == F64 else F32


def _added_once(base: Array, tau_m: Array, factor: np.float32) -> Array:
    """base + factor * tau_m, rounded once to binary32. All but the result are binary32, or narrower.

    The product is exact in binary64. The sum is rounded there to odd, so that the next rounding is the only one.
    """
    a, b = base.astype(F64), tau_m.astype(F64) * np.float64(factor)
    total = a + b
    shifted = total - a
    lost = (a - (total - shifted)) + (b - shifted)
    even = total.view(np.uint64) & 1 == 0
    odd = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & np.isfinite(lost) & even, odd, total).astype(F32)
