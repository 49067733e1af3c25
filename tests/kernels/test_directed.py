"""Kernels at the numbers where they could go wrong: cancellation, edges of dtypes, halfway points, what is not finite.

What must come out is worked out here in fractions, or by NumPy's own rounding, not by the reference.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch

import mergealgebra as ma
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.kernels.blocks import Part, Reduction, StoredSums
from mergealgebra.kernels.cpu import NumbaKernel
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.kernels.reference import on_torch
from tests.algebra.numbers import exact_sum, rn32, rn64
from tests.kernels.blocks import TRIMMED, Case, reduction_of, same_as_reference

KERNELS = {"numpy": on_numpy(), "numba": NumbaKernel(), "torch": on_torch(torch.device("cpu"))}
kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
DTYPES = {"F64": np.float64, "F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
HALVES = {"BF16": ml_dtypes.bfloat16, "F16": np.float16}
LARGEST = float(np.finfo(np.float32).max)
TINY = 2.0**-149
INF, NAN = float("inf"), float("nan")


def reduced(kernel, base, values, method="task_arithmetic", coefficients=None, lambda32=1.0, form="task_vector"):
    """One coordinate a column: values holds one row for each contribution. The reference must agree."""
    coefficients = coefficients or [1.0] * len(values)
    parts = [
        Part(np.ascontiguousarray(row), form, c, ((1, len(row)),) if method in TRIMMED else ())
        for row, c in zip(values, coefficients, strict=True)
    ]
    return same_as_reference(kernel, Case(base, parts, reduction_of(method, coefficients, lambda32)))


def finite_in(values):
    """Which numbers are finite; of bf16, NumPy warns of NaN."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(values)


# Sums


#: What each contribution has at one coordinate.
SUMS = {
    "an fp32 sum has the other sign": [2.0**24, 1, 1, -(2.0**24), -1],
    "an fp64 sum rounds, and apart": [2.0**53, 1, -(2.0**53)],
    "out of any certificate": [2.0**60, 1, -(2.0**60)],
    "cancelled but for the least": [2.0**100, TINY, -(2.0**100)],
    "cancelled": [2.0**60, 1, -(2.0**60), -1],
    "one below the certificate": [2.0**52, 2.0**51, 2.0**51 - 2.0**27, 1],
    "at the certificate": [2.0**52, 2.0**52 - 2.0**28, 2.0**28, 1],
    "subnormals": [TINY, TINY, -TINY, 3 * TINY],
    "the largest and the least": [LARGEST, -LARGEST, TINY],
    "one": [-5.5],
    "a sum of zero elects nobody": [1, -1, 0],
    "zeros do not vote": [0, -0.0, 3, 0],
}


@dataclass(frozen=True)
class Tau:
    """tau_m of one coordinate by the clauses, in fractions."""

    values: list[float]
    coefficients: list[float]

    @property
    def ties(self) -> float:
        v = [rn32(Fraction(c) * Fraction(x)) for x, c in zip(self.values, self.coefficients, strict=True)]
        total = exact_sum(v)
        agreeing = [i for i, x in enumerate(v) if x and (x > 0) == (total > 0)]
        if not total:
            return 0.0
        weight = exact_sum(self.coefficients[i] for i in agreeing)
        return rn32(Fraction(rn64(Fraction(rn64(exact_sum(v[i] for i in agreeing))) / Fraction(rn64(weight)))))

    @property
    def mean(self) -> float:
        v = [rn32(Fraction(c) * Fraction(x)) for x, c in zip(self.values, self.coefficients, strict=True)]
        weight = rn64(exact_sum(self.coefficients))
        return rn32(Fraction(rn64(Fraction(rn64(exact_sum(v))) / Fraction(weight))))

    linear = mean  # of models, whose base is 0

    @property
    def task_arithmetic(self) -> float:
        v = [rn32(Fraction(c) * Fraction(x)) for x, c in zip(self.values, self.coefficients, strict=True)]
        return rn32(Fraction(rn64(exact_sum(v))))


@kernels
@pytest.mark.clause("EX-1", "EX-2", "EX-3", "TI-6", "TI-7", "TI-8", "ME-1", "TA-1", "LI-1")
@pytest.mark.parametrize("method", ["ties", "mean", "task_arithmetic", "linear"])
@pytest.mark.parametrize("weights", ["ones", "decimals", "uncertified"])
@pytest.mark.parametrize("case", SUMS.values(), ids=SUMS)
def test_sums_are_those_of_real_numbers(kernel, case, weights, method):
    """The same coordinate alone, and 1100 times between others that have their certificate: in two tiles."""
    chosen = {
        "ones": [1.0] * len(case),
        "decimals": [float(np.float32(0.1 * (i + 1))) for i in range(len(case))],
        "uncertified": [1.0, 2.0**-60, *[0.5] * (len(case) - 2)][: len(case)],
    }[weights]
    values = [np.full(1100, 1, np.float32) for _ in case]
    indices = [0, 500, 1023, 1024, 1099]
    for row, value in zip(values, case, strict=True):
        row[indices] = value
    expected, other = (getattr(Tau(column, chosen), method) for column in (case, [1.0] * len(case)))
    found = reduced(kernel, np.zeros(1100, np.float32), values, method, chosen)
    merged = np.full(1100, other, np.float32)
    merged[indices] = expected
    assert np.array_equal(found.data, merged)
    alone = reduced(kernel, np.zeros(1, np.float32), [row[:1] for row in values], method, chosen)
    assert alone.data[0] == np.float32(expected)


@kernels
@pytest.mark.clause("EX-2", "EX-3", "LK-2")
def test_certificates_are_counted_as_the_clause_says(kernel):
    """Magnitudes below 2^53 of the least grid are certified, at it they are not; the grid is that of the least v."""
    columns = {  # the values at a coordinate, and whether they are certified
        (2.0**23, 0.0, 0.0): True,
        (2.0**52, 2.0**52 - 2.0**29, 2.0**23): True,
        (2.0**52, 2.0**52 - 2.0**28, 1.0): False,  # the grid of 1 is 2^-23
        (2.0**29, 2.0**29, 2.0**0): False,
        (2.0**29, 2.0**29 - 2.0**6, 2.0**0): True,
        (2.0**29, -(2.0**29), 2.0**0): False,
        (2.0**-97, 0.0, TINY): True,
        (2.0**-96, 0.0, TINY): False,
        (0.0, 0.0, 0.0): True,
        (LARGEST, -LARGEST, 2.0**127): True,
    }
    rows = np.float32(list(columns)).T
    found = reduced(kernel, np.zeros(len(columns), np.float32), list(rows))
    assert found.uncertified == sum(not certified for certified in columns.values())
    for column, certified in columns.items():
        alone = reduced(kernel, np.zeros(1, np.float32), [np.float32([x]) for x in column])
        assert alone.uncertified == (not certified), column


# What is copied


@kernels
@pytest.mark.clause("MG-2", "TV-3")
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_are_copied_where_nothing_moves(kernel, dtype):
    """Every fp16 and bf16 number, and special ones of the others, equal in base and fine-tune: NaN, infinities, -0."""
    if dtype in HALVES:
        base = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype])
    else:
        special = [0.0, -0.0, INF, -INF, NAN, -NAN, 1, TINY]
        base = np.tile(np.asarray(special, DTYPES[dtype]), 200)
        base.view(f"u{base.itemsize}")[4] |= 5  # a payload
    found = reduced(kernel, base, [base.copy(), base.copy()], "ties", form="finetuned")
    assert found.data.tobytes() == base.tobytes()
    assert (found.kept, found.witnesses) == ((0, 0), (((0, 0),),) * 2)
    finite = np.where(finite_in(base), base, base.dtype.type(1))
    moved = reduced(kernel, base, [(finite - finite), np.ones_like(base)], "ties", lambda32=0.0)
    assert moved.data.tobytes() == base.tobytes()


@kernels
@pytest.mark.clause("MG-14", "LI-2")
@pytest.mark.parametrize("size", [0, 1023, 1024])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_that_all_models_have_are_copied(kernel, dtype, size):
    """Those of -0, and of F64 numbers that no fp32 number is; not where one differs, or has another dtype."""
    third = np.asarray(1 / 3, DTYPES[dtype])
    model = np.concatenate([np.zeros(size), [third, third, 0.0, -0.0, -0.0]]).astype(DTYPES[dtype])
    base, other = np.zeros_like(model), model.copy()
    other[size + 2], other[size + 3] = -0.0, 0.0
    found = reduced(kernel, base, [model, other, model], "linear", form="finetuned")
    expected = model.copy()
    expected[size + 2 : size + 4] = 0.0
    assert found.data.tobytes() == expected.tobytes()
    parts = [Part(model, "finetuned", 1.0), Part(np.zeros(model.size, np.float32), "task_vector", 1.0)]
    found = same_as_reference(kernel, Case(model, parts, reduction_of("linear", [1.0, 1.0])))
    assert found.data.tobytes() == model.tobytes()
    wider = [model, model.astype(np.float64 if dtype != "F64" else np.float32)]
    found = reduced(kernel, base, wider, "linear", form="finetuned")
    assert not np.signbit(found.data[size + 3 :].astype(float)).any()


@kernels
@pytest.mark.clause("TV-3")
def test_infinities_are_unchanged_in_any_dtype_and_nan_only_in_one(kernel):
    for one, other in itertools.product(DTYPES.values(), repeat=2):
        base, tuned = np.asarray([INF, -INF, 0.0, 1], one), np.asarray([INF, -INF, -0.0, 2], other)
        found = reduced(kernel, base, [tuned], form="finetuned")
        assert found.data.astype(float).tolist() == [INF, -INF, 0, 2]
        found = reduced(kernel, np.asarray([NAN], one), [np.asarray([NAN], other)], form="finetuned")
        assert (found is not None) == (one == other), (one, other)


@kernels
@pytest.mark.clause("MG-4")
@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_have_the_sign_that_the_clause_gives_them(kernel, dtype):
    """A sum of 0 is +0; what underflows keeps its sign; an untouched -0 stays."""
    base = np.asarray([1, -1, 0.0, -0.0, -0.0, 0.0], DTYPES[dtype])
    found = reduced(kernel, base, [np.float32([-1, 1, -TINY, TINY, 0, 0])], lambda32=2.0**-100)
    assert found.data[4:].tobytes() == base[4:].tobytes()
    found = reduced(kernel, base, [np.float32([-1, 1, -TINY, TINY, 0, 0])])
    assert found.data[:2].tobytes() == np.zeros(2, DTYPES[dtype]).tobytes()
    if dtype in HALVES:
        assert np.signbit(found.data[2:5].astype(float)).tolist() == [True, False, True]
        assert not found.data.any()


# Widening and narrowing


@kernels
@pytest.mark.clause("TV-5", "MG-3")
@pytest.mark.parametrize("dtype", HALVES)
def test_every_number_of_16_bits_is_widened(kernel, dtype):
    every = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype])
    finite = every[finite_in(every)]
    found = reduced(kernel, np.zeros(finite.size, np.float32), [finite])
    assert np.array_equal(found.data, finite.astype(np.float32))
    for value in every[~finite_in(every)][::17]:
        assert reduced(kernel, np.zeros(3, np.float32), [np.array([1, 1, value], every.dtype)]) is None


@kernels
@pytest.mark.clause("MG-3", "MG-13")
@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
@pytest.mark.parametrize("dtype", HALVES)
def test_results_are_rounded_to_nearest_even(kernel, dtype, method):
    """At every number of 16 bits, halfway between any two, and one fp32 number to either side of that."""
    every = np.arange(1 << 15, dtype=np.uint16).view(DTYPES[dtype])
    positive = every[finite_in(every)].astype(np.float32)
    halfway = (positive[1:].astype(np.float64) + positive[:-1]) / 2
    near = halfway.astype(np.float32)
    assert np.array_equal(near, halfway)
    points = np.concatenate([positive, near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(INF))])
    points = np.concatenate([points[points != 0], -points[points != 0]])
    found = reduced(kernel, np.zeros(points.size, DTYPES[dtype]), [points], method)
    assert found.data.tobytes() == points.astype(DTYPES[dtype]).tobytes()


#: The least fp32 number that is rounded to infinity.
OVERFLOWS = {"F16": 65520.0, "BF16": 2.0**128 - 2.0**119}


@kernels
@pytest.mark.clause("MG-5", "MG-13")
@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
@pytest.mark.parametrize("dtype", HALVES)
def test_results_overflow_where_rounding_takes_them_to_infinity(kernel, dtype, method):
    most = np.nextafter(np.float32(OVERFLOWS[dtype]), np.float32(0))
    largest = np.finfo(np.float16).max if dtype == "F16" else ml_dtypes.finfo(ml_dtypes.bfloat16).max
    for sign in (1, -1):
        base = np.zeros(2, DTYPES[dtype])
        assert reduced(kernel, base, [np.float32([1, sign * most])], method).data[1] == sign * largest
        assert reduced(kernel, base, [np.float32([1, sign * OVERFLOWS[dtype]])], method) is None
        assert reduced(kernel, base, [np.float32([1, sign * LARGEST])], method) is None


# Numbers that are not finite


#: A block that must be refused: base, one row for each contribution, and how it is reduced.
REFUSED = {
    "a NaN": (np.float32([0, 0]), [[1, NAN]], {}),
    "an infinity": (np.float32([0, 0]), [[1, -INF]], {}),
    "a NaN that trim drops": (np.float32([0, 0]), [[1, NAN], [1, 1]], {"method": "ties"}),
    "an infinity in the base alone": (np.float32([0, INF]), [[1, 1]], {"form": "finetuned"}),
    "opposite infinities": (np.float32([0, INF]), [[1, -INF]], {"form": "finetuned"}),
    "a difference beyond fp32": (np.float32([0, -LARGEST]), [[1, LARGEST]], {"form": "finetuned"}),
    "a stored fp64 number beyond fp32": (np.float32([0]), [np.float64([1e39])], {}),
    "v": (np.float32([0, 0]), [[1, LARGEST]], {"coefficients": [2.0]}),
    "v, in a method with trim": (np.float32([0, 0]), [[1, LARGEST]], {"coefficients": [2.0], "method": "ties"}),
    "v, with lambda 0": (np.float32([0, 0]), [[1, LARGEST]], {"coefficients": [2.0], "lambda32": 0.0}),
    "tau_m": (np.float32([0, 0]), [[1, LARGEST], [1, LARGEST]], {}),
    "tau_m, with lambda 0": (np.float32([0, 0]), [[1, LARGEST], [1, LARGEST]], {"lambda32": 0.0}),
    "tau_m without certificate": (np.float32([0]), [[LARGEST], [LARGEST], [TINY]], {}),
    "a result": (np.float32([0, LARGEST]), [[1, LARGEST]], {}),
    "a result without certificate": (np.float32([LARGEST]), [[LARGEST], [TINY]], {}),
    "a moved infinity of an fp64 base": (np.float64([0, INF]), [[1, 1]], {}),
    "a moved NaN of the base": (np.float32([0, NAN]), [[1, 1]], {}),
    "a moved infinity of the base": (np.float16([0, INF]), [[1, 1]], {}),
    "a model's infinity, though the base has it": (
        np.float32([0, INF]),
        [[1, INF]],
        {"form": "finetuned", "method": "linear"},
    ),
    "a base's infinity, which a task vector leaves": (np.float32([0, INF]), [[1, 0]], {"method": "linear"}),
    "a model beyond fp32": (np.float64([0]), [np.float64([1e39])], {"form": "finetuned", "method": "linear"}),
    "a merged model beyond fp16": (
        np.float16([0, 0]),
        [[1, 65520.0], [1, 65521.0]],
        {"form": "finetuned", "method": "linear"},
    ),
}


@kernels
@pytest.mark.clause("TV-4", "TI-6", "TA-2", "MG-5")
@pytest.mark.parametrize("size", [0, 1023, 3000])
@pytest.mark.parametrize(("base", "values", "how"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_finite_is_refused(kernel, base, values, how, size):
    """Wherever in the block it stands: alone, at the end of a tile, in a later one."""
    base = np.concatenate([np.zeros(size, base.dtype), base])
    rows = [row if isinstance(row, np.ndarray) else np.float32(row) for row in values]
    rows = [np.concatenate([np.zeros(size, row.dtype), row]) for row in rows]
    assert reduced(kernel, base, rows, **how) is None


@kernels
@pytest.mark.clause("TI-6")
def test_what_trim_drops_cannot_overflow(kernel):
    """v of an element that is not kept is no number of the merge."""
    values = np.float32([LARGEST, 1e38])
    part = Part(values, "task_vector", 2.0, ((int(np.float32(LARGEST).view(np.int32)), 0),))  # its tie is cut
    case = Case(np.zeros(2, np.float32), [part], reduction_of("ties", [2.0]))
    assert same_as_reference(kernel, case).data.tolist() == [0, 0]


@kernels
@pytest.mark.clause("TI-4")
def test_a_trim_with_nothing_to_find_keeps_all_but_zeros(kernel):
    parts = [Part(np.float32(row), "task_vector", 1.0, (None,)) for row in ([0, -0.0, 1, TINY], [2, 0, -4, 0])]
    how = Reduction(ma.Ties(), Coefficients((1.0, 1.0)))
    found = same_as_reference(kernel, Case(np.float32([5, -0.0, 0, 0]), parts, how))
    assert found.data.tolist() == [7, 0, -4, TINY]
    assert np.signbit(found.data[1])
    assert (found.kept, found.witnesses) == ((2, 2), ((), ()))


@pytest.mark.clause("EX-2", "TI-8")
@pytest.mark.parametrize("kernel", [KERNELS["numpy"], KERNELS["numba"]], ids=["numpy", "numba"])
@pytest.mark.parametrize("count", [16_383, 16_384, 32_767])
@pytest.mark.parametrize("sign", [1, -1])
def test_kept_counts_are_not_added_in_the_dtype_that_they_are_kept_in(kernel, count, sign):
    """V and W of equal coefficients are kept as int16, and twice a count may be above what that holds."""
    kept = StoredSums(
        *(np.array([[float(x)]]) for x in (sign * count, count)),
        *(np.array([x], np.int16) for x in (sign * count, count)),
        np.array([[127]], np.uint8),
    )
    updated = kernel.update(np.float32([1]), kept, [], [], reduction_of("ties", [1.0] * count))
    assert updated.data.tolist() == [1 + sign]
