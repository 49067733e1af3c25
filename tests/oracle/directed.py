"""Merges at the numbers where they could go wrong, in named groups: what random numbers do not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest

import ml_dtypes
import numpy as np

import mergealgebra as ma
from mergealgebra.methods.linear import Linear
from mergealgebra.methods.method import Method
from mergealgebra.methods.negmerge import NegMerge
from mergealgebra.methods.ram import UNCHANGED, Ram
from tests.kernels.test_directed import SUMS
from tests.oracle.merges import Case, Entry

METHODS: dict[str, Method] = {
    "ties": ma.Ties(),
    "ties at half density": ma.Ties(density="0.5"),
    "ties, the first of equals": ma.Ties(density="0.5", boundary="lowest_index", scope="tensor"),
    "mean": ma.Mean(),
    "task arithmetic": ma.TaskArithmetic(lambda_="-0.7"),
    "linear": Linear(),
    "negmerge": NegMerge(),
    "ram": Ram(lambda_="-0.7"),
}
DTYPES = {"F64": np.float64, "F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
NAN, INF, LARGEST = float("nan"), float("inf"), float(np.finfo(np.float32).max)


def sums() -> Iterator[Case]:
    """Cancellation, sums of more than 53 bits, subnormals: each a coordinate, the largest numbers by themselves."""
    largest = SUMS["the largest and the least"]
    for columns in ([column for column in SUMS.values() if column is not largest], [largest]):
        rows = list(zip_longest(*columns, fillvalue=0.0))
        base = {"w": np.float32([0, 1, -1] * len(columns))[: len(columns)]}
        for coefficients in ([1.0], [0.3, 3.0], [1.0, 2.0**-60]):
            numbers = [float(np.float32(coefficients[i % len(coefficients)])) for i in range(len(rows))]
            entries = [Entry("task_vector", c, {"w": np.float32(row)}) for c, row in zip(numbers, rows, strict=True)]
            for recipe in METHODS.values():
                yield Case(base, tuple(entries), recipe)
                yield Case(base, tuple(reversed(entries)), recipe)


def thresholds() -> Iterator[Case]:
    """Densities that cut differently through many equal magnitudes, some of them 0."""
    base = {"a": np.zeros(6, np.float32), "b": np.zeros(7, ml_dtypes.bfloat16)}
    tau = {"a": np.float32([1, -1, 2, 0, -2, 1]), "b": np.float32([1, 1, -1, 0, 2, -0.0, -1])}
    other = {"b": np.float32([1, 1, -1, 1, 1, 1, -1]), "a": np.float32([0, 0, 0, 0, 0, -1])}
    entries = (Entry("task_vector", 1.0, tau), Entry("task_vector", 1.0, other))
    for density in ("0.08", "0.15", "0.16", "0.29", "0.34", "0.5", "0.62", "0.77", "0.93", "1"):
        for scope in ("model", "tensor"):
            for boundary in ("keep_all", "lowest_index"):
                yield Case(base, entries, ma.Ties(density=density, scope=scope, boundary=boundary))


def absences() -> Iterator[Case]:
    """Tensors that some, one or no contribution holds, with coefficients that are not 1."""
    base = {name: np.array([1, -0.0, 3], dtype) for name, dtype in DTYPES.items()}
    ones = {name: np.float32([1, 2, -3]) for name in base}
    for recipe in METHODS.values():
        entries = [Entry("task_vector", 0.5, ones), Entry("task_vector", 3.0, {"F32": np.float32([1, 0, 1])})]
        yield Case(base, tuple(entries), recipe)
        yield Case(base, tuple(entries[1:]), recipe)
        yield Case(base, (Entry("finetuned", 1.0, {"BF16": base["BF16"]}), *entries), recipe)


def models() -> Iterator[Case]:
    """Models that agree to the bit or almost, that have other dtypes than the base, and that nobody has."""
    tiny, close = np.float32(2.0**-149), np.nextafter(np.float32(1), np.float32(2))
    old = np.array([1, -0.0, 0.0, 3, NAN, INF, 2.0**-20, 1], np.float32)
    same = np.array([1, -0.0, 0.0, 3, 5, 5, 2.0**-20, close], np.float32)
    zeros = np.float32([0, 0, -0.0, 0, 1, 1, 0, 0])
    for dtype in DTYPES.values():
        base = {"u": np.array([NAN, -0.0], dtype), "w": old.astype(dtype)}
        mine = Entry("finetuned", 0.3, {"w": same.astype(dtype)})
        others = [
            Entry("finetuned", 3.0, {"w": np.float32([1, 0.0, -0.0, -3, 5, 5, 2.0**-20, 1]).astype(dtype)}),
            Entry("finetuned", 3.0, {"w": same.astype(np.float64)}),
            Entry("finetuned", 1.0, {"w": same, "u": np.array([1, -tiny], np.float32)}),
            Entry("finetuned", 1.0, {"w": np.full(8, -tiny)}),
        ]
        yield Case(base, (mine,), Linear())
        for other in others:
            yield Case(base, (mine, other), Linear())
            yield Case(base, (other,), Linear())
        finite = {"w": np.nan_to_num(old, posinf=7.0).astype(dtype)}
        unmoved = Entry("task_vector", 1.0, {"w": zeros.astype(np.float64) * 2.0**-160})
        for entries in ((unmoved,), (unmoved, mine), (unmoved, Entry("task_vector", 0.5, {"w": zeros}))):
            yield Case(finite, entries, Linear())


def counts() -> Iterator[Case]:
    """Zeros, signs and what is just no change, by tensors that not all hold: what NegMerge and RAM count."""
    above, below = (np.nextafter(np.float32(UNCHANGED), np.float32(to)) for to in (1, 0))
    one = np.float32([1, 1, 1, -1, 0, -0.0, UNCHANGED, above, below, -above, 2.0**-149])
    two = np.float32([2, -2, 0, -3, 0, -1, 1, UNCHANGED, above, -1, 2.0**-149])
    base = {"w": np.full(11, -0.0, np.float32), "x": np.ones(11, ml_dtypes.bfloat16)}
    entries = [
        Entry("task_vector", 0.3, {"w": one, "x": two}),
        Entry("task_vector", 2.0**-10, {"w": two}),
        Entry("task_vector", 3.0, {"w": one, "x": one}),
        Entry("task_vector", 1e38, {"w": np.full(11, below), "x": np.zeros(11, np.float32)}),
    ]
    for recipe in (NegMerge(), NegMerge(lambda_="-2"), Ram(), Ram(lambda_="3")):
        for end in (1, 2, 3, 4):
            yield Case(base, tuple(entries[:end]), recipe)
            yield Case(base, tuple(entries[end - 1 :]), recipe)


#: Of a dtype: bits of the fraction, and the exponent of the least number.
_FRACTIONS = {"F64": (52, -1074), "F32": (23, -149), "BF16": (7, -133), "F16": (10, -24)}


def edges() -> Iterator[Case]:
    """Halfway points and what lies just beside them, subnormals, sums that are 0: in every dtype."""
    for dtype, (fraction, least) in _FRACTIONS.items():
        step, tiny = 2.0**-fraction, 2.0**least
        near_one = [
            step / 2,
            step / 2 + 2.0**-30,
            step / 2 - 2.0**-30,
            1.5 * step,
            1.5 * step + 2.0**-45,
            -step / 4,
            step,
        ]
        near_zero = [tiny, tiny / 2, 1.5 * tiny, -tiny, -tiny / 2, -1.0]
        base = np.array([1.0] * len(near_one) + [0.0, -0.0, 0.0, tiny, -tiny, 1.0], DTYPES[dtype])
        entry = Entry("task_vector", 1.0, {"w": np.array(near_one + near_zero, np.float64)})
        for lambda_ in ("1", "-1", "0.5", "0", "0.00000000000000000000000000000000000000000001"):
            yield Case({"w": base}, (entry,), ma.Mean(lambda_=lambda_))


def scaled() -> Iterator[Case]:
    """Products that fp32 cannot hold: v is rounded before it is summed, and may underflow to 0."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=40).astype(np.float32) for _ in range(3)] + [np.full(40, 2.0**-140, np.float32)]
    coefficients = [float(np.float32(c)) for c in (0.1, 0.3, 0.7, 2.0**-10)]
    entries = tuple(Entry("task_vector", c, {"w": row}) for c, row in zip(coefficients, rows, strict=True))
    for recipe in METHODS.values():
        yield Case({"w": np.zeros(40, np.float64)}, entries, recipe)
        yield Case({"w": np.zeros(40, np.float32)}, entries[::-1], recipe)


def large() -> Iterator[Case]:
    """Results just below the number that is rounded to infinity, at it, and beyond."""
    for dtype, most in (("BF16", 2.0**128 - 2.0**119), ("F16", 65520.0), ("F32", 2.0**127)):
        for tau in (np.nextafter(np.float32(most), np.float32(0)), np.float32(most)):
            for sign in (1, -1):
                vector = {"v": np.float32([1, 1]), "w": np.float32([1, 1, sign * tau])}
                base = {"v": np.zeros(2, DTYPES[dtype]), "w": np.zeros(3, DTYPES[dtype])}
                for recipe in (ma.TaskArithmetic(), ma.TaskArithmetic(lambda_="2"), Linear()):
                    yield Case(base, (Entry("task_vector", 1.0, vector),), recipe)


#: Merges of several errors, of which one has to be named: the base, the rows of the contributions, coefficients.
ERRORS = {
    "tau before v": ([0, 0], [[LARGEST, NAN]], [3.0]),
    "tau of the first coordinate": ([0, 0, 0], [[1, 1, NAN], [1, INF, 1]], [1.0, 1.0]),
    "tau of the first contribution": ([0, 0], [[1, NAN], [1, -INF]], [1.0, 1.0]),
    "v of the first contribution": ([0, 0], [[1, 1], [1, LARGEST], [1, LARGEST]], [1.0, 3.0, 2.0]),
    "tau_m before the result": ([LARGEST, 0], [[LARGEST, LARGEST], [1, LARGEST]], [1.0, 1.0]),
    "the result of an earlier coordinate than v": ([LARGEST, 0], [[LARGEST, LARGEST]], [1.5]),
    "an infinity of the base that is moved": ([1, INF, NAN], [[1, 1, 1]], [1.0]),
    "infinities and a NaN that are not": ([NAN, INF, -INF], [[0, 0, 0]], [1.0]),
    "a negative coefficient": ([0], [[1], [1]], [1.0, -1.0]),
    "a coefficient of zero": ([0], [[1], [1]], [0.0, -1.0]),
    "no contribution": ([0], [], []),
}


def errors() -> Iterator[Case]:
    """Each of those by every method, as task vectors and as fine-tunes."""
    for base, rows, coefficients in ERRORS.values():
        for recipe in METHODS.values():
            for form in ("task_vector", "finetuned"):
                entries = tuple(
                    Entry(form, c, {"w": np.array(row, np.float32).reshape(-1, 1)})
                    for row, c in zip(rows, coefficients, strict=True)
                )
                yield Case({"w": np.array(base, np.float32).reshape(-1, 1)}, entries, recipe)


DIRECTED: dict[str, Callable[[], Iterator[Case]]] = {
    group.__name__: group for group in (sums, thresholds, absences, models, counts, edges, scaled, large, errors)
}
