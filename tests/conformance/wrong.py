"""A plain TIES, and the mistakes that are made in one, each a function to be judged.

What differs between them is a field of `Ties`; all else they share. Not one of them uses the package's own merge.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mergealgebra.errors import MergeAlgebraError

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]


class No(MergeAlgebraError):
    """A refusal."""


def running_sum(values: Sequence[Any]) -> np.float32:
    """A sum in fp32, one after another."""
    total = np.float32(0)
    for value in values:
        total = total + np.float32(value)
    return total


def sum_by_threads(values: Sequence[Any]) -> np.float32:
    """As many threads as there are sum a part each, and then the parts are summed."""
    n = int(os.environ.get("OMP_NUM_THREADS", "1"))
    size = -(-len(values) // n)
    return running_sum([running_sum(values[i : i + size]) for i in range(0, len(values), size)])


@dataclass(frozen=True)
class Ties:
    """TIES with its steps as fields; the defaults are the right ones."""

    rank: Callable[[Fraction, int], int] = lambda rho, d: max(1, math.floor(rho * d))
    keeps: Callable[[Array, Any], Array] = lambda magnitudes, t: magnitudes >= t
    groups: Callable[[list[str]], list[list[str]]] = lambda names: [names]
    vote: Callable[[Any, float], Any] = lambda value, c: c * value
    total: Callable[[Sequence[Any]], Any] = math.fsum
    even: Callable[[Sequence[Any]], int] = lambda values: 0
    coefficients: Callable[[list[float]], list[float]] = list
    divisor: Callable[[list[float]], float] = math.fsum
    number: type = np.float64
    product: bool = True

    def __call__(
        self, base: Tensors, models: Sequence[Tensors], density: str, lambda_: str, coefficients: Sequence[str]
    ) -> dict[str, Array]:
        models = [self.plain(base, model) for model in models]
        c = self.coefficients([float(np.float32(float(Fraction(text)))) for text in coefficients])
        trimmed = [self.trimmed(base, model, Fraction(density)) for model in models]
        merged = {name: self.merged([t[name] for t in trimmed], c) for name in base}
        return {name: self.applied(base[name], merged[name], lambda_) for name in base}

    def plain(self, base: Tensors, model: Tensors) -> Tensors:
        """The model with its adapters applied."""
        if not any(".lora_A." in name for name in model):
            return model
        stems = {name: name.removesuffix(".weight") for name in base}
        return {n: base[n] + model[f"{s}.lora_B.weight"] @ model[f"{s}.lora_A.weight"] for n, s in stems.items()}

    def trimmed(self, base: Tensors, model: Tensors, rho: Fraction) -> dict[str, Array]:
        if not 0 < rho <= 1:
            raise No("no such density")
        taus = {name: self.task_vector(base[name], model.get(name, base[name])) for name in base}
        for group in self.groups(sorted(name for name in base if name in model)):
            magnitudes = np.concatenate([np.abs(taus[name]) for name in group])
            m = self.rank(rho, magnitudes.size)
            if m > magnitudes.size:
                raise No("index out of range")
            t = np.sort(magnitudes)[magnitudes.size - m] if m else np.inf
            taus |= {name: taus[name] * self.keeps(np.abs(taus[name]), t) for name in group}
        return taus

    def task_vector(self, base: Array, model: Array) -> Array:
        tau = (model.astype(self.number) - base.astype(self.number)).astype(np.float32).reshape(-1)
        if not np.isfinite(tau).all():
            raise No("not finite")
        return tau

    def merged(self, taus: Sequence[Array], c: list[float]) -> Array:
        return np.array([self.mean(values, c) for values in zip(*taus, strict=True)], np.float32)

    def mean(self, values: Sequence[Any], c: list[float]) -> Any:
        """One coordinate: elect a sign, and average what has it."""
        sign = np.sign(self.total([self.vote(value, w) for value, w in zip(values, c, strict=True)]))
        sign = sign or self.even(values)
        agreeing = [(value, w) for value, w in zip(values, c, strict=True) if np.sign(value) == sign != 0]
        if not agreeing:
            return 0.0
        return self.number(self.total([w * value for value, w in agreeing])) / self.divisor([w for _, w in agreeing])

    def applied(self, base: Array, tau: Array, lambda_: str) -> Array:
        moved = base.astype(self.number) + self.number(np.float32(float(lambda_))) * tau.reshape(base.shape)
        return (moved if base.dtype == np.float64 else moved.astype(np.float32)).astype(base.dtype)


@dataclass(frozen=True)
class DividedByMore(Ties):
    """Divides by what does not agree, too."""

    counts: Callable[[Any], bool] = lambda value: value != 0
    weight: Callable[[float], float] = float

    def mean(self, values: Sequence[Any], c: list[float]) -> Any:
        right = super().mean(values, [*c])
        sign = np.sign(right)
        agreeing = math.fsum(w for value, w in zip(values, c, strict=True) if np.sign(value) == sign)
        all_ = math.fsum(self.weight(w) for value, w in zip(values, c, strict=True) if self.counts(value))
        return right * agreeing / all_ if right else right


@dataclass(frozen=True)
class ByAReciprocal(Ties):
    """Rounds 1 / n in fp32 first."""

    def mean(self, values: Sequence[Any], c: list[float]) -> Any:
        right = super().mean(values, c)
        agreeing = np.float32(
            math.fsum(w for value, w in zip(values, c, strict=True) if np.sign(value) == np.sign(right))
        )
        return np.float32(right * agreeing) * (np.float32(1) / agreeing) if right else right


@dataclass(frozen=True)
class FactorsApart(Ties):
    """Merges the factors of adapters as if they were weights, and multiplies what comes out."""

    def __call__(
        self, base: Tensors, models: Sequence[Tensors], density: str, lambda_: str, coefficients: Sequence[str]
    ) -> dict[str, Array]:
        if not all(".lora_A." in " ".join(model) for model in models):
            return super().__call__(base, models, density, lambda_, coefficients)
        zeros = {name: np.zeros_like(array) for name, array in models[0].items()}
        merged = super().__call__(zeros, models, density, lambda_, coefficients)
        stems = {name: name.removesuffix(".weight") for name in base}
        return {n: base[n] + merged[f"{s}.lora_B.weight"] @ merged[f"{s}.lora_A.weight"] for n, s in stems.items()}

    def plain(self, base: Tensors, model: Tensors) -> Tensors:
        return model


@dataclass(frozen=True)
class Mutating(Ties):
    """Subtracts the base in place."""

    def __call__(
        self, base: Tensors, models: Sequence[Tensors], density: str, lambda_: str, coefficients: Sequence[str]
    ) -> dict[str, Array]:
        merged = super().__call__(base, models, density, lambda_, coefficients)
        for model in models:
            for name, array in model.items():
                array -= base.get(name, array)
        return merged


@dataclass(frozen=True)
class LambdaTwice(Ties):
    """Scales by lambda when it averages, and again when it applies."""

    def applied(self, base: Array, tau: Array, lambda_: str) -> Array:
        return super().applied(base, np.float32(float(lambda_)) * tau, lambda_)


@dataclass(frozen=True)
class WithoutBase(Ties):
    """Returns the merged task vector alone."""

    def applied(self, base: Array, tau: Array, lambda_: str) -> Array:
        return super().applied(np.zeros_like(base), tau, lambda_)


@dataclass(frozen=True)
class Unelected(Ties):
    """Averages all models, whatever their signs."""

    def mean(self, values: Sequence[Any], c: list[float]) -> Any:
        return self.total(values) / len(values)


def each_alone(names: list[str]) -> list[list[str]]:
    return [[name] for name in names]


def of_one(coefficients: list[float]) -> list[float]:
    return [c / math.fsum(coefficients) for c in coefficients]


right = Ties()
off_by_one = Ties(rank=lambda rho, d: math.floor(rho * d) + 1)
one_too_few = Ties(rank=lambda rho, d: max(1, math.floor(rho * d) - 1))
above_for_at_least = Ties(keeps=lambda magnitudes, t: magnitudes > t)
tensor_for_model = Ties(groups=each_alone)
count_for_sum = Ties(vote=lambda value, c: np.sign(value))
divided_twice = Ties(coefficients=of_one, divisor=len)
divided_by_kept = DividedByMore()
divided_by_all = DividedByMore(counts=lambda value: True, weight=lambda c: 1.0)
by_a_reciprocal = ByAReciprocal()
fp32_accumulation = Ties(total=running_sum, divisor=running_sum, number=np.float32)
zero_to_plus = Ties(even=lambda values: 1)
factors_apart = FactorsApart()
factors_apart_rounded_down = FactorsApart(rank=lambda rho, d: math.floor(rho * d), groups=each_alone)
order_dependent = Ties(even=lambda values: int(np.sign(next((value for value in values if value), 0))))
thread_dependent = Ties(total=sum_by_threads, divisor=running_sum, number=np.float32)
mutating = Mutating()
lambda_twice = LambdaTwice()
without_base = WithoutBase()
unelected = Unelected()
