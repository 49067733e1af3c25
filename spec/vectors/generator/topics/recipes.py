"""Recipes: the full map, its id, recipe files and one-shot configurations."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.recipes import complete
from generator.topics import recipe_maps

Json = Any
DEFAULTS = {"density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}

COMPLETED: list[tuple[str, Json, Json, str]] = [
    ("ties", {"method": "ties"}, {"method": "ties", **DEFAULTS}, "every default"),
    ("ties-written-out", {"method": "ties", **DEFAULTS}, {"method": "ties", **DEFAULTS}, "written out: the same id"),
    ("ties-density", {"method": "ties", "density": "0.20"}, {"method": "ties", **DEFAULTS, "density": "0.2"},
     "a density in canonical form"),
    ("ties-lambda", {"method": "ties", "lambda": "-0.0"}, {"method": "ties", **DEFAULTS, "lambda": "0"},
     "a lambda of zero"),
    ("ties-all", {"boundary": "lowest_index", "scope": "tensor", "lambda": "1.50", "density": "0.050",
                  "method": "ties"},
     {"method": "ties", "density": "0.05", "lambda": "1.5", "scope": "tensor", "boundary": "lowest_index"},
     "every key, in another order"),
    ("ties-tensor", {"method": "ties", "scope": "tensor"}, {"method": "ties", **DEFAULTS, "scope": "tensor"},
     "scope"),
    ("mean", {"method": "mean"}, {"method": "mean", "lambda": "1"}, "the mean has no density"),
    ("mean-lambda", {"method": "mean", "lambda": "-2"}, {"method": "mean", "lambda": "-2"}, "a negative lambda"),
    ("task-arithmetic", {"method": "task_arithmetic", "lambda": "0.3"},
     {"method": "task_arithmetic", "lambda": "0.3"},
     "task arithmetic"),
    ("lambda-underflow", {"method": "mean", "lambda": "0." + "0" * 59 + "1"},
     {"method": "mean", "lambda": "0." + "0" * 59 + "1"}, "a lambda that is 0 as an fp32 number keeps its text"),
]  # fmt: skip

IN_A_DIALECT: list[tuple[str, Json, Json, str]] = [
    ("authors", {"method": "ties", "dialect": "authors", "density": "0.20"},
     {"method": "ties", "dialect": "authors", "density": "0.2", "lambda": "1"}, "another dialect"),
    ("mergekit", {"lambda": "0.50", "dialect": "mergekit-0.1.5", "method": "ties"},
     {"method": "ties", "dialect": "mergekit-0.1.5", "density": "1", "lambda": "0.5"}, "with a lambda"),
    ("peft", {"method": "ties", "dialect": "peft-0.21", "lambda": "1.0"},
     {"method": "ties", "dialect": "peft-0.21", "density": "1", "lambda": "1"}, "one that has no lambda"),
    ("canonical", {"method": "ties", "dialect": "canonical", "scope": "tensor"},
     {"method": "ties", **DEFAULTS, "scope": "tensor"}, "canonical is left out"),
]  # fmt: skip

REFUSED_IN_A_DIALECT: list[tuple[str, Json, str]] = [
    ("unknown", {"method": "ties", "dialect": "mergekit"}, "an unknown dialect"),
    ("empty", {"method": "ties", "dialect": ""}, "an empty dialect"),
    ("open", {"method": "ties", "dialect": "paper"}, "a dialect that leaves points open"),
    ("scope", {"method": "ties", "dialect": "authors", "scope": "model"}, "a dialect fixes the scope"),
    ("boundary", {"method": "ties", "dialect": "authors", "boundary": "keep_all"}, "and the boundary"),
    ("lambda", {"method": "ties", "dialect": "peft-0.21", "lambda": "0.5"}, "a dialect without lambda"),
    ("mean", {"method": "mean", "dialect": "canonical"}, "the mean has no dialects"),
]

REFUSED: list[tuple[str, Json, str, str]] = [
    ("no-method", {"density": "0.2"}, "RecipeError", "no method"),
    ("empty", {}, "RecipeError", "an empty map"),
    ("unknown-method", {"method": "dare"}, "RecipeError", "an unknown method"),
    ("method-case", {"method": "TIES"}, "RecipeError", "names are exact"),
    ("method-dash", {"method": "task-arithmetic"}, "RecipeError", "names are exact"),
    ("unknown-key", {"method": "ties", "k": "0.2"}, "RecipeError", "an unknown key"),
    ("mean-density", {"method": "mean", "density": "0.2"}, "RecipeError", "the mean has no density"),
    (
        "task-arithmetic-scope",
        {"method": "task_arithmetic", "scope": "model"},
        "RecipeError",
        "nor task arithmetic a scope",
    ),
    ("unknown-scope", {"method": "ties", "scope": "layer"}, "RecipeError", "an unknown scope"),
    ("unknown-boundary", {"method": "ties", "boundary": "random"}, "RecipeError", "an unknown boundary"),
    ("empty-scope", {"method": "ties", "scope": ""}, "RecipeError", "an empty scope"),
    ("density-zero", {"method": "ties", "density": "0"}, "DecimalError", "a density of 0"),
    ("density-above-one", {"method": "ties", "density": "1.01"}, "DecimalError", "a density above 1"),
    ("density-text", {"method": "ties", "density": "20%"}, "DecimalError", "a density that is no decimal"),
    ("lambda-text", {"method": "mean", "lambda": "1e-1"}, "DecimalError", "a lambda that is no decimal"),
    ("lambda-overflow", {"method": "mean", "lambda": "1" + "0" * 39}, "DecimalError", "a lambda too large for fp32"),
]

DARE = {"density": "1", "seed": "0", "lambda": "1"}
CRUMBS = {"density": "0.9", "gamma": "0.01", "lambda": "1", "scope": "tensor"}
DELLA = {"density": "0.5", "epsilon": "0.15", "seed": "0", "lambda": "1"}
OF_NEW_METHODS: list[tuple[str, Json, Json, str]] = [
    ("fisher", {"method": "fisher"}, {"method": "fisher", "lambda": "1"}, "Fisher merging has a lambda alone"),
    ("fisher-lambda", {"method": "fisher", "lambda": "0.50"}, {"method": "fisher", "lambda": "0.5"}, "canonical"),
    ("dare-linear", {"method": "dare_linear"}, {"method": "dare_linear", **DARE}, "every default"),
    ("dare-linear-all", {"seed": "42", "lambda": "-1.0", "method": "dare_linear", "density": "0.10"},
     {"method": "dare_linear", "density": "0.1", "seed": "42", "lambda": "-1"}, "every key, in another order"),
    ("dare-linear-greatest-seed", {"method": "dare_linear", "seed": str(2**64 - 1)},
     {"method": "dare_linear", **DARE, "seed": str(2**64 - 1)}, "the greatest seed"),
    ("dare-ties", {"method": "dare_ties"}, {"method": "dare_ties", **DEFAULTS, "seed": "0", "trim_density": "1"},
     "every default"),
    ("dare-ties-all", {"method": "dare_ties", "trim_density": "0.050", "density": "0.50", "seed": "7",
                       "scope": "tensor", "boundary": "lowest_index", "lambda": "2"},
     {"method": "dare_ties", "density": "0.5", "seed": "7", "trim_density": "0.05", "lambda": "2", "scope": "tensor",
      "boundary": "lowest_index"}, "every key"),
    ("breadcrumbs", {"method": "breadcrumbs"}, {"method": "breadcrumbs", **CRUMBS}, "every default"),
    ("breadcrumbs-ties-all", {"method": "breadcrumbs_ties", "density": "0.50", "gamma": "0.5", "lambda": "-0",
                              "scope": "row"},
     {"method": "breadcrumbs_ties", "density": "0.5", "gamma": "0.5", "lambda": "0", "scope": "row"}, "every key"),
    ("breadcrumbs-gamma-zero", {"method": "breadcrumbs", "density": "1", "gamma": "-0.0"},
     {"method": "breadcrumbs", **CRUMBS, "density": "1", "gamma": "0"}, "nothing is cut: all may be kept"),
    ("della", {"method": "della"}, {"method": "della", **DELLA}, "every default"),
    ("della-linear-all", {"method": "della_linear", "density": "0.70", "epsilon": "0.3", "seed": "9", "lambda": "2"},
     {"method": "della_linear", "density": "0.7", "epsilon": "0.3", "seed": "9", "lambda": "2"}, "every key"),
    ("della-epsilon-zero", {"method": "della", "density": "1", "epsilon": "0.0"},
     {"method": "della", **DELLA, "density": "1", "epsilon": "0"}, "all are kept alike"),
]  # fmt: skip

REFUSED_OF_NEW_METHODS: list[tuple[str, Json, str, str]] = [
    ("seed-leading-zero", {"method": "dare_linear", "seed": "042"}, "RecipeError", "a seed with a leading zero"),
    ("seed-zeros", {"method": "dare_linear", "seed": "00"}, "RecipeError", "a seed of two zeros"),
    ("seed-too-large", {"method": "dare_linear", "seed": str(2**64)}, "RecipeError", "a seed of 2^64"),
    ("seed-negative", {"method": "dare_linear", "seed": "-1"}, "RecipeError", "a negative seed"),
    ("seed-signed", {"method": "dare_ties", "seed": "+1"}, "RecipeError", "a seed with a sign"),
    ("seed-decimal", {"method": "dare_ties", "seed": "1.0"}, "RecipeError", "a seed is no decimal"),
    ("seed-empty", {"method": "dare_linear", "seed": ""}, "RecipeError", "an empty seed"),
    ("seed-line-feed", {"method": "dare_linear", "seed": "1\n"}, "RecipeError", "a line feed behind the seed"),
    ("seed-separated", {"method": "dare_linear", "seed": "1_0"}, "RecipeError", "digits alone"),
    ("seed-other-digits", {"method": "dare_linear", "seed": "\u0663"}, "RecipeError", "digits of ASCII"),
    ("seed-superscript", {"method": "dare_linear", "seed": "\u00b2"}, "RecipeError", "what is no decimal digit"),
    ("ties-seed", {"method": "ties", "seed": "0"}, "RecipeError", "TIES has no seed"),
    ("fisher-density", {"method": "fisher", "density": "1"}, "RecipeError", "Fisher merging has no density"),
    ("fisher-seed", {"method": "fisher", "seed": "0"}, "RecipeError", "nor a seed"),
    ("dare-linear-trim", {"method": "dare_linear", "trim_density": "1"}, "RecipeError", "nothing is trimmed"),
    ("dare-linear-scope", {"method": "dare_linear", "scope": "model"}, "RecipeError", "so there is no scope"),
    ("dare-linear-density-zero", {"method": "dare_linear", "density": "0"}, "DecimalError", "a density of 0"),
    ("dare-ties-trim-zero", {"method": "dare_ties", "trim_density": "0"}, "DecimalError", "a trim density of 0"),
    ("dare-ties-trim-above-one", {"method": "dare_ties", "trim_density": "1.1"}, "DecimalError", "one above 1"),
    ("dare-ties-boundary", {"method": "dare_ties", "boundary": "first"}, "RecipeError", "an unknown boundary"),
    ("dare-ties-dialect", {"method": "dare_ties", "dialect": "canonical"}, "RecipeError", "DARE has no dialects"),
    ("breadcrumbs-density-alone", {"method": "breadcrumbs", "density": "1"}, "RecipeError", "gamma is 0.01"),
    ("breadcrumbs-together", {"method": "breadcrumbs", "density": "0.5", "gamma": "0.5" + "0" * 58 + "1"},
     "RecipeError", "a little more than 1 together"),
    ("breadcrumbs-gamma-one", {"method": "breadcrumbs", "gamma": "1"}, "DecimalError", "a gamma of 1"),
    ("breadcrumbs-gamma-negative", {"method": "breadcrumbs", "gamma": "-0.1"}, "DecimalError", "a negative gamma"),
    ("breadcrumbs-density-zero", {"method": "breadcrumbs_ties", "density": "0"}, "DecimalError", "a density of 0"),
    ("breadcrumbs-scope", {"method": "breadcrumbs", "scope": "model"}, "RecipeError", "tensors or rows"),
    ("breadcrumbs-seed", {"method": "breadcrumbs", "seed": "0"}, "RecipeError", "nothing is random"),
    ("della-density-alone", {"method": "della", "density": "1"}, "RecipeError", "epsilon is 0.15"),
    ("della-low", {"method": "della", "density": "0.15"}, "RecipeError", "a probability of 0"),
    ("della-high", {"method": "della_linear", "density": "0.85" + "0" * 57 + "1"}, "RecipeError", "a little above 1"),
    ("della-epsilon-negative", {"method": "della", "epsilon": "-0.1"}, "DecimalError", "a negative epsilon"),
    ("della-density-zero", {"method": "della_linear", "density": "0"}, "DecimalError", "a density of 0"),
    ("della-seed", {"method": "della", "seed": "1.0"}, "RecipeError", "a seed is no decimal"),
    ("della-scope", {"method": "della", "scope": "tensor"}, "RecipeError", "it looks at rows"),
]  # fmt: skip

# id, the YAML, its pairs as text in order (a mapping as a list of pairs), the answer, why
FILES: list[tuple[str, str, Json, Json, str]] = [
    ("plain", "method: ties\ndensity: 0.20\n", [["method", "ties"], ["density", "0.20"]],
     {"method": "ties", "density": "0.2"}, "scalars without quotes are text"),
    ("quoted", "method: 'ties'\n\"density\": \"0.2\"\n", [["method", "ties"], ["density", "0.2"]],
     {"method": "ties", "density": "0.2"}, "quoted scalars are the same text"),
    ("digits", "method: mean\nlambda: 0.1000000000000000055511151231257827\n",
     [["method", "mean"], ["lambda", "0.1000000000000000055511151231257827"]],
     {"method": "mean", "lambda": "0.1000000000000000055511151231257827"}, "no digit passes through a binary float"),
    ("comment", "# ours\nmethod: mean # the mean\n", [["method", "mean"]], {"method": "mean"}, "comments"),
    ("exponent", "method: mean\nlambda: 1e3\n", [["method", "mean"], ["lambda", "1e3"]], "DecimalError",
     "a YAML float is no decimal"),
    ("octal", "method: mean\nlambda: 010\n", [["method", "mean"], ["lambda", "010"]], "DecimalError",
     "a YAML octal is no decimal"),
    ("duplicate", "method: mean\nlambda: 1\nlambda: 2\n", [["method", "mean"], ["lambda", "1"], ["lambda", "2"]],
     "RecipeError", "a key twice"),
    ("duplicate-equal", "method: mean\nmethod: mean\n", [["method", "mean"], ["method", "mean"]], "RecipeError",
     "a key twice with one value"),
    ("unknown", "method: mean\nweights: 1\n", [["method", "mean"], ["weights", "1"]], "RecipeError",
     "an unknown key"),
    ("base", "method: mean\nbase: b\n", [["method", "mean"], ["base", "b"]], "RecipeError",
     "base belongs to configurations"),
]  # fmt: skip

MORE_FILES: list[tuple[str, str, Json, Json, str]] = [
    ("alias", "method: ties\ndensity: &x 0.50\nlambda: *x\n",
     [["method", "ties"], ["density", "0.50"], ["lambda", "0.50"]],
     {"method": "ties", "density": "0.5", "lambda": "0.5"}, "an alias stands for what it names"),
    ("tags", "method: !!str mean\nlambda: !!float 0.50\n", [["method", "mean"], ["lambda", "0.50"]],
     {"method": "mean", "lambda": "0.5"}, "tags are ignored"),
    ("tag-unknown", "method: mean\nlambda: !ours 0.50\n", [["method", "mean"], ["lambda", "0.50"]],
     {"method": "mean", "lambda": "0.5"}, "unknown tags too"),
    ("tag-of-mapping", "!!python/object:builtins.dict\nmethod: mean\n", [["method", "mean"]], {"method": "mean"},
     "on a mapping too"),
    ("markers", "---\nmethod: mean\n...\n", [["method", "mean"]], {"method": "mean"}, "one document between markers"),
    ("folded", "method: >-\n  mean\nlambda: |-\n  0.5\n", [["method", "mean"], ["lambda", "0.5"]],
     {"method": "mean", "lambda": "0.5"}, "every way to write a scalar is text"),
    ("flow", "{method: mean, \"lambda\": '2'}\n", [["method", "mean"], ["lambda", "2"]],
     {"method": "mean", "lambda": "2"}, "a mapping in braces"),
    ("two-documents", "method: mean\n---\nmethod: mean\n", None, "RecipeError", "a second document"),
    ("second-empty", "method: mean\n---\n", None, "RecipeError", "a second document that is empty"),
    ("no-document", "", None, "RecipeError", "no document"),
    ("comment-alone", "# nothing\n", None, "RecipeError", "a comment alone"),
    ("list", "- method: mean\n", None, "RecipeError", "a list"),
    ("scalar", "mean\n", None, "RecipeError", "a text"),
    ("not-yaml", "method: [mean\n", None, "RecipeError", "not YAML"),
    ("method-list", "method: [mean]\n", [["method", ["mean"]]], "RecipeError", "a list where text is expected"),
    ("lambda-mapping", "method: mean\nlambda: {a: b}\n", [["method", "mean"], ["lambda", [["a", "b"]]]],
     "RecipeError", "a mapping where text is expected"),
    ("scope-empty-list", "method: ties\nscope: []\n", [["method", "ties"], ["scope", []]], "RecipeError",
     "an empty list where text is expected"),
    ("lambda-empty", "method: mean\nlambda:\n", [["method", "mean"], ["lambda", ""]], "DecimalError",
     "an empty scalar is the empty text, which is no decimal"),
    ("lambda-empty-quoted", "method: mean\nlambda: ''\n", [["method", "mean"], ["lambda", ""]], "DecimalError",
     "as in quotes"),
    ("scope-empty", "method: ties\nscope:\n", [["method", "ties"], ["scope", ""]], "RecipeError",
     "nor is it a scope: it does not stand for the default"),
    ("method-empty", "method:\n", [["method", ""]], "RecipeError", "nor a method"),
    ("lambda-null", "method: mean\nlambda: null\n", [["method", "mean"], ["lambda", "null"]], "DecimalError",
     "null is a text of four letters"),
    ("lambda-tilde", "method: mean\nlambda: ~\n", [["method", "mean"], ["lambda", "~"]], "DecimalError",
     "and ~ one of one character"),
    ("method-true", "method: yes\n", [["method", "yes"]], "RecipeError", "and yes is no boolean"),
    ("merge-key", "method: mean\n<<: {lambda: 0.5}\n", [["method", "mean"], ["<<", [["lambda", "0.5"]]]],
     "RecipeError", "<< is a text like others, and an unknown key"),
]  # fmt: skip

DARE_FILES: list[tuple[str, str, Json, Json, str]] = [
    ("dare", "method: dare_ties\ndensity: 0.50\nseed: 42\n",
     [["method", "dare_ties"], ["density", "0.50"], ["seed", "42"]],
     {"method": "dare_ties", "density": "0.5", "seed": "42"}, "a seed is read as text"),
    ("dare-octal", "method: dare_linear\nseed: 042\n", [["method", "dare_linear"], ["seed", "042"]], "RecipeError",
     "a YAML octal is no seed"),
    ("dare-hexadecimal", "method: dare_linear\nseed: 0x2a\n", [["method", "dare_linear"], ["seed", "0x2a"]],
     "RecipeError", "nor is a hexadecimal"),
]  # fmt: skip

MODEL = [["path", "ft"]]
CONFIGURATIONS: list[tuple[str, str, Json, Json, str]] = [
    ("plain", "method: mean\nbase: b\nmodels:\n  - path: ft\n  - {path: gt, coefficient: 0.50}\n",
     [["method", "mean"], ["base", "b"], ["models", [MODEL, [["path", "gt"], ["coefficient", "0.50"]]]]],
     {"base": "b", "models": [{"path": "ft", "coefficient": "1"}, {"path": "gt", "coefficient": "0.5"}]},
     "two models, one coefficient left out"),
    ("negative", "method: task_arithmetic\nbase: b\nmodels: [{path: ft, coefficient: -1}]\n",
     [["method", "task_arithmetic"], ["base", "b"], ["models", [[["path", "ft"], ["coefficient", "-1"]]]]],
     {"base": "b", "models": [{"path": "ft", "coefficient": "-1"}]}, "a negative coefficient in task arithmetic"),
    ("negative-mean", "method: mean\nbase: b\nmodels: [{path: ft, coefficient: -1}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["coefficient", "-1"]]]]], "CoefficientError",
     "a negative coefficient elsewhere"),
    ("coefficient-overflow", f"method: mean\nbase: b\nmodels: [{{path: ft, coefficient: {10**39}}}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["coefficient", str(10**39)]]]]],
     "DecimalError", "a coefficient beyond fp32 is refused as a decimal"),
    ("coefficient-empty", "method: mean\nbase: b\nmodels: [{path: ft, coefficient: }]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["coefficient", ""]]]]], "DecimalError",
     "an empty scalar is the empty text, which is no decimal"),
    ("alias", "method: mean\nbase: &b ft\nmodels:\n  - {path: *b, coefficient: &c 0.50}\n"
     "  - {path: gt, coefficient: *c}\n",
     [["method", "mean"], ["base", "ft"], ["models", [[["path", "ft"], ["coefficient", "0.50"]],
                                                     [["path", "gt"], ["coefficient", "0.50"]]]]],
     {"base": "ft", "models": [{"path": "ft", "coefficient": "0.5"}, {"path": "gt", "coefficient": "0.5"}]},
     "an alias stands for what it names"),
    ("text-numbers", "method: mean\nbase: 1.0\nmodels: [{path: 007}, {path: null}]\n",
     [["method", "mean"], ["base", "1.0"], ["models", [[["path", "007"]], [["path", "null"]]]]],
     {"base": "1.0", "models": [{"path": "007", "coefficient": "1"}, {"path": "null", "coefficient": "1"}]},
     "paths are text"),
    ("base-list", "method: mean\nbase: [b]\nmodels: [{path: ft}]\n",
     [["method", "mean"], ["base", ["b"]], ["models", [MODEL]]], "RecipeError", "a list where text is expected"),
    ("path-list", "method: mean\nbase: b\nmodels: [{path: [ft]}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", ["ft"]]]]]], "RecipeError",
     "a list where text is expected"),
    ("coefficient-mapping", "method: mean\nbase: b\nmodels: [{path: ft, coefficient: {a: b}}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["coefficient", [["a", "b"]]]]]]],
     "RecipeError", "a mapping where text is expected"),
    ("models-text", "method: mean\nbase: b\nmodels: ft\n", [["method", "mean"], ["base", "b"], ["models", "ft"]],
     "RecipeError", "a text where the list of models is expected"),
    ("model-text", "method: mean\nbase: b\nmodels: [ft]\n",
     [["method", "mean"], ["base", "b"], ["models", ["ft"]]], "RecipeError", "a text where a model is expected"),
    ("two-documents", "method: mean\nbase: b\nmodels: [{path: ft}]\n---\n", None, "RecipeError",
     "a second document"),
    ("no-models", "method: mean\nbase: b\n", [["method", "mean"], ["base", "b"]], "RecipeError", "no models"),
    ("empty-models", "method: mean\nbase: b\nmodels: []\n", [["method", "mean"], ["base", "b"], ["models", []]],
     "RecipeError", "an empty list of models"),
    ("no-base", "method: mean\nmodels: [{path: ft}]\n", [["method", "mean"], ["models", [MODEL]]], "RecipeError",
     "no base"),
    ("model-without-path", "method: mean\nbase: b\nmodels: [{coefficient: 1}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["coefficient", "1"]]]]], "RecipeError",
     "a model without a path"),
    ("model-unknown-key", "method: mean\nbase: b\nmodels: [{path: ft, weight: 1}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["weight", "1"]]]]], "RecipeError",
     "an unknown key"),
    ("model-duplicate-key", "method: mean\nbase: b\nmodels: [{path: ft, path: gt}]\n",
     [["method", "mean"], ["base", "b"], ["models", [[["path", "ft"], ["path", "gt"]]]]], "RecipeError",
     "a path twice"),
]  # fmt: skip


def says_file(answer: Json) -> Json:
    return answer if isinstance(answer, str) else {"recipe": complete(answer)}


CASES = [
    *(
        Case("recipe", f"recipe-dialect-{i}", "RC-4 RC-5 RC-9", why, {"recipe": recipe}, {"recipe": full})
        for i, recipe, full, why in IN_A_DIALECT
    ),
    *(
        Case("recipe", f"recipe-dialect-refused-{i}", "RC-4 RC-9", why, {"recipe": recipe}, "RecipeError")
        for i, recipe, why in REFUSED_IN_A_DIALECT
    ),
    *(
        Case("recipe", f"recipe-{i}", "RC-1 RC-4 RC-5", why, {"recipe": recipe}, {"recipe": full})
        for i, recipe, full, why in COMPLETED
    ),
    *(
        Case("recipe", f"recipe-refused-{i}", "RC-1 RC-3 RC-4", why, {"recipe": recipe}, rule)
        for i, recipe, rule, why in REFUSED
    ),
    *(
        Case("recipe-file", f"recipe-file-{i}", "RC-7", why, {"yaml": yaml, "pairs": pairs}, says_file(answer))
        for i, yaml, pairs, answer, why in [*FILES, *MORE_FILES]
    ),
    *(
        Case("merge-configuration", f"configuration-{i}", "RC-6 RC-7", why, {"yaml": yaml, "pairs": pairs}, answer)
        for i, yaml, pairs, answer, why in CONFIGURATIONS
    ),
    *(
        Case("recipe", f"recipe-{i}", "RC-4 RC-5", why, {"recipe": recipe}, {"recipe": full})
        for i, recipe, full, why in OF_NEW_METHODS
    ),
    *(
        Case("recipe", f"recipe-refused-{i}", "RC-4 RM-1", why, {"recipe": recipe}, rule)
        for i, recipe, rule, why in REFUSED_OF_NEW_METHODS
    ),
    *(
        Case("recipe-file", f"recipe-file-{i}", "RC-7 RM-1", why, {"yaml": yaml, "pairs": pairs}, says_file(answer))
        for i, yaml, pairs, answer, why in DARE_FILES
    ),
    *recipe_maps.CASES,
]
