"""PCB-Merging and arcee_fusion end to end: who wins, and what is left of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import ARITY, complete
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
from generator.writing import bf16, f16, f32, f64, integers

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
             [["-max", 1], ["-max", 2], ["2^-149", 4], [0, 8]], pcb("1")),
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
               [stored({"a": f32(2, 3)}, "3"), stored({"a": f32(4, -2), "b": f32(4, -3, 1)}),
                stored({"b": f32(2, 5, 1)})], pcb("1")),
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


# -- Arcee fusion --------------------------------------------------------------------------------------------

FUSION = complete({"method": "arcee_fusion"})
MATRIX = {"w": f32(*range(-6, 6), shape=[3, 4])}


def fused(
    i: str, clauses: str, why: str, base: Json, tau: Json, kept: int | None = None, coefficient: str = "1"
) -> Case:
    """One task vector; how many of its elements are important."""
    says = None if kept is None else {"kept": [kept]}
    return merge_case(f"arcee-fusion-{i}", clauses, why, base, [stored(tau, coefficient)], FUSION, says)


#: One row of three chunks, in few bytes: 8,998 numbers in turn, and two that stand out.
LONG = {
    "dtype": "F32",
    "shape": [9000],
    "hex": [{"repeat": "0000803e0000003f000040bf", "bytes": 35992}, "00008040000000c1"],
}
LONG_BASE = {"dtype": "F32", "shape": [9000], "hex": {"repeat": "00000000", "bytes": 36000}}


def row(*numbers: Any) -> Json:
    return {"w": f32(*numbers)}


ARCEE = [
    fused("row", "AF-2 AF-3 AF-4 AF-5", "one row: the largest change", zeros(6), row(1, "1.5", 2, "2.5", 3, 9), 1),
    fused("both-signs", "AF-3 AF-5", "importance has no sign", zeros(6), row(1, "-1.5", 2, "2.5", 3, -9), 1),
    fused("equal", "AF-5", "equal magnitudes: all are kept", zeros(4), row(3, -3, 3, -3), 4),
    fused("zeros", "AF-5", "no change at all", row(1, "-0", 3), row(0, "-0", 0), 0),
    fused("shifted", "AF-3", "a row that moves as a whole does not diverge", row(1, 2, 3), row(4, 4, 4), 3),
    fused("one-changed", "AF-4", "one of many: the quartiles are 0", row(*range(8)), row(0, 0, 0, 0, 0, 0, 1, 0), 1),
    fused("quartiles", "AF-4", "at floor(k (d - 1) / 4) of 5, 6, 7 and 8", {name: f32(*[0] * n) for n, name in
          ((5, "a"), (6, "b"), (7, "c"), (8, "d"))}, {name: f32(*[2**k for k in range(n)]) for n, name in
          ((5, "a"), (6, "b"), (7, "c"), (8, "d"))}),
    fused("rows", "AF-2 AF-3", "a row that moves more counts more", MATRIX,
          {"w": f32(*[1, -1, 1, -1], *["0.125"] * 3, "-0.125", *["0.5"] * 2, "-0.5", 0, shape=[3, 4])}),
    fused("rows-turned", "AF-2 BC-1", "the same numbers in other rows", {"w": f32(*range(-6, 6), shape=[4, 3])},
          {"w": f32(*[1, -1, 1, -1], *["0.125"] * 3, "-0.125", *["0.5"] * 2, "-0.5", 0, shape=[4, 3])}),
    fused("three-axes", "AF-2 BC-1", "rows of the last of three axes, the quartiles of all",
          {"w": f32(*range(12), shape=[2, 2, 3])}, {"w": f32(*range(1, 12), -5, shape=[2, 2, 3])}),
    fused("scalar", "AF-3 AF-5", "a scalar, and rows of one element, do not diverge: all are kept",
          {"a": f32(3, shape=[]), "b": f32(1, 2, 3, shape=[3, 1])},
          {"a": f32(1, shape=[]), "b": f32(1, "-0.5", 2, shape=[3, 1])}, 4),
    fused("far", "AF-2", "a share that underflows", row(0, 200, 0, -100), row(150, -300, 1, 40)),
    fused("small", "AF-2 AF-3", "changes of a millionth of a bf16 row", {"w": bf16(*range(1, 9))},
          row(*[f"2^-{20 + i}" for i in range(8)])),
    fused("epsilon", "AF-2", "shares next to 0, which 10^-8 decides", {"w": f32(*[0] * 8, shape=[4, 2])},
          {"w": f32(-20, -20, 3, 30, 30, 30, -20, 40, shape=[4, 2])}, 2),
    fused("subnormal", "AF-3", "importances below fp32 are 0: all are kept", zeros(3), row("2^-149", "2^-148", 0), 2),
    fused("large", "AF-3", "an importance beyond fp32 is bounded", zeros(5), row("max", 1, "-max", 2, 3)),
    fused("base-not-finite", "AF-2 MG-2", "an infinity and a NaN in the base, where nothing changes",
          {"w": f32("-inf", 1, "nan", 2, 3, "inf")}, row(0, 1, 0, -2, "0.5", 0)),
    fused("base-nowhere-finite", "AF-2", "a row of nothing else", {"w": f32("inf", "nan", 1, 2, shape=[2, 2])},
          {"w": f32(0, 0, 3, 1, shape=[2, 2])}),
    merge_case("arcee-fusion-theta-beyond", "AF-2 MG-5", "theta beyond fp32 is left out of its row; then it is named",
               row("max", 1, 2), [stored(row("max", 1, 2))], FUSION, nonfinite(0)),
    fused("base-double", "AF-2", "an F64 base, one number beyond fp32", {"w": f64("2^130", "1+2^-40", 3, 4)},
          row(1, 1, -1, 2)),
    fused("coefficient", "AF-1 AF-2", "c before anything is judged", row(1, 2, 3, 4, 5, 6),
          row("0.25", 0, 0, "-0.5", 1, "0.125"), None, "3"),
    merge_case("arcee-fusion-long", "AF-2 DT-2 DT-3", "rows of more than two chunks", {"w": LONG_BASE},
               [stored({"w": LONG})], FUSION),
    merge_case("arcee-fusion-finetuned", "AF-2 TV-2 MG-3", "a fine-tune in bf16, and a lambda",
               {"w": bf16(*range(8), shape=[2, 4])}, [tuned({"w": bf16(*range(8, 0, -1), shape=[2, 4])}, "0.3")],
               complete({"method": "arcee_fusion", "lambda": "-0.5"})),
    merge_case("arcee-fusion-absent", "AF-5 MG-2", "tensors that it lacks, or that have no elements", ABSENT
               | {"d": f32(shape=[2, 0])}, [stored({"a": f32(2, 3), "d": f32(shape=[2, 0])})], FUSION),
    merge_case("arcee-fusion-error-two", "AF-1", "two contributions", zeros(1), vectors([[1], [2]]), FUSION,
               "RecipeError"),
    merge_case("arcee-fusion-error-t", "AF-1 TI-6", "t overflows", zeros(3), vectors([[1, "max", 2]], ["2"]), FUSION,
               nonfinite(1, 0)),
    merge_case("arcee-fusion-error-negative", "AF-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
               FUSION, "CoefficientError"),
]  # fmt: skip

RECIPES: list[tuple[str, Json, Json, str]] = [
    ("pcb", {"method": "pcb"}, {"method": "pcb", "ratio": "0.1", "lambda": "1"}, "every default"),
    ("pcb-all", {"method": "pcb", "ratio": "0.050", "lambda": "1.20"},
     {"method": "pcb", "ratio": "0.05", "lambda": "1.2"}, "every key"),
    ("pcb-ratio-zero", {"method": "pcb", "ratio": "0"}, "DecimalError", "a ratio of 0"),
    ("pcb-ratio-above", {"method": "pcb", "ratio": "1.01"}, "DecimalError", "a ratio above 1"),
    ("arcee-fusion", {"method": "arcee_fusion"}, {"method": "arcee_fusion", "lambda": "1"}, "a lambda"),
    ("arcee-fusion-density", {"method": "arcee_fusion", "density": "1"}, "RecipeError", "what is kept follows"),
    ("pcb-density", {"method": "pcb", "density": "0.1"}, "RecipeError", "its share is called ratio"),
]  # fmt: skip


def recipes() -> Iterator[Case]:
    for i, given, says, why in RECIPES:
        wanted = says if isinstance(says, str) else {"recipe": says}
        yield Case("recipe", f"competition-recipe-{i}", "RC-4", why, {"recipe": given}, wanted)


def random_recipe(random: Random, method: str) -> Json:
    lambda_ = random.choose(["1", "1.2", "-0.5"])
    if method == "pcb":
        return pcb(random.choose(["0.1", "0.5", "0.3", "1"]), lambda_)
    return complete({"method": method, "lambda": lambda_})


def breadth(method: str, clauses: str, seed: int, count: int) -> Iterator[Case]:
    """Bases of every dtype; narrow and wide ranges of exponents in turn."""
    random, made = Random(seed), 0
    while made < count:
        dtype, spread = random.choose(["F32", "BF16", "F16", "F64"]), random.choose([4, 24, 120])
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        contributions = random_contributions(random, spread, False)[: ARITY.get(method)]
        recipe = random_recipe(random, method)
        i, why = f"{method.replace('_', '-')}-random-{made}", f"random, {spread} exponents, base {dtype}"
        found = merge_case(i, clauses, why, base, contributions, recipe)
        rule = found.result().get("error", {}).get("rule")
        if rule is None or (rule == "NonFinite" and made % 8 == 0):
            made += 1
            yield replace(found, says=rule)


CASES = [
    *PCB,
    *ARCEE,
    *recipes(),
    *breadth("pcb", "PC-3 PC-4 PC-5 PC-6 MG-3 MG-8", 31, 12),
    *breadth("arcee_fusion", "AF-2 AF-3 AF-4 AF-5 MG-3", 32, 12),
]
