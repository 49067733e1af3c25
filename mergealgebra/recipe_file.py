"""Recipe and merge files: YAML in which every scalar is text, so that decimals are read exactly [RC-7]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import KINDS
from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.mergekit_file import refuse_mergekit
from mergealgebra.methods.method import Method
from mergealgebra.recipe import recipe_from_map
from mergealgebra.text import did_you_mean, listed, location, nearest, shown
from mergealgebra.yaml_text import TextLoader, read_yaml

#: Keys that merge files have and recipes do not.
_OF_MERGES: Final = frozenset(("base", "models", "base_model", "take", "leave"))


@dataclass(frozen=True)
class ModelEntry:
    """One model of a merge file: the path of a checkpoint and its coefficient, a decimal in canonical form.

    take, leave: patterns of the names of its tensors [CT-8]. auxiliary: by kind, the path of what some methods need.
    """

    path: Path
    coefficient: str = "1"
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    auxiliary: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class MergeFile:
    """A one-shot merge: recipe, base and models. Paths are relative to the file's folder.

    take, leave: patterns of tensor names, for all models [CT-8].
    """

    recipe: Method
    base: Path
    models: tuple[ModelEntry, ...]
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


def _as_several(given: object) -> object:
    return [given] if isinstance(given, str) else given


#: Patterns of tensor names: one, or a list of them.
_Patterns = Annotated[list[str], BeforeValidator(_as_several)]


class _ModelKeys(BaseModel):
    """The keys of a model in a merge file."""

    model_config = ConfigDict(strict=True, extra="forbid")
    path: str = Field(min_length=1)
    coefficient: str = "1"
    take: _Patterns = []
    leave: _Patterns = []
    fisher: str = Field("", min_length=1)
    gram: str = Field("", min_length=1)


class _Keys(BaseModel):
    """The keys of a merge file; what is left over is its recipe."""

    model_config = ConfigDict(strict=True, extra="allow")
    base: str = Field(min_length=1)
    models: list[_ModelKeys] = Field(min_length=1)
    take: _Patterns = []
    leave: _Patterns = []


#: What belongs under a key; under None, in the list of models.
_EXPECTED: Final = MappingProxyType(
    {
        "base": "the path of a checkpoint",
        "models": "a list of at least one model, each with a path",
        None: "a mapping with a path and, if it is not 1, a coefficient",
        "path": "the path of a checkpoint",
        "coefficient": "a decimal, like '0.5'",
        "fisher": "the path of a checkpoint of Fisher information",
        "gram": "the path of a checkpoint of Gram matrices",
        "take": "a pattern of tensor names like 'lm_head.*', or a list of them",
        "leave": "a pattern of tensor names like 'lm_head.*', or a list of them",
    }
)


def read_recipe(path: Path) -> Method:
    """The recipe in a YAML file. Raises RecipeError or DecimalError, naming the file."""
    entries = _read_mapping(path)
    if more := entries.keys() & _OF_MERGES:
        raise RecipeError(
            f"{location(path)} is a merge file, as it has {listed(f'`{key}`' for key in sorted(more))}: give it to "
            "`merge`, or a recipe, which has only the method and its settings"
        )
    return _recipe(entries, path)


def read_merge_file(path: Path) -> MergeFile:
    """A one-shot merge in a YAML file [RC-7].

    Raises RecipeError, DecimalError or CoefficientError, naming the file and the key.
    """
    entries = _read_mapping(path)
    refuse_mergekit(entries, location(path))
    if "method" in entries and not entries.keys() & {"base", "models"}:
        raise RecipeError(
            f"{location(path)} is a recipe, which `resolve OUT --recipe {location(path)}` takes; of a merge "
            "file, expected "
            "`base` and `models` too"
        )
    try:
        keys = _Keys.model_validate(entries)
    except ValidationError as error:
        raise RecipeError(f"{location(path)}: {_told(error, entries)}") from None
    recipe = _recipe(keys.model_extra or {}, path)
    models = tuple(_model(path, number, model, recipe) for number, model in enumerate(keys.models))
    return MergeFile(recipe, _beside(path, keys.base, "base"), models, tuple(keys.take), tuple(keys.leave))


def _told(error: ValidationError, entries: Mapping[str, Any]) -> str:
    """The first thing that is wrong: where, and what belongs there."""
    first = error.errors(include_url=False)[0]
    where, keys = [], [*first["loc"]]
    if len(keys) > 1 and keys[0] == "models":
        where, keys = [f"models[{keys[1]}]"], keys[2:]
    if first["type"] == "extra_forbidden":
        known = list(_ModelKeys.model_fields)
        near = did_you_mean(str(keys[0]), known)
        return f"{where[0]}: unknown key {shown(keys[0])}{near or ';'} a model's keys are {', '.join(known)}"
    key = str(keys[0]) if keys else None
    if where and first["type"] == "missing":
        key = None
    near = nearest(key, entries) if key and not where and first["type"] == "missing" else ""
    misspelt = f"; {shown(near)} looks like it" if near else ""
    return ": ".join([*where, *([key] if key else []), f"expected {_EXPECTED[key]}{misspelt}"])


def _recipe(entries: Mapping[str, Any], path: Path) -> Method:
    try:
        return recipe_from_map(entries)
    except MergeAlgebraError as error:
        raise type(error)(f"{location(path)}: {error}") from None


def _model(path: Path, number: int, keys: _ModelKeys, recipe: Method) -> ModelEntry:
    where = f"{location(path)}: models[{number}]"
    text, what = keys.coefficient, f"{where}: coefficient"
    recipe.check_coefficient(decimals.fp32(text, what), where)
    at = _beside(path, keys.path, f"models[{number}]: path")
    given = {kind: getattr(keys, kind) for kind in KINDS}
    auxiliary = {k: _beside(path, text, f"models[{number}]: {k}") for k, text in given.items() if text}
    return ModelEntry(at, decimals.canonical_decimal(text, what), tuple(keys.take), tuple(keys.leave), auxiliary)


def _beside(path: Path, text: str, what: str) -> Path:
    """A path that a file names, relative to the file's folder; `~` is somebody's home."""
    try:
        os.fsencode(text)
        return path.parent / Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        raise RecipeError(f"{location(path)}: {what}: {shown(text)} names no path, {error}") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    value = read_yaml(path, lambda text: yaml.load(text, TextLoader))
    if not isinstance(value, dict):
        raise RecipeError(f"{location(path)}: expected a mapping with the keys of a recipe, like `method: ties`")
    return value
