"""Aggregates and the certificate: what every tree of lifts finalizes to, and what is left after retractions."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.topics.merges import (
    by_id,
    mean,
    random_contributions,
    random_recipe,
    random_tensors,
    stored,
    task_arithmetic,
    ties,
    vectors,
    zeros,
)
from generator.writing import f32

Json = Any
T, M, A = ties(), mean(), task_arithmetic()


def certificate(i: str, why: str, certified: bool, *numbers: str) -> Case:
    return Case("certificate", f"certificate-{i}", "EX-2", why, {"numbers": list(numbers)}, {"certified": certified})


CERTIFICATES = [
    certificate("none", "no numbers", True),
    certificate("zeros", "zeros have no grid", True, "00000000", "80000000"),
    certificate("one", "one number", True, "7f7fffff"),
    certificate("least", "the least number", True, "00000001"),
    certificate("below", "2^30 - 64 and 1", True, "4e7fffff", "3f800000"),
    certificate("at", "2^30 and 1: above the bound of 2^30", False, "4e800000", "3f800000"),
    certificate("exactly-at", "magnitudes that sum to 2^30: strictly below is asked", False,
                "4e7fffff", "42000000", "41f80000", "3f800000"),
    certificate("signs", "magnitudes count: signs do not help", False, "4e800000", "ce800000", "3f800000"),
    certificate("grid-not-value", "2^30 and 1 + 2^-23 have one grid, as do 2^30 and 1", False, "4e800000",
                "3f800001"),
    certificate("grid-of-binade", "the grid of 1.99 is that of 1", True, "4e000000", "3fffffff"),
    certificate("subnormal-grid", "the least subnormal and the least normal have one grid", True, "00800000",
                "00000001"),
    certificate("subnormal-below", "2^-97 and 2^-149", True, "0f000000", "00000001"),
    certificate("subnormal-at", "2^-96 and 2^-149", False, "0f800000", "00000001"),
    certificate("many", "four of 2^28: 2^30 in all", False, "4d800000", "4d800000", "4d800000", "4d7fffff",
                "42000000",
                "3f800000"),
]  # fmt: skip


def aggregate(
    i: str,
    why: str,
    contributions: list[Json],
    retract: list[int],
    recipe: Json,
    base: Json = None,
    says: Json = None,
) -> Case:
    base = base or zeros(1)
    ordered = by_id(base, contributions)
    positions = [ordered.index(contributions[n]) for n in retract]
    inputs = {"base": base, "recipe": recipe, "contributions": ordered, "retract": positions}
    return Case("aggregate", f"aggregate-{i}", "EX-4 EX-5", why, inputs, says)


SIXTY = vectors([["2^60"], [1], ["-2^60"]])
DIRECTED = [
    aggregate("60-bits", "2^60, 1, -2^60, then without 2^60, then without -2^60: what fp64 once lost is there again",
              SIXTY, [0, 2], T),
    aggregate("60-bits-the-one", "without the 1, the sum is 0", SIXTY, [1], T),
    aggregate("60-bits-mean", "the same for the mean", SIXTY, [0, 2], M),
    aggregate("60-bits-task-arithmetic", "the same for task arithmetic", SIXTY, [2, 0], A),
    aggregate("range", "the largest and the least number", vectors([["max"], ["2^-149"], ["-max"], ["-2^-148"]]),
              [0, 2, 3], T),
    aggregate("range-task-arithmetic", "the same for task arithmetic",
              vectors([["max"], ["2^-149"], ["-max"], ["-2^-148"]]), [0, 2, 3], A),
    aggregate("sign-flips", "without 5 the negative side is elected", vectors([[5], [-1], [-2]]), [0], T),
    aggregate("coefficients", "W comes back too: 2^60 and 1",
              vectors([["2^-60"], [1], [3]], [str(2**60), "1", "0.5"]), [0, 2],
              T),
    aggregate("coefficients-mean", "the same for the mean", vectors([["2^-60"], [1], [3]], [str(2**60), "1", "0.5"]),
              [0, 2],
              M),
    aggregate("decimals", "0.1 + 0.2 - 0.3", vectors([[1], [1], [-1]], ["0.1", "0.2", "0.3"]), [2], T),
    aggregate("trimmed", "each is trimmed by itself before it is lifted",
              vectors([[1, 2, 3], [3, 1, -2], [-5, 4, 0]]), [2, 0],
              ties(density="0.34"), zeros(3)),
    aggregate("partial", "an absent tensor is absent after a retraction as before",
              [stored({"a": f32(1)}), stored({"a": f32(3), "b": f32(2)}), stored({"b": f32(-4)})], [0], M,
              {"a": f32(0), "b": f32(0)}),
    aggregate("partial-ties", "the same for TIES",
              [stored({"a": f32(1)}), stored({"a": f32(3), "b": f32(2)}), stored({"b": f32(-4)})], [2], T,
              {"a": f32(0), "b": f32(0)}),
    aggregate("minus-zero", "a negative mean underflows: tau_m is -0; a positive one: +0; a sum of 0: +0",
              vectors([["-2^-149", "2^-149", "2^-149"], [0, 0, "-2^-149"], [0, 0, 0]]), [2], M, zeros(3),
              {"tau_m": [{"w": f32("-0", 0, 0)}, {"w": f32("-0", 0, 0)}]}),
    aggregate("minus-zero-back", "a sum of 0 is +0; without 2^-149 the mean is -2^-150, a tie: -0",
              vectors([["-2^-149"], ["2^-149"], [0]]), [1], M, None,
              {"tau_m": [{"w": f32(0)}, {"w": f32("-0")}]}),
    aggregate("v-minus-zero", "every v is -0, and their sum is 0: RN of 0 is +0",
              vectors([["-2^-149"], ["-2^-149"]], ["0.25", "0.5"]), [0], A, None,
              {"tau_m": [{"w": f32(0)}, {"w": f32(0)}]}),
    aggregate("v-minus-zero-mean", "the same for the mean", vectors([["-2^-149"], ["-2^-149"]], ["0.25", "0.5"]), [1],
              M, None, {"tau_m": [{"w": f32(0)}, {"w": f32(0)}]}),
    aggregate("v-minus-zero-ties", "the same for TIES: a v of zero does not vote",
              vectors([["-2^-149"], ["-2^-149"]], ["0.25", "0.5"]), [1], T, None,
              {"tau_m": [{"w": f32(0)}, {"w": f32(0)}]}),
    aggregate("negative-zero-product", "-1 * +0 is 0: RN of 0 is +0", vectors([[0], [0]], ["-1", "-2"]), [0], A, None,
              {"tau_m": [{"w": f32(0)}, {"w": f32(0)}]}),
    aggregate("cancelled-zero", "5 - 5 is +0, and so is -5 + 5", vectors([[5, -5], [-5, 5], [0, 0]]), [2], A, zeros(2),
              {"tau_m": [{"w": f32(0, 0)}, {"w": f32(0, 0)}]}),
    Case("aggregate", "aggregate-refused-v", "EX-4 TI-6", "an overflow of v is an error of lift",
         {"base": zeros(2), "recipe": T, "contributions": vectors([[1, "max"]], ["2"]), "retract": []},
         {"rule": "NonFinite", "tensor": "w", "index": [1], "contribution": 0}),
    Case("aggregate", "aggregate-refused-none-left", "EX-5", "an aggregate of no contributions is not finalized",
         {"base": zeros(1), "recipe": T, "contributions": vectors([[1]]), "retract": [0]}, "AggregateError"),
    Case("aggregate", "aggregate-refused-twice", "EX-6", "one contribution in two lifts",
         {"base": zeros(1), "recipe": T,
         "contributions": vectors([[1], [1]]), "retract": []}, "AggregateError"),
    Case("aggregate", "aggregate-refused-retract", "EX-6", "an id that was retracted already",
         {"base": zeros(1), "recipe": T,
         "contributions": by_id(zeros(1), vectors([[1], [2]])), "retract": [0, 0]}, "AggregateError"),
]  # fmt: skip


def half(contributions: list[Json], recipe: Json, base: Json = None) -> Json:
    return {"base": base or zeros(1), "recipe": recipe, "contributions": contributions}


ONE, TWO = vectors([[1]]), vectors([[2]])
D, PLAIN = {"a": f32(0), "b": f32(0)}, {"method": "ties", "density": "0.50"}
COMBINED: list[tuple[str, Json, Json, Json, str]] = [
    ("plain", half(ONE, T), half(TWO, T), {"tau_m": {"w": f32("1.5")}}, "two aggregates of one contribution each"),
    ("sides", half(SIXTY[:2], M), half(SIXTY[2:], M), {"tau_m": {"w": f32("0x3eaaaaab")}}, "of two, and of one"),
    ("recipe-written-out", half(ONE, PLAIN), half(TWO, ties(density="0.5")), {"tau_m": {"w": f32("1.5")}},
     "one recipe, written in two ways"),
    ("disjoint", half([stored({"a": f32(4)})], M, D), half([stored({"b": f32(6)})], M, D),
     {"tau_m": {"a": f32(2), "b": f32(3)}}, "other tensors on each side"),
    ("coefficients", half(ONE, T), half(vectors([[1]], ["3"]), T), {"tau_m": {"w": f32(1)}},
     "one vector with two coefficients: two ids"),
    ("refused-id", half(ONE + TWO, T), half(TWO, T), "AggregateError", "an id that both hold"),
    ("refused-method", half(ONE, M), half(TWO, A), "AggregateError", "another method"),
    ("refused-density", half(ONE, ties(density="0.5")), half(TWO, ties(density="0.6")), "AggregateError",
     "another density"),
    ("refused-scope", half(ONE, T), half(TWO, ties(scope="tensor")), "AggregateError", "another scope"),
    ("refused-boundary", half(ONE, T), half(TWO, ties(boundary="lowest_index")), "AggregateError",
     "another boundary"),
    ("refused-lambda", half(ONE, T), half(TWO, ties(lambda_="0.5")), "AggregateError",
     "another lambda, though tau_m does not depend on it"),
    ("refused-lambda-underflow", half(ONE, mean("0")), half(TWO, mean("0." + "0" * 59 + "1")), "AggregateError",
     "another lambda of one fp32 number: another recipe"),
    ("refused-shape", half(ONE, T), half([stored({"w": f32(2, shape=[1, 1])})], T, {"w": f32(0, shape=[1, 1])}),
     "AggregateError", "one name with the shapes [1] and [1, 1]"),
    ("refused-shape-beside", half([stored({"a": f32(1), "b": f32(1, 2)})], M, {"a": f32(0), "b": f32(0, 0)}),
     half([stored({"a": f32(1), "b": f32(1, 2, 3)})], M, {"a": f32(0), "b": f32(0, 0, 0)}), "AggregateError",
     "one name with one shape, another with two"),
]  # fmt: skip


def breadth() -> list[Case]:
    """Random contributions, of which all but one are retracted one by one."""
    random, cases = Random(11), []
    while len(cases) < 18:
        method = ("ties", "mean", "task_arithmetic")[len(cases) % 3]
        base = random_tensors(random, "F32", 8, ["a", "b", "c", "d"])
        contributions = random_contributions(random, 60, method == "task_arithmetic")
        everywhere = [c for c in contributions if len(c["tensors"]) == len(base)]
        if len(everywhere) < 2:
            continue
        recipe = random_recipe(random, method) | {"lambda": "1"}
        case = aggregate(f"random-{len(cases)}", "random", everywhere, list(range(len(everywhere) - 1)), recipe, base)
        if "expected" in case.result():
            cases.append(case)
    return cases


CASES = [
    *CERTIFICATES,
    *DIRECTED,
    *(
        Case("combine", f"combine-{i}", "EX-4 EX-6", why, {"left": left, "right": right}, says)
        for i, left, right, says, why in COMBINED
    ),
    *breadth(),
]
