"""Recipes [RC-4, RC-5]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from generator.reference.canonical import encode
from generator.reference.decimals import canonical, density, fp32
from generator.reference.hashes import H
from generator.reference.refused import Refused

DEFAULTS = {"density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}
KEYS = {
    "ties": ("density", "lambda", "scope", "boundary"),
    "mean": ("lambda",),
    "task_arithmetic": ("lambda",),
}
CHOICES = {"scope": ("model", "tensor"), "boundary": ("keep_all", "lowest_index")}


def complete(recipe: Mapping[str, str]) -> dict[str, str]:
    """The map of RC-4: every key present, decimals in canonical form."""
    method = recipe.get("method")
    if not isinstance(method, str) or method not in KEYS or set(recipe) - {"method", *KEYS[method]}:
        raise Refused("RecipeError")
    full = {"method": method} | {key: recipe.get(key, DEFAULTS[key]) for key in KEYS[method]}
    for key, choices in CHOICES.items():
        if key in full and full[key] not in choices:
            raise Refused("RecipeError")
    if "density" in full:
        density(full["density"])
        full["density"] = canonical(full["density"])
    fp32(full["lambda"])
    full["lambda"] = canonical(full["lambda"])
    return full


def recipe_id(full: Mapping[str, str]) -> bytes:
    return H("recipe", encode(dict(full)))


@dataclass(frozen=True)
class Recipe:
    """A recipe in the numbers that a merge needs."""

    method: str
    lambda32: int
    density: Fraction = Fraction(1)
    scope: str = "model"
    boundary: str = "keep_all"


def read_recipe(spec: Mapping[str, str]) -> Recipe:
    full = complete(spec)
    lambda32 = fp32(full["lambda"])
    if full["method"] != "ties":
        return Recipe(full["method"], lambda32)
    return Recipe("ties", lambda32, density(full["density"]), full["scope"], full["boundary"])
