"""Recipes in Python: defaults, ids, and one clear line for what is none."""

from __future__ import annotations

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
    "a scope": (lambda: ma.Ties(scope="layer"), RecipeError, "'model' or 'tensor'"),
    "an unknown key": (lambda: ma.Ties(k="0.2"), RecipeError, "unknown key 'k'; its keys are lambda, density"),
    "another method's key": (lambda: ma.Mean(density="0.2"), RecipeError, "unknown key 'density'"),
    "no method": (lambda: recipe_from_map({}), RecipeError, "method: is missing"),
    "an unknown method": (lambda: recipe_from_map({"method": "dare"}), RecipeError, "expected one of ties, mean"),
    "lambda_ in a file": (lambda: recipe_from_map({"method": "ties", "lambda_": "1"}), RecipeError, "write 'lambda'"),
    "an incomplete map": (lambda: complete_recipe({"method": "ties"}), RecipeError, "not complete and canonical"),
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
    with pytest.raises(Exception, match="frozen"):
        ma.Ties().density = "1"
