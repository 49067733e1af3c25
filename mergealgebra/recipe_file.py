"""Recipe and merge files: YAML in which every scalar is text, so that decimals are read exactly [RC-7]."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

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
#: What `tokenizer_source` may be besides a model.
TOKENIZER_SOURCES: Final = ("base", "union")
#: Keys that merge files have and recipes do not.
_OF_MERGES: Final = frozenset(("base", "models", "base_model", "take", "leave", "tokenizer_source"))


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

    take, leave: patterns of tensor names, for all models [CT-8]. tokenizer_source: `base`, `union` or a model [TK-2].
    """

    recipe: Method
    base: Path
    models: tuple[ModelEntry, ...]
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    tokenizer_source: str | Path | None = None


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def _is_name(given: object) -> bool:
    return isinstance(given, str) and given != ""


def _is_list(given: object) -> bool:
    return isinstance(given, list)


def _is_full_list(given: object) -> bool:
    return isinstance(given, list) and bool(given)


def _are_texts(given: object) -> bool:
    """Whether it is one text or a list of them: patterns, or decimals over layers."""
    return isinstance(given, str) or (isinstance(given, list) and all(map(_is_text, given)))


#: What may stand under the keys of a merge file, in the order in which they are checked; all others are its recipe's.
_FILE_KEYS: Final[Mapping[str, Callable[[object], bool]]] = MappingProxyType(
    {"base": _is_name, "models": _is_full_list, "take": _are_texts, "leave": _are_texts, "tokenizer_source": _is_name}
)
#: The same of a model in it; all others are numbers that it has instead of the recipe's.
_MODEL_KEYS: Final[Mapping[str, Callable[[object], bool]]] = MappingProxyType(
    {
        "path": _is_name,
        "coefficient": _are_texts,
        SETTINGS: _is_list,
        "take": _are_texts,
        "leave": _are_texts,
        **dict.fromkeys(KINDS, _is_name),
    }
)
#: Those that must be there.
_NEEDED: Final = frozenset(("base", "models", "path"))


#: What belongs under a key.
_EXPECTED: Final = MappingProxyType(
    {
        "base": "the path of a checkpoint",
        "models": "a list of at least one model, each with a path",
        "path": "the path of a checkpoint",
        "coefficient": "a decimal, like '0.5', or a list of them, from the first layer to the last",
        "settings": "a list of entries, like {tensors: '*.mlp.*', density: '0.5'}",
        "fisher": "the path of a checkpoint of Fisher information",
        "gram": "the path of a checkpoint of Gram matrices",
        "tokenizer_source": "base, union, or the path of a model",
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
    if wrong := _first_wrong(entries):
        raise RecipeError(f"{location(path)}: {wrong}")
    recipe = _recipe({key: value for key, value in entries.items() if key not in _FILE_KEYS}, path)
    models = tuple(_model(path, number, model, recipe) for number, model in enumerate(entries["models"]))
    source: str | Path | None = entries.get("tokenizer_source")
    if isinstance(source, str) and source not in TOKENIZER_SOURCES:
        near = did_you_mean(source, TOKENIZER_SOURCES)
        source = _beside(path, source, "tokenizer_source")
        if near and not source.exists():
            raise RecipeError(f"{location(path)}: tokenizer_source: nothing is at {location(source)}{near}")
    base = _beside(path, entries["base"], "base")
    return MergeFile(recipe, base, models, _patterns(entries, "take"), _patterns(entries, "leave"), source)


def _first_wrong(entries: Mapping[str, Any]) -> str:
    """The first thing that is wrong in a merge file: where, and what belongs there; empty if nothing is."""
    if key := _misfit(entries, _FILE_KEYS):
        near = nearest(key, entries) if key not in entries else ""
        return f"{key}: expected {_EXPECTED[key]}{f'; {shown(near)} looks like it' if near else ''}"
    told = (f"models[{number}]{wrong}" for number, model in enumerate(entries["models"]) if (wrong := _wrong_in(model)))
    return next(told, "")


def _wrong_in(model: object) -> str:
    """The first thing that is wrong in a model of a merge file, as it follows the model's number."""
    if not isinstance(model, dict) or "path" not in model:
        return ": expected a mapping with a path and, if it is not 1, a coefficient"
    if key := _misfit(model, _MODEL_KEYS):
        return f": {key}: expected {_EXPECTED[key]}"
    return ""


def _misfit(entries: Mapping[str, Any], known: Mapping[str, Callable[[object], bool]]) -> str | None:
    """The first of the known keys that has not what belongs there, or is missing and must not be."""
    asked = (key for key in known if key in entries or key in _NEEDED)
    return next((key for key in asked if not known[key](entries.get(key))), None)


def _patterns(entries: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = entries.get(key, ())
    return (given,) if isinstance(given, str) else tuple(given)


def _recipe(entries: Mapping[str, Any], path: Path) -> Method:
    try:
        return recipe_from_map(entries)
    except MergeAlgebraError as error:
        raise type(error)(f"{location(path)}: {error}") from None


def _model(path: Path, number: int, entries: Mapping[str, Any], recipe: Method) -> ModelEntry:
    where = f"{location(path)}: models[{number}]"
    plain = {key: value for key, value in entries.items() if key not in _MODEL_KEYS}
    text, what = entries.get("coefficient", "1"), f"{where}: coefficient"
    if isinstance(text, list):
        plain["coefficient"], text = text, "1"
    recipe.check_coefficient(decimals.fp32(text, what), where)
    settings = recipe.own_settings(entries.get(SETTINGS, ()), f"{where}: settings") + _plain(plain, recipe, where)
    at = _beside(path, entries["path"], f"models[{number}]: path")
    auxiliary = {k: _beside(path, entries[k], f"models[{number}]: {k}") for k in KINDS if k in entries}
    coefficient = decimals.canonical_decimal(text, what)
    return ModelEntry(at, coefficient, _patterns(entries, "take"), _patterns(entries, "leave"), auxiliary, settings)


def _plain(numbers: Mapping[str, Any], recipe: Method, where: str) -> tuple[Setting, ...]:
    """The numbers that stand beside a model's path, for all its tensors [ST-9]."""
    known = [*_MODEL_KEYS, *(key for key in recipe.own_keys if key not in _MODEL_KEYS)]
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
