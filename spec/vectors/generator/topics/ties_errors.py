"""Merges that are refused: what is named, and which of several errors comes first."""

from __future__ import annotations

from itertools import count
from typing import Any

from generator.cases import Case
from generator.topics.merges import by_id, merge_case, stored, ties, tuned, vectors, zeros
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
T = ties()


def nonfinite(tensor: str, *index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": tensor, "index": list(index), **by}


def result(i: str, why: str, base: Json, tau: Json, *index: int, lambda_: str = "1", clauses: str = "MG-5") -> Case:
    return merge_case(f"ties-error-{i}", clauses, why, {"w": base}, [stored({"w": tau})], ties(lambda_=lambda_),
                      nonfinite("w", *index))  # fmt: skip


def in_this_order(base: Json, first: Json, second: Json) -> list[Json]:
    """Two contributions, the coefficient of the first such that its id comes first."""
    for c in count(2):
        if by_id(base, [{**first, "coefficient": str(c)}, second])[1] == second:
            return [{**first, "coefficient": str(c)}, second]
    raise AssertionError("unreachable")


def later_first(i: str, why: str, first: Json, second: Json, says: Json) -> Case:
    """Contribution 1 has the earlier coordinate, contribution 0 another one."""
    return merge_case(f"ties-error-{i}", "MG-6", why, TWO, in_this_order(TWO, first, second), T, says)


def in_memory(i: str, why: str, contributions: list[Json], says: Json) -> Case:
    inputs = {"in_memory": True, "base": TWO, "recipe": T, "contributions": contributions}
    return Case("merge", f"ties-error-memory-{i}", "MG-6 MG-12", why, inputs, says)


NAN_LATE, NAN_EARLY = stored({"a": f32(0, "nan")}), stored({"a": f32("nan", 0)})
LARGE_LATE, LARGE_EARLY = stored({"a": f32(0, "max")}, "2"), stored({"a": f32("max", 0)}, "2")

TWO = {"a": f32(0, 0), "b": f32(0, 0, shape=[1, 2])}

CASES = [
    merge_case("ties-error-none", "MG-11", "no contributions", zeros(1), [], T, "NothingVisible"),
    merge_case("ties-error-negative", "RC-6", "a negative coefficient", zeros(1), vectors([[1], [2]], ["1", "-1"]), T,
               "CoefficientError"),
    merge_case("ties-error-zero", "RC-6", "a coefficient of zero", zeros(1), vectors([[1]], ["0"]), T,
               "CoefficientError"),
    merge_case("ties-error-twice", "RC-8", "one contribution twice", zeros(1), vectors([[1], [1]]), T,
               "DuplicateContribution"),
    merge_case("ties-error-name", "CT-5 TV-8", "a name that the base lacks", zeros(1), [stored({"x": f32(1)})], T,
               {"rule": "NamesError", "tensor": "x"}),
    merge_case("ties-error-shape", "CT-5 TV-1", "another shape", zeros(1), [stored({"w": f32(1, shape=[1, 1])})], T,
               {"rule": "ShapeError", "tensor": "w"}),
    merge_case("ties-error-dtype", "CT-5 TV-7", "a float tensor where the base has integers",
               {"w": integers("I8", 1), "x": f32(1)},
               [stored({"w": f32(1)})], T, {"rule": "DtypeError", "tensor": "w"}),
    merge_case("ties-error-v", "TI-6", "v overflows", TWO,
               [stored({"a": f32(0, 1), "b": f32(0, "max", shape=[1, 2])}, "2")],
               T, nonfinite("b", 0, 1, contribution=0)),
    merge_case("ties-error-v-tie", "TI-6", "c * tau is halfway above the largest fp32 number", zeros(1),
               vectors([["max"]], ["1.00000005960464477539062500000001"]), T, nonfinite("w", 0, contribution=0)),
    merge_case("ties-error-v-not-kept", "TI-6", "an element that is not kept has no v: no error", zeros(2),
               vectors([["2^127", "max"]], ["1"]), ties(density="0.5"), {"tensors": {"w": f32(0, "max")}}),
    merge_case("ties-error-v-lambda-zero", "TI-6 MG-2", "v overflows where lambda is 0", zeros(1),
               vectors([["max"]], ["2"]),
               ties(lambda_="0"), nonfinite("w", 0, contribution=0)),
    merge_case("ties-error-v-second", "MG-6", "at one coordinate, the first contribution in order is named", zeros(2),
               vectors([[1, "max"], [2, "max"], [3, 3]], ["2", "3", "4"]), T, {**nonfinite("w", 1)}),
    merge_case("ties-error-v-coordinate", "MG-6", "the first coordinate, whichever contribution it is in", TWO,
               [stored({"a": f32(0, "max")}, "2"), stored({"a": f32("max", 0), "b": f32(1, 1, shape=[1, 2])}, "4")],
               T,
               nonfinite("a", 0)),
    result("result", "the result overflows", f32("2^127"), f32("2^127"), 0),
    result("result-halfway", "halfway above the largest", f32("max"), f32("2^103"), 0),
    result("result-f16", "65520 is halfway above the largest F16 number", f16(0, "max"), f32(1, 16), 1),
    result("result-bf16", "finite as fp32, halfway above the largest BF16 number", bf16("max"), f32("2^119"), 0),
    result("result-matrix", "C order", f16(0, 0, "max", "max", shape=[2, 2]), f32(1, 1, 1, 32, shape=[2, 2]), 1, 1),
    result("result-scalar", "the index of a 0-d tensor", f16("max", shape=[]), f32("max", shape=[])),
    result("base-nan", "a NaN in the base where tau_m is not 0", f32(1, "nan"), f32(1, 1), 1),
    result("base-inf", "an infinity in the base where tau_m is not 0", f32("-inf"), f32(1), 0),
    result("base-nan-f64", "a NaN in an F64 base", f64("nan"), f32(1), 0),
    result("lambda-overflow", "lambda * tau_m is too large", f32(0), f32("max"), 0, lambda_="1.5"),
    result("lambda-overflow-cancels", "lambda * tau_m is beyond fp32, and so is the sum", f32("-max"),
           f32("max"), 0, lambda_="3"),
    merge_case("ties-lambda-overflow-no-error", "MG-3", "lambda * tau_m is beyond fp32, the sum is not",
               {"w": f32("-max")},
               vectors([["max"]]), ties(lambda_="2"), {"tensors": {"w": f32("max")}}),
    merge_case("ties-error-result-before-v", "MG-6", "a result at element 0 comes before a v at element 1",
               {"w": f16("max", 0)},
               vectors([["2^10", "max"]], ["2"]), T, nonfinite("w", 0)),
    merge_case("ties-error-v-before-result", "MG-6", "at one coordinate v comes first", {"w": f16("max")},
               vectors([["max"], [1]], ["2", "1"]), T, {**nonfinite("w", 0)}),
    merge_case("ties-error-task-vector", "TV-4 MG-6", "a NaN in a fine-tune", {"w": f32(1, 1)},
               [tuned({"w": f32(1, "nan")}), tuned({"w": f32(2, 2)})], T, nonfinite("w", 1)),
    merge_case("ties-error-task-vector-first", "MG-6", "a NaN in the last tensor comes before a v in the first", TWO,
               [stored({"a": f32("max", 0)}, "2"), tuned({"b": f32(0, "inf", shape=[1, 2])})], T,
               nonfinite("b", 0, 1)),
    merge_case("ties-error-task-vectors", "MG-6", "of two fine-tunes with NaN the earlier coordinate is named", TWO,
               [tuned({"a": f32(0, "nan"), "b": f32("nan", 0, shape=[1, 2])}), tuned({"a": f32("nan", 0)})], T,
               nonfinite("a", 0)),
    merge_case("ties-error-task-vectors-both", "MG-6", "at one coordinate the first contribution is named", TWO,
               [tuned({"a": f32(0, "nan")}), tuned({"a": f32(1, "inf")}), stored({"a": f32(2, "-inf")})], T,
               nonfinite("a", 1, contribution=0)),
    later_first("task-vectors-second", "contribution 1 has the earlier element", tuned({"a": f32(0, "nan")}),
                tuned({"a": f32("nan", 0)}), nonfinite("a", 0, contribution=1)),
    later_first("task-vectors-second-tensor", "contribution 1 has the earlier tensor",
                tuned({"b": f32("nan", 0, shape=[1, 2])}), tuned({"a": f32(0, "inf")}),
                nonfinite("a", 1, contribution=1)),
    later_first("task-vectors-second-stored", "TV-5 and TV-4 are of one kind", NAN_LATE, tuned({"a": f32("nan", 0)}),
                nonfinite("a", 0, contribution=1)),
    later_first("task-vectors-second-finetuned", "the same the other way round", tuned({"a": f32(0, "nan")}),
                NAN_EARLY, nonfinite("a", 0, contribution=1)),
    later_first("v-of-second", "a v of contribution 1 at the earlier element", stored({"a": f32(0, "max")}),
                LARGE_EARLY, nonfinite("a", 0, contribution=1)),
    later_first("v-of-second-tensor", "a v of contribution 1 in the earlier tensor",
                stored({"b": f32("max", 0, shape=[1, 2])}), LARGE_LATE, nonfinite("a", 1, contribution=1)),
    later_first("task-vector-second", "a NaN in contribution 1 comes before a v of contribution 0, whatever the place",
                stored({"a": f32("max", 0)}), stored({"b": f32(0, "nan", shape=[1, 2])}),
                nonfinite("b", 0, 1, contribution=1)),
    in_memory("second", "the second entry has the earlier element", [NAN_LATE, NAN_EARLY],
              nonfinite("a", 0, contribution=1)),
    in_memory("first", "the same two in the other order", [NAN_EARLY, NAN_LATE], nonfinite("a", 0, contribution=0)),
    in_memory("both", "a task vector comes before a v; of two, the first in the list",
              [LARGE_EARLY, NAN_LATE, NAN_LATE], nonfinite("a", 1, contribution=1)),
    in_memory("v-second", "a v of the second entry at the earlier element", [LARGE_LATE, LARGE_EARLY],
              nonfinite("a", 0, contribution=1)),
    in_memory("v-both", "two equal entries: the first in the list", [LARGE_LATE, LARGE_LATE],
              nonfinite("a", 1, contribution=0)),
    merge_case("ties-error-no-tensors", "CT-5", "a contribution without tensors", zeros(1), [stored({})], T,
               "ContributionError"),
    merge_case("ties-error-no-tensors-beside", "CT-5", "a contribution without tensors beside another", zeros(1),
               [stored({"w": f32(1)}), stored({})], T, "ContributionError"),
    merge_case("ties-error-coefficient-overflow", "RC-2", "a coefficient beyond fp32 is refused as a decimal",
               zeros(1), vectors([[1]], ["1" + "0" * 39]), T, "DecimalError"),
    merge_case("ties-error-not-kept-nan", "TV-4", "an element that trim would drop is an error all the same",
               {"w": f32(0, 0)},
               [stored({"w": f32("nan", 1)})], ties(density="0.5"), nonfinite("w", 0, contribution=0)),
    merge_case("ties-error-name-order", "MG-6", "the first tensor in name order: U+FFFF before U+10000",
               {"\U00010000": f32(0), "\uffff": f32(0)}, [stored({"\U00010000": f32("nan"), "\uffff": f32("nan")})],
               T,
               nonfinite("\uffff", 0, contribution=0)),
]  # fmt: skip
