"""Settings by contribution: maps of recipes, and merges in which contributions have numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.contributions import read_contribution
from generator.reference.hashes import model_root
from generator.reference.recipes import complete
from generator.reference.tensors import read_tensors
from generator.topics.merges import merge_case, random_contributions, random_tensors, stored, tuned
from generator.writing import bf16, f32

Json = Any
A = "0f" * 32
FULL = {"method": "ties", "density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}


def id_of(base: Json, contribution: Json) -> str:
    return read_contribution(model_root(read_tensors(base)), contribution, None).id.hex()


def of(
    i: str,
    clauses: str,
    why: str,
    base: Json,
    contributions: Sequence[Json],
    method: str,
    settings: Sequence[tuple[int | None, Json]],
    says: Json = None,
    **keys: str,
) -> Case:
    """A merge. settings: entries, each with the place in the list of the contribution that it is for, or None."""
    ids = [id_of(base, one) for one in contributions]
    entries = [entry if n is None else {"contribution": ids[n], **entry} for n, entry in settings]
    keys = {key.rstrip("_"): text for key, text in keys.items()}
    recipe = complete({"method": method, **keys, "settings": entries})
    return merge_case(f"own-{i}", clauses, why, base, contributions, recipe, says)


# -- maps ----------------------------------------------------------------------------------------------------

MAPS: list[tuple[str, Json, str]] = [
    ("one", [{"contribution": A, "density": "0.5"}], "for one contribution, all tensors"),
    ("both", [{"tensors": "*.mlp.*", "contribution": A, "density": "0.5"}], "for some tensors of one contribution"),
    ("coefficient", [{"contribution": A, "coefficient": ["0", "1"]}], "a gradient of factors"),
]
REFUSED: list[tuple[str, Json, str]] = [
    ("lambda", [{"contribution": A, "lambda": "0.5"}], "lambda is of what all give together"),
    ("scope", [{"contribution": A, "scope": "tensor"}], "the scope is the same for all"),
    ("id", [{"contribution": A[:12], "density": "0.5"}], "the first digits of an id"),
    ("capitals", [{"contribution": A.upper(), "density": "0.5"}], "an id in capitals"),
    ("empty", [{"contribution": "", "density": "0.5"}], "no id"),
    ("list", [{"contribution": [A], "density": "0.5"}], "a list where an id belongs"),
    ("nothing", [{"contribution": A, "tensors": "*"}], "an entry that sets nothing"),
]
LATER = {"method": "later"}
WELL_FORMED: list[tuple[str, Json, Json, str]] = [
    ("known", {**FULL, "settings": [{"contribution": A, "density": "0.5"}]}, None, "of a known method, complete"),
    ("unknown", {**LATER, "settings": [{"contribution": "x", "k": ["1"]}]}, None, "of one that is not known, as it is"),
    ("unknown-both", {**LATER, "settings": [{"contribution": "", "tensors": "", "k": "1"}]}, None, "with a pattern"),
    ("unknown-nothing", {**LATER, "settings": [{"contribution": A, "tensors": "*"}]}, "RecipeError", "sets nothing"),
    ("unknown-list", {**LATER, "settings": [{"contribution": [A], "k": "1"}]}, "RecipeError", "an id that is a list"),
]


def recipe(settings: Json, method: str = "ties") -> Json:
    return {"recipe": {"method": method, "settings": settings}}


# -- merges --------------------------------------------------------------------------------------------------

ZEROS = {"a": f32(0, 0, 0, 0), "b": f32(0, 0)}
ONE, OTHER = stored({"a": f32(1, -2, 3, 4), "b": f32(9, 8)}), stored({"a": f32(-4, 3, 2, 1), "b": f32(6, 7)}, "2")
TWO = [ONE, OTHER]

MERGES = [
    of("density", "ST-8 ST-5 TI-3", "each is trimmed by its own density", ZEROS, TWO, "ties",
       [(0, {"density": "0.5"}), (1, {"density": "0.25"})]),
    of("density-of-one", "ST-8 TI-3", "one has its own, the other the recipe's", ZEROS, TWO, "ties",
       [(1, {"density": "0.5"})], density="0.2"),
    of("first", "ST-8", "the first entry wins, whether it is for one or for all", ZEROS, TWO, "ties",
       [(None, {"tensors": "a", "density": "0.25"}), (0, {"density": "0.5"}), (None, {"tensors": "b", "density": "1"})],
       density="0.75"),
    of("for-all-later", "ST-8", "one's own before all's", ZEROS, TWO, "ties",
       [(0, {"tensors": "a", "density": "0.5"}), (None, {"tensors": "*", "density": "0.25"})]),
    of("tensor", "ST-8 TI-2", "in scope tensor", ZEROS, TWO, "ties",
       [(0, {"tensors": "a", "density": "0.25"})], density="0.5", scope="tensor"),
    of("groups", "ST-5", "two groups of one contribution, one of the other", ZEROS, TWO, "ties",
       [(0, {"tensors": "b", "density": "0.5"})], density="0.4"),
    of("sums", "ST-8 MG-1", "lambda is by tensor, whatever contributions have", ZEROS, TWO, "ties",
       [(0, {"density": "0.5"}), (None, {"tensors": "a", "lambda": "2"})]),
    of("coefficient", "ST-8 ST-4 TA-1", "factors multiply", ZEROS, TWO, "task_arithmetic",
       [(0, {"coefficient": "3"}), (1, {"tensors": "b", "coefficient": "0.5"})],
       {"tensors": {"a": f32(-5, 0, 13, 14), "b": f32(33, 31)}}),
    of("coefficient-negative", "ST-8 ST-7 TA-1", "a negative factor", ZEROS, TWO, "task_arithmetic",
       [(1, {"coefficient": "-1"})], {"tensors": {"a": f32(9, -8, -1, 2), "b": f32(-3, -6)}}),
    of("coefficient-zero", "ST-8 ST-4 ME-1", "0 is as if it lacked the tensor", ZEROS, TWO, "mean",
       [(1, {"tensors": "a", "coefficient": "0"})]),
    of("coefficient-zero-of-all", "ST-8 ST-4", "of all: the base's bits", ZEROS, TWO, "ties",
       [(0, {"coefficient": "0"}), (1, {"coefficient": "0"})],
       {"kept": [0, 0], "tensors": {"a": f32(0, 0, 0, 0), "b": f32(0, 0)}}),
    of("coefficient-layers", "ST-8 ST-3", "a gradient of factors for one", {f"h.{i}": f32(0) for i in range(3)},
       [stored({f"h.{i}": f32(4) for i in range(3)}), stored({f"h.{i}": f32(1) for i in range(3)})],
       "task_arithmetic", [(0, {"tensors": "h.*", "coefficient": ["0", "1"]})],
       {"tensors": {"h.0": f32(1), "h.1": f32(3), "h.2": f32(5)}}),
    of("coefficient-exact", "ST-8 ST-4", "1/3, rounded once with the coefficient", {f"h.{i}": f32(0) for i in range(4)},
       [stored({f"h.{i}": f32(3) for i in range(4)}, "0.7")], "mean",
       [(0, {"tensors": "*", "coefficient": ["0.1", "1"]})]),
    of("coefficient-overflow", "ST-8 ST-4", "a product that is not finite is refused", ZEROS,
       [ONE, stored({"a": f32(0, 0, 0, 0)}, "1" + "0" * 38)], "mean", [(1, {"coefficient": "10"})], "CoefficientError"),
    of("slerp-end", "ST-8 SL-2", "a factor of 0 is an end of the arc", ZEROS, [ONE, stored(OTHER["tensors"])], "slerp",
       [(1, {"tensors": "a", "coefficient": "0"})]),
    of("slerp-layers", "ST-8 SL-2", "t by layer: factors of both", {f"h.{i}": f32(1, 1) for i in range(3)},
       [tuned({f"h.{i}": f32(3, 1) for i in range(3)}), tuned({f"h.{i}": f32(1, 2) for i in range(3)})], "slerp",
       [(0, {"tensors": "*", "coefficient": ["1", "0"]}), (1, {"tensors": "*", "coefficient": ["0", "1"]})]),
    of("dare", "ST-8 DA-1", "each is dropped with its own probability", ZEROS, TWO, "dare_linear",
       [(0, {"density": "0.5"}), (1, {"tensors": "a", "density": "0.25"})], seed="5"),
    of("dare-ties", "ST-8 DA-3", "and trimmed by its own density", ZEROS, TWO, "dare_ties",
       [(0, {"density": "0.7", "trim_density": "0.5"})], seed="5"),
    of("breadcrumbs", "ST-8 BC-2", "other shares of one", ZEROS, TWO, "breadcrumbs",
       [(0, {"density": "0.5", "gamma": "0.25"})], density="0.75", gamma="0"),
    of("breadcrumbs-together", "ST-8 BC-1", "numbers that do not go together", ZEROS, TWO, "breadcrumbs",
       [(0, {"gamma": "0.5"})], "RecipeError", density="0.75", gamma="0"),
    of("della", "ST-8 DE-3", "other probabilities of one", {"a": f32(0, 0, 0, 0), "b": f32(0, 0)}, TWO, "della",
       [(1, {"density": "0.7", "epsilon": "0.2"})], seed="9"),
    of("tall-lambda", "ST-8 CO-2", "a mask of one's own", ZEROS, TWO, "consensus_ta",
       [(0, {"tall_lambda": "0.1"}), (1, {"tall_lambda": "3"})], threshold="1"),
    of("bf16", "ST-8 MG-3", "fine-tunes of a base in BF16", {"h": bf16(*range(8))},
       [tuned({"h": bf16(*range(8, 0, -1))}), tuned({"h": bf16(*[16] * 8)})], "ties",
       [(0, {"density": "0.5", "coefficient": "0.3"}), (1, {"density": "0.7"})], lambda_="0.4"),
    merge_case("own-absent", "ST-7", "an id that is not among what is merged", ZEROS, TWO,
               complete({"method": "ties", "settings": [{"contribution": A, "density": "0.5"}]}), "RecipeError"),
    of("no-match", "ST-2 ST-7", "a pattern that matches no float tensor", ZEROS, TWO, "ties",
       [(0, {"tensors": "c", "density": "0.5"})], "NamesError"),
]  # fmt: skip

DECIMALS = ["1", "0.5", "0.25", "0.7", "0.123"]
FACTORS = ["0", "1", "2", "0.3"]


def breadth(method: str, keys: Sequence[str], stream: int, count: int, **given: str) -> list[Case]:
    """Random bases, contributions, and settings of which most are for one of them."""
    random, cases = Random(stream), list[Case]()
    while len(cases) < count:
        base = random_tensors(random, random.choose(["F32", "BF16", "F16", "F64"]), 8, ["a", "b", "c", "d"])
        contributions = random_contributions(random, random.choose([4, 60]), False)
        whose = [random.choose([None, *range(len(contributions))]) for _ in range(random.between(2, 4))]
        settings = [(n, random_entry(random, keys, n is None)) for n in whose]
        i = f"{method.replace('_', '-')}-random-{len(cases)}"
        case = of(i, "ST-8 ST-5", "random", base, contributions, method, settings, **given)
        if "error" not in case.result():
            cases.append(replace(case, says=None))
    return cases


def random_entry(random: Random, keys: Sequence[str], with_pattern: bool) -> Mapping[str, str]:
    entry = {key: random.choose(FACTORS if key == "coefficient" else DECIMALS) for key in keys if random.below(2)}
    pattern = {"tensors": random.choose(["a", "b", "[ab]", "*"])} if with_pattern or random.below(2) else {}
    return pattern | (entry or {keys[0]: random.choose(DECIMALS)})


CASES = [
    *(
        Case("recipe", f"own-recipe-{i}", "ST-7 RC-5", why, recipe(entries), {"recipe": {**FULL, "settings": entries}})
        for i, entries, why in MAPS
    ),
    *(Case("recipe", f"own-refused-{i}", "ST-7", why, recipe(x), "RecipeError") for i, x, why in REFUSED),
    Case("recipe", "own-refused-density", "ST-7", "a density of a method without one",
         recipe([{"contribution": A, "density": "0.5"}], "mean"), "RecipeError"),
    *(Case("recipe-map", f"own-map-{i}", "ST-7 RC-12", why, {"recipe": x}, says) for i, x, says, why in WELL_FORMED),
    *MERGES,
    *breadth("ties", ["density", "coefficient"], 41, 6),
    *breadth("breadcrumbs", ["coefficient"], 42, 4),
    *breadth("dare_ties", ["density", "trim_density", "coefficient"], 43, 4, seed="7"),
    *breadth("consensus_ta", ["tall_lambda", "coefficient"], 44, 4),
]  # fmt: skip
