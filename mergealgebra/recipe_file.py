"""Recipe and merge files: YAML in which every scalar is text, so that decimals are read exactly [RC-7]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mergealgebra.algebra import decimals
from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.recipe import Recipe, recipe_from_map
from mergealgebra.text import place


@dataclass(frozen=True)
class ModelEntry:
    """One model of a merge file: the path of a checkpoint and its coefficient, a decimal in canonical form."""

    path: Path
    coefficient: str = "1"


@dataclass(frozen=True)
class MergeFile:
    """A one-shot merge: recipe, base and models. Paths are relative to the file's folder."""

    recipe: Recipe
    base: Path
    models: tuple[ModelEntry, ...]


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises RecipeError or DecimalError, naming the file."""
    return _recipe(_read_mapping(path), path)


def read_merge_file(path: Path) -> MergeFile:
    """A one-shot merge in a YAML file [RC-7].

    Raises RecipeError, DecimalError or CoefficientError, naming the file and the key.
    """
    entries = _read_mapping(path)
    base, models = entries.pop("base", None), entries.pop("models", None)
    if not isinstance(base, str) or not base:
        raise RecipeError(f"{place(path)}: base: expected the path of a checkpoint")
    if not isinstance(models, list) or not models:
        raise RecipeError(f"{place(path)}: models: expected a list of at least one model, each with a path")
    recipe = _recipe(entries, path)
    here = path.parent
    return MergeFile(
        recipe, here / Path(base).expanduser(), tuple(_model(path, i, model, recipe) for i, model in enumerate(models))
    )


def _recipe(entries: Mapping[str, Any], path: Path) -> Recipe:
    try:
        return recipe_from_map(entries)
    except MergeAlgebraError as error:
        raise type(error)(f"{place(path)}: {error}") from None


def _model(path: Path, number: int, entry: object, recipe: Recipe) -> ModelEntry:
    where = f"{place(path)}: models[{number}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise RecipeError(f"{where}: expected a mapping with a path and, if it is not 1, a coefficient")
    if unknown := sorted(entry.keys() - {"path", "coefficient"}):
        raise RecipeError(f"{where}: unknown key {unknown[0]!r}; remove it")
    text, what = entry.get("coefficient", "1"), f"{where}: coefficient"
    if not isinstance(text, str):
        raise RecipeError(f"{what}: expected text, not {text!r:.60}")
    decimals.check_coefficient(decimals.fp32(text, what), where, negative=recipe.negative_coefficients)
    return ModelEntry(path.parent / Path(entry["path"]).expanduser(), decimals.canonical_decimal(text, what))


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _TextLoader)
    except OSError as error:
        raise RecipeError(f"{place(path)} cannot be read: {error.strerror}; name a YAML file") from None
    except RecursionError:
        raise RecipeError(f"{place(path)} is not YAML: nested too deeply") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{place(path)} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise RecipeError(f"{place(path)}: expected a mapping with the keys of a recipe, like `method: ties`")
    return value


class _TextLoader(yaml.BaseLoader):
    """PyYAML's loader that leaves scalars as text; here duplicate keys, which it would drop, are errors."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key that is not text", node.start_mark)
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return dict(super().construct_mapping(node, deep=deep))
