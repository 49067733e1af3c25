"""The methods by element end to end: mean of models, NegMerge, RAM, EMR, MagMax, nearswap, passthrough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.elements import METHODS
from generator.reference.recipes import ARITY, complete
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned, vectors, zeros
from generator.topics.merges import plain as plain_of
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
Rows = Sequence[Sequence[Any]]
THIRD = "0x3eaaaaab"
E60 = str(2**60)


def recipe(method: str, **keys: str) -> Json:
    return complete({"method": method} | {key.rstrip("_"): text for key, text in keys.items()})


def plain(
    i: str, clauses: str, why: str, rows: Rows, result: Sequence[Any], cs: Sequence[str] = (), uncertified: int = 0
) -> Case:
    """Task vectors to a base of zeros, by the method that the id begins with."""
    return plain_of(i, clauses, why, rows, result, recipe(i.partition("-")[0]), cs, uncertified)


def case(i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], says: Json, **keys: str) -> Case:
    """Any merge, by the method that the id begins with."""
    return merge_case(i, clauses, why, base, contributions, recipe(i.partition("-")[0], **keys), says)


def models(*rows: Sequence[Any]) -> list[Json]:
    return [tuned({"w": f32(*row)}) for row in rows]


def w(*numbers: Any) -> Json:
    return {"tensors": {"w": f32(*numbers)}}


def nonfinite(index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": "w", "index": [index], **by}


ABSENT = {"a": f32("-0", 1), "b": bf16(1, -2, "0.5"), "n": integers("I64", 5), "s": f16(2, shape=[])}
PARTLY = [stored({"a": f32(2, 2)}, "3"), stored({"a": f32(4, -2), "b": f32(4, -4, 0)})]

LINEAR = [
    case("linear-mean", "LI-1", "the mean of models; the base does not count", {"w": f32("2^100", 7)},
         models([1, 4], [3, -4]), w(2, 0)),
    case("linear-coefficients", "LI-1", "(3 * 1 + 1 * 5) / 4", {"w": f32(0)},
         [tuned({"w": f32(1)}, "3"), tuned({"w": f32(5)})], w(2)),
    case("linear-third", "LI-1", "1/3", {"w": f32(9)},
         [tuned({"w": f32(1)}), tuned({"w": f32(0)}, "2")], w(THIRD)),
    case("linear-exact", "LI-1 EX-1", "2^60 + 1 - 2^60, over 3", {"w": f32(0)}, models(["2^60"], [1], ["-2^60"]),
         {**w(THIRD), "uncertified": 1}),
    case("linear-absent", "LI-1 MG-2", "W is that of those who hold the tensor; what nobody holds is the base's",
         ABSENT, [tuned({"a": f32(2, 4)}, "3"), tuned({"a": f32(6, 8), "b": bf16(4, 4, 4)}),
                  tuned({"b": bf16(8, -4, 0)})],
         {"tensors": {**ABSENT, "a": f32(3, 5), "b": bf16(6, 0, 2)}}),
    case("linear-agree", "LI-2 MG-14", "all agree: their bits, where c rounds, v / c would be another number",
         {"w": f32("-0", 1, "1+2^-23")}, [tuned({"w": f32("-0", "1+2^-22", "1+2^-23")}, "0.3")] * 1
         + [tuned({"w": f32("-0", "1+2^-22", "1+2^-23")}, "0.7")], w("-0", "1+2^-22", "1+2^-23")),
    case("linear-zeros-differ", "LI-2 MG-13", "-0 and +0 are other bits: +0", {"w": f32("-0")}, models(["-0"], [0]),
         w(0)),
    case("linear-agree-double", "MG-14", "F64 that no model changed is copied, what one changed goes by RN32",
         {"w": f64("1+2^-40", "1+2^-40")},
         [tuned({"w": f64("1+2^-40", "1+2^-40")}), tuned({"w": f64("1+2^-40", "3+2^-40")})],
         {"tensors": {"w": f64("1+2^-40", 2)}}),
    case("linear-other-dtype", "MG-14", "a model in another dtype has no bits to copy", {"w": f64("1+2^-40")},
         [tuned({"w": f32(1)}), tuned({"w": f64("1+2^-40")})], {"tensors": {"w": f64(1)}}),
    case("linear-task-vectors", "MG-14 TV-13", "a task vector of 0 leaves the base's bits, another means base + tau",
         {"w": f64("1+2^-40", "1+2^-40")}, [stored({"w": f32(0, "-0")}), stored({"w": f32("-0", 2)}, "3")],
         {"tensors": {"w": f64("1+2^-40", "2.5")}}),
    case("linear-both-forms", "MG-14 TV-13", "a fine-tune and a task vector that leave the base as it is",
         {"w": f64("1+2^-40", 1)}, [tuned({"w": f64("1+2^-40", 3)}), stored({"w": f32(0, 0)})],
         {"tensors": {"w": f64("1+2^-40", 2)}}),
    case("linear-narrow", "MG-13", "rounded to the base's dtype: 1 + 2^-9 is a tie in BF16, 1 + 3 * 2^-9 goes up",
         {"w": bf16(0, 0)}, [tuned({"w": f32(1, 1)}), tuned({"w": f32("1+2^-8+2^-20", "1+2^-7+2^-8")})],
         {"tensors": {"w": bf16(1, "1+2^-7")}}),
    case("linear-error-theta", "TV-13", "a model beyond fp32", {"w": f64(0)}, [tuned({"w": f64("2^130")})],
         nonfinite(0, 0)),
    case("linear-error-theta-unchanged", "MG-14 TV-13", "not even if nobody changed it", {"w": f64("2^130")},
         [tuned({"w": f64("2^130")})], nonfinite(0, 0)),
    case("linear-error-result", "MG-13", "the mean is beyond F16", {"w": f16(0, 0)},
         [tuned({"w": f32(1, "2^17")}), tuned({"w": f32(1, "2^17")}, "3")], nonfinite(1)),
    case("linear-error-negative", "LI-1 RC-6", "a negative coefficient", {"w": f32(0)}, [tuned({"w": f32(1)}, "-1")],
         "CoefficientError"),
]  # fmt: skip

NEGMERGE = [
    plain("negmerge-alike", "NM-2", "the mean of those that all agree is taken away", [[1, -2, 3], [3, -4, -3]],
          [-2, 3, 0]),
    plain("negmerge-zero", "NM-2", "a zero agrees with nobody", [[1, 0], [0, 0]], [0, 0]),
    plain("negmerge-one", "NM-2", "one contribution is taken away whole", [[1, "-2^-149", "max", 0]],
          [-1, "2^-149", "-max", 0]),
    plain("negmerge-coefficients", "NM-2", "(3 * 1 + 1 * 5) / 4", [[1], [5]], [-2], ["3", "1"]),
    plain("negmerge-underflow", "NM-1", "a v that rounds to 0 has no vote", [["2^-149"], [1]], [0], ["0.5", "1"]),
    plain("negmerge-all-signs-but-one", "NM-2", "the larger sum does not win", [[9], [8], ["-2^-149"]], [0],
          uncertified=1),
    plain("negmerge-exact", "NM-2 EX-1", "2^60 + 1, over 2", [["2^60"], [1]], ["-2^59"], uncertified=1),
    case("negmerge-absent", "NM-2 CT-7", "one that lacks the tensor has no say, and is not in W", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32("-2.5", 1), "b": bf16(-3, 2, "0.5")}}),
    case("negmerge-lambda", "NM-2 MG-1", "a negative lambda learns", {"w": f64(1)}, vectors([[2], [4]]),
         {"tensors": {"w": f64("2.5")}}, lambda_="-0.5"),
    case("negmerge-error-v", "NM-1 TI-6", "v overflows", zeros(1), vectors([["max"]], ["2"]), nonfinite(0, 0)),
    case("negmerge-error-negative", "NM-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

RAM = [
    plain("ram-shared", "RA-2", "shared by two, by one, by nobody", [[2, 5, 0], [4, 0, 0]], [3, 5, 0]),
    plain("ram-threshold", "RA-1", "RN32(10^-5) is no change, the next number is",
          [["0x3727c5ac", "0x3727c5ad", "0xb727c5ac"], [1, "0x3727c5ad", 0]], [1, "0x3727c5ad", 0]),
    plain("ram-below-threshold", "RA-1", "many changes that are too small", [["2^-17"], ["2^-18"], ["2^-149"]], [0]),
    plain("ram-coefficients", "RA-2", "(3 * 1 + 1 * 5) / 2: coefficients are not divided by", [[1], [5]], [4],
          ["3", "1"]),
    plain("ram-threshold-first", "RA-1", "the threshold is for tau, whatever c is", [["2^-17"], ["2^-16"]],
          ["2^-26"], ["1024", "0.0009765625"]),
    plain("ram-underflow", "RA-2", "a v that rounds to 0 is not counted", [["2^-16"], [1]], [1],
          ["0." + "0" * 44 + "1", "1"], uncertified=1),
    plain("ram-cancel", "RA-2", "1 and -1 are two changes", [[1], [-1], [3]], [1]),
    plain("ram-third", "RA-2", "1/3", [[1], [2], [-2]], [THIRD]),
    plain("ram-exact", "RA-2 EX-1", "2^60 + 1 - 2^60, over 3", [["2^60"], [1], ["-2^60"]], [THIRD], uncertified=1),
    case("ram-absent", "RA-2 CT-7", "who lacks the tensor is not counted", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32(5, 3), "b": bf16(5, -6, "0.5")}}),
    case("ram-error-v", "RA-1 TI-6", "v overflows", zeros(2), vectors([[1, "max"]], ["2"]), nonfinite(1, 0)),
    case("ram-error-negative", "RA-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

EMR = [
    plain("emr-elected", "EM-2", "the greatest of the elected sign", [[5, 1, 0], [-3, -2, 0], [-4, -3, 0]],
          [-4, -3, 0]),
    plain("emr-not-the-greatest", "EM-2", "-9 is larger, and not elected", [[-9], [5], [6]], [6]),
    plain("emr-zero-sum", "EM-2", "a sum of 0 is negative", [[3, 0], [-3, 0]], [-3, 0]),
    plain("emr-zero-sum-exact", "EM-2 EX-1", "2^60 + 1 - 2^60 is above 0", [["2^60"], [1], ["-2^60"]], ["2^60"],
          uncertified=1),
    plain("emr-one", "EM-2", "one contribution is as it is", [[1, "-2^-149", "max", 0]], [1, "-2^-149", "max", 0]),
    plain("emr-coefficients", "EM-1", "3 * 2 outvotes 5, and is larger", [[2], [-5]], [6], ["3", "1"]),
    case("emr-absent", "EM-2 CT-7", "who lacks the tensor is no zero among the others", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32(6, 7), "b": bf16(5, -6, "0.5")}}),
    case("emr-error-v", "EM-1 TI-6", "v overflows below", zeros(1), vectors([["-max"]], ["2"]), nonfinite(0, 0)),
    case("emr-error-negative", "EM-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

MAGMAX = [
    plain("magmax-largest", "MM-2", "the largest magnitude, whatever the others say", [[-9, 1, 0], [5, -2, 0],
          [6, 1, 0]], [-9, -2, 0]),
    plain("magmax-equal", "MM-2", "equal magnitudes: the positive one", [[-3, 3], [3, -3], [1, -3]], [3, 3]),
    plain("magmax-one", "MM-2", "one contribution is as it is", [[1, "-2^-149", "max", "-0"]],
          [1, "-2^-149", "max", 0]),
    plain("magmax-coefficients", "MM-1", "3 * 2 is larger than 5", [[2], [-5]], [6], ["3", "1"]),
    plain("magmax-certified", "MM-1 EX-3", "nothing is summed", [["2^60"], [1], ["-2^61"]], ["-2^61"]),
    plain("magmax-coefficients-uncertified", "MM-1 EX-3", "coefficients without a certificate count all the same",
          [[1], [1]], [E60], [E60, "1"], uncertified=1),
    case("magmax-absent", "MM-2 CT-7", "who lacks the tensor is no zero among the others", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32(6, 7), "b": bf16(5, -6, "0.5")}}),
    case("magmax-error-v", "MM-1 TI-6", "v overflows", zeros(1), vectors([[0], ["max"]], ["1", "2"]), nonfinite(0, 0)),
    case("magmax-error-negative", "MM-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

T = "0.5"
NEARSWAP = [
    case("nearswap-clamped", "NS-2", "inside, at the bound, outside, both signs", zeros(6),
         vectors([["0.25", "-0.25", "0.5", "-0.5", 7, "-max"]]), w("0.25", "-0.25", "0.5", "-0.5", "0.5", "-0.5"), t=T),
    case("nearswap-default", "NS-2 RC-4", "t is RN32(0.0001)", zeros(2), vectors([[1, "-2^-20"]]),
         w("0x38d1b717", "-2^-20")),
    case("nearswap-base", "NS-2 MG-3", "from a base, lambda times", {"w": bf16(1, "-0", 2)},
         [tuned({"w": bf16(3, "-0", "1.75")})], {"tensors": {"w": bf16("0.75", "-0", "2.125")}}, t=T, lambda_="-0.5"),
    case("nearswap-coefficient", "NS-1", "c before the bound", zeros(2), vectors([["0.125", 1]], ["3"]),
         w("0.375", "0.5"), t=T),
    case("nearswap-zero", "NS-1", "t of 0 keeps the base", {"w": f32("-0", 4)}, vectors([[1, -1]]), w("-0", 4), t="0"),
    case("nearswap-underflow", "NS-1 RC-2", "t may be 0 as an fp32 number", {"w": f32(4)}, vectors([[1]]), w(4),
         t="0." + "0" * 59 + "1"),
    case("nearswap-absent", "NS-2 MG-2", "tensors that it lacks are the base's", ABSENT, [stored({"a": f32(2, "0.5")})],
         {"tensors": {**ABSENT, "a": f32(1, "1.5")}}, t="1"),
    case("nearswap-error-v", "NS-1 TI-6", "v overflows before it is bounded", zeros(1), vectors([["max"]], ["2"]),
         nonfinite(0, 0), t=T),
    case("nearswap-error-two", "NS-1", "two contributions", zeros(1), vectors([[1], [2]]), "RecipeError", t=T),
    case("nearswap-error-negative", "NS-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError", t=T),
]  # fmt: skip

EVERY = {"w": f32("-0", 0, "2^-149", 1), "d": f64("1+2^-40"), "h": f16("-0"), "n": integers("I64", 5)}
OTHER = {"w": f32(1, "-0", "-0", "max"), "d": f64("3+2^-40"), "h": f16("2^-24")}
PASSTHROUGH = [
    case("passthrough-bits", "PT-2 MG-14", "the bits of the model, -0 and F64 included", EVERY, [tuned(OTHER, "7")],
         {"tensors": {**EVERY, **OTHER}}),
    case("passthrough-other-dtype", "PT-2 MG-13", "another dtype is rounded, and its zeros are +0",
         {"w": bf16("-0", 1)}, [tuned({"w": f32("-0", "1+2^-8+2^-20")})], {"tensors": {"w": bf16(0, "1+2^-7")}}),
    case("passthrough-task-vector", "PT-2 TV-13", "base + tau, and the base's bits where tau is 0",
         {"w": f64("1+2^-40", "1+2^-40", "-0")}, [stored({"w": f32(1, 0, 0)})],
         {"tensors": {"w": f64(2, "1+2^-40", "-0")}}),
    case("passthrough-scale", "PT-1", "times -0.5; zeros are +0, and nothing is copied",
         {"w": f32(1, "-0", "2^-149")}, [tuned({"w": f32(1, "-0", "2^-149")})], w("-0.5", 0, 0), scale="-0.5"),
    case("passthrough-scale-zero", "PT-1", "a scale of 0", {"w": f32(1)}, [tuned({"w": f32(-1)})], w(0), scale="0.0"),
    case("passthrough-scale-rounded", "PT-1 RC-2", "scale is RN32(0.1), then RN32 of the product",
         {"w": f32(1)}, [tuned({"w": f32(3)})], w("0x3e99999a"), scale="0.1"),
    case("passthrough-scale-one", "PT-2 RC-2", "a scale that is 1 as an fp32 number copies", {"w": f32(1)},
         [tuned({"w": f32("-0")})], w("-0"), scale="1." + "0" * 20 + "1"),
    case("passthrough-coefficient", "PT-1", "the coefficient counts for nothing", {"w": f32(1)},
         [tuned({"w": f32(3)}, "0.3")], w(6), scale="2"),
    case("passthrough-error-result", "PT-1 TI-6", "theta overflows", {"w": f32(1)}, [tuned({"w": f32("max")})],
         nonfinite(0, 0), scale="2"),
    case("passthrough-error-two", "PT-1", "two models", {"w": f32(1)}, models([1], [2]), "RecipeError"),
    case("passthrough-error-negative", "PT-1 RC-6", "a negative coefficient", {"w": f32(1)},
         [tuned({"w": f32(1)}, "-1")], "CoefficientError"),
]  # fmt: skip

TEN = [stored({"w": f32(1, -2, 3, 0)}), stored({"w": f32(2, -5, -3, 0)}, "2"), stored({"w": f32(4, -1, 2, 1)}, "0.5")]


def aggregates() -> Iterator[Case]:
    """Any tree of lifts, and back where there are no maxima."""
    for method, retract in (("negmerge", [1, 0]), ("ram", [1, 0]), ("emr", []), ("magmax", [])):
        inputs = {"base": zeros(4), "recipe": recipe(method), "contributions": TEN, "retract": retract}
        yield Case("aggregate", f"{method}-aggregate", "EX-4 EX-5", "the same in every tree", inputs)


RECIPES: list[tuple[str, Json, Json, str]] = [
    ("linear", {"method": "linear"}, {"method": "linear"}, "no keys"),
    ("linear-lambda", {"method": "linear", "lambda": "1"}, "RecipeError", "the mean of models has no lambda"),
    ("negmerge", {"method": "negmerge"}, {"method": "negmerge", "lambda": "1"}, "a lambda"),
    ("ram", {"method": "ram", "lambda": "0.50"}, {"method": "ram", "lambda": "0.5"}, "a lambda"),
    ("emr", {"method": "emr"}, {"method": "emr", "task": "", "lambda": "1"}, "no task"),
    ("magmax", {"method": "magmax"}, {"method": "magmax", "lambda": "1"}, "a lambda"),
    ("nearswap", {"method": "nearswap"}, {"method": "nearswap", "t": "0.0001", "lambda": "1"}, "the default of t"),
    ("nearswap-t", {"method": "nearswap", "t": "-0.0"}, {"method": "nearswap", "t": "0", "lambda": "1"}, "canonical"),
    ("nearswap-negative", {"method": "nearswap", "t": "-0.1"}, "DecimalError", "a negative t"),
    ("nearswap-text", {"method": "nearswap", "t": "1e-4"}, "DecimalError", "a t that is no decimal"),
    ("nearswap-large", {"method": "nearswap", "t": "1" + "0" * 39}, "DecimalError", "a t beyond fp32"),
    ("passthrough", {"method": "passthrough"}, {"method": "passthrough", "scale": "1"}, "the default of scale"),
    ("passthrough-scale", {"method": "passthrough", "scale": "-1.50"}, {"method": "passthrough", "scale": "-1.5"},
     "canonical"),
    ("passthrough-lambda", {"method": "passthrough", "lambda": "1"}, "RecipeError", "passthrough has no lambda"),
]  # fmt: skip


def recipes() -> Iterator[Case]:
    for i, given, says, why in RECIPES:
        wanted = says if isinstance(says, str) else {"recipe": says}
        yield Case("recipe", f"elements-recipe-{i}", "RC-4", why, {"recipe": given}, wanted)


def random_case(random: Random, method: str, i: str) -> Case:
    dtype, spread = random.choose(["F32", "BF16", "F16", "F64"]), random.choose([4, 24, 120])
    base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
    contributions = random_contributions(random, spread, False)[: ARITY.get(method)]
    keys = {"t": random.choose(["0.0001", "0.3", "1"])} if method == "nearswap" else {}
    if method == "passthrough":
        keys = {"scale": random.choose(["1", "-0.7"])}
    elif method != "linear":
        keys["lambda"] = random.choose(["1", "0.4", "-1.5"])
    why = f"random, {spread} exponents, base {dtype}"
    return merge_case(i, "MG-3 MG-8 MG-13", why, base, contributions, recipe(method, **keys))


def breadth(seed: int, count: int) -> Iterator[Case]:
    """Each method in turn."""
    random = Random(seed)
    for method in METHODS:
        made = 0
        while made < count:
            found = random_case(random, method, f"{method}-random-{made}")
            rule = found.result().get("error", {}).get("rule")
            if rule is None or (rule == "NonFinite" and made % 8 == 0):
                made += 1
                yield replace(found, says=rule)


CASES = [
    *LINEAR,
    *NEGMERGE,
    *RAM,
    *EMR,
    *MAGMAX,
    *NEARSWAP,
    *PASSTHROUGH,
    *aggregates(),
    *recipes(),
    *breadth(19, 8),
]
