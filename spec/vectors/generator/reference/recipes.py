"""Recipes [RC-4, RC-5, RC-9]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from generator.reference.canonical import encode
from generator.reference.decimals import canonical, density, fp32
from generator.reference.dialect_table import DIALECTS
from generator.reference.hashes import H
from generator.reference.refused import Refused

DEFAULTS = {"density": "1", "lambda": "1", "scope": "model", "boundary": "keep_all"}
KEYS = {
    "ties": ("density", "lambda", "scope", "boundary"),
    "ties in a dialect": ("dialect", "density", "lambda"),
    "mean": ("lambda",),
    "task_arithmetic": ("lambda",),
}
CHOICES = {"scope": ("model", "tensor"), "boundary": ("keep_all", "lowest_index")}


def complete(recipe: Mapping[str, str]) -> dict[str, str]:
    """The map of RC-4: every key present, decimals in canonical form."""
    dialect = recipe.get("dialect")
    if dialect == "canonical" and recipe.get("method") == "ties":
        return complete({key: text for key, text in recipe.items() if key != "dialect"})
    method = recipe.get("method")
    row = "ties in a dialect" if method == "ties" and dialect is not None else method
    if not isinstance(row, str) or not isinstance(method, str) or row not in KEYS:
        raise Refused("RecipeError")
    if set(recipe) - {"method", *KEYS[row]}:
        raise Refused("RecipeError")
    full = {"method": method} | {key: recipe[key] if key in recipe else DEFAULTS[key] for key in KEYS[row]}
    for key, choices in CHOICES.items():
        if key in full and full[key] not in choices:
            raise Refused("RecipeError")
    if "density" in full:
        density(full["density"])
        full["density"] = canonical(full["density"])
    fp32(full["lambda"])
    full["lambda"] = canonical(full["lambda"])
    if dialect is not None:
        options = DIALECTS.get(dialect, {"lambda": None})
        if None in options.values() or (options["lambda"] == "none" and full["lambda"] != "1"):
            raise Refused("RecipeError")
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
    if "dialect" in full:
        raise ValueError("merges in a dialect are those of reference/dialects.py")
    if full["method"] != "ties":
        return Recipe(full["method"], lambda32)
    return Recipe("ties", lambda32, density(full["density"]), full["scope"], full["boundary"])
