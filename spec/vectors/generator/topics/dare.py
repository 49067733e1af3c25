"""DARE end to end, alone and before TIES: what masks keep, how that is rescaled, what trim then sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import count
from typing import Any

from generator.cases import Case
from generator.checks import aggregate
from generator.prng import Random
from generator.reference.contributions import merge_contributions
from generator.reference.hashes import model_root
from generator.reference.masks import keeps, mask_key
from generator.reference.recipes import complete
from generator.reference.rounding import F32, F64, rn, rounded, value
from generator.reference.tensors import read_tensors
from generator.topics.masks import LARGEST, decimal
from generator.topics.merges import (
    breadth,
    merge_case,
    plain,
    stored,
    tuned,
    vectors,
    zeros,
)
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
CLAUSES = "DA-1 DA-2 DA-3 MG-3"
TINY = "0." + "0" * 59 + "1"
PAPER = [[1, -2, 2, 1, 3], [-2, 0, 1, 0, -1], [-1, 1, -2, 0, -1]]
LOW = "lowest_index"


def linear(density: str = "1", seed: str = "0", lambda_: str = "1") -> Json:
    return complete({"method": "dare_linear", "density": density, "seed": seed, "lambda": lambda_})


def ties(density: str = "1", trim_density: str = "1", **keys: str) -> Json:
    """A complete recipe; `lambda_` stands for lambda."""
    rest = {key.rstrip("_"): text for key, text in keys.items()}
    return complete({"method": "dare_ties", "density": density, "trim_density": trim_density} | rest)


def kept_by(tensors: Json, density: str, seed: int) -> dict[str, list[int]]:
    """The positions that the masks of a contribution of these tensors keep."""
    held = read_tensors(tensors)
    root = model_root(held)
    keys = {name: mask_key(str(seed), root, name) for name in held}
    return {name: [i for i in range(t.elements) if keeps(keys[name], i, Fraction(density))] for name, t in held.items()}


def seed_where(tensors: Json, density: str, fits: Callable[[dict[str, list[int]]], bool]) -> str:
    """The least seed by which what is kept is as wanted."""
    return next(str(seed) for seed in count() if fits(kept_by(tensors, density, seed)))


def nonfinite(tensor: str, *index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": tensor, "index": list(index), **by}


# -- alone ---------------------------------------------------------------------------------------------------

L = linear()
TEN = {"w": f32(*range(1, 11))}
MANY = {"w": f32(*range(1, 22), shape=[3, 7])}
HALF = "0.5"

ALONE = [
    plain("dare-linear-density-one", "DA-1 DA-2", "density 1: task arithmetic", [[1, 5], [2, -7]], [3, -2], L),
    plain("dare-linear-negative", "DA-2 RC-6", "a negative coefficient", [[1, 2]], [-1, -2], L, ["-1"]),
    plain("dare-linear-nothing-kept", "DA-1 RM-3 MG-2", "so small a density keeps nothing", [["max", 5], [2, -7]],
          [0, 0], linear(TINY)),
    merge_case("dare-linear-half", "DA-1 RM-1 RM-2", "some of ten elements, twice as large", zeros(10), [stored(TEN)],
               linear(HALF)),
    merge_case("dare-linear-seed", "DA-1 RM-1", "another seed", zeros(10), [stored(TEN)], linear(HALF, "1")),
    merge_case("dare-linear-seed-largest", "DA-1 RM-1", "the greatest seed", zeros(10), [stored(TEN)],
               linear(HALF, LARGEST)),
    merge_case("dare-linear-matrix", "DA-1 RM-2", "positions in C order, beyond those of several counters",
               {"w": f32(*[0] * 21, shape=[3, 7])}, [stored(MANY)], linear("0.7", "5")),
    merge_case("dare-linear-one-mask", "RM-1", "equal tensors have one mask, whatever their coefficients: they cancel",
               zeros(10), [stored(TEN, "1"), stored(TEN, "-1")], linear(HALF), {"tensors": zeros(10)}),
    merge_case("dare-linear-two-masks", "RM-1", "another root, another mask: they do not cancel", zeros(10),
               [stored(TEN), stored({"w": f32(*range(-1, -11, -1))})], linear(HALF)),
    merge_case("dare-linear-names", "RM-1", "equal tensors of other names have masks of their own",
               {"a": f32(*[0] * 9), "b": f32(*[0] * 9)}, [stored({"a": f32(*[1] * 9), "b": f32(*[1] * 9)})],
               linear(HALF)),
    merge_case("dare-linear-root-of-all", "RM-1", "the root is of all that is contributed: another tensor, other masks",
               {"a": f32(*[0] * 9), "b": f32(*[0] * 9)},
               [stored({"a": f32(*[1] * 9)}), stored({"a": f32(*[1] * 9), "b": f32(*[1] * 9)})], linear(HALF)),
    merge_case("dare-linear-finetuned", "RM-1 TV-2", "the root is of the fine-tune's tensors, not of tau",
               {"w": f32(*[1] * 10)}, [tuned({"w": f32(*range(2, 12))}), stored({"w": f32(*range(1, 11))}, "100")],
               linear(HALF)),
    merge_case("dare-linear-dtypes", "RM-1 TV-5", "the root is of the stored bytes and dtypes",
               zeros(8), [stored({"w": make(*range(1, 9))}) for make in (f32, f64, f16, bf16)], linear(HALF)),
    merge_case("dare-linear-absent", "DA-2 MG-2", "an absent tensor adds nothing; what nobody holds is copied",
               {"a": f32(*[1] * 6), "b": bf16(*[1] * 6), "s": f16("-0", shape=[]), "n": integers("I64", 3)},
               [stored({"a": f32(*[1] * 6)}), stored({"a": f32(*[2] * 6), "b": f32(*[4] * 6)}, "-0.5")],
               linear(HALF, "3")),
    merge_case("dare-linear-copies", "MG-2", "what is dropped by all copies the base, -0 and NaN included",
               {"w": f32("-0", "nan", "inf", 1)}, [stored({"w": f32(1, 2, 3, 4)})], linear(TINY),
               {"tensors": {"w": f32("-0", "nan", "inf", 1)}, "kept": [0]}),
    merge_case("dare-linear-zeros-kept", "LK-2", "zeros that the mask keeps do not count as kept", zeros(4),
               [stored({"w": f32(0, "-0", 0, 0)})], L, {"kept": [0], "tensors": zeros(4)}),
    merge_case("dare-linear-empty", "DA-1", "a tensor without elements", {"d": f32(shape=[0]), "w": f32(0)},
               [stored({"d": f32(shape=[0]), "w": f32(1)})], L, {"kept": [1]}),
    merge_case("dare-linear-lambda", "MG-1", "lambda -0.5", zeros(2), [stored({"w": f32(4, 2)})],
               linear(lambda_="-0.5"), {"tensors": {"w": f32(-2, -1)}}),
    plain("dare-linear-cancel", "DA-2 EX-1 EX-3", "2^60 + 1 - 2^60", [["2^60"], [1], ["-2^60"]], [1], L, uncertified=1),
]  # fmt: skip

# -- rescaled ------------------------------------------------------------------------------------------------


def keeping(i: str, clauses: str, why: str, taus: Sequence[Any], density: str, result: Sequence[Any]) -> Case:
    """One contribution whose mask keeps everything."""
    tensors = {"w": f32(*taus)}
    seed = seed_where(tensors, density, lambda kept: len(kept["w"]) == len(taus))
    says = {"tensors": {"w": f32(*result)}, "kept": [len(taus)]}
    return merge_case(
        f"dare-linear-{i}", clauses, why, zeros(len(taus)), [stored(tensors)], linear(density, seed), says
    )


def twice_rounded() -> tuple[str, Any]:
    """A density d by which 0.5 / d is just above 1 + 2^-24: RN64 makes it a tie, and RN32 takes that to 1."""
    middle = 1 + Fraction(1, 2**24)
    for step in range(-8, 9):
        d = value(F64, rn(F64, Fraction(1, 2) / middle) + step)
        quotient = Fraction(1, 2) / d
        if quotient > middle and rounded(quotient, F64, F32) != rn(F32, quotient):
            return decimal(d), rounded(quotient, F64, F32)
    raise AssertionError("unreachable")


DENSITY, ROUNDED = twice_rounded()
THIRD = "0." + "3" * 60
RESCALED = [
    keeping("rescaled", "DA-1", "each is twice as large", ["1", "-3", "2^-126", "2^126"], HALF,
            ["2", "-6", "2^-125", "2^127"]),
    keeping("rescaled-subnormals", "DA-1", "2^-149 by 0.3 is 3 1/3 of 2^-149", ["2^-149", "-2^-149", "2^-148"], "0.3",
            ["2^-148+2^-149", "-2^-148-2^-149", "2^-147+2^-148+2^-149"]),
    keeping("rescaled-decimal", "DA-1", "1 by 0.1: RN64 of the density is what divides", [1, 7], "0.1", [10, 70]),
    keeping("rescaled-third", "DA-1", "1 by a third, rounded", [1, 5], THIRD, [3, 15]),
    keeping("rescaled-twice-rounded", "DA-1", "0.5 / density is just above 1 + 2^-24: RN64 makes it a tie",
            ["0.5"], DENSITY, [f"0x{ROUNDED:08x}"]),
]  # fmt: skip

# -- what overflows ------------------------------------------------------------------------------------------

MAX, TWICE = {"w": f32("max", 1)}, {"w": f32("max", "-max")}
BOTH = seed_where(TWICE, HALF, lambda kept: len(kept["w"]) == 2)


def overflow(i: str, why: str, recipe_of: Callable[[str], Json], wanted: list[int], says: Json) -> Case:
    """`max` and 1, of which a mask keeps some."""
    seed = seed_where(MAX, HALF, lambda kept: kept["w"] == wanted)
    return merge_case(f"dare-{i}", "DA-1 TI-6 MG-5", why, zeros(2), [stored(MAX)], recipe_of(seed), says)


OVERFLOW = [
    overflow("linear-error-rescaled", "tau / density is beyond fp32", lambda seed: linear(HALF, seed), [0, 1],
             nonfinite("w", 0, contribution=0)),
    overflow("linear-overflow-dropped", "what is dropped may be of any size", lambda seed: linear(HALF, seed), [1],
             {"tensors": {"w": f32(0, 2)}, "kept": [1]}),
    overflow("linear-error-lambda-zero", "an error, though lambda is 0", lambda seed: linear(HALF, seed, "0"), [0],
             nonfinite("w", 0, contribution=0)),
    overflow("ties-error-rescaled", "tau / density is beyond fp32, and the largest",
             lambda seed: ties(HALF, HALF, seed=seed), [0, 1], nonfinite("w", 0, contribution=0)),
    merge_case("dare-ties-error-cut", "DA-1 DA-3 TI-5", "of two that are beyond fp32 trim cuts one: an error",
               zeros(2), [stored(TWICE)], ties(HALF, HALF, boundary=LOW, seed=BOTH),
               nonfinite("w", 0, contribution=0)),
    merge_case("dare-linear-error-v", "DA-2 TI-6", "v overflows below", zeros(1), vectors([["max"]], ["-2"]), L,
               nonfinite("w", 0, contribution=0)),
    merge_case("dare-linear-error-tau-m", "MG-5", "the sum overflows", zeros(1), vectors([["max"], ["2^127"]]), L,
               nonfinite("w", 0)),
    merge_case("dare-linear-error-dropped-nan", "TV-4", "an element that is dropped must be finite all the same",
               zeros(2), [stored({"w": f32(1, "nan")})], linear(TINY), nonfinite("w", 1, contribution=0)),
    merge_case("dare-ties-error-negative", "RC-6", "a negative coefficient before TIES", zeros(1),
               vectors([[1]], ["-1"]), ties(), "CoefficientError"),
    merge_case("dare-linear-error-zero", "RC-6", "a coefficient of zero", zeros(1), vectors([[1]], ["0"]), L,
               "CoefficientError"),
    Case("coefficient", "dare-linear-coefficient-negative", "RC-6", "a negative coefficient",
         {"text": "-0.5", "method": "dare_linear"}, {"canonical": "-0.5", "fp32": "bf000000"}),
    Case("coefficient", "dare-ties-coefficient-negative", "RC-6", "a negative coefficient before TIES",
         {"text": "-0.5", "method": "dare_ties"}, "CoefficientError"),
]  # fmt: skip

# -- before TIES ---------------------------------------------------------------------------------------------

DISTINCT = {"w": f32(3, -7, 1, 9, -2, 8, 4, -6, 10, 5)}
ALIKE = {"w": f32(*[1, -1] * 6)}
PAIR = {"a": f32(1, -2, 3, -4, 5, -6), "b": f32(60, -50, 40, -30, 20, -10)}
BASE_PAIR = {"a": f32(*[0] * 6), "b": f32(*[0] * 6)}
HALVED = seed_where(DISTINCT, HALF, lambda kept: len(kept["w"]) == 5)
FEW = seed_where(DISTINCT, HALF, lambda kept: len(kept["w"]) == 3)
LATE = seed_where(ALIKE, HALF, lambda kept: len(kept["w"]) >= 5 and kept["w"][:2] > [2, 3])
OF_PAIR = seed_where(PAIR, HALF, lambda kept: len(kept["a"]) == 3 and len(kept["b"]) == 3)


def lowest_of_late() -> Json:
    """The first three that the mask keeps, of twelve of one magnitude."""
    first = kept_by(ALIKE, HALF, int(LATE))["w"][:3]
    return {"w": f32(*((2 if i % 2 == 0 else -2) if i in first else 0 for i in range(12)))}


BEFORE_TIES = [
    plain("dare-ties-paper", "DA-3 TI-7 TI-8", "density 1: TIES", PAPER, ["-1.5", -2, "1.5", 1, 3], ties()),
    plain("dare-ties-paper-trim", "DA-3 TI-3 TI-8", "density 1: trim at 0.4", PAPER, ["-1.5", -2, "1.5", 0, 3],
          ties(trim_density="0.4")),
    plain("dare-ties-coefficients", "DA-3 TI-8", "(2 * 1 + 1 * 4) / 3: divided by the coefficients", [[1], [4]], [2],
          ties(), ["2", "1"]),
    plain("dare-ties-nothing-kept", "DA-3 TI-3", "nothing is left to trim", [["max", 1], [2, 3]], [0, 0],
          ties(TINY, HALF)),
    merge_case("dare-ties-dropped-count", "DA-3 TI-2", "five of ten are left: 0.2 of ten are two, not one", zeros(10),
               [stored(DISTINCT)], ties(HALF, "0.2", seed=HALVED), {"kept": [2]}),
    merge_case("dare-ties-few-left", "DA-3 TI-3", "three of ten are left, fewer than m = 5: all are kept", zeros(10),
               [stored(DISTINCT)], ties(HALF, HALF, seed=FEW), {"kept": [3]}),
    merge_case("dare-ties-at-least-one", "DA-3 TI-3", "m is at least 1 of what is left", zeros(10), [stored(DISTINCT)],
               ties(HALF, TINY, seed=HALVED), {"kept": [1]}),
    merge_case("dare-ties-tied", "DA-3 TI-4", "all that are left tie: keep_all keeps them", zeros(12), [stored(ALIKE)],
               ties(HALF, "0.25", seed=LATE), {"kept": [len(kept_by(ALIKE, HALF, int(LATE))["w"])]}),
    merge_case("dare-ties-tied-lowest", "DA-3 TI-5", "the first three of those that are left, none of the dropped",
               zeros(12), [stored(ALIKE)], ties(HALF, "0.25", boundary=LOW, seed=LATE),
               {"kept": [3], "tensors": lowest_of_late()}),
    merge_case("dare-ties-scope-model", "DA-3 TI-2", "three of twelve, all in the tensor of larger numbers", BASE_PAIR,
               [stored(PAIR)], ties(HALF, "0.25", seed=OF_PAIR), {"kept": [3]}),
    merge_case("dare-ties-scope-tensor", "DA-3 TI-2", "two of each six", BASE_PAIR, [stored(PAIR)],
               ties(HALF, "0.34", scope="tensor", seed=OF_PAIR), {"kept": [4]}),
    merge_case("dare-ties-scope-tensor-lowest", "DA-3 TI-5", "two of each six, ties cut", BASE_PAIR,
               [stored({"a": f32(*[1] * 6), "b": f32(*[-1] * 6)}), stored(PAIR, "0.5")],
               ties("0.9", "0.34", scope="tensor", boundary=LOW, seed="11")),
    merge_case("dare-ties-elected", "DA-3 TI-7", "who is dropped does not vote", zeros(10),
               [stored(TEN), stored({"w": f32(*range(-10, 0))}), stored({"w": f32(*[-3] * 10)})], ties(HALF, seed="2")),
    merge_case("dare-ties-one-mask", "RM-1 TI-8", "equal tensors, other coefficients: one mask, and their mean",
               zeros(10), [stored(TEN, "1"), stored(TEN, "3")], ties(HALF, seed="9")),
    merge_case("dare-ties-finetuned", "RM-1 TV-2 MG-3", "fine-tunes of a base in BF16",
               {"w": bf16(*range(8)), "n": integers("I64", 1)},
               [tuned({"w": bf16(*range(8, 0, -1))}), tuned({"w": bf16(*[16] * 8)})],
               ties("0.6", "0.7", lambda_="0.4")),
    merge_case("dare-ties-uncertified", "EX-3 DA-3", "what is dropped does not count for the certificate", zeros(1),
               [stored({"w": f32("2^60")}), stored({"w": f32(1)})], ties(TINY),
               {"uncertified": 0, "tensors": zeros(1)}),
]  # fmt: skip

# -- aggregates, and random breadth --------------------------------------------------------------------------


def aggregates() -> Iterator[Case]:
    """Any tree of lifts, and back."""
    contributions = [stored(TEN), stored({"w": f32(*range(-10, 0))}, "0.5"), stored({"w": f32(*[3] * 10)}, "2")]
    for i, recipe in (("linear", linear(HALF, "4")), ("ties", ties(HALF, HALF, seed="4"))):
        inputs = {"base": zeros(10), "recipe": recipe, "contributions": contributions, "retract": [1, 0]}
        yield Case("aggregate", f"dare-{i}-aggregate", "EX-4 EX-5 DA-1", "masks are the same in every tree", inputs)
        of_all, merged = aggregate(inputs)["tau_m"][0], merge_contributions(inputs).merged.tensors["w"]
        if of_all["w"] != merged.to_json():
            raise ValueError("an aggregate of all contributions, onto zeros, is not their merge")


def random_recipe(random: Random, method: str) -> Json:
    density, seed = random.choose(["1", HALF, "0.9", f"0.{random.between(1, 99):02}"]), str(random.bits(64))
    lambda_ = random.choose(["1", "1", "0.4", "-1.5", "0.001"])
    if method == "dare_linear":
        return linear(density, seed, lambda_)
    trim, scope = random.choose(["1", "0.2", HALF]), random.choose(["model", "tensor"])
    return ties(density, trim, seed=seed, lambda_=lambda_, scope=scope, boundary=random.choose(["keep_all", LOW]))


CASES = [
    *ALONE,
    *RESCALED,
    *OVERFLOW,
    *BEFORE_TIES,
    *aggregates(),
    *breadth("dare_linear", 17, 24, CLAUSES, random_recipe, ["dare_linear"]),
    *breadth("dare_ties", 18, 32, CLAUSES, random_recipe, ["dare_linear"]),
]
