"""The methods of angles end to end: SLERP, NuSLERP, Multi-SLERP, Model Stock, the Karcher mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.geometry import METHODS
from generator.reference.recipes import ARITY, complete
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned, vectors, zeros
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
Rows = Sequence[Sequence[Any]]
THIRDS = ["0.3", "0.7"]
ABSENT = {"a": f32("-0", 1), "b": bf16(1, -2, "0.5"), "n": integers("I64", 5), "s": f16(2, shape=[])}


def recipe(method: str, **keys: Json) -> Json:
    return complete({"method": method} | {key.rstrip("_"): text for key, text in keys.items()})


def case(i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], says: Json, **keys: Json) -> Case:
    """Any merge, by the method that the id begins with."""
    method = next(name for name in METHODS if i.startswith(name.replace("_", "-") + "-"))
    return merge_case(i, clauses, why, base, contributions, recipe(method, **keys), says)


def models(rows: Rows, cs: Sequence[str] = ()) -> list[Json]:
    return [tuned({"w": f32(*row)}, c) for row, c in zip(rows, cs or ["1"] * len(rows), strict=True)]


def w(*numbers: Any) -> Json:
    return {"tensors": {"w": f32(*numbers)}}


def nonfinite(index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": "w", "index": [index], **by}


def of_models(i: str, clauses: str, why: str, rows: Rows, result: Sequence[Any] | None, cs: Sequence[str] = ()) -> Case:
    """Fine-tunes of a base of zeros. result: None where it is no short number."""
    return case(i, clauses, why, zeros(len(rows[0])), models(rows, cs), None if result is None else w(*result))


def plain(i: str, clauses: str, why: str, rows: Rows, result: Sequence[Any] | None, cs: Sequence[str] = ()) -> Case:
    """Task vectors to a base of zeros, so that the result is tau_m."""
    return case(i, clauses, why, zeros(len(rows[0])), vectors(rows, cs), None if result is None else w(*result))


RIGHT = [[3, 0], [0, 4]]
AGREE = [tuned({"w": f32("-0", "1+2^-22", "1+2^-23")}, c) for c in THIRDS]
DOUBLE = [tuned({"w": f64("1+2^-40", c)}) for c in ("1+2^-40", 3)]

SLERP = [
    of_models("slerp-right-angle", "SL-2", "3 and 4 times the sine of an eighth", RIGHT, None),
    of_models("slerp-coefficients", "SL-2", "a fourth and three fourths of a right angle", RIGHT, None, ["1", "3"]),
    of_models("slerp-same-coefficients", "SL-1", "coefficients count by what they are of their sum", RIGHT, None,
              ["0.5", "1.5"]),
    of_models("slerp-straight", "SL-2", "the cosine is 0.99951: the mean", [[4, "2^-4"], [4, "-2^-4"]], [4, 0]),
    of_models("slerp-hardly-bent", "SL-2", "the cosine is 0.99945: no mean", [[4, "2^-4+2^-8"], [4, "-2^-4-2^-8"]],
              None),
    of_models("slerp-opposite", "SL-2", "the cosine is -1: the mean", [[1, 0], [-2, 0]], ["-0.5", 0]),
    of_models("slerp-nearly-opposite", "SL-2", "the cosine is -0.9998", [[4, 0], [-8, "2^-3"]], [-2, "2^-4"]),
    of_models("slerp-zeros", "SL-2 DT-6", "a tensor of zeros is as if at a right angle", [[0, 0], [3, 4]], None,
              ["1", "3"]),
    of_models("slerp-all-zeros", "SL-2 DT-6", "nothing", [[0, "-0"], [0, 0]], [0, 0]),
    case("slerp-absent", "SL-1 MG-2 MG-14", "the only model that holds a tensor is copied; the base where none does",
         ABSENT, [tuned({"a": f32(2, 4)}, "3"), tuned({"a": f32(4, 8), "b": bf16("-0", 4, 4)})],
         {"tensors": {**ABSENT, "a": f32("2.5", 5), "b": bf16("-0", 4, 4)}}),
    case("slerp-agree", "SL-2 MG-14", "all agree: their bits, -0 too", {"w": f32(0, 1, 2)}, AGREE,
         w("-0", "1+2^-22", "1+2^-23")),
    case("slerp-agree-double", "SL-2 MG-14", "F64 that no model changed is not copied where the arc is bent",
         {"w": f64("1+2^-40", "1+2^-40")}, DOUBLE, None),
    case("slerp-agree-straight", "SL-2 MG-14", "and is where it is straight", {"w": f64("1+2^-40", 64)},
         [tuned({"w": f64("1+2^-40", c)}) for c in (64, 66)], {"tensors": {"w": f64("1+2^-40", 65)}}),
    case("slerp-agree-bent", "MG-14", "what models agree on grows where the arc is bent", {"w": f32(1, 0, 0)},
         models([[1, 1, 0], [1, 0, 1]]), None),
    case("slerp-task-vector", "SL-2 TV-13", "base + tau is at a right angle to a fine-tune", {"w": f32(1, 1)},
         [stored({"w": f32(2, -1)}), tuned({"w": f32(0, 4)})], None),
    case("slerp-error-result", "SL-2 MG-13", "the arc leaves fp32", {"w": f32(0, 0, 0)},
         models([["max", "max", 0], ["max", 0, "max"]]), nonfinite(0)),
    case("slerp-error-theta", "TV-13", "a model beyond fp32", {"w": f64(0)},
         [tuned({"w": f64("2^130")}), tuned({"w": f64("2^130")}, "2")], nonfinite(0, 0)),
    case("slerp-error-one", "SL-1", "one model", {"w": f32(1)}, models([[2]]), "RecipeError"),
    case("slerp-error-three", "SL-1", "three models", {"w": f32(1)}, models([[2], [3], [4]]), "RecipeError"),
    case("slerp-error-negative", "SL-1 RC-6", "a negative coefficient", {"w": f32(1)}, models([[2], [3]], ["-1", "1"]),
         "CoefficientError"),
]  # fmt: skip

NUSLERP = [
    plain("nuslerp-right-angle", "SL-3", "3 and 4 times the sine of an eighth", RIGHT, None),
    plain("nuslerp-coefficients", "SL-3", "a third of a right angle and two", RIGHT, None, ["0.5", "1"]),
    plain("nuslerp-parallel", "SL-3", "straight", [[1, 1], [2, 2]], ["1.5", "1.5"]),
    plain("nuslerp-nearly-parallel", "SL-3", "1 - 2^-43 is straight", [[1, 0], [1, "2^-21"]], [1, "2^-22"]),
    plain("nuslerp-hardly-bent", "SL-3", "0.99951 is not", [[4, "2^-4"], [4, "-2^-4"]], None),
    plain("nuslerp-opposite", "SL-3", "straight, with a square root that is none", [[1, 1], [-5, -5]], [-2, -2]),
    plain("nuslerp-opposite-rounded", "SL-3", "-1 + 2^-43 is straight", [[1, 0], [-1, "2^-21"]], [0, "2^-22"]),
    plain("nuslerp-nearly-opposite", "SL-3", "-1 + 2^-39: large coefficients", [[1, 0], [-1, "2^-19"]], None),
    plain("nuslerp-zeros", "SL-3 DT-6", "a tensor of zeros is as if at a right angle", [[0, 0], [3, 4]], None),
    plain("nuslerp-least", "SL-3", "subnormal numbers have angles", [["2^-149", 0], [0, "2^-148"]],
          ["2^-149", "2^-149"]),
    plain("nuslerp-greatest", "SL-3", "and so have the greatest", [["max", 0], [0, "max"]], None),
    case("nuslerp-absent", "SL-1 CT-7", "one that alone holds a tensor is taken whole", ABSENT,
         [stored({"a": f32(2, 2)}, "3"), stored({"a": f32(4, 4), "b": bf16(4, -4, 0)})],
         {"tensors": {**ABSENT, "a": f32("2.5", "3.5"), "b": bf16(5, -6, "0.5")}}),
    case("nuslerp-lambda", "SL-3 MG-1", "times -0.5", {"w": f64(1, "-0")}, vectors([[2, 0], [6, 0]]),
         {"tensors": {"w": f64(-1, "-0")}}, lambda_="-0.5"),
    case("nuslerp-error-v", "SL-3 TI-6", "large coefficients overflow", zeros(2),
         vectors([["2^120", 0], ["-2^120", "2^101"]]), nonfinite(0, 0)),
    case("nuslerp-error-three", "SL-1", "three", zeros(1), vectors([[1], [2], [3]]), "RecipeError"),
    case("nuslerp-error-negative", "SL-3 RC-6", "a negative coefficient", zeros(1), vectors([[1], [2]], ["1", "-1"]),
         "CoefficientError"),
]  # fmt: skip

MULTISLERP = [
    plain("multislerp-right-angle", "MU-1", "between, 3.5 long", RIGHT, None),
    plain("multislerp-three", "MU-1", "the heavier is nearer", [[3, 0, 0], [0, 4, 0], [0, 0, 5]], None,
          ["3", "1", "2"]),
    plain("multislerp-parallel", "MU-1", "the mean", [[1, 1], [2, 2], [3, 3]], [2, 2]),
    plain("multislerp-one", "MU-2", "one is as it is", [["2^-30", "2^-149", "max"]], ["2^-30", "2^-149", "max"]),
    plain("multislerp-opposite", "MU-2", "the mean, as no direction is left", [[1, 1], [-5, -5]], [-2, -2]),
    plain("multislerp-nearly-opposite", "MU-1", "a direction is left", [[1, 1], [-3, -3]], None, ["1", "2"]),
    plain("multislerp-cancel", "MU-2", "three that cancel out", [[3, 0], [0, 2], [-3, 0], [0, -1]], [0, "0.25"]),
    plain("multislerp-zeros", "MU-1", "zeros make it shorter, and turn it not", [[0, 0], [3, 4]], ["1.5", 2]),
    plain("multislerp-all-zeros", "MU-2", "nothing", [[0], ["-0"]], [0]),
    plain("multislerp-no-direction", "DT-6", "2^-100 of the greatest norm has no direction", [["2^-100", 0], [0, 1]],
          [0, "0.5"]),
    plain("multislerp-least-direction", "DT-6", "2^-99 has one", [["2^-99", 0], [0, 1]], None),
    case("multislerp-absent", "MU-1 CT-7", "who lacks the tensor makes nothing shorter", ABSENT,
         [stored({"a": f32(2, 2)}, "3"), stored({"a": f32(4, 4), "b": bf16(4, -4, 0)})],
         {"tensors": {**ABSENT, "a": f32("2.5", "3.5"), "b": bf16(5, -6, "0.5")}}),
    case("multislerp-lambda", "MU-1 MG-1", "times 2", {"w": f16(1)}, vectors([[2], [4]]), {"tensors": {"w": f16(7)}},
         lambda_="2"),
    case("multislerp-error-negative", "MU-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

STOCK = [
    plain("model-stock-two", "MS-1 MS-2", "the cosine is 7/25, t = 7/16", [[4, 3], [4, -3]], ["1.75", 0]),
    plain("model-stock-coefficients", "MS-2", "they weigh the mean", [[4, 3], [4, -3]], ["1.75", "0.65625"],
          ["3", "1"]),
    plain("model-stock-three", "MS-1", "cosines of 1, 0.6 and 0.6", [[5, 0], [3, 4], [10, 0]], None),
    plain("model-stock-alike", "MS-1", "all alike: the mean", [[1, 2], [3, 6]], [2, 4]),
    plain("model-stock-right-angle", "MS-1", "nothing in common: the base", RIGHT, [0, 0]),
    plain("model-stock-opposite", "MS-1", "1 + C is 0", [[1], [-2]], [0]),
    plain("model-stock-singular-rounded", "MS-1", "1 + C is 2^-52 by rounding", [[1, 1], [-5, -5]], [0, 0]),
    plain("model-stock-negative", "MS-1", "the cosine is -0.6, t = -3", [[1, 0], [-3, 4]], [3, -6]),
    plain("model-stock-one", "MS-1", "one is as it is", [["2^-149", "max", "0.75"]], ["2^-149", "max", "0.75"]),
    plain("model-stock-zeros", "MS-1", "a tensor of zeros has nothing in common with others", [[3, 4], [6, 8], [0, 0]],
          None),
    plain("model-stock-all-zeros", "MS-1", "nothing", [[0], ["-0"]], [0]),
    plain("model-stock-tree", "DT-2", "2^60 + 1 - 2^60 in the order of the tree: 0", [["2^30", "2^30", 1],
          ["2^30", "-2^30", 1]], [0, 0, 0]),
    plain("model-stock-other-tree", "DT-2", "and 1", [["2^30", 1, "2^30"], ["2^30", 1, "-2^30"]], None),
    case("model-stock-absent", "MS-1 CT-7", "n is the number of those that hold the tensor", ABSENT,
         [stored({"a": f32(2, 2)}, "3"), stored({"a": f32(4, 4), "b": bf16(4, -4, 0)})],
         {"tensors": {**ABSENT, "a": f32("2.5", "3.5"), "b": bf16(5, -6, "0.5")}}),
    case("model-stock-base", "MS-1 MG-2", "t of 0 copies the base", {"w": f32("-0", 1)}, vectors(RIGHT), w("-0", 1)),
    case("model-stock-lambda", "MS-2 MG-1", "times 4", {"w": f64(1, 0)}, vectors([[4, 3], [4, -3]]),
         {"tensors": {"w": f64(8, 0)}}, lambda_="4"),
    case("model-stock-error-negative", "MS-2 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

CROOKED = [[3, 1, 0], [0, 4, 1], [1, 0, 5]]
KARCHER = [
    of_models("karcher-right-angle", "KA-2", "there at once", RIGHT, None),
    of_models("karcher-coefficients", "KA-3", "steps to three fourths of the way", RIGHT, None, ["1", "3"]),
    of_models("karcher-three", "KA-3", "three", CROOKED, None),
    of_models("karcher-three-weighed", "KA-3", "three that weigh differently", CROOKED, None, ["1", "5", "0.5"]),
    case("karcher-no-steps", "KA-4", "the first mean", zeros(3), models(CROOKED, ["1", "5", "1"]), None, max_iter="0"),
    case("karcher-one-step", "KA-4", "and the next", zeros(3), models(CROOKED, ["1", "5", "1"]), None, max_iter="1"),
    case("karcher-large-tol", "KA-3", "no step is long enough", zeros(3), models(CROOKED, ["1", "5", "1"]), None,
         tol="0.9"),
    case("karcher-no-tol", "KA-3", "as many steps as it may", zeros(3), models(CROOKED), None, tol="0", max_iter="20"),
    case("karcher-settings", "KA-1 ST-2 ST-4", "a tol of its own for `v`, and no model for `w`",
         {"v": f32(0, 0, 0), "w": f32(0, 0, 0), "x": f32(0, 0, 0)},
         [tuned({name: f32(*row) for name in "vwx"}, c) for row, c in zip(CROOKED, ["1", "5", "1"], strict=True)], None,
         settings=[{"tensors": "v", "tol": "0.9"}, {"tensors": "w", "coefficient": "0"}]),
    of_models("karcher-wide", "KA-3", "an angle beyond the right one", [[4, 0], [-3, 4]], None, ["1", "2"]),
    of_models("karcher-antipode", "KA-3", "one is opposite the mean, and does not pull", [[1, 0], [-2, 0], [3, 0]],
              None),
    of_models("karcher-opposite", "KA-2", "the mean, as no direction is left", [[1, 1], [-5, -5]], [-2, -2]),
    of_models("karcher-zeros", "KA-2", "zeros make it shorter", [[0, 0], [3, 4]], ["1.5", 2]),
    of_models("karcher-all-zeros", "KA-2", "nothing", [[0], ["-0"]], [0]),
    of_models("karcher-one", "KA-4 MG-14", "one is as it is", [["-0", "2^-149", "max"]], ["-0", "2^-149", "max"]),
    case("karcher-agree", "KA-1 MG-14", "all agree: their bits", {"w": f32(0, 1, 2)}, AGREE,
         w("-0", "1+2^-22", "1+2^-23")),
    case("karcher-agree-double", "KA-1 MG-14", "F64 that no model changed is not copied where directions differ",
         {"w": f64("1+2^-40", "1+2^-40")}, DOUBLE, None),
    case("karcher-absent", "KA-2 MG-2", "what nobody holds is the base's", ABSENT,
         [tuned({"a": f32(2, 4)}, "3"), tuned({"a": f32(4, 8), "b": bf16("-0", 4, 4)})],
         {"tensors": {**ABSENT, "a": f32("2.5", 5), "b": bf16("-0", 4, 4)}}),
    case("karcher-error-theta", "TV-13", "a model beyond fp32", {"w": f64(0)}, [tuned({"w": f64("2^130")})],
         nonfinite(0, 0)),
    case("karcher-error-negative", "KA-1 RC-6", "a negative coefficient", {"w": f32(1)}, models([[2]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

KARCHER_MAP = {"method": "karcher", "max_iter": "10", "tol": "0.00001"}
RECIPES: list[tuple[str, Json, Json, str]] = [
    ("slerp", {"method": "slerp"}, {"method": "slerp"}, "no keys"),
    ("slerp-t", {"method": "slerp", "t": "0.5"}, "RecipeError", "t follows from the coefficients"),
    ("slerp-lambda", {"method": "slerp", "lambda": "1"}, "RecipeError", "models have no lambda"),
    ("nuslerp", {"method": "nuslerp"}, {"method": "nuslerp", "lambda": "1"}, "a lambda"),
    ("nuslerp-row-wise", {"method": "nuslerp", "nuslerp_row_wise": "true"}, "RecipeError", "there is no way by row"),
    ("multislerp", {"method": "multislerp", "lambda": "0.50"}, {"method": "multislerp", "lambda": "0.5"}, "a lambda"),
    ("model-stock", {"method": "model_stock"}, {"method": "model_stock", "lambda": "1"}, "a lambda"),
    ("model-stock-filter-wise", {"method": "model_stock", "filter_wise": "false"}, "RecipeError", "no way by row"),
    ("karcher", {"method": "karcher"}, KARCHER_MAP, "the defaults"),
    ("karcher-tol", {"method": "karcher", "tol": "0.0000100"}, KARCHER_MAP, "canonical"),
    ("karcher-tol-one", {"method": "karcher", "tol": "1"}, "DecimalError", "a tol of 1"),
    ("karcher-tol-text", {"method": "karcher", "tol": "1e-5"}, "DecimalError", "a tol that is no decimal"),
    ("karcher-most", {"method": "karcher", "max_iter": "1000"}, {**KARCHER_MAP, "max_iter": "1000"}, "the most steps"),
    ("karcher-too-many", {"method": "karcher", "max_iter": "1001"}, "RecipeError", "one more"),
    ("karcher-zero", {"method": "karcher", "max_iter": "010"}, "RecipeError", "a leading zero"),
    ("karcher-negative", {"method": "karcher", "max_iter": "-1"}, "RecipeError", "a sign"),
]  # fmt: skip


def recipes() -> Iterator[Case]:
    for i, given, says, why in RECIPES:
        wanted = says if isinstance(says, str) else {"recipe": says}
        yield Case("recipe", f"geometry-recipe-{i}", "RC-4", why, {"recipe": given}, wanted)


def random_case(random: Random, method: str, i: str) -> Case | None:
    dtype, spread = random.choose(["F32", "BF16", "F16", "F64"]), random.choose([4, 24, 120])
    base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
    contributions = random_contributions(random, spread, False)[: ARITY.get(method)]
    if len(contributions) != ARITY.get(method, len(contributions)):
        return None
    keys = {"lambda": random.choose(["1", "0.4", "-1.5"])} if method not in ("slerp", "karcher") else {}
    return merge_case(i, "MG-3 MG-8 DT-6", f"random, {spread} exponents, base {dtype}", base, contributions,
                      recipe(method, **keys))  # fmt: skip


def breadth(seed: int, count: int) -> Iterator[Case]:
    """Each method in turn."""
    random = Random(seed)
    for method in METHODS:
        made = 0
        while made < count:
            found = random_case(random, method, f"{method.replace('_', '-')}-random-{made}")
            if found is None:
                continue
            rule = found.result().get("error", {}).get("rule")
            if rule is None or (rule == "NonFinite" and made % 8 == 0):
                made += 1
                yield replace(found, says=rule)


CASES = [*SLERP, *NUSLERP, *MULTISLERP, *STOCK, *KARCHER, *recipes(), *breadth(23, 8)]
