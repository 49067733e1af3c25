"""DELLA end to end, alone and before TIES: ranks in rows, the probability of each, what is kept and how rescaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.contributions import merge_contributions
from generator.reference.recipes import complete
from generator.topics.masks import LARGEST
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
CLAUSES = "DE-3 DE-4 DE-5 MG-3"
QUARTERS = {"density": "0.5", "epsilon": "0.25"}
NEARLY_HALF = "0.4" + "9" * 59


def linear(density: str = "0.5", epsilon: str = "0.15", seed: str = "0", lambda_: str = "1") -> Json:
    keys = {"density": density, "epsilon": epsilon, "seed": seed, "lambda": lambda_}
    return complete({"method": "della_linear", **keys})


def ties(density: str = "0.5", epsilon: str = "0.15", seed: str = "0") -> Json:
    return complete({"method": "della", "density": density, "epsilon": epsilon, "seed": seed})


def of_vector(taus: Sequence[Any], recipe: Json) -> Json:
    return {"base": zeros(len(taus)), "recipe": recipe, "contributions": [stored({"w": f32(*taus)})]}


def keeping(
    i: str, clauses: str, why: str, taus: Sequence[Any], wanted: int, result: Sequence[Any], **keys: str
) -> Case:
    """One contribution, with the least seed by which so many of its elements are left, and the first of all."""
    for seed in map(str, count()):
        outcome = merge_contributions(of_vector(taus, linear(seed=seed, **keys)))
        if outcome.kept == [wanted] and outcome.merged.tau_m["w"].bits()[0] != 0:
            break
    says = {"tensors": {"w": f32(*result)}, "kept": [wanted]}
    return Case("merge", f"della-{i}", clauses, why, of_vector(taus, linear(seed=seed, **keys)), says)


# -- ranks and probabilities ---------------------------------------------------------------------------------

RANKS = [
    keeping("quarters", "DE-2 DE-3 DE-4", "0.75, 0.25 and 0.5, by magnitude", [3, -1, 2], 3, [4, -4, 4], **QUARTERS),
    keeping("tied", "DE-2", "of equal magnitudes the first has the lower rank", [3, -3, 3], 3, [12, -6, 4], **QUARTERS),
    keeping("zeros", "DE-2", "zeros of both signs have ranks, the two lowest", [6, "-0", 0], 1, [8, 0, 0], **QUARTERS),
    keeping("two", "DE-3", "the ends of the range", [1, -3], 2, [4, -4], **QUARTERS),
    keeping("one", "DE-3", "a row of one element: the density itself", [3], 1, [6], **QUARTERS),
    keeping("to-one", "DE-1 DE-3", "density + epsilon is 1: the largest is kept as it is", [4, 3, 1], 3, [4, 4, 2],
            density="0.75", epsilon="0.25"),
    keeping("epsilon-zero", "DE-3", "all are kept alike, as DARE does", [1, -3, 4], 3, [2, -6, 8], epsilon="0"),
    keeping("least-never", "DE-1 DE-4", "a probability below 2^-32 keeps nothing", [3, 1], 1, [3, 0],
            epsilon=NEARLY_HALF),
    keeping("subnormals", "DE-4", "2^-149 by 0.75 is 1 1/3 of it", ["2^-149", 0, 0], 1, ["2^-149", 0, 0], **QUARTERS),
    merge_case("della-all", "DE-1", "density 1 and epsilon 0: all are kept", zeros(3), vectors([[1, -3, 4]]),
               linear("1", "0"), {"tensors": {"w": f32(1, -3, 4)}, "kept": [3]}),
    merge_case("della-all-zero", "DE-2 MG-2", "zeros of both signs", {"w": f32("-0", "nan", 1)},
               vectors([[0, "-0", 0]]), linear(), {"tensors": {"w": f32("-0", "nan", 1)}, "kept": [0]}),
]  # fmt: skip

ROUNDED = ["0x3f8ccccd", "0xc0490fdb", "2^-149", "-normal", "2^100", "7", "0x3f800001", "0x3f7fffff", "5", "0x3effffff"]


def rounding() -> Iterator[Case]:
    """Probabilities and quotients that no fp64 number is, of rows of several lengths."""
    for density, epsilon in (("0.3", "0.1"), ("0.55", "0.4499"), ("0.7", "0.3"), ("0.9", "0.1")):
        for n in (2, 3, 7, 10):
            yield merge_case(
                f"della-rounding-{density[2:]}-{epsilon[2:]}-{n}",
                "DE-3 DE-4",
                "probabilities and quotients are rounded",
                zeros(n),
                [stored({"w": f32(*ROUNDED[:n])})],
                linear(density, epsilon, str(n)),
            )


# -- rows and masks ------------------------------------------------------------------------------------------

TEN = {"w": f32(*range(1, 11))}
MATRIX = {"w": f32(*range(1, 22), shape=[3, 7])}
CUBE = {"w": f32(*range(-12, 0), *range(12), shape=[2, 3, 4])}
NONE = {"w": f32(*[0] * 21, shape=[3, 7])}
ALL = linear("1", "0")
MASKS = [
    merge_case("della-matrix", "DE-2 RM-2", "ranks are of each row, positions of the whole", NONE, [stored(MATRIX)],
               linear(seed="5")),
    merge_case("della-matrix-turned", "DE-2", "the same numbers in other rows", {"w": f32(*[0] * 21, shape=[7, 3])},
               [stored({"w": f32(*range(1, 22), shape=[7, 3])})], linear(seed="5")),
    merge_case("della-three-axes", "DE-2", "rows of the last of three axes", {"w": f32(*[0] * 24, shape=[2, 3, 4])},
               [stored(CUBE)], linear(seed="5")),
    merge_case("della-scalars", "DE-2 DE-3", "a scalar, and rows of one element",
               {"a": f32(0, shape=[]), "b": f32(*[0] * 5, shape=[5, 1])},
               [stored({"a": f32(3, shape=[]), "b": f32(*range(1, 6), shape=[5, 1])})],
               linear("0.8")),
    merge_case("della-empty", "DE-2", "tensors without elements, with rows and without",
               {"d": f32(shape=[3, 0]), "e": f32(shape=[0, 2]), "w": f32(0)},
               [stored({"d": f32(shape=[3, 0]), "e": f32(shape=[0, 2]), "w": f32(1)})], ALL, {"kept": [1]}),
    merge_case("della-seed", "DE-4 RM-1", "another seed", NONE, [stored(MATRIX)], linear(seed="6")),
    merge_case("della-seed-largest", "DE-4 RM-1", "the greatest seed", zeros(10), [stored(TEN)], linear(seed=LARGEST)),
    merge_case("della-one-mask", "DE-4 RM-1", "equal tensors have one mask, whatever their coefficients: they cancel",
               zeros(10), [stored(TEN, "1"), stored(TEN, "-1")], linear(), {"tensors": zeros(10)}),
    merge_case("della-root-of-all", "RM-1", "the root is of all that is contributed: another tensor, other masks",
               {"a": f32(*[0] * 9), "b": f32(*[0] * 9)},
               [stored({"a": f32(*[1] * 9)}), stored({"a": f32(*[1] * 9), "b": f32(*[1] * 9)})], linear()),
    merge_case("della-finetuned", "DE-2 RM-1 TV-2 MG-3", "ranks are of tau, the root is of the fine-tune's tensors",
               {"w": bf16(*range(8), shape=[2, 4]), "n": integers("I64", 1)},
               [tuned({"w": bf16(*range(8, 0, -1), shape=[2, 4])}), tuned({"w": bf16(*[16] * 8, shape=[2, 4])}, "0.3")],
               linear("0.6", "0.2", lambda_="0.4")),
    merge_case("della-absent", "DE-5 MG-2", "an absent tensor adds nothing; what nobody holds is copied",
               {"a": f32(*[1] * 6), "b": bf16(*[1] * 6), "s": f16("-0", shape=[]), "n": integers("I64", 3)},
               [stored({"a": f32(*range(6))}), stored({"a": f32(*[2] * 6), "b": f32(*[4] * 6)}, "-0.5")],
               linear(seed="3")),
]  # fmt: skip

# -- sums, and before TIES -----------------------------------------------------------------------------------

TIES = ties("1", "0")
SUMS = [
    plain("della-linear-negative", "DE-5 RC-6", "a negative coefficient", [[1, 2]], [-1, -2], ALL, ["-1"]),
    plain("della-linear-cancel", "DE-5 EX-1 EX-3", "2^60 + 1 - 2^60", [["2^60"], [1], ["-2^60"]], [1], ALL,
          uncertified=1),
    plain("della-paper", "DE-5 TI-7 TI-8", "elected and averaged", [[1, -2, 2], [-2, 0, 1], [-1, 1, -2]],
          ["-1.5", -2, "1.5"], TIES),
    plain("della-coefficients", "DE-5 TI-8", "(2 * 1 + 1 * 4) / 3: divided by the coefficients", [[1], [4]], [2], TIES,
          ["2", "1"]),
    merge_case("della-elected", "DE-5 TI-7", "who is dropped does not vote", zeros(10),
               [stored(TEN), stored({"w": f32(*range(-10, 0))}), stored({"w": f32(*[-3] * 10)})], ties(seed="2")),
    merge_case("della-error-rescaled", "DE-4 TI-6 MG-5", "tau / p is beyond fp32", zeros(2),
               [stored({"w": f32(1, "max")})], linear("0.9", "0.0999"),
               {"rule": "NonFinite", "tensor": "w", "index": [1], "contribution": 0}),
    merge_case("della-dropped-any-size", "DE-4", "what is dropped may be of any size", zeros(3),
               [stored({"w": f32("max", "max", "max")})], linear("0.0001", "0"), {"tensors": zeros(3), "kept": [0]}),
    merge_case("della-error-nan", "TV-4", "an element that is dropped must be finite all the same", zeros(2),
               [stored({"w": f32(1, "nan")})], linear("0.0001", "0"), {"rule": "NonFinite", "tensor": "w"}),
    merge_case("della-error-negative", "RC-6", "a negative coefficient before TIES", zeros(1), vectors([[1]], ["-1"]),
               ties(), "CoefficientError"),
    Case("coefficient", "della-linear-coefficient-negative", "RC-6", "a negative coefficient",
         {"text": "-0.5", "method": "della_linear"}, {"canonical": "-0.5", "fp32": "bf000000"}),
]  # fmt: skip


def aggregates() -> Iterator[Case]:
    """Any tree of lifts, and back."""
    contributions = [stored(TEN), stored({"w": f32(*range(-10, 0))}, "0.5"), stored({"w": f32(*[3] * 10)}, "2")]
    for i, recipe in (("linear", linear(seed="4")), ("ties", ties(seed="4"))):
        inputs = {"base": zeros(10), "recipe": recipe, "contributions": contributions, "retract": [1, 0]}
        yield Case("aggregate", f"della-{i}-aggregate", "EX-4 EX-5 DE-4", "masks are the same in every tree", inputs)


def random_recipe(random: Random, method: str) -> Json:
    density, epsilon = random.choose([("0.5", "0.15"), ("0.7", "0.3"), ("0.8", "0.05"), ("0.31", "0.3")])
    seed = str(random.bits(64))
    if method == "della":
        return ties(density, epsilon, seed)
    return linear(density, epsilon, seed, random.choose(["1", "1", "0.4", "-1.5", "0.001"]))


CASES = [
    *RANKS,
    *rounding(),
    *MASKS,
    *SUMS,
    *aggregates(),
    *breadth("della", 21, 16, CLAUSES, random_recipe, ["della_linear"]),
    *breadth("della_linear", 22, 16, CLAUSES, random_recipe, ["della_linear"]),
]
