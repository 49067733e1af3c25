"""TIES as any dialect computes it, on arrays in memory: trim, elect, disjoint merge, apply [DI-1].

Each function follows one or two points of `dialects/points.py`, a line an option, and is meant to be read beside them.
It is the plain statement of what other implementations do, made to compare with, not to be fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.arithmetic import Array, Numbers, numbers_of, rounded_to
from mergealgebra.dialects.inputs import Tensors, check_parameters, hosts, only_floats
from mergealgebra.dialects.points import Dialect
from mergealgebra.dialects.trim import kept
from mergealgebra.errors import CoefficientError, NonFinite, Overflow

#: Merged tensors, and for each model how many elements trim kept of its tensors.
Merges = tuple[dict[str, Array], list[dict[str, int]]]


def merge_in_dialect(
    dialect: Dialect,
    base: Tensors,
    models: Sequence[Tensors],
    *,
    density: str = "1",
    lambda_: str = "1",
    coefficients: Sequence[str] | None = None,
) -> dict[str, Array]:
    """The models merged as what the dialect is named after would merge them, as NumPy arrays.

    base, models: name -> NumPy array, ml_dtypes for bfloat16; models are fine-tuned, not differences. Tensors that are
    not float are copied. density: as the dialect takes it. coefficients: a decimal for each model, all "1" if None.
    Raises MergeAlgebraError where the dialect has no answer, or none that the specification speaks of [DI-20].
    """
    texts = ["1"] * len(models) if coefficients is None else list(coefficients)
    if len(texts) != len(models):
        raise CoefficientError(f"{len(texts)} coefficients for {len(models)} models; give one for each")
    named = [WholeModel(f"model {i}", tensors, texts[i]) for i, tensors in enumerate(models)]
    return merge_models(dialect, base, named, density, lambda_)[0]


def merge_models(
    dialect: Dialect, base: Tensors, models: Sequence[WholeModel], density: str = "1", lambda_: str = "1"
) -> Merges:
    """The same for models that have labels and forms, with how many elements trim kept; zeros are not kept."""
    check_parameters(dialect, models, density, lambda_)
    base = hosts(base)
    models = [only_floats(dialect, base, model) for model in models]
    tensors = {name: array.copy() for name, array in base.items()}
    counts: list[dict[str, int]] = [{} for _ in models]
    alone = len(models) == 1 and dialect["alone"] == "returned"
    for group in _groups(dialect, base, models):
        numbers = numbers_of(dialect, [base[name].dtype for name in group])
        merge = _Group(dialect, numbers, {name: base[name] for name in group}, models, density, lambda_)
        with np.errstate(all="ignore"):
            merged, kept_here = merge.returned() if alone else merge.merged()
        tensors |= merged
        for count, here in zip(counts, kept_here, strict=True):
            count |= here
    return tensors, counts


def _groups(dialect: Dialect, base: Tensors, models: Sequence[WholeModel]) -> list[list[str]]:
    """The names of the tensors that are trimmed and merged together [DI-4, DI-17]."""
    wanted = all if dialect["keys"] == "common" else any
    names = [name for name in base if wanted(name in model.tensors for model in models)]
    return [[name] for name in names] if dialect["scope"] == "tensor" or not names else [names]


# One group, a vector each for base and models


@dataclass(frozen=True)
class _Group:
    """Some tensors of a base in name order, and the models."""

    dialect: Dialect
    numbers: Numbers
    base: Tensors
    models: Sequence[WholeModel]
    density: str
    lambda_: str

    def merged(self) -> Merges:
        values = np.stack([self._trimmed(model) for model in self.models])
        coefficients = counted(self.dialect, self.numbers, [model.coefficient for model in self.models])
        weighted, c = self.numbers.weighted(values, coefficients)
        votes = weighted if self.dialect["election"] == "weighted_sum" else values
        signs = elected(self.dialect, self.numbers, votes)
        agree = (signs_of(votes) == signs) & (signs != 0)
        merged = disjoint(self.dialect, self.numbers, weighted, agree, signs, c)
        return self._applied(merged), [self._kept(model, row) for model, row in zip(self.models, values, strict=True)]

    def returned(self) -> Merges:
        """The only model as it is [DI-13]."""
        (model,) = self.models
        tensors = {name: self._as_output(self._finetuned(model, name), array) for name, array in self.base.items()}
        taus = [self._difference(model, name).reshape(-1) for name in self.base]
        return tensors, [self._kept(model, np.concatenate(taus))]

    def _finetuned(self, model: WholeModel, name: str) -> Array:
        if model.form == "finetuned":
            return np.asarray(model.tensors[name])
        return self.numbers.applied(self.base[name], self._difference(model, name), 1.0, False)

    def _difference(self, model: WholeModel, name: str) -> Array:
        """The task vector of a tensor, of no elements if the model lacks it. Raises NonFinite [DI-16]."""
        if name not in model.tensors:
            return self.numbers.stored(self.base[name].reshape(-1)[:0])
        array = model.tensors[name]
        tau = (
            self.numbers.stored(array)
            if model.form == "task_vector"
            else self.numbers.difference(array, self.base[name])
        )
        if self.dialect["non_finite"] == "error":
            self._refuse(NonFinite, f"{model.label}: tensor {name!r}: element", ~np.isfinite(tau), "the task vector")
        return tau

    def _trimmed(self, model: WholeModel) -> Array:
        """The trimmed task vector. A tensor that the model lacks is no part of its trim, and has no votes [DI-17]."""
        taus = [self._difference(model, name).reshape(-1) for name in self.base]
        flat = np.concatenate(taus)
        flat = flat * kept(self.dialect, flat, self.density)
        if model.tensors.keys() >= self.base.keys():
            return np.asarray(flat)
        pieces = zip(np.split(flat, np.cumsum([tau.size for tau in taus])[:-1]), self.base.values(), strict=True)
        return np.concatenate([piece if piece.size else np.zeros(a.size, flat.dtype) for piece, a in pieces])

    def _kept(self, model: WholeModel, trimmed: Array) -> dict[str, int]:
        return {n: int(np.count_nonzero(tau)) for n, tau in self._split(trimmed) if n in model.tensors}

    def _applied(self, merged: Array) -> dict[str, Array]:
        """Base plus lambda times the merged task vector [DI-12]. merged: (d,). Raises Overflow [DI-16]."""
        factor, once = self.numbers.number(self.lambda_), self.dialect["lambda"] == "after_once"
        result = {}
        for name, tau_m in self._split(merged):
            base = self.base[name]
            moved = self._as_output(self.numbers.applied(base.reshape(-1), tau_m, factor, once), base)
            if self.dialect["non_finite"] == "error":
                wrong = ~np.isfinite(tau_m) | ((tau_m != 0) & ~np.isfinite(moved))
                self._refuse(Overflow, f"tensor {name!r}: element", wrong, "the result")
            result[name] = moved.reshape(base.shape)
        return result

    def _split(self, flat: Array) -> Iterator[tuple[str, Array]]:
        start = 0
        for name, array in self.base.items():
            yield name, flat[start : start + array.size]
            start += array.size

    def _as_output(self, array: Array, base: Array) -> Array:
        """In the dtype of the result [DI-15]."""
        return rounded_to(base.dtype if self.dialect["output"] == "base" else array.dtype, array)

    def _refuse(self, error: type[NonFinite], where: str, wrong: Array, of: str) -> None:
        if wrong.any():
            raise error(f"{where} {int(wrong.argmax())} of {of} is not finite")


# Elect


def signs_of(values: Array) -> Array:
    """-1, 0 or 1; 0 for NaN, as in torch."""
    return np.subtract(values > 0, values < 0, dtype=np.int8)


def elected(dialect: Dialect, numbers: Numbers, votes: Array) -> Array:
    """The sign of each coordinate; 0 where the merged value is to be 0 [DI-7, DI-8].

    votes: (n, d), the trimmed values, times their coefficients if these count here. Returns (d,) int8.
    """
    ballots = signs_of(votes).sum(axis=0) if dialect["election"] == "count" else numbers.total(votes)
    signs = signs_of(ballots)
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


def counted(dialect: Dialect, numbers: Numbers, texts: Sequence[str]) -> list[float]:
    """The coefficients as they count [DI-11]."""
    coefficients = [numbers.number(text) for text in texts]
    if dialect["coefficients"] == "normalised":
        total = reduce(add, coefficients)  # `sum` compensates from Python 3.12 on
        return [c / total for c in coefficients]
    return coefficients


def disjoint(dialect: Dialect, numbers: Numbers, weighted: Array, agree: Array, signs: Array, c: Array) -> Array:
    """The merged task vector [DI-9, DI-10, DI-16].

    weighted: (n, d), the trimmed values times their coefficients; agree: (n, d) bool, those that have the elected
    sign; signs: (d,); c: (n, 1) coefficients. Returns (d,).
    """
    rows = weighted * agree  # not `where`: what is not finite times 0 is NaN
    if dialect["aggregate"] == "max":
        merged = numbers.quotient(np.abs(rows).max(axis=0) * signs.astype(rows.dtype), None)
    elif dialect["aggregate"] == "sum":
        merged = numbers.quotient(numbers.total(rows), None)
    else:
        each = divisors(str(dialect["denominator"]), weighted, agree, c)
        merged = numbers.quotient(numbers.total(rows), numbers.total(each.astype(rows.dtype)))
    if dialect["non_finite"] == "zero":
        merged = np.where(np.isfinite(merged), merged, merged.dtype.type(0))
    return merged


def divisors(option: str, weighted: Array, agree: Array, c: Array) -> Array:
    """What the mean divides by, summed over the contributions [DI-10]. Arguments as of `disjoint`; returns (n, d)."""
    counting = {"count": agree, "kept": weighted != 0, "all": np.ones_like(agree)}
    return counting[option] if option in counting else (agree if option == "coefficients" else weighted != 0) * c
