"""Breadcrumbs end to end, alone and before TIES: what is cut of tensors and of rows, and what trim then keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import complete
from generator.topics.merges import (
    breadth,
    merge_case,
    plain,
    stored,
    tuned,
    vectors,
    zeros,
)
from generator.writing import bf16, f16, f32, integers

Json = Any
CLAUSES = "BC-2 BC-3 BC-4 MG-3"
TINY = "0." + "0" * 59 + "1"


def crumbs(density: str = "0.9", gamma: str = "0.01", scope: str = "tensor", lambda_: str = "1") -> Json:
    keys = {"density": density, "gamma": gamma, "scope": scope, "lambda": lambda_}
    return complete({"method": "breadcrumbs", **keys})


def ties(density: str = "0.9", gamma: str = "0.01", scope: str = "tensor") -> Json:
    return complete({"method": "breadcrumbs_ties", "density": density, "gamma": gamma, "scope": scope})


def one(i: str, clauses: str, why: str, taus: list[Any], result: list[Any], recipe: Json) -> Case:
    """One contribution of coefficient 1, so that what is kept is what is merged."""
    says = {"tensors": {"w": f32(*result)}, "kept": [sum(x not in (0, "-0") for x in result)]}
    return merge_case(f"breadcrumbs-{i}", clauses, why, zeros(len(taus)), vectors([taus]), recipe, says)


TEN = [3, -7, 1, 9, -2, 8, 4, -6, 10, 5]
CUT = [
    one("cut-and-trim", "BC-2 BC-3", "the two largest of ten are cut, the next five kept", TEN,
        [0, -7, 0, 0, 0, 8, 4, -6, 0, 5], crumbs("0.5", "0.2")),
    one("floor", "BC-2", "0.19 of ten: one is cut", TEN, [0, -7, 0, 9, 0, 8, 0, -6, 0, 0], crumbs("0.4", "0.19")),
    one("gamma-zero", "BC-2", "nothing is cut", TEN, [0, 0, 0, 9, 0, 0, 0, 0, 10, 0], crumbs("0.2", "0")),
    one("gamma-tiny", "BC-2", "so small a gamma cuts nothing", [3, -7, 1], [3, -7, 0], crumbs("0.7", TINY)),
    one("all-together", "BC-1", "0.75 and 0.25: what is not cut is kept", [4, -1, 3, 2], [0, -1, 3, 2],
        crumbs("0.75", "0.25")),
    one("at-least-one", "BC-3", "m is at least 1 of what is left", [4, -1, 3, 2], [0, 0, 3, 0], crumbs(TINY, "0.25")),
    one("one-element", "BC-2 BC-3", "a group of one is kept", [5], [5], crumbs(TINY, "0.99")),
    one("tied-above", "BC-2", "of three that tie one would be cut: all stay", [5, 1, -5, 5], [5, 0, -5, 5],
        crumbs("0.5", "0.25")),
    one("tied-partly", "BC-2", "9 is cut; 5 and -5 tie with u and stay", [5, 1, -5, 9], [5, 0, -5, 0],
        crumbs("0.5", "0.5")),
    one("tied-below", "BC-3", "two of four, and what ties with the second", [-2, 7, 2, 2], [-2, 0, 2, 2],
        crumbs("0.5", "0.25")),
    one("all-alike", "BC-2 BC-3", "equal magnitudes are kept as a whole", [1, -1, 1, -1], [1, -1, 1, -1],
        crumbs("0.25", "0.5")),
    one("all-zero", "BC-3 MG-2", "zeros of both signs keep nothing", [0, "-0", 0], [0, 0, 0], crumbs("0.5", "0.5")),
    one("few-not-zero", "BC-2", "only one is not zero, and it is cut", [0, -7, 0, 0], [0, 0, 0, 0],
        crumbs("0.5", "0.25")),
    one("few-least", "BC-2", "the least of all numbers is cut like any other", [0, "2^-149", 0, 0], [0, 0, 0, 0],
        crumbs("0.5", "0.25")),
    one("few-left", "BC-3", "fewer are left than m: all are kept", [9, 0, "-2^-149", 0], [0, 0, "-2^-149", 0],
        crumbs("0.75", "0.25")),
    merge_case("breadcrumbs-tensors", "BC-1", "each tensor by itself", {"a": f32(0, 0), "b": f32(0, 0)},
               [stored({"a": f32(1, 2), "b": f32(300, 40)})], crumbs("0.5", "0.5"),
               {"tensors": {"a": f32(1, 0), "b": f32(0, 40)}, "kept": [2]}),
]  # fmt: skip

M = {"w": f32(9, 1, -5, 3, 80, 60, 70, -50, shape=[2, 4])}
BASE_M = {"w": f32(*[0] * 8, shape=[2, 4])}
CUBE = {"w": f32(4, 3, -2, 1, 5, -6, 7, 8, 0, 9, 9, 0, shape=[2, 3, 2])}
ROWS = [
    merge_case("breadcrumbs-rows", "BC-1 BC-2 BC-3", "of each row the largest is cut, the next two kept", BASE_M,
               [stored(M)], crumbs("0.5", "0.25", "row"),
               {"tensors": {"w": f32(0, 0, -5, 3, 0, 60, 70, 0, shape=[2, 4])}, "kept": [4]}),
    merge_case("breadcrumbs-no-rows", "BC-1", "the same tensor as a whole", BASE_M, [stored(M)], crumbs("0.5", "0.25"),
               {"tensors": {"w": f32(9, 0, -5, 0, 0, 60, 0, -50, shape=[2, 4])}, "kept": [4]}),
    merge_case("breadcrumbs-rows-three-axes", "BC-1", "rows of the last of three axes",
               {"w": f32(*[0] * 12, shape=[2, 3, 2])}, [stored(CUBE)], crumbs("0.5", "0.5", "row"),
               {"tensors": {"w": f32(0, 3, 0, 1, 5, 0, 7, 0, 0, 0, 0, 0, shape=[2, 3, 2])}}),
    merge_case("breadcrumbs-rows-vector", "BC-1", "a vector is one row, a scalar a row of one element",
               {"a": f32(0, 0, 0, 0), "b": f32(0, shape=[])},
               [stored({"a": f32(1, -4, 2, 3), "b": f32(-7, shape=[])})], crumbs("0.5", "0.25", "row"),
               {"tensors": {"a": f32(0, 0, 2, 3), "b": f32(-7, shape=[])}, "kept": [3]}),
    merge_case("breadcrumbs-rows-of-one", "BC-1 BC-3", "rows of one element are kept",
               {"w": f32(0, 0, 0, shape=[3, 1])}, [stored({"w": f32(5, 0, -6, shape=[3, 1])})],
               crumbs(TINY, "0.5", "row"),
               {"tensors": {"w": f32(5, 0, -6, shape=[3, 1])}, "kept": [2]}),
    merge_case("breadcrumbs-rows-empty", "BC-1", "tensors without elements, with rows and without",
               {"d": f32(shape=[3, 0]), "e": f32(shape=[0, 2]), "w": f32(0)},
               [stored({"d": f32(shape=[3, 0]), "e": f32(shape=[0, 2]), "w": f32(1)})], crumbs(scope="row"),
               {"kept": [1]}),
    merge_case("breadcrumbs-rows-tied", "BC-2", "what ties in one row says nothing of another", BASE_M,
               [stored({"w": f32(2, -2, 2, 1, 3, 2, 1, 0, shape=[2, 4])})], crumbs("0.25", "0.25", "row"),
               {"tensors": {"w": f32(2, -2, 2, 0, 0, 2, 0, 0, shape=[2, 4])}, "kept": [4]}),
    merge_case("breadcrumbs-rows-zero", "BC-2 BC-3", "a row of zeros, and one with a single number, which is cut",
               BASE_M, [stored({"w": f32(0, "-0", 0, 0, 0, "2^-149", 0, 0, shape=[2, 4])})],
               crumbs("0.5", "0.25", "row"),
               {"tensors": BASE_M, "kept": [0]}),
]  # fmt: skip

L = crumbs("0.5", "0.5")
SUMS = [
    plain("breadcrumbs-sum", "BC-4", "what each keeps is added", [[1, 9], [8, 2]], [1, 2], L),
    plain("breadcrumbs-negative", "BC-4 RC-6", "a negative coefficient", [[1, 9], [8, 2]], [-1, 4], L, ["-1", "2"]),
    plain("breadcrumbs-cancel", "BC-4 EX-1 EX-3", "2^60 + 1 - 2^60", [["2^60"], [1], ["-2^60"]], [1], L, uncertified=1),
    merge_case("breadcrumbs-absent", "BC-4 MG-2", "an absent tensor adds nothing; what nobody holds is copied",
               {"a": f32(*[1] * 4), "b": bf16(*[1] * 4), "s": f16("-0", shape=[]), "n": integers("I64", 3)},
               [stored({"a": f32(1, 2, 3, 4)}), stored({"a": f32(4, 3, 2, 1), "b": f32(1, 8, 2, 4)}, "-0.5")],
               crumbs("0.5", "0.25")),
    merge_case("breadcrumbs-finetuned", "BC-2 TV-2 MG-3", "fine-tunes of a base in BF16, rows",
               {"w": bf16(*range(8), shape=[2, 4])},
               [tuned({"w": bf16(*range(8, 0, -1), shape=[2, 4])}), tuned({"w": bf16(*[16] * 8, shape=[2, 4])})],
               crumbs("0.5", "0.25", "row", "0.4")),
    merge_case("breadcrumbs-cut-any-size", "BC-2 TI-6", "what is cut may be of any size", zeros(2),
               [stored({"w": f32("max", 1)}, "2")], L, {"tensors": {"w": f32(0, 2)}, "kept": [1]}),
    merge_case("breadcrumbs-error-v", "BC-4 TI-6", "v overflows", zeros(2), [stored({"w": f32("max", "-max")}, "2")], L,
               {"rule": "NonFinite", "tensor": "w", "index": [0], "contribution": 0}),
    merge_case("breadcrumbs-error-nan", "TV-4", "what would be cut must be finite all the same", zeros(2),
               [stored({"w": f32("inf", 1)})], L, {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    plain("breadcrumbs-ties-elected", "BC-4 TI-7 TI-8", "1 is outvoted; what is cut does not vote",
          [[1, 9], [-2, 3], [-4, 5]], [-3, 0], ties("0.5", "0.5")),
    plain("breadcrumbs-ties-coefficients", "BC-4 TI-8", "(2 * 1 + 1 * 4) / 3: divided by the coefficients", [[1], [4]],
          [2], ties(), ["2", "1"]),
    merge_case("breadcrumbs-ties-error-negative", "RC-6", "a negative coefficient before TIES", zeros(1),
               vectors([[1]], ["-1"]), ties(), "CoefficientError"),
    Case("coefficient", "breadcrumbs-coefficient-negative", "RC-6", "a negative coefficient",
         {"text": "-0.5", "method": "breadcrumbs"}, {"canonical": "-0.5", "fp32": "bf000000"}),
]  # fmt: skip


def aggregates() -> Iterator[Case]:
    """Any tree of lifts, and back."""
    contributions = [stored(M), stored({"w": f32(*range(-4, 4), shape=[2, 4])}, "0.5"), stored(M, "3")]
    for i, recipe in (("sum", crumbs("0.5", "0.25")), ("ties", ties("0.5", "0.25", "row"))):
        inputs = {"base": BASE_M, "recipe": recipe, "contributions": contributions, "retract": [1, 0]}
        yield Case(
            "aggregate", f"breadcrumbs-{i}-aggregate", "EX-4 EX-5 BC-2", "what is cut is so in all trees", inputs
        )


def random_recipe(random: Random, method: str) -> Json:
    density, gamma = random.choose([("0.9", "0.01"), ("0.5", "0.3"), ("0.34", "0.34"), ("0.2", "0.5")])
    scope = random.choose(["tensor", "row"])
    if method == "breadcrumbs":
        return crumbs(density, gamma, scope, random.choose(["1", "1", "0.4", "-1.5", "0.001"]))
    return ties(density, gamma, scope)


CASES = [
    *CUT,
    *ROWS,
    *SUMS,
    *aggregates(),
    *breadth("breadcrumbs", 19, 16, CLAUSES, random_recipe, ["breadcrumbs"]),
    *breadth("breadcrumbs_ties", 20, 16, CLAUSES, random_recipe, ["breadcrumbs"]),
]
