"""TIES as any dialect computes it, on arrays in memory: trim, elect, disjoint merge, apply [DI-1].

Each function follows one or two points of `algebra/dialects.py`, a line an option, and is meant to be read beside them.
It is the plain statement of what other implementations do, made to compare with, not to be fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.apply import apply, changed
from mergealgebra.algebra.dialects import Dialect
from mergealgebra.errors import NamesError, NonFinite, RecipeError
from mergealgebra.tensors.task_vector import subtract

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]

_WORKING: Final[Mapping[str, np.dtype[Any]]] = {
    "exact": np.dtype(np.float32),
    "fp32": np.dtype(np.float32),
    "fp64": np.dtype(np.float64),
}


def merge_in_dialect(
    dialect: Dialect,
    base: Tensors,
    models: Sequence[Tensors],
    *,
    density: str = "1",
    lambda_: str = "1",
    coefficients: Sequence[str] | None = None,
) -> dict[str, Array]:
    """The models merged as what the dialect is named after would merge them.

    base, models: name -> NumPy array of a float dtype, ml_dtypes for bfloat16; models are fine-tuned, not differences.
    density: as the dialect takes it. Raises RecipeError, NamesError or NonFinite where it has no answer.
    """
    texts = ["1"] * len(models) if coefficients is None else list(coefficients)
    _check(dialect, base, models, texts, lambda_)
    if len(models) == 1 and dialect["alone"] == "returned":
        return {name: models[0].get(name, array).copy() for name, array in base.items()}
    names = [name for name in sorted(base, key=str.encode) if any(name in model for model in models)]
    if dialect["keys"] == "common":
        names = [name for name in names if all(name in model for model in models)]
    merge = _Merge(dialect, Numbers.of(dialect, base), {name: base[name] for name in names}, density, lambda_)
    return {name: array.copy() for name, array in base.items()} | merge.of(models, texts)


def _check(dialect: Dialect, base: Tensors, models: Sequence[Tensors], texts: Sequence[str], lambda_: str) -> None:
    missing = [point for point, option in dialect.options.items() if option is None]
    if missing:
        raise RecipeError(f"dialect {dialect.name} leaves {', '.join(missing)} open: choose one that settles them")
    if dialect["lambda"] == "none" and decimals.canonical_decimal(lambda_, "lambda") != "1":
        raise RecipeError(f"dialect {dialect.name} has no lambda: leave it out, or give 1")
    if dialect["coefficients"] == "none" and any(decimals.canonical_decimal(t, "coefficient") != "1" for t in texts):
        raise RecipeError(f"dialect {dialect.name} has no coefficients: leave them out, or give 1")
    for i, model in enumerate(models):
        absent = sorted(base.keys() - model.keys(), key=str.encode)
        if absent and dialect["keys"] == "same":
            raise NamesError(f"model {i} lacks tensor {absent[0]!r}: dialect {dialect.name} wants the same in all")


@dataclass(frozen=True)
class Numbers:
    """How a dialect computes: the dtype of its values, and how sums run."""

    working: np.dtype[Any]
    exact: bool

    @classmethod
    def of(cls, dialect: Dialect, base: Tensors) -> Numbers:
        """The numbers of a dialect for a base; tensors of several dtypes are computed in the widest."""
        arithmetic = str(dialect["arithmetic"])
        storage = np.result_type(*(array.dtype for array in base.values())) if base else np.dtype(np.float32)
        return cls(_WORKING.get(arithmetic, storage), arithmetic == "exact")

    @property
    def running(self) -> np.dtype[Any]:
        """The dtype in which sums run."""
        return np.dtype(np.float64 if self.exact or self.working == np.float64 else np.float32)

    def difference(self, finetuned: Array, base: Array) -> Array:
        """The task vector of one tensor. finetuned, base: (d,). Returns (d,) in the working dtype."""
        if self.exact:
            return np.asarray(subtract(finetuned, base))
        return np.asarray(finetuned.astype(self.working) - base.astype(self.working))

    def applied(self, base: Array, tau_m: Array, lambda_: str) -> Array:
        """Base plus lambda times the merged task vector, in the dtype of the sum. base, tau_m: of one shape."""
        if self.exact:
            factor = decimals.fp32(lambda_, "lambda")
            wide = base if base.dtype == np.float64 else base.astype(np.float32)
            return np.asarray(np.where(changed(tau_m, factor), apply(wide, tau_m, factor), wide))
        scaled = tau_m if float(lambda_) == 1 else tau_m * self.working.type(float(lambda_))
        return np.asarray(base.astype(self.working) + scaled)

    def total(self, rows: Array) -> Array:
        """The sum over rows, one after another, or exactly [DI-19]. rows: (n, d), the working dtype. Returns (d,)."""
        if self.exact:
            return np.array([math.fsum(column) for column in rows.T.tolist()], np.float64)
        total = np.zeros(rows.shape[1], self.running)
        for row in rows:
            total = total + row.astype(self.running)
        return total.astype(self.working)


@dataclass(frozen=True)
class _Merge:
    """One merge: all its tensors in name order, a vector each for base and models."""

    dialect: Dialect
    numbers: Numbers
    base: Tensors
    density: str
    lambda_: str

    def of(self, models: Sequence[Tensors], texts: Sequence[str]) -> dict[str, Array]:
        """The merged tensors. texts: the coefficients."""
        with np.errstate(invalid="ignore", over="ignore"):
            taus = [self._task_vector(model, i) for i, model in enumerate(models)]
        values = np.stack([self._flat(self._trimmed(tau)) for tau in taus])
        c = self._coefficients(texts)
        weighted = (values * c).astype(self.numbers.working)
        signs = elected(self.dialect, self.numbers, values, weighted)
        merged = disjoint(self.dialect, self.numbers, values, weighted, signs, c)
        return self._applied(merged)

    def _coefficients(self, texts: Sequence[str]) -> Array:
        """(n, 1) in the working dtype."""
        if self.numbers.exact:
            return np.array([[decimals.fp32(text, "coefficient")] for text in texts], np.float32)
        doubles = [float(text) for text in texts]
        if self.dialect["coefficients"] == "normalised":
            doubles = [double / sum(doubles) for double in doubles]
        return np.array(doubles).astype(self.numbers.working)[:, None]

    def _task_vector(self, model: Tensors, i: int) -> dict[str, Array]:
        """The differences; a tensor that the model lacks has no values, so no votes."""
        task_vector = {}
        for name, array in self.base.items():
            if name not in model:
                task_vector[name] = np.zeros(0, self.numbers.working)
                continue
            tau = self.numbers.difference(model[name].reshape(-1), array.reshape(-1))
            wrong = np.flatnonzero(~np.isfinite(tau.astype(np.float64)))
            if wrong.size and self.dialect["non_finite"] == "error":
                raise NonFinite(f"model {i}: tensor {name!r}: element {wrong[0]} of the task vector is not finite")
            task_vector[name] = tau
        return task_vector

    def _trimmed(self, task_vector: Tensors) -> dict[str, Array]:
        groups = [list(task_vector)] if self.dialect["scope"] == "model" else [[name] for name in task_vector]
        trimmed: dict[str, Array] = {}
        for group in groups:
            flat = np.concatenate([task_vector[name] for name in group])
            flat = np.where(kept(self.dialect, flat, self.density), flat, flat.dtype.type(0))
            ends = np.cumsum([task_vector[name].size for name in group])
            trimmed |= dict(zip(group, np.split(flat, ends[:-1]), strict=True))
        return trimmed

    def _flat(self, tensors: Tensors) -> Array:
        whole = [t if t.size else np.zeros(self.base[name].size, t.dtype) for name, t in tensors.items()]
        return np.concatenate(whole)

    def _applied(self, merged: Array) -> dict[str, Array]:
        """Base plus lambda times the merged task vector, rounded as the dialect does."""
        result, start = {}, 0
        for name, array in self.base.items():
            tau_m, start = merged[start : start + array.size].reshape(array.shape), start + array.size
            moved = self.numbers.applied(array, tau_m, self.lambda_)
            result[name] = moved.astype(array.dtype) if self.dialect["output"] == "base" else moved
        return result


# Trim


def fraction_kept(dialect: Dialect, density: str) -> Any:
    """rho, a Fraction or a float as the dialect has it [DI-2]. Raises RecipeError unless it is above 0, at most 1."""
    rho: Any = Fraction(density) if dialect["density"] == "decimal" else float(density)
    if dialect["density"] == "percent" and rho > 1:
        rho /= 100
    if not 0 < rho <= 1:
        raise RecipeError(f"density: {density} is not above 0 and at most 1")
    return rho


def rank(dialect: Dialect, density: str, d: int) -> int:
    """m: the threshold is the m-th largest of d magnitudes; 0 keeps nothing [DI-2, DI-3]. Raises RecipeError."""
    rho = fraction_kept(dialect, density)
    ranks: Mapping[str, Callable[[], int]] = {
        "floor_min_1": lambda: max(1, math.floor(rho * d)),
        "floor": lambda: math.floor(rho * d),
        "floor_not_0": lambda: math.floor(rho * d) or d + 1,
        "floor_plus_1": lambda: math.floor(rho * d) + 1,
        "complement": lambda: d - math.floor((1 - rho) * d) + 1,
        "complement_min_1": lambda: d - max(1, math.floor((1 - rho) * d)) + 1,
        "ceil": lambda: math.ceil(rho * d),
        "round_min_1": lambda: max(1, round(rho * d)),
    }
    m = ranks[str(dialect["kept"])]()
    if m > d:
        raise RecipeError(f"density: dialect {dialect.name} cannot keep {density} of {d} elements")
    return m


def kept(dialect: Dialect, tau: Array, density: str) -> Array:
    """Which elements of a group trim keeps, of `any` the first [DI-2 to DI-6, DI-18]. tau: (d,). Returns (d,) bool."""
    magnitudes = np.abs(tau).astype(np.float32 if dialect["key"] == "fp32" else tau.dtype)
    if not tau.size:
        return np.zeros(0, bool)
    if dialect["kept"] == "percentile_nonzero":
        nonzero = magnitudes[magnitudes > 0]
        percent = (1 - float(fraction_kept(dialect, density))) * 100
        return np.asarray(magnitudes >= (np.percentile(nonzero, percent) if nonzero.size else 0))
    m = rank(dialect, density, tau.size)
    if m == 0:
        return np.zeros(tau.size, bool)
    t = np.sort(magnitudes)[tau.size - m]
    if dialect["boundary"] == "keep_all":
        return np.asarray(magnitudes >= t)
    keep, tied = magnitudes > t, np.flatnonzero(magnitudes == t)
    missing = m - int(np.count_nonzero(keep))
    keep[tied[-missing:] if dialect["boundary"] == "highest_index" else tied[:missing]] = True
    return np.asarray(keep)


# Elect


def elected(dialect: Dialect, numbers: Numbers, values: Array, weighted: Array) -> Array:
    """The sign of each coordinate; 0 where the merged value is to be 0 [DI-7, DI-8].

    values, weighted: (n, d), the trimmed values without and with their coefficients. Returns (d,) int8.
    """
    sums: Mapping[str, Callable[[], Array]] = {
        "sum": lambda: numbers.total(values),
        "weighted_sum": lambda: numbers.total(weighted),
        "count": lambda: np.sign(values.astype(np.float64)).sum(axis=0),
    }
    signs = np.sign(sums[str(dialect["election"])]().astype(np.float64)).astype(np.int8)
    majority = int(np.sign(signs.sum(dtype=np.int64)))
    instead = {
        "zero": 0,
        "plus": 1,
        "minus": -1,
        "majority_or_zero": majority,
        "majority_or_minus": majority or -1,
    }[str(dialect["zero_sum"])]
    return np.where(signs == 0, np.int8(instead), signs)


# Disjoint merge


def disjoint(dialect: Dialect, numbers: Numbers, values: Array, weighted: Array, signs: Array, c: Array) -> Array:
    """The merged task vector [DI-9 to DI-11, DI-16].

    values, weighted: (n, d); signs: (d,); c: (n, 1) coefficients. Returns (d,) in the working dtype.
    """
    zero = numbers.working.type(0)
    agree = (np.sign(values.astype(np.float64)) == signs) & (signs != 0)
    rows = np.where(agree, weighted, zero)
    if dialect["aggregate"] == "max":
        merged = np.abs(rows).max(axis=0) * signs
    elif dialect["aggregate"] == "sum":
        merged = numbers.total(rows)
    else:
        divisor = _divisor(dialect, numbers, agree, c)
        merged = numbers.total(rows) / np.where(divisor == 0, divisor.dtype.type(1), divisor)
    if dialect["non_finite"] == "zero":
        merged = np.where(np.isfinite(merged), merged, zero)
    return np.asarray(merged.astype(numbers.working))


def _divisor(dialect: Dialect, numbers: Numbers, agree: Array, c: Array) -> Array:
    rows = {
        "coefficients": np.where(agree, c, numbers.working.type(0)),
        "count": agree.astype(numbers.working),
        "all": np.ones(agree.shape, numbers.working),
    }[str(dialect["denominator"])]
    return numbers.total(rows)
