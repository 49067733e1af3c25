"""Settings by tensor: maps and files of recipes, the numbers that tensors have, and merges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.recipes import complete
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned
from generator.writing import bf16, f32, integers

Json = Any
MLP = {"tensors": "*.mlp.*", "density": "0.5"}


def ties(*settings: Json, **keys: str) -> Json:
    return complete({"method": "ties", **keys, "settings": list(settings)})


def of(method: str, *settings: Json, **keys: str) -> Json:
    return complete({"method": method, **keys, "settings": list(settings)})


# -- maps ----------------------------------------------------------------------------------------------------

FULL = {"method": "ties", "density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}
MEAN = {"method": "mean", "lambda": "1"}
COMPLETED: list[tuple[str, Json, Json, str]] = [
    ("one", {"method": "ties", "settings": [{"tensors": "*.mlp.*", "density": "0.50"}]}, {**FULL, "settings": [MLP]},
     "a decimal in canonical form"),
    ("none", {"method": "ties", "settings": []}, FULL, "no entry: the map and the id of a recipe without settings"),
    ("gradient", {"method": "mean", "settings": [{"lambda": ["0.10", "0.5", "1.0"], "tensors": "*embed*"}]},
     {**MEAN, "settings": [{"tensors": "*embed*", "lambda": ["0.1", "0.5", "1"]}]}, "a gradient"),
    ("gradient-of-one", {"method": "mean", "settings": [{"tensors": "*", "lambda": ["1.0"]}]},
     {**MEAN, "settings": [{"tensors": "*", "lambda": ["1"]}]}, "a gradient of one number stays a list"),
    ("coefficient", {"method": "mean", "settings": [{"tensors": "*", "coefficient": "-0.0"}]},
     {**MEAN, "settings": [{"tensors": "*", "coefficient": "0"}]}, "a coefficient may be 0"),
    ("coefficient-negative", {"method": "task_arithmetic", "settings": [{"tensors": "*", "coefficient": "-1"}]},
     {"method": "task_arithmetic", "lambda": "1", "settings": [{"tensors": "*", "coefficient": "-1"}]},
     "and negative where the method takes negative ones"),
    ("order", {"method": "mean", "settings": [{"tensors": "b", "lambda": "2"}, {"tensors": "a", "lambda": "3"}]},
     {**MEAN, "settings": [{"tensors": "b", "lambda": "2"}, {"tensors": "a", "lambda": "3"}]},
     "the order of entries counts"),
    ("twice", {"method": "mean", "settings": [{"tensors": "a", "lambda": "2"}, {"tensors": "a", "lambda": "2"}]},
     {**MEAN, "settings": [{"tensors": "a", "lambda": "2"}, {"tensors": "a", "lambda": "2"}]}, "and so do equal ones"),
    ("dare", {"method": "dare_ties", "settings": [{"tensors": "*", "trim_density": "0.20", "density": "0.9"}]},
     {**FULL, "method": "dare_ties", "seed": "0", "trim_density": "1",
      "settings": [{"tensors": "*", "density": "0.9", "trim_density": "0.2"}]}, "both densities of DARE before TIES"),
    ("empty-pattern", {"method": "mean", "settings": [{"tensors": "", "lambda": "2"}]},
     {**MEAN, "settings": [{"tensors": "", "lambda": "2"}]}, "a pattern that matches the empty name alone"),
]  # fmt: skip

REFUSED: list[tuple[str, Json, str, str]] = [
    ("text", "x", "RecipeError", "a text where a list belongs"),
    ("map", MLP, "RecipeError", "an entry where a list belongs"),
    ("entry-text", ["x"], "RecipeError", "a text where an entry belongs"),
    ("no-tensors", [{"density": "0.5"}], "RecipeError", "an entry for no tensors"),
    ("tensors-list", [{"tensors": ["a"], "density": "0.5"}], "RecipeError", "a list where a pattern belongs"),
    ("sets-nothing", [{"tensors": "a"}], "RecipeError", "an entry that sets nothing"),
    ("unknown-key", [{"tensors": "a", "densty": "0.5"}], "RecipeError", "an unknown key"),
    ("scope", [{"tensors": "a", "scope": "tensor"}], "RecipeError", "a key that is the same for all tensors"),
    ("method", [{"tensors": "a", "method": "mean"}], "RecipeError", "and so is the method"),
    ("of-another-method", [{"tensors": "a", "trim_density": "0.5"}], "RecipeError", "a key of another method"),
    ("empty-gradient", [{"tensors": "a", "lambda": []}], "RecipeError", "a gradient of no numbers"),
    ("nested-gradient", [{"tensors": "a", "lambda": [["1"]]}], "DecimalError", "a list in a gradient"),
    ("density-zero", [{"tensors": "a", "density": "0"}], "DecimalError", "a density of 0"),
    ("density-in-gradient", [{"tensors": "a", "density": ["1", "1.5"]}], "DecimalError", "one above 1 in a gradient"),
    ("lambda-overflow", [{"tensors": "a", "lambda": "1" + "0" * 39}], "DecimalError", "a lambda beyond fp32"),
    ("no-decimal", [{"tensors": "a", "lambda": "1e-1"}], "DecimalError", "a lambda that is no decimal"),
    ("negative", [{"tensors": "a", "coefficient": "-1"}], "CoefficientError", "TIES takes no negative coefficients"),
]  # fmt: skip

LATER = {"method": "later"}
MAPS: list[tuple[str, Json, Json, str]] = [
    ("unknown", {**LATER, "settings": [{"tensors": "*", "k": "x", "l": ["", "1.0"]}]}, None,
     "of a method that is not known, taken as it is"),
    ("known", {**FULL, "settings": [MLP]}, None, "of a known method, complete"),
    ("most-keys", {**LATER, "settings": [{"tensors": "", **{f"k{i}": "" for i in range(63)}}]}, None, "64 keys"),
    ("too-many-keys", {**LATER, "settings": [{"tensors": "", **{f"k{i}": "" for i in range(64)}}]}, "RecipeError",
     "65 keys"),
    ("empty", {**LATER, "settings": []}, "RecipeError", "without entries the key is left out"),
    ("known-empty", {**FULL, "settings": []}, "RecipeError", "of a known method too"),
    ("text", {**LATER, "settings": "x"}, "RecipeError", "no list"),
    ("no-tensors", {**LATER, "settings": [{"k": "x", "l": "x"}]}, "RecipeError", "an entry for no tensors"),
    ("sets-nothing", {**LATER, "settings": [{"tensors": "*"}]}, "RecipeError", "an entry that sets nothing"),
    ("empty-gradient", {**LATER, "settings": [{"tensors": "*", "k": []}]}, "RecipeError", "an empty list"),
    ("key", {**LATER, "settings": [{"tensors": "*", "K": "1"}]}, "RecipeError", "a key of another form"),
    ("not-canonical", {**FULL, "settings": [{"tensors": "a", "density": "0.50"}]}, "RecipeError",
     "a decimal that is not canonical"),
    ("list-elsewhere", {**LATER, "other": [{"tensors": "*", "k": "1"}]}, "RecipeError", "a list under another key"),
]  # fmt: skip

FILES: list[tuple[str, str, Json, Json, str]] = [
    ("blocks", "method: ties\nsettings:\n  - tensors: '*.mlp.*'\n    density: 0.50\n",
     [["method", "ties"], ["settings", [[["tensors", "*.mlp.*"], ["density", "0.50"]]]]],
     {"method": "ties", "settings": [{"tensors": "*.mlp.*", "density": "0.5"}]}, "an entry"),
    ("flow", "{method: mean, settings: [{tensors: 'h.*', lambda: [0, 1]}]}\n",
     [["method", "mean"], ["settings", [[["tensors", "h.*"], ["lambda", ["0", "1"]]]]]],
     {"method": "mean", "settings": [{"tensors": "h.*", "lambda": ["0", "1"]}]}, "a gradient"),
    ("text", "method: mean\nsettings: h.*\n", [["method", "mean"], ["settings", "h.*"]], "RecipeError",
     "a text where a list belongs"),
    ("empty", "method: mean\nsettings:\n", [["method", "mean"], ["settings", ""]], "RecipeError",
     "an empty scalar is the empty text"),
    ("twice", "method: mean\nsettings:\n- {tensors: a, lambda: 1, lambda: 2}\n",
     [["method", "mean"], ["settings", [[["tensors", "a"], ["lambda", "1"], ["lambda", "2"]]]]], "RecipeError",
     "a key twice in an entry"),
]  # fmt: skip

# -- numbers -------------------------------------------------------------------------------------------------

LAYERS = [f"model.layers.{i}.mlp.up" for i in range(5)]
OTHERS = ["lm_head.weight", "model.norm.weight"]
GRADIENT = {"tensors": "model.layers.*", "lambda": ["0", "1", "3"]}
NUMBERS: list[tuple[str, Json, list[str], Json, str]] = [
    ("first-match", ties({"tensors": "*.mlp.*", "density": "0.5"}, {"tensors": "model.*", "density": "0.2",
                                                                   "lambda": "2"}, density="0.1"),
     LAYERS[:1] + OTHERS, None, "by key, the first entry that matches and has it"),
    ("gradient", of("mean", GRADIENT), LAYERS + OTHERS, None, "five layers, three points"),
    ("gradient-of-two", of("mean", {"tensors": "model.layers.*", "lambda": ["1", "0.1"]}), LAYERS, None, "falling"),
    ("gradient-of-one", of("mean", {"tensors": "model.layers.*", "lambda": ["0.3"]}), LAYERS, None, "one point"),
    ("one-layer", of("mean", GRADIENT), LAYERS[:1], None, "one layer has the first point"),
    ("only-the-last", of("mean", GRADIENT), LAYERS[4:], None, "layers that are not there count"),
    ("more-points", of("mean", {"tensors": "*", "lambda": ["1", "2", "4", "8"]}), ["h.0", "h.1", "h.2"], None,
     "more points than layers: what lies between"),
    ("thirds", ties({"tensors": "h.*", "density": ["0.1", "0.9"], "coefficient": ["1", "2"]}),
     ["h.0.w", "h.1.w", "h.2.w", "h.3.w"], None, "numbers that are no decimals"),
    ("layers-of-a-pattern", of("mean", {"tensors": "encoder.*", "lambda": ["0", "1"]},
                               {"tensors": "decoder.*", "lambda": ["0", "1"]}),
     ["decoder.0", "decoder.8", "encoder.0", "encoder.2", "encoder.4"], None, "each pattern has its own last layer"),
    ("layers-of-others", of("mean", {"tensors": "h.4", "lambda": "5"}, {"tensors": "h.*", "lambda": ["0", "1"]}),
     ["h.1", "h.2", "h.4"], None, "a tensor that has its number from above counts as a layer"),
    ("first-number", of("mean", {"tensors": "*", "lambda": ["0", "1"]}),
     ["block.1.layer.7.w", "block.2.layer.0.w", "block.4"], None, "the first part that is digits"),
    ("odd-numbers", of("mean", {"tensors": "*", "lambda": ["0", "1"]}),
     ["007.w", "a.1234567890.3", "a.1e3.14", "a.\u0661.7", "a1.2", "a..7"], None,
     "leading zeros; ten digits; letters; digits of others; no part of digits alone; an empty part"),
    ("no-layer", of("mean", {"tensors": "*", "lambda": ["0", "1"]}), LAYERS + OTHERS, "RecipeError",
     "a tensor without a layer"),
    ("no-layer-above", of("mean", {"tensors": "lm_head.*", "lambda": "1"}, {"tensors": "model.norm.*", "lambda": "1"},
                          {"tensors": "*", "lambda": ["0", "1"]}), LAYERS + OTHERS, None,
     "none is needed where the number is from above"),
    ("no-match", ties(MLP), OTHERS, "NamesError", "a pattern that matches no tensor"),
    ("no-match-of-many", of("mean", {"tensors": "*", "lambda": "1"}, {"tensors": "x*", "lambda": "1"}), OTHERS,
     "NamesError", "though it would set nothing"),
]  # fmt: skip

# -- merges --------------------------------------------------------------------------------------------------

ZEROS = {"h.0": f32(0, 0, 0, 0), "h.1": f32(0, 0, 0, 0), "x": f32(0, 0)}
ONE = [stored({"h.0": f32(1, 2, 3, 4), "h.1": f32(5, 6, 7, 8), "x": f32(9, 10)})]
TWO = [*ONE, stored({"h.0": f32(1, -2, 3, -4), "h.1": f32(8, 7, 6, 5)}, "3")]
MERGES = [
    merge_case("settings-groups", "ST-2 ST-5", "tensors of one density are trimmed together: h.0 and x, h.1 alone",
               ZEROS, ONE, ties({"tensors": "h.1", "density": "0.25"}, density="0.5"),
               {"kept": [4], "tensors": {"h.0": f32(0, 0, 0, 4), "h.1": f32(0, 0, 0, 8), "x": f32(9, 10)}}),
    merge_case("settings-groups-equal", "ST-5", "a number that is the recipe's makes no group of its own", ZEROS, ONE,
               ties({"tensors": "h.1", "density": "0.5"}, density="0.5"), {"kept": [5]}),
    merge_case("settings-groups-lambda", "ST-5", "nor does another lambda", ZEROS, ONE,
               ties({"tensors": "h.*", "lambda": ["0", "2"]}, density="0.5"),
               {"tensors": {"h.0": f32(0, 0, 0, 0), "h.1": f32(0, 12, 14, 16), "x": f32(9, 10)}}),
    merge_case("settings-scope-tensor", "ST-2 TI-2", "in scope tensor each is trimmed by its own density", ZEROS, ONE,
               ties({"tensors": "h.0", "density": "0.25"}, density="0.5", scope="tensor"), {"kept": [4]}),
    merge_case("settings-lambda", "ST-4", "1/3, rounded once", {f"h.{i}": f32(1) for i in range(4)},
               [stored({f"h.{i}": f32(3) for i in range(4)})],
               of("task_arithmetic", {"tensors": "*", "lambda": ["0", "1"]}),
               {"tensors": {"h.0": f32(1), "h.1": f32(2), "h.2": f32(3), "h.3": f32(4)}}),
    merge_case("settings-density-exact", "ST-4 TI-3", "1/3 of six elements are two, of any decimal below it one",
               {f"h.{i}": f32(*[0] * 6) for i in range(4)}, [stored({f"h.{i}": f32(*range(1, 7)) for i in range(4)})],
               ties({"tensors": "*", "density": ["0.25", "0.5"]}, scope="tensor"), {"kept": [8]}),
    merge_case("settings-coefficient-mean", "ST-4 ME-1", "W is of the coefficients at the tensor: the same mean",
               ZEROS, TWO, of("mean", {"tensors": "h.0", "coefficient": "3"}), None),
    merge_case("settings-coefficient", "ST-4 TA-1", "each coefficient times 1/2",
               ZEROS, TWO, of("task_arithmetic", {"tensors": "h.*", "coefficient": "0.5"}),
               {"tensors": {"h.0": f32(2, -2, 6, -4), "h.1": f32("14.5", "13.5", "12.5", "11.5"), "x": f32(9, 10)}}),
    merge_case("settings-coefficient-zero", "ST-4 MG-2", "a tensor that counts as absent: the base's bits",
               {"a": f32("-0", 1), "b": f32(0, 0)}, [stored({"a": f32(1, 1), "b": f32(2, 3)})],
               of("mean", {"tensors": "a", "coefficient": "0"}),
               {"kept": [2], "tensors": {"a": f32("-0", 1), "b": f32(2, 3)}}),
    merge_case("settings-coefficient-zero-ties", "ST-4 ST-5", "and its elements are in no group", ZEROS, ONE,
               ties({"tensors": "x", "coefficient": "0"}, density="0.25"),
               {"kept": [2], "tensors": {"h.0": f32(0, 0, 0, 0), "h.1": f32(0, 0, 7, 8), "x": f32(0, 0)}}),
    merge_case("settings-coefficient-underflow", "ST-4", "a product that is 0 as an fp32 number is 0",
               {"a": f32(0)}, [stored({"a": f32(4)}, "0." + "0" * 44 + "14")],
               of("mean", {"tensors": "a", "coefficient": "0.1"}), {"kept": [0], "tensors": {"a": f32(0)}}),
    merge_case("settings-coefficient-overflow", "ST-4", "one that is not finite is refused",
               {"a": f32(0)}, [stored({"a": f32(0)}, "1" + "0" * 38)],
               of("mean", {"tensors": "a", "coefficient": "10"}), "CoefficientError"),
    merge_case("settings-zero-not-finite", "ST-4 TV-4", "what counts as absent must be finite all the same",
               {"a": f32(0), "b": f32(0)}, [stored({"a": f32("inf"), "b": f32(1)})],
               of("mean", {"tensors": "a", "coefficient": "0"}), "NonFinite"),
    merge_case("settings-certificate", "ST-4 EX-3", "the certificate is of the coefficients at the tensor",
               {"a": f32(0), "b": f32(0)},
               [stored({"a": f32(1), "b": f32(1)}, str(2**40)), stored({"a": f32(1), "b": f32(1)}, "0.00000001")],
               of("mean", {"tensors": "a", "coefficient": "0." + "0" * 38 + "1"}), None),
    merge_case("settings-base-mixed", "ST-2 MG-2", "integers match no pattern; a fine-tune of a base in BF16",
               {"h.0": bf16(*range(8)), "n": integers("I64", 1)},
               [tuned({"h.0": bf16(*range(8, 0, -1))}), tuned({"h.0": bf16(*[16] * 8)})],
               ties({"tensors": "*", "lambda": ["0.4"], "density": "0.7"}), None),
    merge_case("settings-of-integers", "ST-2", "a pattern for integers alone matches no float tensor",
               {"h.0": f32(1), "n": integers("I64", 1)}, [stored({"h.0": f32(1)})],
               of("mean", {"tensors": "n", "lambda": "2"}), "NamesError"),
    merge_case("settings-of-nobody", "ST-2", "a float tensor that no contribution holds is one all the same",
               ZEROS, TWO[1:], of("mean", {"tensors": "x", "lambda": "2"}), None),
    merge_case("settings-nearswap", "ST-4 NS-2", "how far a parameter moves, by layer", ZEROS, ONE,
               of("nearswap", {"tensors": "h.*", "t": ["1.5", "6.5"]}, t="9.5"),
               {"tensors": {"h.0": f32(1, "1.5", "1.5", "1.5"), "h.1": f32(5, 6, "6.5", "6.5"), "x": f32(9, "9.5")}}),
    merge_case("settings-passthrough", "ST-4 PT-1", "scales, one of them 1: there the bits are copied",
               {"a": f32(1), "b": f32("-0"), "c": f32(1)}, [tuned({"a": f32(3), "b": f32("-0"), "c": f32(3)})],
               of("passthrough", {"tensors": "b", "scale": "1"}, {"tensors": "c", "coefficient": "0"}, scale="2"),
               {"tensors": {"a": f32(6), "b": f32("-0"), "c": f32(1)}}),
    merge_case("settings-linear", "ST-4 LI-1", "a mean of models; one tensor counts as absent", ZEROS,
               [tuned({"h.0": f32(1, 2, 3, 4), "x": f32(5, 6)}), tuned({"h.0": f32(5, 4, 3, 2), "x": f32(7, 8)})],
               of("linear", {"tensors": "x", "coefficient": "0"}, {"tensors": "h.*", "coefficient": "3"}), None),
    merge_case("settings-breadcrumbs", "ST-4 BC-2", "other shares of each tensor", ZEROS, ONE,
               of("breadcrumbs", {"tensors": "h.*", "gamma": ["0.25", "0.5"], "density": "0.25"}),
               {"tensors": {"h.0": f32(0, 0, 3, 0), "h.1": f32(0, 6, 0, 0), "x": f32(0, 10)}}),
    merge_case("settings-della", "ST-4 DE-3", "other probabilities of each tensor", ZEROS, TWO,
               of("della", {"tensors": "h.1", "density": "0.9", "epsilon": "0.05"}, seed="4"), None),
    merge_case("settings-together", "ST-2 BC-1", "numbers that a tensor may not have together", ZEROS, ONE,
               of("breadcrumbs", {"tensors": "h.1", "density": "1"}), "RecipeError"),
    merge_case("settings-pcb", "ST-4", "a lambda by tensor, and a tensor that counts as absent", ZEROS, TWO,
               of("pcb", {"tensors": "h.1", "lambda": "2"}, {"tensors": "x", "coefficient": "0"}), None),
    merge_case("settings-sce", "ST-4", "of what is elected, twice as much of a tensor", ZEROS, TWO,
               of("sce", {"tensors": "h.*", "lambda": ["1", "2"]}, {"tensors": "x", "coefficient": "0"}), None),
    merge_case("settings-model-stock", "ST-4", "coefficients from angles, a lambda by layer", ZEROS, TWO,
               of("model_stock", {"tensors": "h.*", "lambda": ["1", "2"]}), None),
    merge_case("settings-dare", "ST-4 DA-1", "a probability of 1/3", {f"h.{i}": f32(*[0] * 6) for i in range(4)},
               [stored({f"h.{i}": f32(*range(1, 7)) for i in range(4)})],
               of("dare_linear", {"tensors": "*", "density": ["0.1", "0.8"]}, seed="5"), None),
    merge_case("settings-dare-ties", "ST-5 DA-3", "one trim density, other masks", ZEROS, TWO,
               of("dare_ties", {"tensors": "h.0", "density": "0.5"}, density="0.8", trim_density="0.4", seed="3")),
]  # fmt: skip

DECIMALS = ["1", "0.5", "0.25", "0.7", "0.123"]
FACTORS = ["0", "1", "2", "0.3"]


def random_entry(random: Random, keys: list[str]) -> Json:
    """One that sets some of the numbers of two to four tensors."""
    entry: Json = {"tensors": random.choose(["a", "b", "c", "[ab]", "[!a]", "*"])}
    for key in keys:
        if random.below(2):
            entry[key] = random.choose(FACTORS if key == "coefficient" else DECIMALS)
    return entry if len(entry) > 1 else entry | {keys[0]: random.choose(DECIMALS)}


def breadth(method: str, keys: list[str], seed: int, count: int) -> list[Case]:
    """Random bases, contributions and settings."""
    random, cases = Random(seed), list[Case]()
    while len(cases) < count:
        dtype = random.choose(["F32", "BF16", "F16", "F64"])
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        contributions = random_contributions(random, random.choose([4, 60]), False)
        settings = [random_entry(random, [*keys, "coefficient"]) for _ in range(random.between(1, 3))]
        recipe = of(method, *settings)
        i = f"settings-{method.replace('_', '-')}-random-{len(cases)}"
        case = merge_case(i, "ST-2 ST-4 ST-5", f"random, base {dtype}", base, contributions, recipe)
        if "error" not in case.result():
            cases.append(replace(case, says=None))
    return cases


def says_file(answer: Json) -> Json:
    return answer if isinstance(answer, str) else {"recipe": complete(answer)}


AGGREGATE = {"base": ZEROS, "recipe": ties({"tensors": "x", "density": "0.5"}), "contributions": ONE, "retract": []}
CASES = [
    *(
        Case("recipe", f"settings-recipe-{i}", "ST-1 RC-4 RC-5", why, {"recipe": recipe}, {"recipe": full})
        for i, recipe, full, why in COMPLETED
    ),
    *(
        Case("recipe", f"settings-refused-{i}", "ST-1", why, {"recipe": {"method": "ties", "settings": x}}, rule)
        for i, x, rule, why in REFUSED
    ),
    Case("recipe", "settings-refused-dialect", "ST-1 RC-4", "a dialect has no settings",
         {"recipe": {"method": "ties", "dialect": "authors", "settings": [MLP]}}, "RecipeError"),
    *(Case("recipe-map", f"settings-map-{i}", "ST-1 RC-12", why, {"recipe": x}, says) for i, x, says, why in MAPS),
    *(
        Case("recipe-file", f"settings-file-{i}", "RC-7 ST-1", why, {"yaml": yaml, "pairs": pairs}, says_file(answer))
        for i, yaml, pairs, answer, why in FILES
    ),
    *(
        Case("by-tensor", f"settings-numbers-{i}", "ST-2 ST-3", why, {"recipe": recipe, "names": names}, says)
        for i, recipe, names, says, why in NUMBERS
    ),
    *MERGES,
    Case("aggregate", "settings-aggregate", "ST-6", "an aggregate knows no base, whose names settings are about",
         AGGREGATE, "AggregateError"),
    *breadth("ties", ["density", "lambda"], 31, 16),
    *breadth("mean", ["lambda"], 32, 8),
    *breadth("dare_ties", ["density", "trim_density", "lambda"], 33, 8),
]  # fmt: skip
