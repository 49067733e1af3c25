"""The mean end to end: every contribution counts, absent tensors as zero."""

from __future__ import annotations

from generator.cases import Case
from generator.topics.merges import breadth, mean, merge_case, plain, stored, tuned, vectors, zeros
from generator.writing import bf16, f16, f32, f64

M = mean()
E60 = str(2**60)

CASES: list[Case] = [
    plain("mean-two", "ME-1", "the mean of 1 and 3", [[1], [3]], [2], M),
    plain("mean-zero-sum", "ME-1", "1 and -1", [[1], [-1]], [0], M),
    plain("mean-zeros-count", "ME-1", "a zero counts", [[4], [0]], [2], M),
    plain("mean-third", "ME-1", "1/3", [[1, 0], [0, 0], [0, 3]], ["0x3eaaaaab", 1], M),
    plain("mean-coefficients", "ME-1", "(1*1 + 3*5) / 4", [[1], [5]], [4], M, ["1", "3"]),
    merge_case("mean-coefficients-decimals", "ME-1 EX-1", "0.1 + 0.2 - 0.3 as fp32 numbers is -2^-27", zeros(1),
               vectors([[1], [1], [-1]], ["0.1", "0.2", "0.3"]), M),
    plain("mean-60-bits", "ME-1 EX-1 EX-3", "2^60 + 1 - 2^60 is 1, over 3", [["2^60"], [1], ["-2^60"]],
          ["0x3eaaaaab"],
          M, uncertified=1),
    plain("mean-whole-range", "ME-1 EX-1", "max + 2^-149 - max is 2^-149; a third of it is 0",
          [["max"], ["2^-149"], ["-max"]], [0], M, uncertified=1),
    plain("mean-large-sum", "ME-1", "the sum is beyond fp32, the mean is not", [["max", 0], ["max", 2]], ["max", 1],
          M),
    plain("mean-underflow-tie", "ME-1 MG-2", "2^-149 / 2 is a tie and goes to 0; 3 * 2^-149 / 2 goes to 2 * 2^-149",
          [["2^-149", "2^-149+2^-148", "-2^-149"], [0, 0, 0]], [0, "2^-148", 0], M),
    merge_case("mean-underflow-copies", "ME-1 MG-2", "a tau_m that underflows copies the base, -0 and NaN included",
               {"w": f32("-0", "nan", "-0")}, vectors([["2^-149", "-2^-149", "-2^-149"], [0, 0, 0]]), M,
               {"tensors": {"w": f32("-0", "nan", "-0")}}),
    plain("mean-quotient-twice-rounded", "ME-1", "a quotient that RN64 makes a tie of RN32", [["1+2^-23"], [1]], [1],
          M,
          [str(2**34 - 2**10), "1023"]),
    plain("mean-v-underflow", "ME-1", "half of 2^-149 is 0, and its c counts in W", [["2^-149"], ["2^-100"]],
          ["2^-101"], M, ["0.5", "0.5"]),
    plain("mean-coefficients-uncertified", "ME-1 EX-3", "every coordinate is uncertified", [["2^-60", 0], [1, 0]],
          ["2^-59", 0], M, [E60, "1"], uncertified=2),
    merge_case("mean-absent", "ME-1", "an absent tensor counts as zero", {"a": f32(1), "b": f32(1)},
               [stored({"a": f32(2)}), stored({"a": f32(4), "b": f32(4)})], M,
               {"tensors": {"a": f32(4), "b": f32(3)}}),
    merge_case("mean-absent-coefficient", "ME-1", "with its coefficient", {"a": f32(1), "b": f32(1)},
               [stored({"a": f32(2)}, "3"), stored({"a": f32(6), "b": f32(4)})], M,
               {"tensors": {"a": f32(4), "b": f32(2)}}),
    merge_case("mean-held-by-none", "MG-2", "a tensor that nobody holds is copied",
               {"a": f32(1), "b": f32("nan", "-0")},
               [stored({"a": f32(2)})], M, {"tensors": {"a": f32(3), "b": f32("nan", "-0")}}),
    merge_case("mean-of-weights", "ME-1 TV-2",
               "the mean of fine-tunes is that of their weights where nothing is rounded",
               {"w": f32(8, 8)}, [tuned({"w": f32(2, 4)}), tuned({"w": f32(4, 16)})], M,
               {"tensors": {"w": f32(3, 10)}}),
    merge_case("mean-dtypes", "ME-1 MG-3", "bases of every dtype",
               {"a": bf16(1), "b": f16(1), "c": f32(1), "d": f64(1)},
               [stored({n: f32("2^-7+2^-20") for n in "abcd"}), stored({n: f32("2^-7") for n in "abcd"})], M,
               {"tensors": {"a": bf16("1+2^-7"), "b": f16("1+2^-7"), "c": f32("1+2^-7+2^-21"),
                            "d": f64("1+2^-7+2^-21")}}),
    plain("mean-lambda", "MG-1", "lambda 0.5", [[1], [3]], [1], mean("0.5")),
    merge_case("mean-error-v", "TA-2", "v overflows", zeros(2), vectors([[0, "max"]], ["2"]), M,
               {"rule": "NonFinite", "tensor": "w", "index": [1], "contribution": 0}),
    merge_case("mean-error-negative", "RC-6", "a negative coefficient", zeros(1), vectors([[1], [1]], ["1", "-1"]), M,
               "CoefficientError"),
    merge_case("mean-error-result", "MG-5", "the result overflows", {"w": f16("max")}, vectors([[32], [33]]), M,
               {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    *breadth("mean", 9, 24),
]  # fmt: skip
