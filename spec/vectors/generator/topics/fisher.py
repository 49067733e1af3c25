"""Fisher merging end to end: weights of each parameter, no weights at all, what is no F."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import complete
from generator.reference.tensors import tensor_of_bits
from generator.topics.merges import COEFFICIENTS, SHAPES, number, random_tensors, stored
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
Rows = Sequence[Sequence[Any]]
ZERO = {"w": f32(0)}
ABSENT = {"a": f32("-0", 1), "b": bf16(1, -2, "0.5"), "n": integers("I64", 5), "s": f16(2, shape=[])}


def recipe(lambda_: str = "1") -> Json:
    return complete({"method": "fisher", "lambda": lambda_})


def minded(tensors: Json, fisher: Json, coefficient: str = "1") -> Json:
    """A task vector with F of each of its elements."""
    return {**stored(tensors, coefficient), "auxiliary": {"fisher": fisher}}


def fisher_case(
    i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], says: Json = None, lambda_: str = "1"
) -> Case:
    """A merge in memory, for the entries of which no ids are needed."""
    inputs = {"in_memory": True, "base": base, "recipe": recipe(lambda_), "contributions": list(contributions)}
    return Case("merge", f"fisher-{i}", clauses, why, inputs, says)


def plain(
    i: str,
    why: str,
    rows: Rows,
    fishers: Rows,
    result: Sequence[Any],
    cs: Sequence[str] = (),
    uncertified: int = 0,
    clauses: str = "FM-1 FM-2",
) -> Case:
    """Task vectors to a base of zeros, a row of tau and of F for each."""
    cs = cs or ["1"] * len(rows)
    given = [minded({"w": f32(*x)}, {"w": f32(*f)}, c) for x, f, c in zip(rows, fishers, cs, strict=True)]
    says = {"tensors": {"w": f32(*result)}, "uncertified": uncertified, "kept": [len(rows[0])] * len(rows)}
    return fisher_case(i, clauses, why, {"w": f32(*[0] * len(rows[0]))}, given, says)


def refused(i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], says: Json) -> Case:
    return fisher_case(f"error-{i}", clauses, why, base, contributions, says)


def nonfinite(tensor: str, *index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": tensor, "index": list(index), **by}


def one(tau: Any, F: Any, c: str = "1") -> Json:
    return minded({"w": f32(tau)}, {"w": f32(F)}, c)


SEVEN = [["2^30"], *[[0]] * 6]
TIE_ROWS = [["1+2^-23"], *SEVEN]
THIRD = "0x3eaaaaab"

WEIGHTED = [
    plain("weighted", "(1 * 1 + 3 * 3) / (1 + 3)", [[1, 2], [3, -2]], [[1, 0], [3, 0]], ["2.5", 0]),
    plain("one", "one contribution is its own mean", [[1, "-2^-149", "max", 0]], [[1, 1, "0.5", 1]],
          [1, "-2^-149", "max", 0]),
    plain("zero-for-one", "who does not mind does not count", [[8], [2]], [[0], ["2^-100"]], [2]),
    plain("coefficients", "(2 * 3 * 1 + 1 * 2 * 5) / (2 * 3 + 1 * 2)", [[1], [5]], [[3], [2]], [2], ["2", "1"]),
    plain("coefficient-third", "c is RN32 of 0.333..., w is rounded, then v", [[3], [3]], [[7], [1]], [3],
          ["0." + "3" * 40, "1"]),
    plain("thirds", "a mean that is no fp32 number", [[1], [0]], [[1], [2]], [THIRD]),
    plain("cancel", "v cancel, and only they: 2^60 + 1 - 2^60 over 3", [["2^60"], [1], ["-2^60"]], [[1], [1], [1]],
          [THIRD], uncertified=1, clauses="FM-2 EX-1 EX-3"),
    plain("cancel-to-zero", "v cancel: tau_m is 0", [["2^60"], ["-2^30"]], [["2^-30"], [1]], [0], uncertified=1),
    plain("w-rounded", "w = RN32(c F), then v = RN32(w tau): rounded one after the other",
          [["1+2^-23"], [0]], [["1+2^-23"], [1]], ["0x3f400002"], ["3", "1"]),
    plain("one-large-seven-small", "2^54 and seven 1s: W is 2^54 + 8 in fp64, and 2^54 added one by one; then tau_m "
          "would be a tie that goes up", TIE_ROWS, [["2^54"], *[[1]] * 7], ["1+2^-23"], uncertified=1,
          clauses="FM-2 EX-1 EX-3"),
    plain("seven-small-one-large", "in another order", TIE_ROWS[::-1], [*[[1]] * 7, ["2^54"]], ["1+2^-23"],
          uncertified=1, clauses="FM-2 EX-1 MG-8"),
    plain("all-exponents", "F of every size: W is exact", [[1], [3], [5]], [["2^100"], ["2^-149"], [1]], [1],
          uncertified=1),
    plain("subnormal-f", "F of 2^-149 and 3 * 2^-149", [[1], [5]], [["2^-149"], ["2^-148+2^-149"]], [4]),
    plain("subnormal-v", "v of 3 * 2^-150 rounds to 2 * 2^-149, w stays", [["1.5"]], [["2^-149"]], [2]),
    plain("v-underflow", "v rounds to 0, w does not: it weighs", [["2^-100"], [1]], [["2^-60"], ["2^-60"]], ["0.5"],
          uncertified=1),
    plain("w-underflow", "w rounds to 0: the other's tau alone", [["4"], [1]], [["2^-149"], ["2^-149"]], [1],
          ["0.5", "1"]),
    plain("negative-zero-f", "F of -0 is 0", [[1, 1], [3, 3]], [["-0", "-0"], ["-0", 1]], [2, 3]),
]  # fmt: skip

NOBODY = [
    plain("nobody-minds", "W is 0: the mean of tau", [[1], [2], [6]], [[0], [0], [0]], [3]),
    plain("nobody-minds-coefficients", "W is 0: coefficients do not matter", [[1], [2]], [[0], [0]], ["1.5"],
          ["1", "7"]),
    plain("nobody-minds-third", "W is 0, T / n rounded", [[1], [0], [0]], [[0], [0], [0]], [THIRD]),
    plain("nobody-minds-cancel", "T is exact: 2^60 + 1 - 2^60 over 3", [["2^60"], [1], ["-2^60"]], [[0], [0], [0]],
          [THIRD], uncertified=1, clauses="FM-2 EX-1 EX-7"),
    plain("nobody-minds-whole-range", "T of the largest and the least", [["max"], ["2^-149"], ["-max"], ["2^-149"]],
          [[0]] * 4, [0], uncertified=1),
    plain("nobody-minds-large", "T is beyond fp32, the mean is not", [["max"], ["max"]], [[0], [0]], ["max"]),
    plain("all-w-underflow", "F is not 0, but every w: the mean of tau", [[1], [4]], [["2^-149"], ["2^-149"]],
          ["2.5"], ["0.5", "0.25"]),
    fisher_case("nobody-minds-absent", "FM-2 CT-7", "W is 0: n counts the contributions that hold the tensor", ABSENT,
                [minded({"a": f32(1, 2)}, {"a": f32(0, 0)}, "3"),
                 minded({"a": f32(2, 4), "b": f32(1, 1, 1)}, {"a": f32(0, 0), "b": f32(0, 0, 0)}),
                 minded({"b": f32(3, 0, 1)}, {"b": f32(0, 0, 0)})],
                {"tensors": {**ABSENT, "a": f32("1.5", 4), "b": bf16(3, "-1.5", "1.5")}}),
]  # fmt: skip

CERTIFICATES = [
    plain("certificate-of-t", "v and w are certified; tau are not, though T is not needed",
          [["2^20"], ["2^-16"]], [["2^-12"], [1]], ["0x437ff002"], uncertified=1, clauses="EX-7 FM-2"),
    plain("certificate-of-w", "v and tau are certified, w are not", [["2^-10", 1], [1, 1]], [["2^40", 1], [1, 1]],
          ["2^-10", 1], uncertified=1, clauses="EX-7"),
    plain("certificate-of-v", "w and tau are certified, v are not", [["2^20"], ["2^-20"]], [["2^10"], ["2^-10"]],
          ["0x497ffff0"], uncertified=1, clauses="EX-7"),
    plain("certificate-of-coefficients", "2^60 + 1 has none: every coordinate counts", [[1, 0], [1, 0]],
          [[1, 1], [1, 1]], [1, 0], [str(2**60), "1"], 2, "EX-3"),
]  # fmt: skip

SETS = [
    fisher_case("absent", "FM-2 CT-7 MG-2", "a contribution that lacks the tensor is in neither sum", ABSENT,
                [minded({"a": f32(1, 2)}, {"a": f32(1, 1)}), minded({"b": f32(2, 4, 8)}, {"b": f32(1, 1, 1)}, "5")],
                {"tensors": {**ABSENT, "a": f32(1, 3), "b": bf16(3, 2, "8.5")}, "kept": [2, 3]}),
    fisher_case("more-than-needed", "FM-1", "F of tensors that it does not hold is of no use, whatever it is", ABSENT,
                [minded({"a": f32(1, 2)}, {"a": f32(1, 1), "b": f32("nan", -1), "x": integers("I64", 1)})],
                {"tensors": {**ABSENT, "a": f32(1, 3)}}),
    fisher_case("copies", "MG-2", "a tau_m of 0 copies the base", {"w": f32("-0", "nan", 1)},
                [minded({"w": f32(1, 2, 3)}, {"w": f32(1, 1, 1)}), minded({"w": f32(-1, -2, 1)}, {"w": f32(1, 1, 1)})],
                {"tensors": {"w": f32("-0", "nan", 3)}}),
    fisher_case("lambda", "MG-1", "lambda -0.5", {"w": f64(1)}, [one(4, 1), one(0, 1)], {"tensors": {"w": f64(0)}},
                "-0.5"),
    fisher_case("stored", "FM-1", "F in other dtypes; of F64, RN32: 1 + 2^-40 is 1, and -2^-200 is -0",
                {"w": f32(0, 0, 0)},
                [minded({"w": f32(1, 1, 4)}, {"w": f64("1+2^-40", 1, "-2^-200")}),
                 minded({"w": f64(3, 3, 2)}, {"w": bf16(1, 3, 1)}), minded({"w": f16(2, 2, 2)}, {"w": f16(0, 4, 1)})],
                {"tensors": {"w": f32(2, "2.25", 2)}}),
    fisher_case("scalar", "FM-2", "a tensor of no dimensions", {"w": f32(1, shape=[])},
                [minded({"w": f32(1, shape=[])}, {"w": f32(3, shape=[])}),
                 minded({"w": f32(5, shape=[])}, {"w": f32(1, shape=[])})], {"tensors": {"w": f32(3, shape=[])}}),
    fisher_case("twice", "MG-12", "equal entries count each", ZERO, [one(1, 1), one(1, 1), one(4, 1)],
                {"tensors": {"w": f32(2)}}),
]  # fmt: skip

TWO = {"a": f32(0, 0), "b": f32(0, 0)}
ONES = {"a": f32(1, 1), "b": f32(1, 1)}


def in_two(a: Json, b: Json) -> Json:
    """F of both tensors."""
    return {"a": a, "b": b}


ERRORS = [
    refused("negative", "FM-1", "a negative F", ZERO, [one(1, 1), one(1, -1)], nonfinite("w", 0, contribution=1)),
    refused("least-negative", "FM-1", "-2^-149 is negative", ZERO, [one(1, "-2^-149")],
            nonfinite("w", 0, contribution=0)),
    refused("nan", "FM-1", "NaN for F", ZERO, [one(0, "nan")], nonfinite("w", 0, contribution=0)),
    refused("infinite", "FM-1", "an infinite F", ZERO, [one(1, "inf")], nonfinite("w", 0, contribution=0)),
    refused("beyond-fp32", "FM-1", "F of F64 whose RN32 is not finite", ZERO,
            [minded({"w": f32(1)}, {"w": f64("2^128")})], nonfinite("w", 0, contribution=0)),
    refused("index", "FM-1 TV-9", "the coordinates in a matrix", {"w": f32(0, 0, 0, 0, shape=[2, 2])},
            [minded({"w": f32(1, 1, 1, 1, shape=[2, 2])}, {"w": f32(0, 1, -2, -3, shape=[2, 2])})],
            nonfinite("w", 1, 0, contribution=0)),
    refused("first-coordinate", "FM-1 MG-6", "the first coordinate, not the first contribution", TWO,
            [minded(ONES, in_two(f32(1, 1), f32(-1, 1))), minded(ONES, in_two(f32(1, -1), f32(1, 1)))],
            nonfinite("a", 1, contribution=1)),
    refused("first-contribution", "FM-1 MG-6", "there, the first contribution", TWO,
            [minded(ONES, in_two(f32(1, -1), f32(1, 1))), minded(ONES, in_two(f32(1, "nan"), f32(1, 1)))],
            nonfinite("a", 1, contribution=0)),
    refused("before-a-later-vector", "FM-1 MG-6", "F at element 0 comes before a task vector at element 1", TWO,
            [minded({"a": f32(1, "nan")}, {"a": f32(1, 1)}), minded({"a": f32(1, 1)}, {"a": f32(-1, 1)})],
            nonfinite("a", 0, contribution=1)),
    refused("before-a-later-tensor", "FM-1 MG-6", "F in a comes before a task vector in b", TWO,
            [minded({"b": f32("nan", 1)}, {"b": f32(1, 1)}), minded({"a": f32(1, 1)}, {"a": f32(1, -1)})],
            nonfinite("a", 1, contribution=1)),
    refused("after-the-vector", "FM-1 MG-6", "at one element, a task vector comes before F", TWO,
            [minded({"a": f32(1, 1)}, {"a": f32(-1, 1)}), minded({"a": f32("inf", 1)}, {"a": f32(1, 1)})],
            nonfinite("a", 0, contribution=1)),
    refused("before-v", "FM-1 MG-6", "F at the last element comes before v at the first", TWO,
            [minded({"a": f32("max", 1)}, {"a": f32(2, 1)}), minded({"b": f32(1, 1)}, {"b": f32(1, -1)})],
            nonfinite("b", 1, contribution=1)),
    refused("w", "FM-1 TI-6", "w overflows, though tau is 0", ZERO, [one(0, "max", "2")],
            nonfinite("w", 0, contribution=0)),
    refused("v", "FM-1 TI-6", "v overflows, though S / W is small", ZERO, [one(1, 1), one("2^64", "2^64")],
            nonfinite("w", 0, contribution=1)),
    refused("v-and-w", "FM-1 MG-6", "v of 0 and w of 1 at one element: the first contribution", ZERO,
            [one("2^64", "2^64"), one(0, "max", "2")], nonfinite("w", 0, contribution=0)),
    refused("result", "MG-5", "the result overflows", {"w": f32("max")}, [one("max", 1)], nonfinite("w", 0)),
    refused("missing", "FM-1", "no auxiliary tensors", ZERO, [stored({"w": f32(1)})], "AuxiliaryError"),
    refused("other-kind", "FM-1", "auxiliary tensors of another kind", ZERO,
            [{**stored({"w": f32(1)}), "auxiliary": {"gram": {"w": f32(1)}}}], "AuxiliaryError"),
    refused("lacks", "FM-1", "F of one tensor is missing", TWO, [minded(ONES, {"a": f32(1, 1)})], "AuxiliaryError"),
    refused("shape", "FM-1", "F of another shape", TWO, [minded({"a": f32(1, 1)}, {"a": f32(1, 1, shape=[1, 2])})],
            "AuxiliaryError"),
    refused("integers", "FM-1", "F of integers", TWO, [minded({"a": f32(1, 1)}, {"a": integers("I32", 1, 1)})],
            "AuxiliaryError"),
    refused("negative-coefficient", "FM-1 RC-6", "a negative coefficient", ZERO, [one(1, 1, "-1")],
            "CoefficientError"),
    Case("coefficient", "fisher-coefficient-negative", "RC-6", "a negative coefficient",
         {"text": "-1", "method": "fisher"}, "CoefficientError"),
]  # fmt: skip


def random_fisher(random: Random, spread: int, tensors: Json) -> Json:
    """F of some tensors: some 0, some of one size, in fp32."""
    result = {}
    for name, shape in SHAPES:
        if name in tensors:
            size = 1
            for n in shape:
                size *= n
            bits = [0 if random.below(3) == 0 else number(random, spread) & 0x7FFFFFFF for _ in range(size)]
            result[name] = tensor_of_bits("F32", tuple(shape), bits).to_json()
    return result


def breadth(count: int) -> list[Case]:
    """Bases of every dtype, narrow and wide ranges of exponents in turn."""
    random, cases = Random(16), list[Case]()
    while len(cases) < count:
        dtype = random.choose(["F32", "BF16", "F16", "F64"])
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        spread = random.choose([4, 24, 60])
        contributions = []
        for _ in range(random.between(2, 5)):
            names = [name for name, _ in SHAPES if random.below(5)] or ["a"]
            tensors = random_tensors(random, random.choose(["F32", "F32", "BF16"]), spread, names)
            fisher = random_fisher(random, random.choose([4, spread]), tensors)
            contributions.append(minded(tensors, fisher, random.choose(COEFFICIENTS)))
        lambda_ = random.choose(["1", "1", "0.4", "-1.5", "0.001"])
        case = fisher_case(f"random-{len(cases)}", "FM-1 FM-2 MG-3 MG-8", f"random, {spread} exponents, base {dtype}",
                           base, contributions, None, lambda_)  # fmt: skip
        rule = case.result().get("error", {}).get("rule")
        if rule is None or (rule == "NonFinite" and len(cases) % 8 == 0):
            cases.append(replace(case, says=rule))
    return cases


CASES = [*WEIGHTED, *NOBODY, *CERTIFICATES, *SETS, *ERRORS, *breadth(24)]
