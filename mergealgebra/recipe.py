"""Recipes: which method merges, and how, as frozen data with an id [RC-4, RC-5].

They are read wherever a workspace is opened, so no library is loaded for them: each key has one check, in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, fields
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_args

from mergealgebra.algebra import decimals
from mergealgebra.dialects.points import DIALECTS, Dialect
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import RecipeError
from mergealgebra.mergekit_file import method_here
from mergealgebra.text import did_you_mean, shown

Scope = Literal["model", "tensor"]
Boundary = Literal["keep_all", "lowest_index"]


@dataclass(frozen=True)
class Trim:
    """How a recipe trims: the exact density, over which groups, and what happens to ties [TI-2 to TI-5]."""

    density: Fraction
    scope: Scope
    boundary: Boundary


@dataclass(frozen=True)
class Needs:
    """What a method needs beside the tensors: kinds of auxiliary ones [CT-16]."""

    auxiliary: frozenset[str] = frozenset()


_CANONICAL: Final = "canonical"
_FIXED_BY_DIALECTS: Final = ("scope", "boundary")
_ORDER: Final = ("method", "dialect", "density", "lambda", "scope", "boundary")


@dataclass(frozen=True, init=False, repr=False)
class Recipe:
    """What all recipes share. Equal recipes have equal ids. Raises RecipeError or DecimalError."""

    method: ClassVar[str]

    lambda_: str = "1"

    if TYPE_CHECKING:  # what editors and mypy see; whatever else is written is refused by name below

        def __init__(self, *, lambda_: str = "1") -> None: ...

    else:

        def __init__(self, /, **entries: object) -> None:
            known = {field.name: field.default for field in fields(self)}
            given = {_names(key): value for key, value in entries.items()}
            for key in given:
                if key not in known:
                    keys = list(map(_written, known))
                    near = did_you_mean(key, keys) or ";"
                    raise RecipeError(f"{self.method}: unknown key {shown(key)}{near} its keys are {', '.join(keys)}")
            for key, value in (known | given).items():
                object.__setattr__(self, key, _CHECKS[key](value, f"{self.method}: {key}"))
            self._check(given.keys())

    def _check(self, given: Set[str]) -> None:
        """Refuse what does not go together. given: the keys that do not have their defaults."""

    def __repr__(self) -> str:
        """What is not as it is when left out."""
        own = (field.name for field in fields(self) if getattr(self, field.name) != field.default)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in own)})"

    @property
    def lambda32(self) -> float:
        """lambda as an fp32 number [MG-1]."""
        return decimals.fp32(self.lambda_, "lambda")

    @property
    def trim(self) -> Trim | None:
        """How task vectors are trimmed; None when they are not."""
        return None

    @property
    def foreign(self) -> Dialect | None:
        """The dialect of TIES to compute, if it is not this specification's own [RC-9]."""
        return None

    @property
    def keeps_all(self) -> bool:
        """Whether every element of a task vector counts."""
        return self.trim is None and self.foreign is None

    @property
    def needs(self) -> Needs:
        """What the method needs."""
        return Needs()

    @property
    def negative_coefficients(self) -> bool:
        """Whether the method takes negative coefficients [RC-6]."""
        return False

    def to_map(self) -> dict[str, str]:
        """The recipe as a map with every default filled in, in the order of the table [RC-4]."""
        entries = {"method": self.method} | {_written(key): value for key, value in vars(self).items()}
        return {key: entries[key] for key in _ORDER if key in entries}

    @property
    def id(self) -> str:
        """The recipe's id [RC-5]."""
        return hash_id("recipe", encode(self.to_map()))


@dataclass(frozen=True, init=False, repr=False)
class Ties(Recipe):
    """TIES-Merging: trim to the density, elect signs, average what agrees (Yadav et al., 2023) [TI-1 to TI-8].

    dialect: whose TIES, by its name in spec/dialects.md; others than `canonical` fix scope and boundary [RC-9].

    >>> Ties(density="0.20").to_map()["density"]
    '0.2'
    >>> Ties(dialect="mergekit-0.1.5").to_map()
    {'method': 'ties', 'dialect': 'mergekit-0.1.5', 'density': '1', 'lambda': '1'}
    """

    method: ClassVar[str] = "ties"
    dialect: str = _CANONICAL
    density: str = "1"
    scope: Scope = "model"
    boundary: Boundary = "keep_all"

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            density: str = "1",
            lambda_: str = "1",
            scope: Scope = "model",
            boundary: Boundary = "keep_all",
            dialect: str = "canonical",
        ) -> None: ...

    def _check(self, given: Set[str]) -> None:
        if self.foreign is None:
            return
        if still_open := [point for point, option in self.foreign.options.items() if option is None]:
            raise RecipeError(
                f"ties: dialect: dialect {self.dialect} leaves {', '.join(still_open)} open; choose another"
            )
        if fixed := [key for key in _FIXED_BY_DIALECTS if key in given]:
            raise RecipeError(f"ties: {fixed[0]}: dialect {self.dialect} fixes it; leave it out")
        if self.foreign["lambda"] == "none" and self.lambda_ != "1":
            raise RecipeError(f"ties: lambda: dialect {self.dialect} has none; leave it out, or give 1")

    @property
    def trim(self) -> Trim | None:
        return None if self.foreign else Trim(Fraction(self.density), self.scope, self.boundary)

    @property
    def foreign(self) -> Dialect | None:
        return None if self.dialect == _CANONICAL else DIALECTS[self.dialect]

    def to_map(self) -> dict[str, str]:
        left_out = _FIXED_BY_DIALECTS if self.foreign else ("dialect",)
        return {key: text for key, text in super().to_map().items() if key not in left_out}


@dataclass(frozen=True, init=False, repr=False)
class Mean(Recipe):
    """The weighted mean of the models [ME-1]."""

    method: ClassVar[str] = "mean"


@dataclass(frozen=True, init=False, repr=False)
class TaskArithmetic(Recipe):
    """The weighted sum of the task vectors; negative coefficients forget (Ilharco et al., 2023) [TA-1]."""

    method: ClassVar[str] = "task_arithmetic"

    @property
    def negative_coefficients(self) -> bool:
        return True


RECIPES: Final[Mapping[str, type[Recipe]]] = MappingProxyType(
    {recipe.method: recipe for recipe in (Ties, Mean, TaskArithmetic)}
)


def recipe_from_map(entries: Mapping[str, object]) -> Recipe:
    """The recipe that a map describes, defaults left out or not [RC-4]. Raises RecipeError or DecimalError."""
    method = entries.get("method")
    if not isinstance(method, str) or method not in RECIPES:
        raise RecipeError(f"method: {_unknown_method(method)}; expected one of {', '.join(RECIPES)}")
    for key, text in entries.items():
        if not isinstance(text, str):
            raise RecipeError(f"{method}: {shown(key)}: expected text, not a {type(text).__name__}")
        if key == "lambda_":
            raise RecipeError(f"{method}: 'lambda_' is not a key of a recipe file; write 'lambda'")
    keys: dict[str, Any] = {key: value for key, value in entries.items() if key != "method"}
    return RECIPES[method](**keys)


def _unknown_method(method: object) -> str:
    if method is None:
        return "is missing"
    if not isinstance(method, str):
        return f"a {type(method).__name__} is unknown"
    if method.lower() in RECIPES:
        return f"{shown(method)} is unknown; write it in lower case, {method.lower()}"
    return f"{shown(method)} {method_here(method) or 'is unknown'}"


def complete_recipe(entries: Mapping[str, str]) -> Recipe:
    """The recipe whose map this is, every default filled in and every decimal canonical [RC-4, OS-1].

    Raises RecipeError or DecimalError.
    """
    recipe = recipe_from_map(entries)
    complete = recipe.to_map()
    for key, text in complete.items():
        if entries.get(key) != text:
            found = f"{key}: {shown(entries.get(key))}"
            raise RecipeError(f"{recipe.method}: {found} is not complete and canonical, {shown(text)} is")
    for key in entries.keys() - complete.keys():
        raise RecipeError(f"{recipe.method}: {key}: {shown(entries[key])} is not canonical; leave it out")
    return recipe


def check_recipe(recipe: object) -> None:
    """Raise RecipeError for what is not a recipe."""
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{recipe!r} is not a recipe; pass one, such as ma.Ties(density='0.2')")


def in_words(entries: Mapping[str, str]) -> str:
    """A recipe's map as a line.

    >>> in_words({"lambda": "1", "method": "mean"})
    'method mean, lambda 1'
    """
    return ", ".join(f"{key} {entries[key]}" for key in _ORDER if key in entries)


def _names(key: str) -> str:
    """The field of a key; `lambda` is a word of Python."""
    return "lambda_" if key == "lambda" else key


def _written(field: str) -> str:
    """The key of a field, as files and maps have it."""
    return field.removesuffix("_")


def _lambda(value: object, _: str) -> str:
    decimals.fp32(value, "lambda")
    return decimals.canonical_decimal(value, "lambda")


def _density(value: object, _: str) -> str:
    decimals.exact_density(value)
    return decimals.canonical_decimal(value, "density")


def _one_of(*known: str) -> Callable[[object, str], str]:
    def check(value: object, what: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise RecipeError(f"{what}: {shown(value)} is unknown; expected one of {', '.join(known)}")
        return str(value)

    return check


#: What each key takes: a value and how a message begins -> the value as it is kept. Raises RecipeError, DecimalError.
_CHECKS: Final[Mapping[str, Callable[[object, str], str]]] = MappingProxyType(
    {
        "lambda_": _lambda,
        "dialect": _one_of(*DIALECTS),
        "density": _density,
        "scope": _one_of(*get_args(Scope)),
        "boundary": _one_of(*get_args(Boundary)),
    }
)
