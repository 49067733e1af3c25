"""Trim: how many, ties at the threshold, what a group is."""

from __future__ import annotations

from math import floor
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.decimals import parse
from generator.writing import f32

Json = Any
PAPER = {"w": f32(1, -2, 2, 1, 3)}


def recipe(density: str, scope: str = "model", boundary: str = "keep_all") -> Json:
    return {"density": density, "scope": scope, "boundary": boundary}


def case(i: str, tau: Json, options: Json, trimmed: Json, clauses: str, why: str) -> Case:
    hand = {"trimmed": trimmed} if isinstance(trimmed, dict) else {"kept": trimmed}
    return Case("trim", f"trim-{i}", clauses, why, {"tau": tau, "recipe": options}, hand)


LOW = "lowest_index"
TWO = {"b": f32(5, -1, 1), "a": f32(1, 4, 1)}

DIRECTED = [
    case("paper-one", PAPER, recipe("0.2"), {"w": f32(0, 0, 0, 0, 3)}, "TI-3 TI-4",
         "the paper's example: one of five"),
    case("paper-two", PAPER, recipe("0.4"), {"w": f32(0, -2, 2, 0, 3)}, "TI-3 TI-4",
         "-2 and 2 tie at the threshold: keep_all keeps both"),
    case("paper-two-lowest", PAPER, recipe("0.4", boundary=LOW), {"w": f32(0, -2, 0, 0, 3)}, "TI-5",
         "-2 and 2 tie at the threshold: the first is kept"),
    case("paper-all", PAPER, recipe("1"), PAPER, "TI-3", "density 1 keeps every non-zero element"),
    case("paper-tiny", PAPER, recipe("0." + "0" * 59 + "1"), {"w": f32(0, 0, 0, 0, 3)}, "TI-3", "m is at least 1"),
    case("all-equal", {"w": f32(1, 1, -1, 1)}, recipe("0.5"), {"w": f32(1, 1, -1, 1)}, "TI-4",
         "all at the threshold"),
    case("all-equal-lowest", {"w": f32(1, 1, -1, 1)}, recipe("0.5", boundary=LOW), {"w": f32(1, 1, 0, 0)}, "TI-5",
         "the first two of four that tie"),
    case("tie-below-larger-lowest", {"w": f32(1, 2, 1, 3, 1)}, recipe("0.6", boundary=LOW), {"w": f32(1, 2, 0, 3, 0)},
         "TI-5", "the larger are kept wherever they stand, then the first of those that tie"),
    case("tie-magnitudes-lowest", {"w": f32(-1, 1, 2)}, recipe("0.7", boundary=LOW), {"w": f32(-1, 0, 2)}, "TI-5",
         "magnitudes tie, signs do not matter"),
    case("fewer-non-zeros", {"w": f32(0, 3, 0, 0)}, recipe("0.75"), {"w": f32(0, 3, 0, 0)}, "TI-3 TI-4",
         "m = 3 > 1 non-zero: the threshold is 0, and zeros are not kept"),
    case("fewer-non-zeros-lowest", {"w": f32(0, 3, 0, -1)}, recipe("0.75", boundary=LOW), {"w": f32(0, 3, 0, -1)},
         "TI-5",
         "min(m, non-zeros)"),
    case("all-zero", {"w": f32(0, 0)}, recipe("0.5"), 0, "TI-4", "nothing but zeros keeps nothing"),
    case("all-zero-lowest", {"w": f32(0, 0)}, recipe("0.5", boundary=LOW), 0, "TI-5", "the same"),
    case("zeros-count", {"w": f32(0, 0, 0, 0, 0, 0, 0, 0, 1, 2)}, recipe("0.2"), 2, "TI-2", "d counts zeros"),
    case("zeros-count-half", {"w": f32(0, 0, 1, 2)}, recipe("0.25"), 1, "TI-2", "d counts zeros: m is 1 of 4"),
    case("subnormals", {"w": f32("2^-149", "-2^-148", "2^-126", 0)}, recipe("0.5"),
         {"w": f32(0, "-2^-148", "2^-126", 0)},
         "TI-3", "subnormal magnitudes order like others"),
    case("neighbours", {"w": f32(1, "1+2^-23", "1-2^-24")}, recipe("0.4"), {"w": f32(0, "1+2^-23", 0)}, "TI-3",
         "neighbouring numbers are no ties"),
    case("no-tensors", {}, recipe("0.5"), 0, "TI-2", "no tensors: a group of 0 elements"),
    case("empty-tensor", {"a": f32(shape=[0]), "b": f32(1, 2)}, recipe("0.5", "tensor"),
         {"a": f32(shape=[0]), "b": f32(0, 2)},
         "TI-2", "a group of 0 elements keeps nothing"),
    case("empty-tensor-model", {"a": f32(shape=[0]), "b": f32(1, 2)}, recipe("0.5"),
         {"a": f32(shape=[0]), "b": f32(0, 2)},
         "TI-2", "an empty tensor in the one group"),
    case("scalar", {"w": f32(-7, shape=[])}, recipe("0.1"), {"w": f32(-7, shape=[])}, "TI-2 TI-3",
         "a 0-d tensor: one of one"),
    case("scope-model", TWO, recipe("0.34"), {"a": f32(0, 4, 0), "b": f32(5, 0, 0)}, "TI-2", "two of all six"),
    case("scope-tensor", TWO, recipe("0.34", "tensor"), {"a": f32(0, 4, 0), "b": f32(5, 0, 0)}, "TI-2",
         "one of each three"),
    case("scope-model-one", TWO, recipe("0.2"), {"a": f32(0, 0, 0), "b": f32(5, 0, 0)}, "TI-2", "one of all six"),
    case("scope-tensor-one", TWO, recipe("0.2", "tensor"), {"a": f32(0, 4, 0), "b": f32(5, 0, 0)}, "TI-2",
         "m is at least 1 in each group"),
    case("ties-over-tensors", TWO, recipe("0.5"), TWO, "TI-4", "m = 3, and all magnitudes of 1 tie, in both tensors"),
    case("ties-over-tensors-lowest", TWO, recipe("0.5", boundary=LOW), {"a": f32(1, 4, 0), "b": f32(5, 0, 0)}, "TI-5",
         "the first that ties in name order, though b is written first"),
    case("ties-over-tensors-lowest-5", TWO, recipe("0.84", boundary=LOW), {"a": f32(1, 4, 1), "b": f32(5, -1, 0)},
         "TI-5",
         "three of four that tie, over two tensors"),
    case("ties-tensor-lowest", TWO, recipe("0.67", "tensor", LOW), {"a": f32(1, 4, 0), "b": f32(5, -1, 0)}, "TI-5",
         "two of three in each"),
    case("name-order-utf8-lowest", {"\U00010000": f32(1), "\uffff": f32(1)}, recipe("0.5", boundary=LOW),
         {"\U00010000": f32(0), "\uffff": f32(1)}, "TI-1 TI-5", "U+FFFF is before U+10000 in name order"),
    case("matrix-c-order-lowest", {"w": f32(1, 1, 1, 1, shape=[2, 2])}, recipe("0.5", boundary=LOW),
         {"w": f32(1, 1, 0, 0, shape=[2, 2])}, "TI-1 TI-5", "C order: the first row"),
]  # fmt: skip

PRODUCTS = [
    ("0.29", 100, 29, "0.29 * 100 is 29; in fp64 28.999999999999996"),
    ("0.57", 100, 57, "0.57 * 100 is 57; in fp64 56.99999999999999"),
    ("0.7", 10, 7, "0.7 * 10 is 7; as fp32 below 7"),
    ("0.3", 10, 3, "3"),
    ("0.1", 10, 1, "1"),
    ("0.1", 9, 1, "0.9, and m is at least 1"),
    ("0.19", 10, 1, "1.9 goes down"),
    ("0." + "9" * 60, 64, 63, "below 1 by 1e-60: 63.99... goes down, as fp64 it is 64"),
    ("0." + "3" * 60, 6, 1, "below a third: 1.99... goes down"),
    ("0." + "3" * 59 + "4", 6, 2, "above a third"),
    ("0.00999999999999999999", 100, 1, "0.99..., and m is at least 1"),
    ("0.02999999999999999999", 100, 2, "2.99... goes down, as fp64 it is 3"),
    ("0.145", 200, 29, "0.145 * 200 is 29; in fp64 28.999999999999996"),
]


def distinct(n: int, random: Random) -> Json:
    """n numbers of n magnitudes, in random places."""
    numbers = list(range(1, n + 1))
    for i in range(n - 1, 0, -1):
        j = random.below(i + 1)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    return {"w": f32(*(x if random.below(2) else -x for x in numbers))}


def products() -> list[Case]:
    random = Random(6)
    return [
        case(f"product-{n}-{d}", distinct(d, random), recipe(density), m, "TI-3", why)
        for n, (density, d, m, why) in enumerate(PRODUCTS)
    ]


def few_magnitudes(random: Random, size: int) -> Json:
    magnitudes = ["0", "2^-149", "2^-126", "1", "2"]
    return f32(*(random.choose(["", "-"]) + m if (m := random.choose(magnitudes)) != "0" else 0 for _ in range(size)))


def breadth() -> list[Case]:
    """Few magnitudes, so that most thresholds are tied."""
    random, cases = Random(7), []
    for n in range(24):
        tau = {name: few_magnitudes(random, random.below(8)) for name in ("a", "b", "c")}
        density = f"0.{random.between(1, 99):02}"
        options = recipe(density, random.choose(["model", "tensor"]), random.choose(["keep_all", LOW]))
        inputs = {"tau": tau, "recipe": options}
        cases.append(Case("trim", f"trim-random-{n}", "TI-2 TI-3 TI-4 TI-5", "random ties", inputs))
    return cases


for density, d, m, _ in PRODUCTS:
    if max(1, floor(parse(density) * d)) != m:
        raise ValueError(f"{density} of {d} is not {m}")

CASES = [*DIRECTED, *products(), *breadth()]
