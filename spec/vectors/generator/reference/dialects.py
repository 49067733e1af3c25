"""TIES in any dialect, in exact fractions and single roundings: every result that its options allow [DI]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property, reduce
from itertools import product
from math import isfinite, nan
from operator import add
from typing import Any

from generator.reference.arithmetics import Arithmetic, arithmetic, sign
from generator.reference.dialect_table import POINTS
from generator.reference.dialect_trim import Options, Refusal, Vector, trims
from generator.reference.floats import nearest, numbers, stored, tensor_of
from generator.reference.rounding import F32, F64, Format
from generator.reference.tensors import Tensor, Tensors, name_key, read_tensors, show_tensors

Json = Any

#: Where elect and merge begin: the trimmed vectors; None, where the one model is returned; or nowhere.
Start = Sequence[Vector] | None | Refusal
#: One coordinate: for each model that has it, its coefficient, its trimmed value, and their product.
Column = Sequence[tuple[float, float, float]]

#: The points that decide where elect and merge begin, and those that decide what they make of it.
BEGIN = ("density", "kept", "scope", "boundary", "key", "coefficients", "lambda", "alone", "arithmetic", "non_finite",
         "keys")  # fmt: skip
END = ("scope", "election", "zero_sum", "aggregate", "denominator", "coefficients", "lambda", "arithmetic", "output",
       "non_finite", "keys")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Question:
    """One merge to be done."""

    base: Tensors
    models: Sequence[Tensors]
    density: str
    lambda_: str
    coefficients: Sequence[Fraction]

    @classmethod
    def read(cls, x: Json) -> Question:
        models = [read_tensors(model) for model in x["models"]]
        return cls(read_tensors(x["base"]), models, x["density"], x["lambda"], [*map(Fraction, x["coefficients"])])

    @cached_property
    def names(self) -> list[str]:
        return sorted(self.base, key=name_key)

    @cached_property
    def is_finite(self) -> bool:
        tensors = [t for tensors in (self.base, *self.models) for t in tensors.values()]
        return all(isfinite(x) for t in tensors for x in numbers(t))

    def lacks(self, name: str) -> bool:
        return any(name not in model for model in self.models)

    @cached_property
    def formats(self) -> dict[str, Format]:
        return {name: self.base[name].fmt for name in self.names}


def settled(option: str, signs: Sequence[int]) -> list[int]:
    """The elected signs of one group, with something where the election is even [DI-8]."""
    majority = sign(sum(signs))
    instead = {"zero": 0, "plus": 1, "minus": -1, "majority_or_zero": majority, "majority_or_minus": majority or -1}
    return [s or instead[option] for s in signs]


def widest(formats: Iterable[Format]) -> Format:
    """What all of these formats go into: BF16 and F16 both go into F32."""
    distinct = {*formats}
    if len(distinct) == 1:
        return distinct.pop()
    return F64 if F64 in distinct else F32


@cache
def differences(option: str, storage: Format, tuned: Tensor, base: Tensor) -> tuple[float, ...]:
    return tuple(arithmetic(option, storage).differences(tuned, base))


@dataclass(frozen=True, eq=False)
class Merge:
    """One question in one dialect, every point of it settled."""

    options: Options
    question: Question

    @cached_property
    def names(self) -> list[str]:
        """The tensors that are merged: those that some model has, or all have [DI-17]."""
        wanted = all if self.options["keys"] == "common" else any
        return [name for name in self.question.names if wanted(name in model for model in self.question.models)]

    @cached_property
    def formats(self) -> Mapping[str, Format]:
        """What each tensor is held in: tensors that are one vector, in the widest of them, unless sums are exact."""
        formats = self.question.formats
        if self.options["scope"] == "tensor" or self.options["arithmetic"] == "exact":
            return formats
        return dict.fromkeys(formats, widest(formats.values()))

    @cached_property
    def numbers(self) -> dict[str, Arithmetic]:
        return {name: arithmetic(self.options["arithmetic"], fmt) for name, fmt in self.formats.items()}

    def at(self, points: Sequence[str]) -> str:
        return " ".join(self.options[point] for point in points)

    def starts(self) -> list[Start]:
        """The trimmed vectors of all models, for each choice in each of them."""
        try:
            self.check()
            if len(self.question.models) == 1 and self.options["alone"] == "returned":
                return [None]
            taus = [self.task_vector(model) for model in self.question.models]
            return list(product(*(trims(self.options, tau, self.question.density) for tau in taus)))
        except Refusal as refusal:
            return [refusal]

    def result(self, start: Start) -> Json:
        try:
            if isinstance(start, Refusal):
                raise start
            merged = self.returned() if start is None else self.merged(start)
        except Refusal as refusal:
            return {"refused": refusal.clause}
        return {"tensors": show_tensors(merged)}

    def returned(self) -> Tensors:
        """The one model, as it is [DI-13]."""
        base = self.question.base
        held = {
            name: tensor_of(base[name].fmt, t.shape, numbers(t)) if self.options["output"] == "base" else t
            for name, t in self.question.models[0].items()
        }
        return {**base, **held}

    def check(self) -> None:
        question = self.question
        if self.options["lambda"] == "none" and Fraction(question.lambda_) != 1:
            raise Refusal("DI-12")
        if self.options["coefficients"] == "none" and any(c != 1 for c in question.coefficients):
            raise Refusal("DI-11")
        if self.options["keys"] == "same" and any(question.lacks(name) for name in question.names):
            raise Refusal("DI-17")

    def task_vector(self, model: Tensors) -> Vector:
        return {name: self.difference(name, model[name]) if name in model else None for name in self.names}

    def difference(self, name: str, tuned: Tensor) -> tuple[float, ...]:
        return self.finite(differences(self.options["arithmetic"], self.formats[name], tuned, self.question.base[name]))

    def finite(self, xs: tuple[float, ...]) -> tuple[float, ...]:
        if self.options["non_finite"] == "error" and not all(map(isfinite, xs)):
            raise Refusal("DI-16")
        return xs

    def merged(self, trimmed: Sequence[Vector]) -> Tensors:
        columns = {name: self.columns(name, trimmed) for name in self.names}
        signs = self.signs(columns)
        taus = {
            name: [self.agreed(name, column, s) for column, s in zip(columns[name], signs[name], strict=True)]
            for name in self.names
        }
        return {**self.question.base, **{name: self.applied(name, tau_m) for name, tau_m in taus.items()}}

    @cached_property
    def coefficients(self) -> list[Fraction]:
        """As the dialect counts them [DI-11]. Shares are binary64 numbers, of what exact arithmetic has as binary32."""
        given = self.question.coefficients
        if self.options["coefficients"] != "normalised":
            return [*given]
        numbers = [nearest(F32 if self.options["arithmetic"] == "exact" else F64, c) for c in given]
        total = reduce(add, numbers)  # `sum` compensates from Python 3.12 on
        return [Fraction(c / total) for c in numbers]

    def columns(self, name: str, trimmed: Sequence[Vector]) -> list[Column]:
        numbers = self.numbers[name]
        rows = [
            [(c, x, numbers.weigh(c, x)) for x in vector[name] or ()]
            for c, vector in zip(map(numbers.coefficient, self.coefficients), trimmed, strict=True)
            if vector[name] is not None
        ]
        return list(zip(*rows, strict=True)) or [()] * self.question.base[name].elements

    def signs(self, columns: Mapping[str, Sequence[Column]]) -> dict[str, list[int]]:
        """One sign for each coordinate, of a tensor or of all tensors at once [DI-4, DI-8]."""
        even = self.options["zero_sum"]
        votes = {name: [self.elect(name, column) for column in of] for name, of in columns.items()}
        if self.options["scope"] == "tensor":
            return {name: settled(even, signs) for name, signs in votes.items()}
        left = iter(settled(even, [s for signs in votes.values() for s in signs]))
        return {name: [next(left) for _ in signs] for name, signs in votes.items()}

    def elect(self, name: str, column: Column) -> int:
        """One sign, 0 where the election is even [DI-7]."""
        if self.options["election"] == "count":
            return sign(sum(sign(x) for _, x, _ in column))
        weighted = self.options["election"] == "weighted_sum"
        return self.numbers[name].vote([v if weighted else x for _, x, v in column], weighted=weighted)

    def agreed(self, name: str, column: Column, elected: int) -> float:
        """The merged value of one coordinate [DI-9, DI-10, DI-16]."""
        numbers, weighted = self.numbers[name], self.options["election"] == "weighted_sum"
        agrees = [bool(elected) and sign(v if weighted else x) == elected for _, x, v in column]
        agreeing = [(c, v) for (c, _, v), agree in zip(column, agrees, strict=True) if agree]
        vs = [v for _, v in agreeing]
        if not all(agree or isfinite(v) for (_, _, v), agree in zip(column, agrees, strict=True)):
            return 0.0 if self.options["non_finite"] == "zero" else nan  # what is not finite, times 0
        if not vs:
            return 0.0
        if self.options["aggregate"] == "mean":
            value = numbers.mean(vs, self.divisors([c for c, _ in agreeing], column))
        else:
            value = numbers.total(vs) if self.options["aggregate"] == "sum" else max(vs, key=abs)
        return value if isfinite(value) or self.options["non_finite"] != "zero" else 0.0

    def divisors(self, cs: Sequence[float], column: Column) -> Sequence[float]:
        """What is added up to divide by. cs: the coefficients of the agreeing values."""
        if self.options["denominator"].startswith("kept"):
            cs = [c for c, _, v in column if v != 0]
        if self.options["denominator"].endswith("coefficients"):
            return cs
        if self.options["denominator"] == "kept":
            return [1.0] * len(cs)
        return [1.0] * (len(cs) if self.options["denominator"] == "count" else len(self.question.models))

    def applied(self, name: str, tau_m: Sequence[float]) -> Tensor:
        """Base and merged task vector, in the dtype of the result [DI-12, DI-15]."""
        base, arithmetic = self.question.base[name], self.numbers[name]
        where, lambda_ = self.options["lambda"], self.question.lambda_
        moved = [arithmetic.move(base, b, t, lambda_, where) for b, t in zip(numbers(base), tau_m, strict=True)]
        fmt = base.fmt if self.options["output"] == "base" else arithmetic.applied
        return tensor_of(fmt, base.shape, self.finite(tuple(stored(fmt, x) for x in moved)))


def settlements(options: Mapping[str, str | None], question: Question) -> Iterator[Merge]:
    """The dialect with every option that an open point may take; with the first, where the point cannot matter."""
    idle = {"keys": not any(map(question.lacks, question.names)), "non_finite": question.is_finite}
    choices = [[option] if option else POINTS[point] for point, option in options.items()]
    choices = [some[:1] if idle.get(point) else some for point, some in zip(options, choices, strict=True)]
    for chosen in product(*choices):
        yield Merge(dict(zip(options, chosen, strict=True)), question)


def results(options: Mapping[str, str | None], question: Question) -> list[Json]:
    """Every result that is right, none twice; no step that several settlements share is made twice."""
    begun: dict[str, list[tuple[str, Start]]] = {}
    done: dict[tuple[str, str], Json] = {}
    for merge in settlements(options, question):
        begin, end = merge.at(BEGIN), merge.at(END)
        if begin not in begun:
            begun[begin] = [(repr(start), start) for start in merge.starts()]
        for shown, start in begun[begin]:
            if (shown, end) not in done:
                done[shown, end] = merge.result(start)
    found = list(done.values())
    return [result for i, result in enumerate(found) if result not in found[:i]]
