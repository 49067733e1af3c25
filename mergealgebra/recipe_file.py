"""Recipe and merge files: YAML in which every scalar is text, so that decimals are read exactly [RC-7]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from mergealgebra.algebra import decimals
from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.recipe import Recipe, recipe_from_map
from mergealgebra.text import place, shown

#: A thousand models have room in it. PyYAML takes 13 s for the worst MiB, and some hundred times its memory; libyaml is
#: faster, but accepts other files.
_MAX_BYTES: Final = 1 << 16
_MAX_DEPTH: Final = 16

#: The keys that choose tensors, of a merge file and of each of its models.
_PATTERNS: Final = ("take", "leave")
#: What mergekit's files have, and what to write instead.
_MERGEKIT: Final = MappingProxyType(
    {
        "merge_method": "write `method`",
        "base_model": "write `base`",
        "slices": "name whole models under `models`",
        "parameters": "write the `density` and `lambda` in it at the top of the file",
        "dtype": "leave it out, the result has the base's dtypes",
        "out_dtype": "leave it out, the result has the base's dtypes",
        "tokenizer_source": "leave it out, the result has the base's tokenizer",
    }
)
_MERGEKIT_MODEL: Final = MappingProxyType(
    {
        "model": "write `path`",
        "parameters": "write the `weight` in it as `coefficient`, and the `density` at the top of the file, for all",
        "weight": "write `coefficient`",
        "density": "write it at the top of the file, for all models",
    }
)


@dataclass(frozen=True)
class ModelEntry:
    """One model of a merge file: the path of a checkpoint and its coefficient, a decimal in canonical form.

    take, leave: patterns of the names of its tensors [CT-8].
    """

    path: Path
    coefficient: str = "1"
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


@dataclass(frozen=True)
class MergeFile:
    """A one-shot merge: recipe, base and models. Paths are relative to the file's folder.

    take, leave: patterns of tensor names, for all models [CT-8].
    """

    recipe: Recipe
    base: Path
    models: tuple[ModelEntry, ...]
    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises RecipeError or DecimalError, naming the file."""
    return _recipe(_read_mapping(path), path)


def read_merge_file(path: Path) -> MergeFile:
    """A one-shot merge in a YAML file [RC-7].

    Raises RecipeError, DecimalError or CoefficientError, naming the file and the key.
    """
    entries = _read_mapping(path)
    _refuse_mergekit(entries, place(path), _MERGEKIT)
    base, models = entries.pop("base", None), entries.pop("models", None)
    if not isinstance(base, str) or not base:
        raise RecipeError(f"{place(path)}: base: expected the path of a checkpoint")
    if not isinstance(models, list) or not models:
        raise RecipeError(f"{place(path)}: models: expected a list of at least one model, each with a path")
    take, leave = (_patterns(entries, key, place(path)) for key in _PATTERNS)
    recipe = _recipe({key: value for key, value in entries.items() if key not in _PATTERNS}, path)
    entered = tuple(_model(path, i, model, recipe) for i, model in enumerate(models))
    return MergeFile(recipe, _beside(path, base, "base"), entered, take, leave)


def _recipe(entries: Mapping[str, Any], path: Path) -> Recipe:
    try:
        return recipe_from_map(entries)
    except MergeAlgebraError as error:
        raise type(error)(f"{place(path)}: {error}") from None


def _model(path: Path, number: int, entry: object, recipe: Recipe) -> ModelEntry:
    where = f"{place(path)}: models[{number}]"
    if isinstance(entry, dict):
        _refuse_mergekit(entry, where, _MERGEKIT_MODEL)
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise RecipeError(f"{where}: expected a mapping with a path and, if it is not 1, a coefficient")
    if unknown := sorted(entry.keys() - {"path", "coefficient", *_PATTERNS}):
        keys = ", ".join(("path", "coefficient", *_PATTERNS))
        raise RecipeError(f"{where}: unknown key {shown(unknown[0])}; a model's keys are {keys}")
    text, what = entry.get("coefficient", "1"), f"{where}: coefficient"
    if not isinstance(text, str):
        raise RecipeError(f"{what}: expected text, not a {type(text).__name__}")
    decimals.check_coefficient(decimals.fp32(text, what), where, negative=recipe.negative_coefficients)
    take, leave = (_patterns(entry, key, where) for key in _PATTERNS)
    at = _beside(path, entry["path"], f"models[{number}]: path")
    return ModelEntry(at, decimals.canonical_decimal(text, what), take, leave)


def _patterns(entries: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """The patterns under a key, one or a list of several; none where it is left out."""
    given = entries.get(key, [])
    patterns = [given] if isinstance(given, str) else given
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise RecipeError(f"{where}: {key}: expected a pattern of tensor names like 'lm_head.*', or a list of them")
    return tuple(patterns)


def _refuse_mergekit(entries: Mapping[str, Any], where: str, keys: Mapping[str, str]) -> None:
    """Raise RecipeError for what mergekit writes otherwise: to drop it would drop what it says."""
    for key, advice in keys.items():
        if key in entries:
            raise RecipeError(f"{where}: {shown(key)} is a key of mergekit's files, not of these; {advice}")


def _beside(path: Path, text: str, what: str) -> Path:
    """A path that a file names, relative to the file's folder; `~` is somebody's home."""
    try:
        os.fsencode(text)  # an escape in YAML can be half of a character, which no path has
        return path.parent / Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        raise RecipeError(f"{place(path)}: {what}: {shown(text)} names no path, {error}") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        value = yaml.load(read_file(path, _MAX_BYTES).decode("utf-8"), _TextLoader)
    except TooLarge as error:
        raise RecipeError(f"{place(path)} cannot be read: {error.strerror}; a recipe is shorter") from None
    except OSError as error:
        raise RecipeError(f"{place(path)} cannot be read: {error.strerror}; name a YAML file") from None
    # Not only YAMLError: an escape beyond Unicode and a version of many digits are a ValueError or an OverflowError.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RecipeError(f"{place(path)} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise RecipeError(f"{place(path)}: expected a mapping with the keys of a recipe, like `method: ties`")
    return value


class _TextLoader(yaml.BaseLoader):
    """PyYAML's loader that leaves scalars as text; here duplicate keys, which it would drop, are errors.

    So is what nests too deep: PyYAML recurses, and looks through all that is open at every token.
    """

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        self._check_depth()
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column: int) -> bool:
        if self.indent < column:
            self._check_depth()
        return bool(super().add_indent(column))

    def _check_depth(self) -> None:
        if self.flow_level + len(self.indents) >= _MAX_DEPTH:
            raise yaml.scanner.ScannerError(None, None, f"nested too deeply, over {_MAX_DEPTH} levels", self.get_mark())

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is not text", node.start_mark)
            if key.value in seen:
                twice = f"the key {shown(key.value)} stands twice"
                raise yaml.constructor.ConstructorError(None, None, twice, node.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep=deep))
