"""Merged models of another dtype than the base's: maps, and merges end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import complete
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
FULL = {"method": "ties", "density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}


def of(method: str, out: str, **keys: str) -> Json:
    return complete({"method": method, **{key.rstrip("_"): text for key, text in keys.items()}, "out_dtype": out})


MAPS: list[tuple[str, Json, Json, str]] = [
    *((out.lower(), {"method": "ties", "out_dtype": out}, {**FULL, "out_dtype": out}, "a dtype")
      for out in ("F64", "F32", "BF16", "F16")),
    ("empty", {"method": "ties", "out_dtype": ""}, FULL, "the empty text is left out"),
    ("settings", {"method": "mean", "out_dtype": "F32", "settings": [{"tensors": "*", "lambda": "2"}]},
     {"method": "mean", "lambda": "1", "out_dtype": "F32", "settings": [{"tensors": "*", "lambda": "2"}]}, "and both"),
    ("torch", {"method": "ties", "out_dtype": "bfloat16"}, "RecipeError", "PyTorch's name"),
    ("whole", {"method": "ties", "out_dtype": "I64"}, "RecipeError", "whole numbers"),
]  # fmt: skip

ONE = [stored({"w": f32("2^-9", "2^-8", "2^-8+2^-9", "-2^-9")})]
MERGES = [
    merge_case("out-once", "RC-15 MG-3", "a base in BF16 is not rounded to before F32", {"w": bf16(1, 1, 1, 1)}, ONE,
               of("task_arithmetic", "F32"),
               {"tensors": {"w": f32("1+2^-9", "1+2^-8", "1+2^-8+2^-9", "1-2^-9")}}),
    merge_case("out-narrow", "RC-15 MG-3", "ties to even from F32", {"w": f32(1, 1, 1, 1)}, ONE,
               of("task_arithmetic", "BF16")),
    merge_case("out-by-fp32", "RC-15 MG-3", "F64 reaches BF16 by way of fp32", {"w": f64("1+2^-8+2^-40", 1)},
               [stored({"w": f32("2^-60", "2^-60")})], of("task_arithmetic", "BF16")),
    merge_case("out-f64", "RC-15 MG-3", "RN64 of a base in F32", {"w": f32(1, "0x3dcccccd", 3)},
               [stored({"w": f32("2^-40", "2^-50", "2^-54")})], of("task_arithmetic", "F64", lambda_="0.3")),
    merge_case("out-f64-tuned", "RC-15 TV-2", "the difference of fp32 numbers is rounded once all the same",
               {"w": f32("1", "2^-30")}, [tuned({"w": f32("2^-60", "1")})], of("task_arithmetic", "F64")),
    merge_case("out-copied", "RC-15 MG-2", "zeros, infinities and NaN of the base; whole numbers stay",
               {"w": f32("-0", "inf", "-inf", 1), "u": f32("0x3dcccccd", "-0"), "n": integers("I64", 1, 2)},
               [stored({"w": f32(0, 0, 0, 1)})], of("task_arithmetic", "F16"),
               {"tensors": {"w": f16("-0", "inf", "-inf", 2), "u": f16("0x2e66", "-0"), "n": integers("I64", 1, 2)}}),
    merge_case("out-same", "RC-15", "the base's own dtype", {"w": bf16("-0", 1, 2, 3)}, ONE, of("ties", "BF16")),
    merge_case("out-overflow", "RC-15 MG-5", "a number that F16 cannot hold", {"w": f32(1, 60000)},
               [stored({"w": f32(1, 10000)})], of("task_arithmetic", "F16"),
               {"rule": "NonFinite", "tensor": "w", "index": [1]}),
    merge_case("out-overflow-copied", "RC-15 MG-5", "one that no contribution holds", {"a": f32(1), "w": f32(1, 70000)},
               [stored({"a": f32(1)})], of("mean", "F16"), {"rule": "NonFinite", "tensor": "w", "index": [1]}),
    merge_case("out-overflow-unchanged", "RC-15 MG-5", "one that is not changed", {"w": f32(1, 70000)},
               [stored({"w": f32(1, 0)})], of("mean", "F16"), {"rule": "NonFinite", "tensor": "w", "index": [1]}),
    merge_case("out-theta", "RC-15 MG-13", "a mean of models in BF16, in F32", {"w": bf16(1, 2)},
               [tuned({"w": bf16(1, 3)}), tuned({"w": bf16("1+2^-7", 4)})], of("linear", "F32"),
               {"tensors": {"w": f32("1+2^-8", "3.5")}}),
    merge_case("out-theta-copied", "RC-15 MG-14", "what all models have, rounded", {"w": f64(0, 0, 0)},
               [tuned({"w": f64("0x3fd5555555555555", "-0", 5)}), tuned({"w": f64("0x3fd5555555555555", "-0", 6)})],
               of("linear", "F32")),
    merge_case("out-theta-f64", "RC-15 MG-13", "fp32 numbers in F64", {"w": f32("0x3dcccccd", 2)},
               [tuned({"w": f32("0x3e99999a", 3)}), stored({"w": f32("0x3f333333", 4)})],
               of("slerp", "F64")),
    merge_case("out-fusion", "RC-15 AF-1", "a method that looks at the base", {"w": bf16(1, 2, 3, 4)},
               [tuned({"w": bf16(1, 2, 4, 8)})], of("arcee_fusion", "F32")),
    merge_case("out-fusion-f64", "RC-15", "and refuses to see it otherwise",
               {"w": bf16(1, 2, 3, 4)},
               [tuned({"w": bf16(1, 2, 4, 8)})], of("arcee_fusion", "F64"), "RecipeError"),
    merge_case("out-rounds", "RC-15", "a method in several rounds", {"w": f16(1, 2, 3, 4)},
               [stored({"w": f32("0x3dcccccd", 1, 2, 3)}), stored({"w": f32(1, "0x3e99999a", "0xbdcccccd", 2)})],
               of("consensus_ta", "BF16")),
]  # fmt: skip


def breadth(method: str, stream: int, count: int, **keys: str) -> list[Case]:
    random, cases = Random(stream), list[Case]()
    while len(cases) < count:
        dtype, out = (random.choose(["F32", "BF16", "F16", "F64"]) for _ in range(2))
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        contributions = random_contributions(random, random.choose([4, 60]), False)
        i = f"out-{method.replace('_', '-')}-random-{len(cases)}"
        case = merge_case(i, "RC-15", f"random, {dtype} to {out}", base, contributions, of(method, out, **keys))
        if "error" not in case.result():
            cases.append(replace(case, says=None))
    return cases


CASES = [
    *(
        Case("recipe", f"out-recipe-{i}", "RC-15 RC-4", why, {"recipe": x}, y if isinstance(y, str) else {"recipe": y})
        for i, x, y, why in MAPS
    ),
    *MERGES,
    Case("aggregate", "out-aggregate", "RC-15", "an aggregate gives a task vector",
         {"base": {"w": f32(0)}, "recipe": of("mean", "F32"), "contributions": [stored({"w": f32(1)})], "retract": []},
         "AggregateError"),
    *breadth("ties", 51, 6, density="0.5"),
    *breadth("linear", 52, 4),
    *breadth("sce", 53, 3),
]  # fmt: skip
