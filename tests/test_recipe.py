"""Recipes in Python: defaults, ids, and one clear line for what is none."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

import mergealgebra as ma
from mergealgebra.errors import DecimalError, RecipeError
from mergealgebra.recipe import complete_recipe, recipe_from_map

REFUSED = {
    "a float": (lambda: ma.Ties(density=0.2), DecimalError, "write it as a string"),
    "an int": (lambda: ma.Mean(lambda_=1), DecimalError, "write it as a string"),
    "zero": (lambda: ma.Ties(density="0"), DecimalError, "above 0"),
    "above one": (lambda: ma.Ties(density="2"), DecimalError, "at most 1"),
    "a word": (lambda: ma.Ties(density="abc"), DecimalError, "not a decimal"),
    "a scope": (lambda: ma.Ties(scope="layer"), RecipeError, "'layer' is unknown; expected one of model, tensor"),
    "a scope that is no text": (
        lambda: ma.Ties(scope=["model"]),
        RecipeError,
        "unknown; expected one of model, tensor",
    ),
    "an unknown key": (
        lambda: ma.Ties(k="0.2"),
        RecipeError,
        "unknown key .k.; its keys are dialect, .* settings, out_dtype$",
    ),
    "another method's key": (lambda: ma.Mean(density="0.2"), RecipeError, "unknown key 'density'"),
    "no method": (lambda: recipe_from_map({}), RecipeError, "method: is missing"),
    "an unknown method": (lambda: recipe_from_map({"method": "dara"}), RecipeError, "expected one of ties, mean"),
    "lambda_ in a file": (lambda: recipe_from_map({"method": "ties", "lambda_": "1"}), RecipeError, "write 'lambda'"),
    "an incomplete map": (lambda: complete_recipe({"method": "ties"}), RecipeError, "not complete and canonical"),
    "a key too many": (
        lambda: complete_recipe({**ma.Ties().to_map(), "dialect": "canonical"}),
        RecipeError,
        "leave it",
    ),
}

IN_A_DIALECT = {
    "unknown": ({"dialect": "mergekit"}, "'mergekit' is unknown; expected one of canonical, paper, authors"),
    "open": ({"dialect": "paper"}, "dialect paper leaves density, kept, .* open"),
    "its scope": ({"dialect": "authors", "scope": "model"}, "scope: dialect authors fixes it; leave it out"),
    "its boundary": ({"dialect": "peft-0.21", "boundary": "keep_all"}, "boundary: dialect peft-0.21 fixes it"),
    "its lambda": ({"dialect": "peft-0.21", "lambda": "0.5"}, "lambda: dialect peft-0.21 has none"),
}


@pytest.mark.clause("RC-4")
@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make, error, message):
    with pytest.raises(error, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


@pytest.mark.clause("RC-4", "RC-5")
def test_equal_recipes_have_equal_ids():
    assert ma.Ties(density="0.20") == ma.Ties(density="0.2", lambda_="1.0")
    assert ma.Ties(density="0.20").id == recipe_from_map({"method": "ties", "density": "0.2"}).id
    assert ma.Ties().id != ma.Ties(boundary="lowest_index").id
    assert complete_recipe(ma.Mean().to_map()) == ma.Mean()


def test_recipes_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ma.Ties().density = "1"


@pytest.mark.clause("RC-9")
@pytest.mark.parametrize(("entries", "message"), IN_A_DIALECT.values(), ids=IN_A_DIALECT)
def test_refused_in_a_dialect(entries, message):
    with pytest.raises(RecipeError, match=message):
        recipe_from_map({"method": "ties", **entries})


@pytest.mark.clause("RC-4", "RC-5", "RC-9")
def test_a_recipe_in_a_dialect():
    recipe = ma.Ties(dialect="authors", density="0.20")
    assert recipe.to_map() == {"method": "ties", "dialect": "authors", "density": "0.2", "lambda": "1"}
    assert complete_recipe(recipe.to_map()) == recipe
    (round_,) = recipe.rounds
    assert round_.name == "dialect authors"
    assert recipe.drops
    assert recipe.id != ma.Ties(density="0.2").id
    assert ma.Ties(dialect="canonical").id == ma.Ties().id
    assert ma.Ties(dialect="canonical", scope="tensor").to_map() == ma.Ties(scope="tensor").to_map()
    assert not ma.Mean().drops
