"""Recipe files and one-shot configurations, from the pairs that their YAML stands for [RC-7]."""

from __future__ import annotations

from typing import Any

from generator.reference.decimals import canonical, coefficient
from generator.reference.recipes import complete, recipe_id
from generator.reference.refused import Refused


def mapping(pairs: Any) -> dict[str, Any]:
    """A mapping whose keys stand once each."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused("RecipeError")
    return dict(pairs)


def recipe_file(pairs: Any) -> dict[str, Any]:
    full = complete(mapping(pairs))
    return {"recipe": full, "id": recipe_id(full).hex()}


def model(pairs: Any, method: str) -> dict[str, str]:
    fields = mapping(pairs)
    if not {"path"} <= set(fields) <= {"path", "coefficient"}:
        raise Refused("RecipeError")
    text = fields.get("coefficient", "1")
    coefficient(text, method)
    return {"path": fields["path"], "coefficient": canonical(text)}


def configuration(pairs: Any) -> dict[str, Any]:
    """A recipe with `base` and a non-empty list of `models`."""
    fields = mapping(pairs)
    base, models = fields.pop("base", None), fields.pop("models", None)
    if base is None or not models:
        raise Refused("RecipeError")
    result = recipe_file(list(fields.items()))
    return {**result, "base": base, "models": [model(pairs, result["recipe"]["method"]) for pairs in models]}
