"""Recipes by their maps: as genesis, lock and files have them [RC-4, RC-5].

They are read wherever a workspace is opened, so nothing that computes is loaded for them. The set layer accepts a
well-formed recipe of a method that is not known here; whoever computes one refuses it [RC-12].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mergealgebra.errors import RecipeError
from mergealgebra.mergekit_file import method_here
from mergealgebra.methods.method import Method
from mergealgebra.methods.registry import METHODS, find_method, known_names
from mergealgebra.text import shown

Scope = Literal["model", "tensor"]
Boundary = Literal["keep_all", "lowest_index"]

#: What a well-formed map has: names of keys, and so many bytes of text at most.
_KEY: Final = re.compile("[a-z][a-z0-9_]{0,63}", re.ASCII)
_MOST_KEYS: Final = 64
_TEXT_BYTES: Final = 1 << 12


def recipe_from_map(entries: Mapping[str, object]) -> Method:
    """The recipe that a map describes, defaults left out or not [RC-4]. Raises RecipeError or DecimalError.

    >>> recipe_from_map({"method": "ties", "density": "0.20"})
    Ties(density='0.2')
    """
    name = entries.get("method")
    found = find_method(name) if isinstance(name, str) else None
    if found is None:
        raise RecipeError(f"method: {_unknown_method(name)}; expected one of {', '.join(known_names())}")
    for key, text in entries.items():
        if not isinstance(text, str):
            raise RecipeError(f"{name}: {shown(key)}: expected text, not a {type(text).__name__}")
        if key == "lambda_":
            raise RecipeError(f"{name}: 'lambda_' is not a key of a recipe file; write 'lambda'")
    left_out = ("method", *(_check_package(found, entries) if found.distribution else ()))
    keys: dict[str, Any] = {key: value for key, value in entries.items() if key not in left_out}
    return found(**keys)


def _check_package(method: type[Method], entries: Mapping[str, object]) -> tuple[str, str]:
    """The keys that name the package of a method from outside, if it is the one that is here [RC-11]."""
    for key, here in (("distribution", method.distribution), ("version", method.version)):
        wanted = entries.get(key, here)
        if wanted != here:
            package, version = entries.get("distribution", method.distribution), entries.get("version", method.version)
            raise RecipeError(
                f"{method.name}: the recipe names {package} {version}, and {method.distribution} {method.version} is "
                f"here; install the one that it names: pip install {package}=={version}"
            )
    return "distribution", "version"


def _unknown_method(method: object) -> str:
    if method is None:
        return "is missing"
    if not isinstance(method, str):
        return f"a {type(method).__name__} is unknown"
    if method.lower() in METHODS:
        return f"{shown(method)} is unknown; write it in lower case, {method.lower()}"
    return f"{shown(method)} {method_here(method) or 'is unknown'}"


@dataclass(frozen=True, init=False, repr=False)
class UnknownRecipe(Method):
    """A recipe of a method that is not here: it has an id, and cannot be computed [RC-12].

    entries: its map.
    """

    entries: Mapping[str, str] = field(hash=False)

    def __init__(self, entries: Mapping[str, str]) -> None:
        object.__setattr__(self, "entries", dict(entries))
        object.__setattr__(self, "name", entries["method"])

    def to_map(self) -> dict[str, str]:
        """As `Method.to_map`."""
        return dict(self.entries)

    def refusal(self) -> RecipeError:
        """Why it cannot be computed, and what to install."""
        name, package = self.entries["method"], self.entries.get("distribution")
        if package is None:
            return RecipeError(f"method {shown(name)} is not known to this version; pip install --upgrade mergealgebra")
        version = self.entries.get("version", "")
        return RecipeError(
            f"method {shown(name)} is from another package, which is not installed: pip install {package}=={version}, "
            "or ask whoever made the workspace where it is"
        )


def complete_recipe(entries: Mapping[str, str]) -> Method:
    """The recipe whose map this is, every default filled in and every decimal canonical [RC-4, OS-1].

    A well-formed map of a method that is not known here is an `UnknownRecipe`. Raises RecipeError or DecimalError.
    """
    name = entries.get("method")
    if isinstance(name, str) and name not in METHODS and _is_well_formed(entries):
        return UnknownRecipe(entries)
    return _complete(recipe_from_map(entries), entries)


def computable_recipe(entries: Mapping[str, str]) -> Method:
    """The same, for whoever computes: a method from outside is looked for [RC-12].

    Raises RecipeError too when it is not here.
    """
    recipe = complete_recipe(entries)
    if not isinstance(recipe, UnknownRecipe):
        return recipe
    if find_method(entries["method"]) is None:
        raise recipe.refusal()
    return _complete(recipe_from_map(entries), entries)


def _complete(recipe: Method, entries: Mapping[str, str]) -> Method:
    complete = recipe.to_map()
    for key, text in complete.items():
        if entries.get(key) != text:
            found = f"{key}: {shown(entries.get(key))}"
            raise RecipeError(f"{recipe.name}: {found} is not complete and canonical, {shown(text)} is")
    for key in entries.keys() - complete.keys():
        raise RecipeError(f"{recipe.name}: {key}: {shown(entries[key])} is not canonical; leave it out")
    return recipe


def _is_well_formed(entries: Mapping[str, str]) -> bool:
    """Whether a map can be a recipe of some method [RC-12]."""
    return (
        len(entries) <= _MOST_KEYS
        and all(isinstance(key, str) and _KEY.fullmatch(key) for key in entries)
        and all(
            isinstance(text, str) and len(text.encode(errors="replace")) <= _TEXT_BYTES for text in entries.values()
        )
        and _KEY.fullmatch(entries["method"]) is not None
        and ("distribution" in entries) == ("version" in entries)
    )


def check_recipe(recipe: object) -> None:
    """Raise RecipeError for what is not a recipe, or cannot be computed here."""
    if not isinstance(recipe, Method):
        raise RecipeError(f"{recipe!r} is not a recipe; pass one, such as ma.Ties(density='0.2')")
    if isinstance(recipe, UnknownRecipe):
        raise recipe.refusal()


#: The order in which a map is shown; keys of methods from outside follow.
_ORDER: Final = ("method", "dialect", "density", "seed", "trim_density", "lambda", "scope", "boundary")


def in_words(entries: Mapping[str, str]) -> str:
    """A recipe's map as a line.

    >>> in_words({"lambda": "1", "method": "mean"})
    'method mean, lambda 1'
    """
    keys = [key for key in _ORDER if key in entries] + sorted(entries.keys() - {*_ORDER})
    return ", ".join(f"{key} {entries[key]}" for key in keys)
