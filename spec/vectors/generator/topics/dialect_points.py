"""For each point and option, a small question that only this option answers so [DI-2 to DI-17].

Where nothing else is said, the other points are canonical, and the base is zero.
"""

from __future__ import annotations

from generator.topics.dialect_questions import REFUSED, options, question, rows, w
from generator.writing import bf16, f32, f64

NINES = "0." + "9" * 20
TINY = "0." + "0" * 19 + "1"

DENSITY = [
    options("density-decimal", "density", "of two, a density just below 1, which is 1 in binary64",
            rows([1, 2], density=NINES),
            {"decimal": w(0, 2), "double": w(1, 2), "percent": w(1, 2), "drop_rate": w(1, 2)}),
    options("density-drop-rate", "density", "of two, a density just above 0: 1 - rho is 1 in binary64",
            rows([1, 2], density=TINY),
            {"decimal": w(1, 2), "double": w(0, 2), "percent": w(0, 2), "drop_rate": w(0, 2)},
            {"kept": "complement"}),
    options("density-complement", "density", "1 - 0.8 in binary64 is below 0.2, which drops 0 of 5: a rank of 6",
            rows([1, 2, 3, 4, 5], density="0.8"),
            {"decimal": w(1, 2, 3, 4, 5), "double": REFUSED, "percent": REFUSED, "drop_rate": w(1, 2, 3, 4, 5)},
            {"kept": "complement"}),
    options("density-percent", "density", "50 percent",
            rows([1, 2], density="50"),
            {"decimal": REFUSED, "double": REFUSED, "percent": w(0, 2), "drop_rate": REFUSED}),
]  # fmt: skip

KEPT = [
    options("kept-none-of-one", "kept", "0.4 of one element", rows([1], density="0.4"),
            {"floor_min_1": w(1), "floor": w(0), "floor_not_0": REFUSED, "floor_plus_1": w(1), "complement": REFUSED,
             "complement_min_1": w(1), "ceil": w(1), "round_min_1": w(1), "percentile_nonzero": w(1)}),
    options("kept-all-of-one", "kept", "all of one element", rows([1]),
            {"floor_min_1": w(1), "floor": w(1), "floor_not_0": w(1), "floor_plus_1": REFUSED, "complement": REFUSED,
             "complement_min_1": w(1), "ceil": w(1), "round_min_1": w(1), "percentile_nonzero": w(1)}),
    options("kept-one-and-a-half", "kept", "1.5 of two elements", rows([1, 2], density="0.75"),
            {"floor_min_1": w(0, 2), "floor": w(0, 2), "floor_not_0": w(0, 2), "floor_plus_1": w(1, 2),
             "complement": REFUSED, "complement_min_1": w(1, 2), "ceil": w(1, 2), "round_min_1": w(1, 2),
             "percentile_nonzero": w(0, 2)}),
    options("kept-one-and-a-bit", "kept", "1.4 of four elements", rows([1, 2, 3, 4], density="0.35"),
            {"floor_min_1": w(0, 0, 0, 4), "floor": w(0, 0, 0, 4), "floor_not_0": w(0, 0, 0, 4),
             "floor_plus_1": w(0, 0, 3, 4), "complement": w(0, 2, 3, 4), "complement_min_1": w(0, 2, 3, 4),
             "ceil": w(0, 0, 3, 4), "round_min_1": w(0, 0, 0, 4), "percentile_nonzero": w(0, 0, 3, 4)}),
    options("kept-zeros", "kept", "half of four, two of them zero", rows([0, 0, 1, 2], density="0.5"),
            {"floor_min_1": w(0, 0, 1, 2), "floor": w(0, 0, 1, 2), "floor_not_0": w(0, 0, 1, 2),
             "floor_plus_1": w(0, 0, 1, 2), "complement": w(0, 0, 1, 2), "complement_min_1": w(0, 0, 1, 2),
             "ceil": w(0, 0, 1, 2), "round_min_1": w(0, 0, 1, 2), "percentile_nonzero": w(0, 0, 0, 2)}),
]  # fmt: skip

TWO = {"a": f32(0), "b": f32(0)}
TRIM = [
    options("scope", "scope", "half of two tensors of one element",
            question(TWO, [{"a": f32(1), "b": f32(2)}], density="0.5"),
            {"model": {"a": f32(0), "b": f32(2)}, "tensor": {"a": f32(1), "b": f32(2)}}),
    options("boundary", "boundary", "half of two that tie", rows([1, -1], density="0.5"),
            {"keep_all": w(1, -1), "lowest_index": w(1, 0), "highest_index": w(0, -1), "any": [w(1, 0), w(0, -1)],
             "none": w(0, 0)}),
    options("key", "key", "1 and 1 + 2^-40 are one fp32 number", rows([1, "1+2^-40"], of=f64, density="0.5"),
            {"fp32": {"w": f64(1, "1+2^-40")}, "working": {"w": f64(0, "1+2^-40")}}, {"arithmetic": "fp64"}),
]  # fmt: skip

MERGE = [
    options("election", "election", "2 against two of 1; the 2 counts twice",
            rows([2], [-1], [-1], coefficients=["2", "1", "1"]),
            {"sum": w(0), "weighted_sum": w(2), "count": w(-1)}),
    options("zero-sum", "zero_sum", "1 against 1", rows([1], [-1]),
            {"zero": w(0), "plus": w(1), "minus": w(-1), "majority_or_zero": w(0), "majority_or_minus": w(-1)}),
    options("zero-sum-majority", "zero_sum", "1 against 1, beside a coordinate that elects +", rows([1, 5], [-1, 5]),
            {"zero": w(0, 5), "plus": w(1, 5), "minus": w(-1, 5), "majority_or_zero": w(1, 5),
             "majority_or_minus": w(1, 5)}),
    options("aggregate", "aggregate", "3 and 1", rows([3], [1]), {"mean": w(2), "sum": w(4), "max": w(3)}),
    options("denominator", "denominator", "2 counts three times, against 1", rows([2], [-1], coefficients=["3", "1"]),
            {"coefficients": w(2), "count": w(6), "kept": w(3), "kept_coefficients": w("1.5"), "all": w(3)}),
    options("denominator-kept", "denominator", "3 and -1, and a model that moved nothing", rows([3], [-1], [0]),
            {"coefficients": w(3), "count": w(3), "kept": w("1.5"), "kept_coefficients": w("1.5"), "all": w(1)}),
    options("coefficients", "coefficients", "one model that counts twice: its share is 1",
            rows([1], coefficients=["2"]),
            {"given": w(2), "normalised": w(1), "none": REFUSED}, {"aggregate": "sum", "arithmetic": "fp32"}),
    options("lambda", "lambda", "1.5 (1 + 2^-23) is no fp32 number, that less 1 is one",
            question(w(-1), [w("2^-23")], lambda_="1.5"),
            {"after": w("0.5+2^-22"), "after_once": w("0.5+2^-23+2^-24"), "none": REFUSED}, {"arithmetic": "fp32"}),
    options("alone", "alone", "half of one model", rows([1, 2], density="0.5"),
            {"merged": w(0, 2), "returned": w(1, 2)}),
]  # fmt: skip

INF = w("inf")
NUMBERS = [
    options("arithmetic", "arithmetic", "0.3 times 2, and 129, over 1.3, in bfloat16",
            rows([2], [129], of=bf16, coefficients=["0.3", "1"]),
            {"storage": {"w": bf16(100)}, "storage_to_election": {"w": bf16("99.5")}}, {"output": "working"}),
    options("arithmetic-order", "arithmetic", "1 decides between 2^24 and -2^24, unless it is lost among them",
            rows([1], ["2^24"], ["-2^24"]),
            {"exact": w("2^23"), "fp32": w(0), "storage": w(0), "storage_to_sum": w(0), "storage_to_election": w(0)}),
    options("output", "output", "the mean of two bfloat16 neighbours", rows([1], ["1+2^-7"], of=bf16),
            {"base": {"w": bf16(1)}, "working": w("1+2^-8")}),
    options("non-finite", "non_finite", "an infinity", rows(["inf"]),
            {"error": REFUSED, "propagate": INF, "zero": w(0)}, {"arithmetic": "fp32"}),
    options("keys", "keys", "the second model has no b", question(TWO, [{"a": f32(1), "b": f32(2)}, {"a": f32(1)}]),
            {"absent": {"a": f32(1), "b": f32(2)}, "same": REFUSED, "common": {"a": f32(1), "b": f32(0)}}),
]  # fmt: skip

CASES = [*DENSITY, *KEPT, *TRIM, *MERGE, *NUMBERS]
