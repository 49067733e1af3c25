"""Methods in several rounds end to end: SCE, RAM+, consensus task arithmetic, TALL masks, EMR for a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.contributions import read_contribution
from generator.reference.hashes import model_root
from generator.reference.recipes import complete
from generator.reference.tensors import read_tensors
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned, vectors, zeros
from generator.topics.merges import plain as plain_of
from generator.writing import bf16, f16, f32, integers

Json = Any
Rows = Sequence[Sequence[Any]]
TINY = "0." + "0" * 59 + "1"


def recipe(method: str, **keys: Any) -> Json:
    return complete({"method": method} | {key.rstrip("_"): given for key, given in keys.items()})


def plain(
    i: str,
    clauses: str,
    why: str,
    rows: Rows,
    result: Sequence[Any],
    cs: Sequence[str] = (),
    uncertified: int = 0,
    **keys: Any,
) -> Case:
    """Task vectors to a base of zeros, by the method that the id begins with."""
    return plain_of(i, clauses, why, rows, result, recipe(i.partition("-")[0], **keys), cs, uncertified)


def case(i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], says: Json, **keys: Any) -> Case:
    """Any merge, by the method that the id begins with."""
    return merge_case(i, clauses, why, base, contributions, recipe(i.partition("-")[0], **keys), says)


def id_of(base: Json, contribution: Json) -> str:
    return read_contribution(model_root(read_tensors(base)), contribution, None).id.hex()


def of_task(
    i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], task: int, says: Json, **keys: Any
) -> Case:
    """The same for the task of one of the contributions."""
    return case(i, clauses, why, base, contributions, says, task=id_of(base, contributions[task]), **keys)


def w(*numbers: Any) -> Json:
    return {"tensors": {"w": f32(*numbers)}}


def nonfinite(index: int, contribution: int | None = None) -> Json:
    by = {} if contribution is None else {"contribution": contribution}
    return {"rule": "NonFinite", "tensor": "w", "index": [index], **by}


ABSENT = {"a": f32("-0", 1), "b": bf16(1, -2, "0.5"), "n": integers("I64", 5), "s": f16(2, shape=[])}
PARTLY = [stored({"a": f32(2, 2)}, "3"), stored({"a": f32(4, -2), "b": f32(4, -4, 0)})]

SCE = [
    plain("sce-weights", "SC-4 SC-5", "w is 1/5 and 4/5: (1 * 1 + 4 * 2) / 5", [[1, 1], [2, 2]],
          ["0x3fe66666", "0x3fe66666"]),
    plain("sce-erase", "SC-3 SC-5", "w is 5/9 and 4/9; 3 and -2 add up to 1, so -2 is erased", [[1, 3], [2, -2]],
          ["0x3fb8e38e", 3]),
    plain("sce-minority-weighs-more", "SC-3 SC-5", "the sign is that of the sum of tau: squares are 25, 9, 10",
          [[-5, 0], [3, 0], [3, 1]], [3, 1]),
    plain("sce-zero-sum", "SC-3", "a sum of 0 is +", [[3, -3], [-3, 3]], [3, 3]),
    plain("sce-zero-sum-exact", "SC-3 EX-1", "2^40 - 1 - 2^40 is below 0", [["2^40"], [-1], ["-2^40"]], ["-2^40"],
          uncertified=1),
    plain("sce-zeros", "SC-5", "a zero has no sign, and a contribution of zeros no weight", [[4, 0], [0, 0]], [4, 0]),
    plain("sce-all-zero", "SC-5 MG-2", "nobody changed anything", [[0, "-0"], [0, 0]], [0, 0]),
    plain("sce-equal", "SC-5", "equal magnitudes of both signs: +", [[1, -1], [-1, 1], [1, 1]], [1, 1]),
    plain("sce-one", "SC-5", "one contribution", [[2, -4, 0, 6]], [2, -4, 0, 6]),
    plain("sce-one-selected", "SC-2", "one contribution is kept whole, whatever the share", [[2, -4, 0, 6]],
          [2, -4, 0, 6], select_topk="0.25"),
    plain("sce-underflow", "SC-4 SC-5", "a share that is 0 as an fp32 number counts for nothing",
          [["2^-80", 0], [0, "2^20"]], [0, "2^20"]),
    plain("sce-coefficients", "SC-4", "w is 3/7 and 4/7: (3 * 1 + 4 * 2) / 7", [[1], [2]], ["0x3fc92492"],
          ["3", "1"]),
    plain("sce-coefficients-vote", "SC-3", "3 * 2 outvotes 5", [[2], [-5]], [2], ["3", "1"]),
    plain("sce-select", "SC-2", "variances 0, 1, 4, 0: the two largest", [[1, 1, 4, 2], [1, -1, 0, 2]],
          [0, 1, 4, 0], select_topk="0.5"),
    plain("sce-select-ties", "SC-2", "variances 1, 4, 1, 0: the second largest is tied, both are kept",
          [[1, 4, 3, 2], [-1, 0, 1, 2]], [1, 4, "0x4036db6d", 0], select_topk="0.5"),
    plain("sce-select-zero", "SC-2", "fewer differ than are kept: those that agree count too, all of them",
          [[1, 5, 2], [1, 3, 2]], [1, "0x408ba2e9", 2], select_topk="0.67"),
    plain("sce-select-alike", "SC-2", "equal contributions are kept whole", [[1, -1, 1], [1, -1, 1]], [1, -1, 1],
          ["1", "2"], select_topk="0.1"),
    plain("sce-select-tiny", "SC-2", "at least one is kept", [[1, 9], [-1, -3]], [0, 9], select_topk=TINY),
    plain("sce-select-coefficients", "SC-2", "coefficients do not count in the variance: 2 and 2/3",
          [[0, 1], [0, -1], [3, 0]], [3, 0], ["1", "1", "0.001"], select_topk="0.5"),
    case("sce-select-tensors", "SC-2", "each tensor by itself", {"a": f32(0, 0), "b": f32(0, 0)},
         [stored({"a": f32(1, 2), "b": f32(300, 40)}), stored({"a": f32(0, 0), "b": f32(0, 0)})],
         {"tensors": {"a": f32(0, 2), "b": f32(300, 0)}}, select_topk="0.5"),
    case("sce-select-kept", "SC-4 SC-6 LK-2", "what is not selected is not kept", zeros(2), vectors([[1, 4], [1, -2]]),
         {**w(0, 4), "kept": [1, 1]}, select_topk="0.5"),
    case("sce-absent", "SC-2 SC-5 CT-7", "n and W are those of who holds the tensor", ABSENT, PARTLY, None,
         select_topk="0.5"),
    case("sce-absent-all", "SC-5 CT-7", "the same without selection", ABSENT, PARTLY, None),
    case("sce-empty", "SC-4", "tensors without elements", {"d": f32(shape=[3, 0]), "w": f32(0)},
         [stored({"d": f32(shape=[3, 0]), "w": f32(1)})], {"kept": [1]}, select_topk="0.5"),
    case("sce-finetuned", "SC-5 TV-2 MG-3", "fine-tunes of a base in BF16", {"w": bf16(*range(8), shape=[2, 4])},
         [tuned({"w": bf16(*range(8, 0, -1), shape=[2, 4])}), tuned({"w": bf16(*[16] * 8, shape=[2, 4])})], None,
         select_topk="0.3", lambda_="0.4"),
    plain("sce-large", "SC-4", "weights are shares: large numbers do not overflow", [["2^100", 0], ["-2^99", 1]],
          ["2^100", 1]),
    plain("sce-small", "SC-4", "nor do small ones vanish", [["2^-140"], ["2^-141"]], ["0x000001cd"]),
    case("sce-error-u", "SC-3", "u overflows, though w is small", zeros(2), vectors([[1, "2^100"]], [str(2**40)]),
         nonfinite(1, 0)),
    case("sce-error-q", "SC-2", "the square of a distance overflows", zeros(2),
         vectors([[1, "2^66"], [1, "-2^66"]]), nonfinite(1, 0), select_topk="0.5"),
    case("sce-error-negative", "SC-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

RAMPLUS = [
    plain("ramplus_tl-factor", "RA-3 RA-4", "b / a is 1: 4 times 1 + 0.5; shared ones are averaged",
          [[4, 1, 0], [0, 3, 0]], [6, 2, 0], r="0.5", alpha="2"),
    plain("ramplus_tl-capped", "RA-3", "b / a is 3, and counts as 2", [[4, 1, 1, 1], [0, 3, 1, 1]], [8, 2, 1, 1],
          r="0.5", alpha="2"),
    plain("ramplus_tl-nothing-shared", "RA-3", "b is 0", [[4, 0], [0, 3]], [4, 3]),
    plain("ramplus_tl-nothing-alone", "RA-3", "a is 0", [[4, 2], [2, 4]], [3, 3]),
    plain("ramplus_tl-default", "RA-3 RC-4", "1 + 0.1 * 0.2", [[1, 1], [0, 1]], ["0x3f828f5c", 1]),
    plain("ramplus_tl-half-shared", "RA-3", "b / a is 1/2", [[4, 4, 2], [0, 0, 4]], [5, 5, 3], r="0.5", alpha="2"),
    plain("ramplus_tl-one", "RA-4", "one contribution is as in RAM", [[1, "2^-149", "max", 0]], [1, 0, "max", 0]),
    plain("ramplus_tl-threshold", "RA-3", "what is no change is not shared", [[4, 1], [0, "2^-20"]], [4, 1],
          r="1", alpha="1"),
    plain("ramplus_tl-underflow", "RA-3 RA-1", "a v that rounds to 0 is not shared", [["2^-16", 1], [1, 1]], [2, "0.5"],
          ["0." + "0" * 44 + "1", "1"], uncertified=2, r="1", alpha="1"),
    plain("ramplus_tl-coefficients", "RA-3", "(3 * 1 + 1 * 5) / 2 and 1.5 * 6", [[1, 2], [5, 0]], [4, 9], ["3", "1"],
          r="0.5", alpha="1"),
    plain("ramplus_tl-all-zero", "RA-4 MG-2", "nobody changed anything", [[0, "-0"], [0, 0]], [0, 0]),
    case("ramplus_tl-tensors", "RA-3", "each tensor by itself", {"a": f32(0, 0), "b": f32(0, 0)},
         [stored({"a": f32(1, 1), "b": f32(1, 1)}), stored({"a": f32(0, 1), "b": f32(1, 1)})],
         {"tensors": {"a": f32("1.5", 1), "b": f32(1, 1)}, "kept": [4, 4]}, r="0.5", alpha="1"),
    case("ramplus_tl-absent", "RA-4 CT-7", "what one alone holds is as in RAM", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32(5, 3), "b": bf16(5, -6, "0.5")}}),
    case("ramplus_tl-error-v", "RA-1 TI-6", "v overflows", zeros(2), vectors([[1, "max"]], ["2"]), nonfinite(1, 0)),
    case("ramplus_tl-error-enlarged", "RA-4", "what is made larger overflows", zeros(3),
         vectors([[1, "max", 1], [1, 0, 0]]), nonfinite(1), r="1", alpha="1"),
    case("ramplus_tl-error-first", "RA-4 MG-6", "v is judged in all tensors before v' is",
         {"a": f32(0, 0), "w": f32(0)},
         [stored({"a": f32(1, "max")}), stored({"a": f32(1, 0), "w": f32("max")}, "2")], nonfinite(0), r="1",
         alpha="1"),
    case("ramplus_tl-error-negative", "RA-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

CONSENSUS = [
    plain("consensus_ta-agreed", "CO-2 CO-3", "of use to two, to one, to nobody", [[4, 4, 1], [3, 0, -1]], [7, 0, 0],
          tall_lambda="0.5"),
    plain("consensus_ta-strict", "CO-2", "2 is not above 0.5 * 4; the next number is", [[2, "2+2^-22"], [4, 4]],
          [0, 6], tall_lambda="0.5"),
    plain("consensus_ta-threshold-one", "CO-3", "of use to somebody", [[4, 1], [0, -1]], [4, 0], threshold="1"),
    plain("consensus_ta-three", "CO-3", "three must agree", [[1, 1, 0], [1, 1, 1], [1, 0, 0]], [3, 0, 0],
          threshold="3"),
    plain("consensus_ta-opposite", "CO-2", "what pulls against the sum may have a mask", [[5, 9], [-3, -1]], [2, 0]),
    plain("consensus_ta-zero-lambda", "CO-2", "with l of 0 whoever changed it", [[9, 9], ["2^-100", 0]], [9, 0],
          uncertified=1, tall_lambda="0"),
    plain("consensus_ta-cancel", "CO-2 MG-2", "a sum of 0 is 0, whatever the masks", [[3], [-3]], [0]),
    plain("consensus_ta-one", "CO-3", "one contribution alone agrees with nobody", [[1, 2]], [0, 0]),
    plain("consensus_ta-one-alone", "CO-2 CO-3", "and with a threshold of 1 it is kept", [[1, 0]], [1, 0],
          threshold="1"),
    plain("consensus_ta-all-zero", "CO-2", "zeros have no masks", [[0], ["-0"]], [0], threshold="1"),
    plain("consensus_ta-equal", "CO-2", "equal contributions agree", [[3, -2], [3, -2]], [9, -6], ["1", "2"]),
    plain("consensus_ta-exact", "CO-2 CO-5 EX-1", "2^60 + 1 - 2^60 is 1, of use to the large ones", [["2^60"], [1],
          ["-2^60"]], [1], uncertified=1),
    plain("consensus_ta-coefficients", "CO-1", "3 * 1 and 4", [[1], [4]], [7], ["3", "1"]),
    plain("consensus_ta-sum-overflows", "CO-2", "a sum beyond fp32 has no masks", [["max"], ["2^127"]], [0],
          tall_lambda="0"),
    case("consensus_ta-absent", "CO-3 CT-7", "what fewer hold is the base's", ABSENT, PARTLY,
         {"tensors": {**ABSENT, "a": f32(10, 5)}}, tall_lambda="0.3"),
    case("consensus_ta-error-v", "CO-1 TI-6", "v overflows", zeros(1), vectors([["max"], [1]], ["2", "1"]),
         {"rule": "NonFinite", "tensor": "w", "index": [0]}),
    case("consensus_ta-error-result", "MG-5 MG-6", "the result overflows before a v does", {"w": f16(0, 0)},
         vectors([["2^17", 1], ["2^17", "max"]], ["1", "2"]), nonfinite(0)),
    case("consensus_ta-error-negative", "CO-1 RC-6", "a negative coefficient", zeros(1), vectors([[1]], ["-1"]),
         "CoefficientError"),
]  # fmt: skip

THREE = vectors([[4, 4, -1, 0], [3, 0, 2, 0], [1, -8, 2, 0]])
HOLDING = [stored({"a": f32(2, 4)}), stored({"a": f32(1, -8), "b": f32(4, -4, 0)}), stored({"b": f32(1, 1, 1)}, "2")]
TALL = [
    of_task("tall_mask-task", "CO-4 RC-13", "what is of use to the first", zeros(4), THREE, 0, w(8, -4, 0, 0)),
    of_task("tall_mask-other-task", "CO-4", "what is of use to the third", zeros(4), THREE, 2, w(0, -4, 3, 0)),
    plain("tall_mask-sum", "CO-4", "without a task, the sum", [[4, 1], [3, -1]], [7, 0]),
    of_task("tall_mask-one", "CO-4", "one contribution alone is found again", zeros(3), vectors([[5, "2^-149", 0]]), 0,
            w(5, "2^-149", 0)),
    of_task("tall_mask-absent", "CO-4 CT-7", "tensors that the task lacks are the base's", ABSENT, HOLDING, 0,
            {"tensors": {**ABSENT, "a": f32(3, -3)}}, tall_lambda="0"),
    of_task("tall_mask-zeros", "CO-4 MG-2", "the task of a contribution of zeros is the base",
            {"w": f32("-0", 1)}, vectors([[0, 0], [1, 2]]), 0, w("-0", 1)),
    of_task("tall_mask-coefficient", "CO-4", "a coefficient is in the id of the task", zeros(1),
            vectors([[1], [9]], ["5", "1"]), 0, w(14)),
    of_task("tall_mask-finetuned", "CO-4 RC-13", "the id of a fine-tune", {"w": bf16(1, 2)},
            [tuned({"w": bf16(3, 2)}), tuned({"w": bf16(2, 4)})], 1, {"tensors": {"w": bf16(4, 4)}}),
    case("tall_mask-error-unknown", "RC-13", "a task of nobody here", zeros(1), vectors([[1]]), "RecipeError",
         task="ab" * 32),
]  # fmt: skip

EMR = [
    of_task("emr-task", "EM-3 EM-4", "u is 4, -8, 2, 0; the second takes 4 and 2: (5 / 4) / (6 / 4)", zeros(4), THREE,
            1, w("0x40555555", 0, "0x3fd55555", 0)),
    of_task("emr-task-third", "EM-3 EM-4", "the third takes all of it: 11 / 14", zeros(4), THREE, 2,
            w("0x40492492", "0xc0c92492", "0x3fc92492", 0)),
    of_task("emr-task-one", "EM-4", "one contribution alone gives its v", zeros(3), vectors([[5, "-2^-100", 0]]), 0,
            w(5, "-2^-100", 0)),
    of_task("emr-task-nothing-taken", "EM-3", "the task has no sign in common: f is 0", zeros(2),
            vectors([[1, -1], [-5, 5]]), 0, w(0, 0)),
    of_task("emr-task-of-zeros", "EM-3", "a contribution of zeros takes nothing", zeros(2), vectors([[0, 0], [1, 2]]),
            0, w(0, 0)),
    of_task("emr-task-zero-sum", "EM-3", "a sum of 0 is negative", zeros(1), vectors([[3], [-3]]), 1, w(-3)),
    of_task("emr-task-coefficients", "EM-1 EM-3", "3 * 2 is u; the task has 3 * 2 and nothing else", zeros(1),
            vectors([[2], [-5]], ["3", "1"]), 0, w(6)),
    of_task("emr-task-absent", "EM-3 EM-4 CT-7", "f is about the tensors that the task holds, each counting once",
            ABSENT, HOLDING, 1, None),
    of_task("emr-task-absent-base", "EM-4 CT-7", "what the task lacks is the base's", ABSENT, HOLDING, 0,
            {"tensors": {**ABSENT, "a": f32(6, 1)}}),
    of_task("emr-task-empty", "EM-3", "tensors without elements do not count", {"d": f32(shape=[3, 0]), "w": f32(0)},
            [stored({"d": f32(shape=[3, 0]), "w": f32(1)}), stored({"d": f32(shape=[3, 0]), "w": f32(4)})], 0,
            {"tensors": {"d": f32(shape=[3, 0]), "w": f32(1)}}),
    of_task("emr-task-finetuned", "EM-4 RC-13", "fine-tunes of a base in BF16", {"w": bf16(1, 2)},
            [tuned({"w": bf16(3, 2)}), tuned({"w": bf16(2, 4)})], 1, None, lambda_="0.5"),
    of_task("emr-task-error-v", "EM-1 TI-6", "v overflows", zeros(1), vectors([["max"]], ["2"]), 0, nonfinite(0, 0)),
    of_task("emr-task-error-scaled", "EM-4", "f u' overflows: f is 5", zeros(2),
            vectors([["-max", "2^126"], ["max", 0], ["2^127", 0]]), 0, nonfinite(1)),
    case("emr-task-error-unknown", "RC-13", "a task of nobody here", zeros(1), vectors([[1]]), "RecipeError",
         task="ab" * 32),
]  # fmt: skip

TWO = {"a": f32(0, 0), "b": f32(0, 0)}
SETTINGS = [
    case("ramplus_tl-settings", "RA-3 ST-2", "r and alpha are 1 in b", TWO,
         [stored({"a": f32(1, 1), "b": f32(1, 1)}), stored({"a": f32(0, 1), "b": f32(0, 1)})],
         {"tensors": {"a": f32("0x3f828f5c", 1), "b": f32(2, 1)}},
         settings=[{"tensors": "b", "r": "1", "alpha": "1.0"}]),
    case("consensus_ta-settings", "CO-2 ST-2 ST-4", "in b half of it, and nothing is above 10 times the rest", TWO,
         [stored({"a": f32(4, 1), "b": f32(4, 1)}), stored({"a": f32(4, 0), "b": f32(4, 0)})],
         {"tensors": {"a": f32(8, 0), "b": f32(0, 0)}},
         settings=[{"tensors": "b", "tall_lambda": "10", "coefficient": "0.5"}]),
    of_task("emr-task-settings", "EM-3 EM-4 ST-4", "with the coefficient 0 nobody holds b", TWO,
            [stored({"a": f32(2, 0), "b": f32(2, 2)}), stored({"a": f32(1, 0), "b": f32(9, 9)})], 1,
            {"tensors": {"a": f32(1, 0), "b": f32(0, 0)}}, settings=[{"tensors": "b", "coefficient": "0"}]),
    case("sce-settings", "SC-2 ST-4", "a coefficient of 2 in b, for all", TWO,
         [stored({"a": f32(1, 3), "b": f32(1, 3)}), stored({"a": f32(2, -2), "b": f32(2, -2)})], None,
         settings=[{"tensors": "b", "coefficient": "2", "lambda": "0.3"}], select_topk="0.5"),
    Case("recipe", "rounds-recipe-sce-by-tensor", "ST-1 SC-1", "the share is one for all tensors",
         {"recipe": {"method": "sce", "settings": [{"tensors": "b", "select_topk": "0.5"}]}}, "RecipeError"),
]  # fmt: skip


def recipe_says(method: str, **keys: Any) -> Json:
    return {"method": method, **keys, "lambda": "1"}


MASKS = {"tall_lambda": "0.4"}
RECIPES: list[tuple[str, Json, Json, str]] = [
    ("sce", {"method": "sce"}, recipe_says("sce", select_topk="1"), "the default"),
    ("sce-canonical", {"method": "sce", "select_topk": "0.50"}, recipe_says("sce", select_topk="0.5"), "canonical"),
    ("sce-zero", {"method": "sce", "select_topk": "0"}, "DecimalError", "nothing would be selected"),
    ("sce-above-one", {"method": "sce", "select_topk": "1.1"}, "DecimalError", "more than all"),
    ("sce-density", {"method": "sce", "density": "1"}, "RecipeError", "SCE has no density"),
    ("ramplus", {"method": "ramplus_tl"}, recipe_says("ramplus_tl", r="0.1", alpha="0.2"), "the defaults"),
    ("ramplus-zero", {"method": "ramplus_tl", "r": "-0.0", "alpha": "0.0"},
     recipe_says("ramplus_tl", r="0", alpha="0"), "canonical"),
    ("ramplus-negative", {"method": "ramplus_tl", "r": "-0.1"}, "DecimalError", "a negative r"),
    ("ramplus-negative-alpha", {"method": "ramplus_tl", "alpha": "-1"}, "DecimalError", "a negative alpha"),
    ("ramplus-large", {"method": "ramplus_tl", "r": "1" + "0" * 39}, "DecimalError", "an r beyond fp32"),
    ("consensus", {"method": "consensus_ta"}, recipe_says("consensus_ta", **MASKS, threshold="2"), "the defaults"),
    ("consensus-threshold", {"method": "consensus_ta", "threshold": "999999999"},
     recipe_says("consensus_ta", **MASKS, threshold="999999999"), "the greatest threshold"),
    ("consensus-threshold-zero", {"method": "consensus_ta", "threshold": "0"}, "RecipeError", "nobody agrees"),
    ("consensus-threshold-leading", {"method": "consensus_ta", "threshold": "02"}, "RecipeError", "a leading zero"),
    ("consensus-threshold-large", {"method": "consensus_ta", "threshold": "1000000000"}, "RecipeError", "ten digits"),
    ("consensus-threshold-decimal", {"method": "consensus_ta", "threshold": "2.0"}, "RecipeError", "no whole number"),
    ("consensus-negative", {"method": "consensus_ta", "tall_lambda": "-0.1"}, "DecimalError", "a negative l"),
    ("consensus-task", {"method": "consensus_ta", "task": ""}, "RecipeError", "a consensus is nobody's"),
    ("tall-mask", {"method": "tall_mask"}, recipe_says("tall_mask", **MASKS, task=""), "the defaults"),
    ("tall-mask-task", {"method": "tall_mask", "task": "0f" * 32}, recipe_says("tall_mask", **MASKS, task="0f" * 32),
     "an id"),
    ("tall-mask-short", {"method": "tall_mask", "task": "0f" * 6}, "RecipeError", "the beginning of an id"),
    ("tall-mask-capitals", {"method": "tall_mask", "task": "0F" * 32}, "RecipeError", "an id in capitals"),
    ("emr-task", {"method": "emr", "task": "0f" * 32}, recipe_says("emr", task="0f" * 32), "an id"),
    ("emr-no-id", {"method": "emr", "task": "x" * 64}, "RecipeError", "what is no id"),
]  # fmt: skip


def recipes() -> Iterator[Case]:
    for i, given, says, why in RECIPES:
        wanted = says if isinstance(says, str) else {"recipe": says}
        yield Case("recipe", f"rounds-recipe-{i}", "RC-4 RC-13", why, {"recipe": given}, wanted)


def keys_of(random: Random, method: str) -> dict[str, Any]:
    keys = {"lambda": random.choose(["1", "0.4", "-1.5"])}
    if method == "sce":
        keys["select_topk"] = random.choose(["1", "0.5", "0.3"])
    elif method == "ramplus_tl":
        keys |= {"r": random.choose(["0.1", "2"]), "alpha": random.choose(["0.2", "1.5"])}
    elif method == "consensus_ta":
        keys |= {"threshold": random.choose(["1", "2", "3"]), "tall_lambda": random.choose(["0.2", "0.4", "1"])}
    return keys


def random_case(random: Random, method: str, i: str) -> Case:
    dtype, spread = random.choose(["F32", "BF16", "F16", "F64"]), random.choose([4, 24, 60])
    base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
    contributions, keys = random_contributions(random, spread, False), keys_of(random, method)
    if method in ("emr", "tall_mask"):
        keys["task"] = id_of(base, random.choose(contributions))
    why = f"random, {spread} exponents, base {dtype}"
    return merge_case(i, "MG-3 MG-8", why, base, contributions, recipe(method, **keys))


def breadth(seed: int, count: int) -> Iterator[Case]:
    """Each method in turn."""
    random = Random(seed)
    for method in ("sce", "ramplus_tl", "consensus_ta", "tall_mask", "emr"):
        made = 0
        while made < count:
            found = random_case(random, method, f"{method}-round-random-{made}")
            rule = found.result().get("error", {}).get("rule")
            if rule is None or (rule == "NonFinite" and made % 8 == 0):
                made += 1
                yield replace(found, says=rule)


CASES = [*SCE, *RAMPLUS, *CONSENSUS, *TALL, *EMR, *SETTINGS, *recipes(), *breadth(23, 12)]
