"""Recipe files and one-shot configurations, from the pairs that their YAML stands for [RC-7]."""

from __future__ import annotations

from typing import Any

from generator.reference.decimals import canonical, coefficient
from generator.reference.recipes import complete, recipe_id
from generator.reference.refused import Refused


def mapping(pairs: Any) -> dict[str, Any]:
    """A mapping whose keys stand once each; None stands for a document that is no mapping, or for two."""
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise Refused("RecipeError")
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused("RecipeError")
    return dict(pairs)


def text_of(x: Any) -> str:
    if not isinstance(x, str):
        raise Refused("RecipeError")
    return x


def settings_of(x: Any) -> Any:
    """A list of mappings; what stands in them is judged with the recipe."""
    if not isinstance(x, list | tuple):
        raise Refused("RecipeError")
    entries = [mapping(pairs) for pairs in x]
    return [{key: list(y) if isinstance(y, tuple) else y for key, y in entry.items()} for entry in entries]


def recipe_file(pairs: Any) -> dict[str, Any]:
    return recipe_of(mapping(pairs))


def recipe_of(fields: dict[str, Any]) -> dict[str, Any]:
    settings = {key: settings_of(content) for key, content in fields.items() if key == "settings"}
    full = complete({key: text_of(content) for key, content in fields.items() if key != "settings"} | settings)
    return {"recipe": full, "id": recipe_id(full).hex()}


def model(pairs: Any, method: str) -> dict[str, str]:
    fields = mapping(pairs)
    if not {"path"} <= set(fields) <= {"path", "coefficient"}:
        raise Refused("RecipeError")
    text = text_of(fields.get("coefficient", "1"))
    coefficient(text, method)
    return {"path": text_of(fields["path"]), "coefficient": canonical(text)}


def configuration(pairs: Any) -> dict[str, Any]:
    """A recipe with `base` and a non-empty list of `models`."""
    fields = mapping(pairs)
    base, models = fields.pop("base", None), fields.pop("models", None)
    if not models or not isinstance(models, list):
        raise Refused("RecipeError")
    result = recipe_of(fields)
    return {**result, "base": text_of(base), "models": [model(pairs, result["recipe"]["method"]) for pairs in models]}
