"""Blocks for kernels, of any dtypes, forms, thresholds and coefficients; and what they must come out as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import decimals
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.algebra.method import Columns, Round, Stage
from mergealgebra.algebra.needs import Needs
from mergealgebra.algebra.outliers import CutLargest
from mergealgebra.algebra.thresholds import Trim
from mergealgebra.algebra.trim import magnitude_bits
from mergealgebra.kernels.blocks import Kernel, Part, Reduced, Reduction, Where
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.methods import linear, mean, task_arithmetic, ties
from mergealgebra.methods.dare import Drop
from mergealgebra.methods.key_checks import check_lambda, one_of
from mergealgebra.methods.method import Method, key
from mergealgebra.tensors.block_vectors import tau, theta
from mergealgebra.tensors.dtypes import DTYPES

FLOATS = ("F64", "F32", "BF16", "F16")
METHODS = ("ties", "ties", "mean", "task_arithmetic", "trimmed_sum", "linear", *["combination"] * 4)
#: Below, at and above one tile of the fused kernel, and several tiles.
SIZES = (1, 2, 31, 1023, 1024, 1025, 5000)
LARGEST = 0x7F7FFFFF
#: The bits of a dtype: as integers, how many are the fraction, and the exponent of infinity.
_LAYOUTS = {
    "F64": (np.uint64, 52, 2047),
    "F32": (np.uint32, 23, 255),
    "BF16": (np.uint16, 7, 255),
    "F16": (np.uint16, 10, 31),
}
_COEFFICIENTS = tuple(float(np.float32(c)) for c in (1, 1, 1, 0.5, 0.3, 3, 2.0**-20, 2.0**-149, 1e30))
_NEGATIVE = tuple(float(np.float32(c)) for c in (-1, -0.3, -(2.0**-149)))


def numbers(rng: np.random.Generator, size: int, dtype: str, kind: str) -> np.ndarray:
    """So many numbers of a dtype.

    raw: any bits, NaN and infinities among them. finite: any but those, and but the largest, so that differences
    seldom overflow. near 1: of 12 binades. coarse: few values, with zeros and subnormals, so that many are equal.
    """
    unsigned, fraction, infinite = _LAYOUTS[dtype]
    bits = rng.integers(0, 1 << (8 * np.dtype(unsigned).itemsize), size, unsigned, endpoint=False)
    if kind == "raw":
        return bits.view(DTYPES[dtype].numpy)
    if kind == "coarse":
        values = np.array([0, -0.0, 1, -1, 2, -2, 1.5, 4096, -4096, 2.0**-24, -(2.0**-133), 2.0**-149])
        return rng.choice(values, size).astype(DTYPES[dtype].numpy)
    half = infinite // 2
    least, most = {"finite": (0, infinite - 4), "near 1": (half - 6, half + 6)}[kind]
    exponents = rng.integers(least, most, size).astype(unsigned) << unsigned(fraction)
    mask = unsigned(~(infinite << fraction) & int(np.iinfo(unsigned).max))
    return ((bits & mask) | exponents).view(DTYPES[dtype].numpy)


KINDS = ("raw", "finite", "near 1", "coarse")


class TrimmedSum(Method):
    """The sum of what trim leaves: of equations that fused kernels have, though no method of this package is it."""

    name: ClassVar[str] = "trimmed_sum"
    lambda_: str = key(default="1", check=check_lambda)

    @property
    def rounds(self) -> tuple[Round, ...]:
        return (Round(mean.lift, task_arithmetic.total, stages=(Trim(Fraction(1, 2)),)),)

    @property
    def needs(self) -> Needs:
        return Needs(negative=True)


#: Equations that fused kernels have: lift, finalizer and columns.
EQUATIONS = {
    "ties": (ties.lift, ties.merge, Columns(votes=True)),
    "mean": (mean.lift, mean.average, Columns()),
    "task_arithmetic": (mean.lift, task_arithmetic.total, Columns()),
    "linear": (mean.lift, linear.average, Columns()),
}
#: Stages that they have; nothing has to be found for the trim that keeps all.
_DROP, _TRIM, _KEEP = Drop(Fraction(3, 10), "7"), Trim(Fraction(1, 2)), Trim(Fraction(1))
STAGES: dict[str, tuple[Stage, ...]] = {
    "none": (),
    "drop": (_DROP,),
    "trim": (_TRIM,),
    "drop and trim": (_DROP, _TRIM),
    "drop all but zero": (Drop(Fraction(1, 1 << 40), "0"),),
    "drop none and keep all": (Drop(Fraction(1), "0"), _KEEP),
    "cut and trim": (CutLargest(Fraction(1, 10)), _TRIM),
    "cut and keep all": (CutLargest(Fraction(1, 10)), _KEEP),
    "cut none and trim": (CutLargest(Fraction(0)), _TRIM),
}


class Combination(Method):
    """A round of such equations and stages, in any combination, though no method of this package is it."""

    name: ClassVar[str] = "combination"
    equations: str = key(default="mean", check=one_of(*EQUATIONS))
    stages: str = key(default="none", check=one_of(*STAGES))
    on: str = key(default="tau", check=one_of("tau", "theta", "copied"))
    weighed: str = key(default="no", check=one_of("no", "yes"))
    lambda_: str = key(default="1", check=check_lambda)

    @property
    def rounds(self) -> tuple[Round, ...]:
        weigh = (lambda _, coefficients: coefficients) if self.weighed == "yes" else None
        return (Round(*EQUATIONS[self.equations], stages=STAGES[self.stages], weigh=weigh),)

    @property
    def needs(self) -> Needs:
        on, copies = ("tau", False) if self.on == "tau" else ("theta", self.on == "copied")
        return Needs(roots=True, negative=self.equations != "ties", on=on, copies=copies)


_OF_NAME = {
    "ties": partial(ma.Ties, density="0.5"),
    "mean": ma.Mean,
    "task_arithmetic": ma.TaskArithmetic,
    "trimmed_sum": TrimmedSum,
    "linear": lambda lambda_: ma.Linear(),
}
#: The methods with a trim.
TRIMMED = ("ties", "trimmed_sum")


def reduction_of(
    method: str, coefficients: Sequence[float], lambda32: float = 1.0, held: Sequence[float] | None = None
) -> Reduction:
    """How to reduce by a method, with an fp32 number as lambda. held: of those that hold the tensor, if not all do."""
    recipe = _OF_NAME[method](lambda_=decimals.shortest(lambda32))
    assert recipe.lambda32 == lambda32 or method == "linear"
    return Reduction(recipe, Coefficients(tuple(coefficients), tuple(coefficients if held is None else held)))


@dataclass(frozen=True)
class Case:
    """A block to reduce."""

    base: np.ndarray
    parts: Sequence[Part]
    reduction: Reduction


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Blocks of one to six parts, of dtypes and forms of their own, trimmed anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    size, dtype, kind = draw(st.sampled_from(SIZES)), draw(st.sampled_from(FLOATS)), draw(st.sampled_from(KINDS))
    recipe, base = draw(recipes()), numbers(rng, size, dtype, kind)
    chosen = _COEFFICIENTS + (_NEGATIVE if recipe.needs.negative else ())
    if draw(st.booleans()):  # all the same, as most merges have them
        chosen = (draw(st.sampled_from(chosen)),)
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        values = _values(draw, rng, base, dtype, kind)
        part = Part(values, draw(st.sampled_from(["finetuned", "task_vector"])), draw(st.sampled_from(chosen)))
        found = tuple(_found(draw, rng, part, base, recipe, stage) for stage in recipe.rounds[0].stages)
        where = Where("w", (1 << 34,), draw(st.sampled_from([0, 1, 2, 3, 5, 4096, (1 << 33) + 1])), "ab" * 32)
        parts.append(replace(part, found=found, where=where))
    if recipe.rounds[0].weigh is not None:
        of_a_mean = draw(st.booleans())  # of any other, no bits are copied
        mean_, any_ = st.just(float(np.float32(1 / len(parts)))), st.sampled_from([*_COEFFICIENTS, *_NEGATIVE, 0.0])
        parts = [replace(part, weights=(draw(mean_ if of_a_mean else any_),)) for part in parts]
    others = draw(
        st.lists(st.sampled_from([*chosen, *chosen, 2.0**60]), max_size=2)
    )  # of contributions that lack the tensor
    held = tuple(part.coefficient for part in parts)
    return Case(base, parts, Reduction(recipe, Coefficients((*held, *others), held)))


@st.composite
def recipes(draw: st.DrawFn) -> Method:
    """Methods that fused kernels compute, those of this package and others."""
    lambda_ = draw(st.sampled_from([1.0, -1.0, 0.0, float(np.float32(0.7)), 2.0**-149, float(np.float32(1e20))]))
    method = draw(st.sampled_from(METHODS))
    if method != "combination":
        return _OF_NAME[method](lambda_=decimals.shortest(lambda_))
    equations = draw(st.sampled_from(list(EQUATIONS)))
    return Combination(
        equations=equations,
        stages=draw(st.sampled_from(list(STAGES))),
        on=draw(st.sampled_from(["tau", "theta", "copied", "copied"])),
        weighed=draw(st.sampled_from(["no"] if equations == "ties" else ["no", "yes"])),
        lambda_=decimals.shortest(lambda_),
    )


def _found(
    draw: st.DrawFn, rng: np.random.Generator, part: Part, base: np.ndarray, recipe: Method, stage: Stage
) -> tuple[int, int] | None:
    """What a stage's statistic found of a part, if it has one: some threshold, of what a drop before leaves."""
    if stage.statistic is None:
        return None
    with np.errstate(all="ignore"):
        vector = (theta if recipe.needs.on == "theta" else tau)(part.values, base, part.form)
        if type(first := recipe.rounds[0].stages[0]) is Drop and first is not stage:
            vector = (vector / float(_DROP.density)).astype(np.float32)
    return _threshold(draw, rng, vector)


def _values(draw: st.DrawFn, rng: np.random.Generator, base: np.ndarray, dtype: str, kind: str) -> np.ndarray:
    """A block by itself, or the base's with a few elements changed: even NaN are fine where they are equal."""
    held = draw(st.sampled_from([dtype, *FLOATS]))
    values = numbers(rng, base.size, held, draw(st.sampled_from(["near 1", "coarse", kind])))
    if held == dtype and draw(st.booleans()):
        values = np.where(rng.random(base.size) < 0.7, base, values).astype(base.dtype)
    return values


def _threshold(draw: st.DrawFn, rng: np.random.Generator, vector: np.ndarray) -> tuple[int, int]:
    """The least, that of some element, or any; and a position at which ties are cut."""
    magnitudes = magnitude_bits(vector)
    finite = magnitudes[magnitudes <= LARGEST]
    of_some = int(rng.choice(finite)) if finite.size else 1
    threshold = draw(st.sampled_from([1, 1, *[max(1, of_some)] * 6, LARGEST]))
    return threshold, draw(st.sampled_from([0, 1, vector.size // 2, vector.size, vector.size]))


def same_as_reference(kernel: Kernel, case: Case) -> Reduced | None:
    """What the kernel gives, which must be what the equations give with NumPy: bits, counts, or None."""
    untouched = [array.tobytes() for array in (case.base, *(part.values for part in case.parts))]
    with np.errstate(all="ignore"):
        expected = on_numpy().reduce(case.base, case.parts, case.reduction)
        found = kernel.reduce(case.base, case.parts, case.reduction)
    assert untouched == [array.tobytes() for array in (case.base, *(part.values for part in case.parts))]
    if expected is None or found is None:
        assert found is expected
        return found
    assert found.data.dtype == case.base.dtype
    assert found.data.tobytes() == expected.data.tobytes()
    assert (found.kept, found.witnesses) == (expected.kept, expected.witnesses)
    assert found.uncertified == expected.uncertified
    return found
