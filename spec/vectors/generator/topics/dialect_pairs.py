"""Questions that tell dialects apart: small ones for their choices, and last bits as the packages were seen to give.

`paper` is asked where few results are right: what it leaves open may be anything that the options allow. Nobody is
asked what the package that it is named after does in a way that no point speaks of [DI-20]: sd-mecha leaves a tensor
alone if an infinity is in it, and mergekit, peft and sd-mecha trim nothing at a density above 1.
"""

from __future__ import annotations

from typing import Any

from generator.topics.dialect_questions import NAMES, REFUSED, SETTLED, dialects, question, rows, w
from generator.writing import bf16, f16, f32, f64

#: A density that no dialect refuses for two elements: of 0 and one other, all keep the other.
HALF = "0.5"
ONE_TO_FOUR = {"a": f32(1, 2), "b": f32(3, 4)}


def twice(*row: Any, density: str = HALF) -> Any:
    """Two equal models: what comes out is what trim keeps of one, and no dialect returns it untrimmed."""
    return rows(row, row, density=density)


def w64(*numbers: Any) -> Any:
    return {"w": f64(*numbers)}


CHOICES = [
    dialects("scope-of-two", "DI-4", "half of each of two tensors, or half of all",
             question({"a": f32(0, 0), "b": f32(0, 0)}, [ONE_TO_FOUR, ONE_TO_FOUR], HALF),
             {"canonical": {"a": f32(0, 0), "b": f32(3, 4)}, "mergekit-0.1.5": {"a": f32(0, 2), "b": f32(0, 4)}},
             of=NAMES),
    dialects("mean-or-sum", "DI-9 DI-10 DI-11", "3 and 1", rows([0, 3], [0, 1], density=HALF),
             {"canonical": w(0, 2), "authors": w(0, 2), "mergelm": w(0, 2), "peft-0.21": w(0, 2),
              "fusion-bench-0.2": w(0, 4), "crdt-merge-0.11": w64(0, 1), "sd-mecha-1.1": w(0, 2)}, of=NAMES),
    dialects("one-against-one", "DI-8", "1 against 1", rows([0, 1], [0, -1], density=HALF),
             {"canonical": w(0, 0), "authors": w(0, -1), "mergelm": w(0, 0), "mergekit-0.1.5": w(0, 1)}),
    dialects("one-against-two", "DI-7", "3 against two of 1", rows([0, 3], [0, -1], [0, -1], density=HALF),
             {"canonical": w(0, 3), "authors": w(0, 3), "sd-mecha-1.1": w(0, -1)}, of=NAMES),
    dialects("coefficients-2-and-1", "DI-10 DI-11", "2 counts twice, against 1",
             rows([2], [-1], coefficients=["2", "1"]),
             {"canonical": w(2), "mergekit-0.1.5": w(2), "peft-0.21": w(4), "authors": REFUSED, "paper": REFUSED},
             of=NAMES),
    dialects("less-than-one-of-two", "DI-3", "0.4 of two elements", twice(1, 2, density="0.2"),
             {"canonical": w(0, 2), "mergekit-0.1.5": w(0, 2), "mergekit-0.1.4": REFUSED, "peft-0.21": w(0, 0),
              "sd-mecha-1.1": w(1, 2)}),
    dialects("one-of-five", "DI-3", "0.2 of five elements, as in the paper's figure",
             twice(1, -2, 2, 1, 3, density="0.2"),
             {"canonical": w(0, 0, 0, 0, 3), "authors": w(0, -2, 2, 0, 3), "peft-0.21": w(0, 0, 0, 0, 3)}),
    dialects("ties-at-the-threshold", "DI-5", "1.5 of three, two of which tie", twice(1, -1, 2)),
    dialects("percent", "DI-2 DI-20", "50 percent", twice(1, 2, 3, density="50"),
             {"canonical": REFUSED, "authors": w(0, 2, 3), "mergelm": REFUSED},
             of=["canonical", "authors", "fusion-bench-0.2", "mergelm", "crdt-merge-0.11"]),
    dialects("drop-none-of-five", "DI-2 DI-3", "four of five kept is one of five dropped",
             twice(1, 2, 3, 4, 5, density="0.8"), {"mergelm": w(1, 2, 3, 4, 5)}),
    dialects("one-model", "DI-13", "half of one model", rows([1, 2, 3], density=HALF),
             {"canonical": w(0, 0, 3), "crdt-merge-0.11": w(1, 2, 3)}),
    dialects("lambda-of-a-half", "DI-12", "half of 2", rows([0, 2], [0, 2], density=HALF, lambda_="0.5"),
             {"canonical": w(0, 1), "peft-0.21": REFUSED}),
    dialects("lacks-a-tensor", "DI-17", "the second model has no b",
             question({"a": f32(0), "b": f32(0)}, [{"a": f32(1), "b": f32(2)}, {"a": f32(1)}], HALF)),
    dialects("two-dtypes", "DI-4 DI-14 DI-15", "a third of 4, beside the same in bfloat16: apart, or as one",
             question({"a": f32(0, 0), "b": bf16(0, 0)},
                      [{"a": f32(0, x), "b": bf16(0, x)} for x in (1, 1, 2)], HALF),
             {"mergekit-0.1.5": {"a": f32(0, "0x3faaaaab"), "b": bf16(0, "0x3fab")},
              "authors": {"a": f32(0, "0x3faaaaab"), "b": f32(0, "0x3faaaaab")}}),
    dialects("infinite", "DI-16", "an infinity", twice(1, 2, 3, "inf"),
             {"canonical": REFUSED, "authors": w(0, 2, 3, "inf"), "mergekit-0.1.5": w(0, 0, 3, "inf"),
              "crdt-merge-0.11": w64(0, 0, "1.5", "inf")},
             of=[name for name in SETTLED if name != "sd-mecha-1.1"]),
]  # fmt: skip

SEEN = [
    dialects("seen-mergekit", "DI-12 DI-14", "lambda 0.3 in float16, as mergekit 0.1.5 gives it",
             rows(["-1.33984375"], of=f16, lambda_="0.3", coefficients=["0.5"]),
             {"mergekit-0.1.5": {"w": f16("-0.40185546875")}}),
    dialects("seen-authors", "DI-14", "a quotient in fp32 of sums in float16, as the authors' code gives it",
             question({"w": f16("-0.95556640625")},
                      [{"w": f16("-0.419677734375")}, {"w": f16("-0.97509765625")}], "0.9"),
             {"authors": w("-0.41943359375")}),
    dialects("seen-peft", "DI-14", "coefficients in fp32, the rest in bfloat16, as peft 0.21 gives it",
             rows(["-0.037109375"], [-1], ["-0.875"], of=bf16, coefficients=["0.5", "0.5", "2"]),
             {"peft-0.21": {"w": bf16("-0.7578125")}}),
    dialects("seen-peft-f64", "DI-11 DI-14", "coefficients in fp32 where the base is F64, as peft 0.21 gives it",
             rows([1], of=f64, coefficients=["0.3"]),
             {"peft-0.21": w64("0x3fd3333340000000"), "mergekit-0.1.5": w64(1)}),
    dialects("seen-sd-mecha", "DI-12 DI-14", "product and sum rounded once, as sd-mecha 1.1 gives it",
             question({"w": f16("0.73095703125")}, [{"w": f16("0.361572265625")}], lambda_="1.7"),
             {"sd-mecha-1.1": w("0x3dd2f331")}),
]  # fmt: skip

CASES = [*CHOICES, *SEEN]
