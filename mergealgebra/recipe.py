"""Recipes by their maps: as genesis, lock and files have them [RC-4, RC-5].

They are read wherever a workspace is opened, so nothing that computes is loaded for them. The set layer accepts a
well-formed recipe of a method that is not known here; whoever computes one refuses it [RC-12].
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.algebra.needs import Needs
from mergealgebra.encoding import encode
from mergealgebra.errors import DecimalError, EncodingError, MergeAlgebraError, MethodError, MethodMissing, RecipeError
from mergealgebra.methods.in_dialect import InDialect, is_in_dialect
from mergealgebra.methods.method import Method, keys_of
from mergealgebra.methods.names import answer, refusal
from mergealgebra.methods.registry import METHODS, WORD, find_method, known_names
from mergealgebra.methods.settings import CONTRIBUTION, MOST_BYTES, SETTINGS, TENSORS, lines
from mergealgebra.text import did_you_mean, shown

if TYPE_CHECKING:
    from mergealgebra.algebra.method import Round, WholeRound

#: What a well-formed map has: so many keys, and so many bytes of text at most.
_MOST_KEYS: Final = 64
_TEXT_BYTES: Final = 1 << 12
#: What an entry of settings is for.
_WHOSE: Final = (TENSORS, CONTRIBUTION)


def recipe_from_map(entries: Mapping[str, object]) -> Method:
    """The recipe that a map describes, defaults left out or not [RC-4]. Raises RecipeError or DecimalError.

    >>> recipe_from_map({"method": "ties", "density": "0.20"})
    Ties(density='0.2')
    """
    name, dialect = entries.get("method"), entries.get("dialect")
    if isinstance(name, str) and isinstance(dialect, str) and (_is_of_another_tool(name) or is_in_dialect(entries)):
        return _in_dialect(name, dialect, entries)
    found = find_method(name) if isinstance(name, str) else None
    if found is None:
        if "distribution" in entries and _is_well_formed(entries):
            raise UnknownRecipe(entries).refusal()
        raise RecipeError(f"method: {_unknown_method(name)}")
    _check_texts(name, entries)
    left_out = ("method", *(_check_package(found, entries) if found.distribution else ()))
    keys: dict[str, Any] = {key: value for key, value in entries.items() if key not in left_out}
    return found(**keys)


def _is_of_another_tool(name: str) -> bool:
    """Whether a dialect of this method is another tool's method; one that has the key itself knows its dialects."""
    found = find_method(name)
    return found is None or (not found.distribution and "dialect" not in keys_of(found))


def _in_dialect(name: str, dialect: str, entries: Mapping[str, object]) -> Method:
    """A method as another tool computes it [NA-3]. Raises RecipeError or DecimalError."""
    if not is_in_dialect(entries):
        raise refusal(name, dialect)
    _check_texts(name, entries)
    return InDialect(name, dialect, **{key: text for key, text in entries.items() if key not in ("method", "dialect")})


def _check_texts(name: object, entries: Mapping[str, object]) -> None:
    for key, text in entries.items():
        if not isinstance(text, str) and key != SETTINGS:
            raise RecipeError(f"{name}: {shown(key)}: expected text, not a {type(text).__name__}")
        if key == "lambda_":
            raise RecipeError(f"{name}: 'lambda_' is not a key of a recipe file; write 'lambda'")


def _check_package(method: type[Method], entries: Mapping[str, object]) -> tuple[str, str]:
    """The keys that name the package of a method from outside, if it is the one that is here [RC-11]."""
    for key, here in (("distribution", method.distribution), ("version", method.version)):
        wanted = entries.get(key, here)
        if wanted != here:
            package, version = entries.get("distribution", method.distribution), entries.get("version", method.version)
            raise MethodMissing(
                f"{method.name}: the recipe names {shown(package)} {shown(version)}, and {method.distribution} "
                f"{method.version} is here, which may compute something else: {_install(package, version)}"
            )
    return "distribution", "version"


def _install(package: object, version: object) -> str:
    """A command that installs a package, quoted where a stranger's text needs it."""
    return f"pip install {shlex.quote(f'{package}=={version}')}"


def _unknown_method(method: object) -> str:
    """What is wrong with it, and what to write: another tool's name has an answer of its own [NA-2]."""
    expected = f"; expected one of {', '.join(known_names())}, or a method of an installed package"
    if method is None:
        return f"is missing{expected}"
    if not isinstance(method, str):
        return f"a {type(method).__name__} is unknown{expected}"
    if method.lower() in METHODS:
        return f"{shown(method)} is unknown; write it in lower case, {method.lower()}"
    said = answer(method) or f"is unknown{did_you_mean(method, known_names()) or expected}"
    return f"{shown(method)} {said}"


class UnknownRecipe(Method):
    """A recipe of a method that is not here: it has an id, and cannot be computed [RC-12].

    entries: its map.
    """

    entries: Mapping[str, Any] = field(hash=False)

    def __init__(self, entries: Mapping[str, Any]) -> None:
        object.__setattr__(self, "entries", dict(entries))
        object.__setattr__(self, "name", entries["method"])
        object.__setattr__(self, SETTINGS, ())

    def to_map(self) -> dict[str, Any]:
        """As `Method.to_map`."""
        return dict(self.entries)

    @property
    def rounds(self) -> tuple[Round | WholeRound, ...]:
        """Nobody knows here: raises the refusal."""
        raise self.refusal()

    @property
    def needs(self) -> Needs:
        """Nothing is known of it, so no coefficient is refused for its sign [RC-6]."""
        return Needs(negative=True)

    def refusal(self) -> MethodMissing:
        """Why it cannot be computed, and what to install."""
        name, package = shown(self.entries["method"]), self.entries.get("distribution")
        if package is None:
            return MethodMissing(
                f"method {name} is not known to this version, and its recipe names no package that brings it: "
                "pip install --upgrade mergealgebra"
            )
        return MethodMissing(
            f"method {name} is from another package, which is not here: {_install(package, self.entries['version'])}, "
            "or ask whoever chose the method where the package is"
        )


def complete_recipe(entries: Mapping[str, Any]) -> Method:
    """The recipe whose map this is, every default filled in and every decimal canonical [RC-4, OS-1].

    A well-formed map of a method that is not known here is an `UnknownRecipe`. Raises RecipeError or DecimalError.
    """
    name = entries.get("method")
    known = name in METHODS or is_in_dialect(entries)
    if isinstance(name, str) and not known and _is_well_formed(entries):
        return UnknownRecipe(entries)
    return _complete(recipe_from_map(entries), entries)


def computable_recipe(entries: Mapping[str, Any]) -> Method:
    """The same, for whoever computes: a method from outside is looked for [RC-12].

    Raises RecipeError too when it is not here.
    """
    recipe = complete_recipe(entries)
    if not isinstance(recipe, UnknownRecipe):
        return recipe
    if find_method(entries["method"]) is None:
        raise recipe.refusal()
    return _complete(recipe_from_map(entries), entries)


def if_here(recipe: Method) -> Method:
    """The same recipe by its method, if that is here as the recipe names it; else the `UnknownRecipe` that it was."""
    if not isinstance(recipe, UnknownRecipe):
        return recipe
    with suppress(RecipeError, DecimalError):
        return computable_recipe(recipe.to_map())
    return recipe


def _complete(recipe: Method, entries: Mapping[str, Any]) -> Method:
    complete = recipe.to_map()
    for key, text in complete.items():
        if entries.get(key) != text:
            found = f"{key}: {shown(entries.get(key))}"
            raise RecipeError(f"{recipe.name}: {found} is not complete and canonical, {shown(text)} is")
    for key in entries.keys() - complete.keys():
        raise RecipeError(f"{recipe.name}: {key}: {shown(entries[key])} is not canonical; leave it out")
    return recipe


def _is_well_formed(entries: Mapping[str, object]) -> bool:
    """Whether a map can be a recipe of some method [RC-12]."""
    return (
        len(entries) <= _MOST_KEYS
        and all(isinstance(key, str) and WORD.fullmatch(key) for key in entries)
        and all(_are_settings(value) if key == SETTINGS else _is_text(value) for key, value in entries.items())
        and WORD.fullmatch(str(entries.get("method", ""))) is not None
        and ("distribution" in entries) == ("version" in entries)
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value.encode(errors="replace")) <= _TEXT_BYTES


def _are_settings(value: object) -> bool:
    """Whether this can stand under `settings` in a recipe of some method [RC-12]."""
    try:
        return (
            bool(value) and isinstance(value, list) and all(map(_is_entry, value)) and len(encode(value)) <= MOST_BYTES
        )
    except EncodingError:
        return False


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and 2 <= len(value) <= _MOST_KEYS
        and any(key in value for key in _WHOSE)
        and len(value) > sum(key in value for key in _WHOSE)
        and all(isinstance(key, str) and WORD.fullmatch(key) for key in value)
        and all(isinstance(x, str) if key in _WHOSE else _is_number(x) for key, x in value.items())
    )


def _is_number(value: object) -> bool:
    """Whether it is a text, or a list of texts; which of them are numbers the method knows."""
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(p, str) for p in value)
    )


def check_recipe(recipe: object) -> None:
    """Raise RecipeError for what is not a recipe, or cannot be computed here, and MethodError for a broken method."""
    if not isinstance(recipe, Method):
        raise RecipeError(f"{recipe!r} is not a recipe; pass one, such as ma.Ties(density='0.2')")
    if isinstance(recipe, UnknownRecipe):
        raise recipe.refusal()
    if isinstance(recipe, InDialect):
        return
    if find_method(recipe.name) is not type(recipe):
        made = type(recipe).__qualname__
        raise RecipeError(
            f"{made} is not the method {shown(recipe.name)} that is known here, so others could not tell what to "
            f"install; call ma.register({made}), or install the package whose entry point brings it"
        )
    if recipe.distribution:
        _check_said(recipe)


def _check_said(recipe: Method) -> None:
    """Raise MethodError unless what a method says of itself can be asked: its rounds, its needs, its words."""
    for what in ("rounds", "needs", "in_words"):
        try:
            getattr(recipe, what)
        except MergeAlgebraError:
            raise
        except (Exception, SystemExit) as error:
            raise MethodError(
                f"{recipe.name}: `{what}` raised {type(error).__name__}: {shown(str(error))}; mend it in "
                f"{type(recipe).__module__}"
            ) from error
    if not isinstance(recipe.rounds, tuple) or not recipe.rounds:
        raise MethodError(
            f"{recipe.name}: `rounds` gives {shown(recipe.rounds)}; it returns a tuple of at least one round, "
            "(algebra.Round(lift, finalize),)"
        )


#: The order in which a map is shown; keys of methods from outside follow.
_ORDER: Final = ("method", "dialect", "density", "seed", "trim_density", "lambda", "scope", "boundary")


def in_words(entries: Mapping[str, Any]) -> str:
    """A recipe's map as a line.

    >>> in_words({"lambda": "1", "method": "mean", "settings": [{"tensors": "h.*", "lambda": "0.5"}]})
    'method mean, lambda 1; for h.*: lambda 0.5'
    """
    keys = [key for key in _ORDER if key in entries] + sorted(entries.keys() - {*_ORDER, SETTINGS})
    everywhere = ", ".join(f"{key} {entries[key]}" for key in keys)
    return "; for ".join([everywhere, *lines(entries.get(SETTINGS, ()))])
