"""Recipe and merge files: YAML in which every scalar is text, so that decimals are read exactly [RC-7]."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mergealgebra.addresses import beside
from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import KINDS
from mergealgebra.errors import MergeAlgebraError, RecipeError, UnknownContribution
from mergealgebra.ids import contribution_named
from mergealgebra.mergekit_file import refuse_mergekit
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import CONTRIBUTION, SETTINGS, Setting
from mergealgebra.recipe import recipe_from_map
from mergealgebra.text import did_you_mean, listed, location, nearest, shown
from mergealgebra.yaml_text import TextLoader, read_yaml

_ID_DIGITS: Final = 64
#: Keys that merge files have and recipes do not.
_OF_MERGES: Final = frozenset(("base", "models", "base_model", "take", "leave"))


@dataclass(frozen=True)
class ModelEntry:
    """One model of a merge file: the path of a checkpoint and its coefficient, a decimal in canonical form.

    take, leave: patterns of the names of its tensors [CT-8]. auxiliary: by kind, the path of what some methods need.
    settings: numbers that it has instead of the recipe's [ST-9].
    """

    path: Path
    coefficient: str = "1"
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    auxiliary: Mapping[str, Path] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()


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
    """The keys of a model in a merge file; what is left over are numbers of the recipe."""

    model_config = ConfigDict(strict=True, extra="allow")
    path: str = Field(min_length=1)
    coefficient: str | list[str] = "1"
    settings: list[Any] = []
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
        "coefficient": "a decimal, like '0.5', or a list of them, from the first layer to the last",
        "settings": "a list of entries, like {tensors: '*.mlp.*', density: '0.5'}",
        "fisher": "the path of a checkpoint of Fisher information",
        "gram": "the path of a checkpoint of Gram matrices",
        "take": "a pattern of tensor names like 'lm_head.*', or a list of them",
        "leave": "a pattern of tensor names like 'lm_head.*', or a list of them",
    }
)


def read_recipe(path: Path, contributions: Collection[str] = ()) -> Method:
    """The recipe in a YAML file. Raises RecipeError, DecimalError or UnknownContribution, naming the file.

    contributions: the ids that settings may name by their first digits [ST-7].
    """
    entries = _read_mapping(path)
    if more := entries.keys() & _OF_MERGES:
        raise RecipeError(
            f"{location(path)} is a merge file, as it has {listed(f'`{key}`' for key in sorted(more))}: give it to "
            "`merge`, or a recipe, which has only the method and its settings"
        )
    return _recipe(_with_ids(entries, contributions, path) if contributions else entries, path)


def _with_ids(entries: dict[str, Any], contributions: Collection[str], path: Path) -> dict[str, Any]:
    """The same with ids in full where settings have the first digits of one. Raises UnknownContribution."""
    settings = entries.get(SETTINGS)
    if not isinstance(settings, list):  # is refused by the recipe
        return entries
    found = []
    for number, entry in enumerate(settings):
        prefix = entry.get(CONTRIBUTION) if isinstance(entry, dict) else None
        if isinstance(prefix, str) and len(prefix) < _ID_DIGITS:
            try:
                entry = {**entry, CONTRIBUTION: contribution_named(prefix, contributions)}
            except UnknownContribution as error:
                where = f"{location(path)}: {SETTINGS}[{number}]: {CONTRIBUTION}"
                raise UnknownContribution(f"{where}: {error}") from None
        found.append(entry)
    return {**entries, SETTINGS: found}


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
    plain = dict(keys.model_extra or {})
    text, what = keys.coefficient, f"{where}: coefficient"
    if isinstance(text, list):
        plain["coefficient"], text = text, "1"
    recipe.check_coefficient(decimals.fp32(text, what), where)
    settings = recipe.own_settings(keys.settings, f"{where}: settings") + _plain(plain, recipe, where)
    at = _beside(path, keys.path, f"models[{number}]: path")
    given = {kind: getattr(keys, kind) for kind in KINDS}
    auxiliary = {k: _beside(path, text, f"models[{number}]: {k}") for k, text in given.items() if text}
    coefficient = decimals.canonical_decimal(text, what)
    return ModelEntry(at, coefficient, tuple(keys.take), tuple(keys.leave), auxiliary, settings)


def _plain(numbers: Mapping[str, Any], recipe: Method, where: str) -> tuple[Setting, ...]:
    """The numbers that stand beside a model's path, for all its tensors [ST-9]."""
    known = [*_ModelKeys.model_fields, *(key for key in recipe.own_keys if key not in _ModelKeys.model_fields)]
    for key in numbers:
        if key not in known and key not in recipe.to_map():
            near = did_you_mean(str(key), known)
            raise RecipeError(
                f"{where}: unknown key {shown(key)}{near or ';'} a model's are {', '.join(known)} with {recipe.name}"
            )
    return (recipe.own_setting(numbers, where),) if numbers else ()


def _beside(path: Path, text: str, what: str) -> Path:
    """A path that a file names, relative to the file's folder; `~` is somebody's home."""
    try:
        return beside(path.parent, text)
    except (RuntimeError, ValueError) as error:
        raise RecipeError(f"{location(path)}: {what}: {shown(text)} names no path, {error}") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    value = read_yaml(path, lambda text: yaml.load(text, TextLoader))
    if not isinstance(value, dict):
        raise RecipeError(f"{location(path)}: expected a mapping with the keys of a recipe, like `method: ties`")
    return value
