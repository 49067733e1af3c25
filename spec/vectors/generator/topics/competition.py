"""PCB-Merging and arcee_fusion end to end: who wins, and what is left of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import complete
from generator.topics.merges import (
    merge_case,
    plain,
    random_contributions,
    random_tensors,
    stored,
    tuned,
    vectors,
    zeros,
)
from generator.writing import bf16, f16, f32, integers

Json = Any
E60 = str(2**60)


def pcb(ratio: str = "0.1", lambda_: str = "1") -> Json:
    return complete({"method": "pcb", "ratio": ratio, "lambda": lambda_})


def nonfinite(index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": "w", "index": [index], **by}


def computed(
    i: str, clauses: str, why: str, rows: Sequence[Sequence[Any]], recipe: Json, coefficients: Sequence[str] = ()
) -> Case:
    """Task vectors to a base of zeros, their merge left to the reference."""
    return merge_case(i, clauses, why, zeros(len(rows[0])), vectors(rows, coefficients), recipe)


# -- PCB-Merging ---------------------------------------------------------------------------------------------

ABSENT = {"a": f32("-0", 1), "b": bf16(1, -2, "0.5"), "n": integers("I64", 5), "s": f16(2, shape=[])}
PCB = [
    plain("pcb-one", "PC-5 PC-6", "one contribution: the largest is as it is, the least of the best is 0",
          [[8, 4, 2, 0]], [8, 4, 0, 0], pcb("0.75")),
    plain("pcb-top", "PC-5", "ceil(0.1 * 4) is 1: the best one alone", [[8, -9, 2, 0]], [0, -9, 0, 0], pcb()),
    plain("pcb-equal", "PC-3 PC-5", "equal magnitudes: all are the best", [[3, -3, 3]], [3, -3, 3], pcb("0.5")),
    plain("pcb-equal-opposed", "PC-3 PC-4 PC-5", "of equal magnitudes, those that the sum agrees with",
          [[20, -20], [40, 40]], [30, 40], pcb("1")),
    plain("pcb-zeros", "PC-3 PC-5", "a contribution of zeros has no weight", [[0, "-0", 0], [8, 4, 2]], [8, 4, 0],
          pcb("1")),
    plain("pcb-all-zeros", "PC-5 PC-6", "nothing but zeros", [[0, 0], ["-0", 0]], [0, 0], pcb("1")),
    plain("pcb-largest-opposed", "PC-4 PC-5", "the largest pulls against the sum: the next one is the best",
          [[-8, 4, 2], [30, 0, 0]], [30, 4, 0], pcb("0.1")),
    plain("pcb-all-opposed", "PC-5 PC-6", "every score is below 0: the best is the least opposed, and has no weight",
          [[-8, -4], [30, 30]], [30, 30], pcb("0.1")),
    computed("pcb-opposed-and-zero", "PC-5", "a change of 0 has no weight, though 0 is above the threshold",
          [[-8, -4, 0, 2], [30, 30, 8, 30]], pcb("1")),
    computed("pcb-half", "PC-5 PC-6", "every other is among the best",
             [[1, 2, 3, 4, 5, 6], [-6, 5, -4, 3, -2, 1]], pcb("0.5")),
    computed("pcb-ratio-exact", "PC-5", "0.29 * 100 is 29, and no more", [[*range(1, 101)]], pcb("0.29")),
    plain("pcb-coefficients", "PC-1", "3 * 2 and -5: the sum is above 0", [[2, 1], [-5, 0]], [6, 0], pcb(), ["3", "1"]),
    computed("pcb-coefficient-underflow", "PC-1 PC-5", "a t that rounds to 0 has no weight",
             [["2^-149", 8, 4], [1, 1, 1]], pcb("1"), ["0.25", "1"]),
    computed("pcb-subnormal", "PC-4", "a product far below fp32",
             [["2^-149", "-2^-148"], ["2^-149", "2^-149"]], pcb("1")),
    computed("pcb-wide", "PC-3 PC-4", "tanh is 1, intra is 0 or 1",
             [["2^100", "2^60", "-2^20"], ["max", "2^10", 0]], pcb("1")),
    plain("pcb-sum-beyond", "PC-1", "the sum is beyond fp32, and bounded", [["max", 1], ["max", "2^-140"]],
          ["max", 0], pcb("1"), uncertified=1),
    computed("pcb-sum-beyond-below", "PC-1 PC-4", "the same below, of both signs",
             [["-max", 1], ["-max", 2], ["2^-100", 4]], pcb("1")),
    computed("pcb-exact", "PC-1 EX-1 EX-3", "2^60 + 1 - 2^60 agrees with 1",
             [["2^60", 0], [1, 0], ["-2^60", 0]], pcb("1")),
    Case("merge", "pcb-many", "PC-3", "n is 110: far below the largest, intra is 0",
         {"in_memory": True, "base": zeros(3), "recipe": pcb("1"), "contributions": vectors([[8, 1, 4]] * 110)}),
    computed("pcb-coefficients-uncertified", "EX-3", "coefficients without a certificate",
             [[1, 0], [1, 2]], pcb("1"), [E60, "1"]),
    merge_case("pcb-model", "PC-2 PC-5", "the best of all tensors together", {"a": f32(0, 0), "b": f32(0, 0)},
               [stored({"a": f32(9, 8), "b": f32(1, 2)})], pcb("0.5"),
               {"tensors": {"a": f32(9, 0), "b": f32(0, 0)}, "kept": [1]}),
    merge_case("pcb-absent", "PC-3 PC-6 MG-2", "n counts who lacks a tensor too, sums do not", ABSENT,
               [stored({"a": f32(2, 3)}, "3"), stored({"a": f32(4, -2), "b": f32(4, -4, 0)})], pcb("0.8")),
    merge_case("pcb-finetuned", "PC-1 TV-2 MG-3", "fine-tunes in bf16, and a lambda", {"w": bf16(*range(8))},
               [tuned({"w": bf16(*range(8, 0, -1))}), tuned({"w": bf16(*[4] * 8)}, "0.3")], pcb("0.5", "1.2")),
    merge_case("pcb-empty", "PC-2", "tensors without elements", {"d": f32(shape=[0, 2]), "w": f32(0)},
               [stored({"d": f32(shape=[0, 2])}), stored({"d": f32(shape=[0, 2]), "w": f32(7)})], pcb(),
               {"kept": [1, 0]}),
    merge_case("pcb-error-t", "PC-1 TI-6", "t overflows", zeros(2), vectors([[1, "max"]], ["2"]), pcb(),
               nonfinite(1, 0)),
    merge_case("pcb-error-result", "MG-5", "the result is beyond F16", {"w": f16("max", 1)},
               [stored({"w": f32(60000, 1)})],
               pcb(), nonfinite(0)),
    merge_case("pcb-error-negative", "PC-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]), pcb(),
               "CoefficientError"),
]  # fmt: skip

RECIPES: list[tuple[str, Json, Json, str]] = [
    ("pcb", {"method": "pcb"}, {"method": "pcb", "ratio": "0.1", "lambda": "1"}, "every default"),
    ("pcb-all", {"method": "pcb", "ratio": "0.050", "lambda": "1.20"},
     {"method": "pcb", "ratio": "0.05", "lambda": "1.2"}, "every key"),
    ("pcb-ratio-zero", {"method": "pcb", "ratio": "0"}, "DecimalError", "a ratio of 0"),
    ("pcb-ratio-above", {"method": "pcb", "ratio": "1.01"}, "DecimalError", "a ratio above 1"),
    ("pcb-density", {"method": "pcb", "density": "0.1"}, "RecipeError", "its share is called ratio"),
]  # fmt: skip


def recipes() -> Iterator[Case]:
    for i, given, says, why in RECIPES:
        wanted = says if isinstance(says, str) else {"recipe": says}
        yield Case("recipe", f"competition-recipe-{i}", "RC-4", why, {"recipe": given}, wanted)


def random_pcb(random: Random) -> Json:
    return pcb(random.choose(["0.1", "0.5", "0.3", "1"]), random.choose(["1", "1.2", "-0.5"]))


def breadth(method: str, clauses: str, seed: int, count: int) -> Iterator[Case]:
    """Bases of every dtype; narrow and wide ranges of exponents in turn."""
    random, made = Random(seed), 0
    while made < count:
        dtype, spread = random.choose(["F32", "BF16", "F16", "F64"]), random.choose([4, 24, 120])
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        contributions, recipe = random_contributions(random, spread, False), random_pcb(random)
        i, why = f"{method}-random-{made}", f"random, {spread} exponents, base {dtype}"
        found = merge_case(i, clauses, why, base, contributions, recipe)
        rule = found.result().get("error", {}).get("rule")
        if rule is None or (rule == "NonFinite" and made % 8 == 0):
            made += 1
            yield replace(found, says=rule)


CASES = [
    *PCB,
    *recipes(),
    *breadth("pcb", "PC-3 PC-4 PC-5 PC-6 MG-3 MG-8", 31, 16),
]
