"""Task arithmetic end to end: plain sums, coefficients of either sign."""

from __future__ import annotations

from generator.cases import Case
from generator.topics.merges import breadth, merge_case, plain, stored, task_arithmetic, tuned, vectors, zeros
from generator.writing import f16, f32

A = task_arithmetic()

CASES: list[Case] = [
    plain("task-arithmetic-sum", "TA-1", "1 + 2", [[1], [2]], [3], A),
    plain("task-arithmetic-negative", "TA-1 RC-6", "forgetting: a coefficient of -1", [[1, 2]], [-1, -2], A, ["-1"]),
    plain("task-arithmetic-analogy", "TA-1", "5 + 3 - 2", [[5], [3], [2]], [6], A, ["1", "1", "-1"]),
    plain("task-arithmetic-zero-sum", "TA-1 MG-2", "coefficients may cancel", [[1], ["1.5"]], ["-0.5"], A, ["1", "-1"]),
    plain("task-arithmetic-coefficients-sum-to-zero", "TA-1", "nothing divides by the sum of coefficients", [[3], [1]],
          [2], A, ["1", "-1"]),
    plain("task-arithmetic-60-bits", "TA-1 EX-1 EX-3", "2^60 + 1 - 2^60", [["2^60"], [1], ["-2^60"]], [1], A, uncertified=1),
    plain("task-arithmetic-whole-range", "TA-1 EX-1", "max + 2^-149 - max", [["max"], ["2^-149"], ["-max"]], ["2^-149"], A,
          uncertified=1),
    plain("task-arithmetic-twice-rounded", "TA-1 EX-3",
          "1 + 2^-24 + 2^-60: RN64 makes it a tie, RN32 takes it to 1; one rounding would give 1 + 2^-23",
          [[1], ["2^-24"], ["2^-60"]], [1], A, uncertified=1),
    plain("task-arithmetic-fp32-flips", "TA-1", "fp32 sums lose the ones", [["2^24", 0], [1, 0], [1, 1], ["-2^24", 0]], [2, 1],
          A),
    plain("task-arithmetic-coefficients-not-certified", "EX-3", "coefficients need no certificate here",
          [["2^-60", 0], [1, 0]], [2, 0], A, [str(2**60), "1"]),
    merge_case("task-arithmetic-beyond-and-back", "TA-1", "max + 2^127 - max: a sum on the way is beyond fp32", zeros(1),
               [stored({"w": f32("max")}), stored({"w": f32("max")}, "-1"), stored({"w": f32("2^127")})], A,
               {"tensors": {"w": f32("2^127")}}),
    plain("task-arithmetic-v-underflow", "TA-1", "v is rounded first: half of 2^-149 is 0, twice",
          [["2^-149"], ["2^-149"]], [0], A, ["0.5", "-0.5"]),
    merge_case("task-arithmetic-copies", "MG-2", "a sum of 0 copies the base", {"w": f32("-0", "nan", 1)},
               [stored({"w": f32(1, 2, 3)}), stored({"w": f32(-1, -2, -2)})], A, {"tensors": {"w": f32("-0", "nan", 2)}}),
    merge_case("task-arithmetic-absent", "TA-1", "an absent tensor adds nothing", {"a": f32(1), "b": f32(1)},
               [stored({"a": f32(2)}), stored({"a": f32(4), "b": f32(4)})], A, {"tensors": {"a": f32(7), "b": f32(5)}}),
    merge_case("task-arithmetic-forget-finetuned", "TA-1 TV-2", "a fine-tune taken away from the base", {"w": f16(1, 2)},
               [tuned({"w": f16(3, 1)}, "-1")], A, {"tensors": {"w": f16(-1, 3)}}),
    plain("task-arithmetic-lambda", "MG-1", "lambda -0.5", [[1], [3]], [-2], task_arithmetic("-0.5")),
    merge_case("task-arithmetic-error-tau-m", "TA-1 MG-5", "the sum overflows", zeros(2), vectors([[0, "max"], [1, "max"]]), A,
               {"rule": "NonFinite", "tensor": "w", "index": [1]}),
    merge_case("task-arithmetic-error-tau-m-halfway", "TA-1 MG-5", "halfway above the largest", zeros(1),
               vectors([["max"], ["2^103"]]), A, {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    merge_case("task-arithmetic-no-error-below-halfway", "TA-1", "RN64 makes it no tie: below halfway stays the largest",
               zeros(1), vectors([["max"], ["2^102"]]), A, {"tensors": {"w": f32("max")}}),
    merge_case("task-arithmetic-error-tau-m-lambda-zero", "MG-2 MG-5", "the sum overflows where lambda is 0", zeros(1),
               vectors([["max"], ["2^127"]]), task_arithmetic("0"), {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    merge_case("task-arithmetic-error-tau-m-before-v", "MG-6", "tau_m at element 0 comes before v at element 1", zeros(2),
               [stored({"w": f32("max", "max")}), stored({"w": f32("2^126", "2^127")}, "2")], A,
               {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    merge_case("task-arithmetic-error-v", "TA-2", "v overflows below", zeros(1), vectors([["max"]], ["-2"]), A,
               {"rule": "NonFinite", "tensor": "w", "index": [0], "contribution": 0}),
    merge_case("task-arithmetic-error-zero", "RC-6", "a coefficient of zero", zeros(1), vectors([[1]], ["0"]), A,
               "CoefficientError"),
    *breadth("task_arithmetic", 10, 24),
]  # fmt: skip
