"""The oracle gives the answers of the conformance vectors, which every backend gives too (tests/spec/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from mergealgebra.algebra import decimals
from mergealgebra.recipe import recipe_from_map
from mergealgebra.tensors.dtypes import DTYPES
from tests.oracle.merges import written_recipe
from tests.oracle.program import Json, Oracle
from tests.spec.vectors import Vector, vectors

#: Why a vector cannot be asked of the oracle, which begins where names, shapes and decimals have been judged.
OTHER_LAYER = {
    "ContributionError": "that a contribution holds a tensor is judged before",
    "DecimalError": "decimals are read before",
    "DtypeError": "float against integer is judged before",
    "DuplicateContribution": "it knows no ids",
    "IntegerTensorChanged": "it knows no integers",
    "NamesError": "names are judged before",
    "RecipeError": "recipes are read before",
    "ShapeError": "shapes are judged before",
}
#: The methods that the proofs speak of.
PROVED = ("ties", "mean", "task_arithmetic", "linear", "negmerge", "ram")
CHECKED = ("merge", "trim", "task-vector", "stored-task-vector", "pattern")
VECTORS = [v for v in vectors() if v.check in CHECKED]


def why_not(vector: Vector) -> str | None:
    """The reason that keeps a vector from the oracle, if any."""
    if vector.check == "pattern" or vector.input.get("take") or vector.input.get("leave"):
        return "patterns choose names before"
    if vector.check == "merge" and vector.input["recipe"]["method"] not in PROVED:
        return "nothing is proved of its method"
    if vector.check == "merge" and "settings" in vector.input["recipe"]:
        return "nothing is proved of settings by tensor"
    if vector.check == "merge" and vector.input["recipe"].get("out_dtype", ""):
        return "nothing is proved of results in another dtype than the base's"
    return OTHER_LAYER.get((vector.error or {}).get("rule"))


# Asking


def floats(tensors: Json) -> Json:
    """The float tensors, without their shapes: what the oracle knows of a model."""
    return {n: {"dtype": t["dtype"], "hex": t["hex"]} for n, t in tensors.items() if DTYPES[t["dtype"]].is_float}


def merge(case: Json) -> Json:
    made = recipe_from_map(case["recipe"])
    contributions = [
        {
            "form": entry["form"],
            "coefficient": decimals.to_hex(decimals.fp32(entry["coefficient"], "coefficient")),
            "tensors": floats(entry["tensors"]),
        }
        for entry in case["contributions"]
    ]
    return {
        "check": "merge",
        "recipe": written_recipe(made),
        "base": floats(case["base"]),
        "contributions": contributions,
    }


def trim(case: Json) -> Json:
    """Merged alone into a base of zeros, a task vector comes out trimmed."""
    zeros = {name: {**tensor, "hex": "0" * len(tensor["hex"])} for name, tensor in floats(case["tau"]).items()}
    recipe = {"method": "ties", "lambda": "3f800000", **case["recipe"]}
    held = {"form": "task_vector", "coefficient": "3f800000", "tensors": floats(case["tau"])}
    return {"check": "merge", "recipe": recipe, "base": zeros, "contributions": [held]}


def task_vector(case: Json) -> Json:
    form, side = ("task_vector", "stored") if "stored" in case else ("finetuned", "finetuned")
    return {"check": "task-vector", "form": form, "base": floats(case["base"]), "tensors": floats(case[side])}


ASKED: dict[str, Callable[[Json], Json]] = {
    "merge": merge,
    "trim": trim,
    "task-vector": task_vector,
    "stored-task-vector": task_vector,
}


# Comparing


def expected(vector: Vector) -> Json:
    """What the vector expects, of what the oracle answers."""
    outcome = vector.expected
    if vector.check == "merge":
        return {"tensors": floats(outcome["tensors"]), "kept": outcome["kept"]}
    if vector.check == "trim":
        return {"tensors": floats(outcome["trimmed"]), "kept": [outcome["kept"]]}
    return {"tensors": floats(outcome["tau"])}


def check_is_refused(answer: Json, vector: Vector) -> None:
    """The rule; of a number that is not finite, its whole place too."""
    refused, error = answer["refused"], vector.error
    assert refused["rule"] == error["rule"]
    if error["rule"] == "NonFinite":
        shape = vector.input["base"][error["tensor"]]["shape"]
        assert (refused["tensor"], refused["element"]) == (error["tensor"], position(error["index"], shape))
        assert vector.check != "merge" or refused.get("contribution") == error.get("contribution")


def position(index: list[int], shape: list[int]) -> int:
    """The position of an element in C order [TV-9]."""
    place = 0
    for coordinate, size in zip(index, shape, strict=True):
        place = place * size + coordinate
    return place


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v.id, marks=pytest.mark.clause(*v.clauses)) for v in VECTORS if not why_not(v)]
)
def test_vector(oracle: Oracle, vector: Vector):
    answer = oracle.ask(ASKED[vector.check](vector.input))
    if vector.error:
        check_is_refused(answer, vector)
    else:
        wanted = expected(vector)
        assert {key: answer[key] for key in wanted} == wanted


def test_vectors_are_left_out_for_a_reason():
    """It is of another layer, or of a method without proofs: patterns, errors that come before numbers."""
    left_out = Counter(why_not(v) for v in VECTORS if why_not(v))
    unproved = {
        "nothing is proved of its method",
        "nothing is proved of settings by tensor",
        "nothing is proved of results in another dtype than the base's",
    }
    assert left_out.keys() <= {"patterns choose names before", *unproved, *OTHER_LAYER.values()}
    for reason in unproved:
        del left_out[reason]
    assert sum(left_out.values()) < len(VECTORS) / 4, left_out
    assert not any(why_not(v) for v in VECTORS if v.check == "trim")
