"""Recipes: which method merges, and how, as frozen data with an id [RC-4, RC-5].

`REDUCERS` is the registry that joins each method's name to its equations in `algebra/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mergealgebra.algebra import decimals, mean, task_arithmetic, ties
from mergealgebra.algebra.dialects import DIALECTS, Dialect
from mergealgebra.algebra.reducer import Reducer
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import RecipeError
from mergealgebra.text import shown

Scope = Literal["model", "tensor"]
Boundary = Literal["keep_all", "lowest_index"]


@dataclass(frozen=True)
class Trim:
    """How a recipe trims: the exact density, over which groups, and what happens to ties [TI-2 to TI-5]."""

    density: Fraction
    scope: Scope
    boundary: Boundary


_CANONICAL: Final = "canonical"
_FIXED_BY_DIALECTS: Final = ("scope", "boundary")
_ORDER: Final = ("method", "dialect", "density", "lambda", "scope", "boundary")


class Recipe(BaseModel):
    """What all recipes share. Equal recipes have equal ids. Raises RecipeError or DecimalError."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, defer_build=True)
    method: ClassVar[str]

    lambda_: str = Field(default="1", alias="lambda")

    def __init__(self, /, **entries: Any) -> None:
        try:
            super().__init__(**entries)
        except ValidationError as error:
            raise RecipeError(_in_one_line(type(self), error)) from None

    @field_validator("lambda_", mode="before")
    @classmethod
    def _canonical_lambda(cls, text: object) -> str:
        decimals.fp32(text, "lambda")
        return decimals.canonical_decimal(text, "lambda")

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """What is not as it is when left out."""
        for name, field in type(self).model_fields.items():
            if (value := getattr(self, name)) != field.default:
                yield name, value

    @property
    def lambda32(self) -> float:
        """lambda as an fp32 number [MG-1]."""
        return decimals.fp32(self.lambda_, "lambda")

    @property
    def reducer(self) -> Reducer:
        """The equations of the method."""
        return REDUCERS[self.method]

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
    def negative_coefficients(self) -> bool:
        """Whether the method takes negative coefficients [RC-6]."""
        return False

    def to_map(self) -> dict[str, str]:
        """The recipe as a map with every default filled in, in the order of the table [RC-4]."""
        entries = {"method": self.method, **self.model_dump(by_alias=True)}
        return {key: entries[key] for key in _ORDER if key in entries}

    @property
    def id(self) -> str:
        """The recipe's id [RC-5]."""
        return hash_id("recipe", encode(self.to_map()))


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

    @field_validator("density", mode="before")
    @classmethod
    def _canonical_density(cls, text: object) -> str:
        decimals.exact_density(text)
        return decimals.canonical_decimal(text, "density")

    @model_validator(mode="after")
    def _as_the_dialect_has_it(self) -> Ties:
        if self.dialect not in DIALECTS:
            raise RecipeError(f"ties: dialect: {shown(self.dialect)} is unknown; expected one of {', '.join(DIALECTS)}")
        if self.foreign is None:
            return self
        if still_open := [point for point, option in self.foreign.options.items() if option is None]:
            raise RecipeError(
                f"ties: dialect: dialect {self.dialect} leaves {', '.join(still_open)} open; choose another"
            )
        if fixed := [key for key in _FIXED_BY_DIALECTS if key in self.model_fields_set]:
            raise RecipeError(f"ties: {fixed[0]}: dialect {self.dialect} fixes it; leave it out")
        if self.foreign["lambda"] == "none" and self.lambda_ != "1":
            raise RecipeError(f"ties: lambda: dialect {self.dialect} has none; leave it out, or give 1")
        return self

    @property
    def trim(self) -> Trim | None:
        return None if self.foreign else Trim(Fraction(self.density), self.scope, self.boundary)

    @property
    def foreign(self) -> Dialect | None:
        return None if self.dialect == _CANONICAL else DIALECTS[self.dialect]

    def to_map(self) -> dict[str, str]:
        left_out = _FIXED_BY_DIALECTS if self.foreign else ("dialect",)
        return {key: text for key, text in super().to_map().items() if key not in left_out}


class Mean(Recipe):
    """The weighted mean of the models [ME-1]."""

    method: ClassVar[str] = "mean"


class TaskArithmetic(Recipe):
    """The weighted sum of the task vectors; negative coefficients forget (Ilharco et al., 2023) [TA-1]."""

    method: ClassVar[str] = "task_arithmetic"

    @property
    def negative_coefficients(self) -> bool:
        return True


REDUCERS: Final[Mapping[str, Reducer]] = MappingProxyType(
    {"ties": ties, "mean": mean, "task_arithmetic": task_arithmetic}
)
RECIPES: Final[Mapping[str, type[Recipe]]] = MappingProxyType(
    {recipe.method: recipe for recipe in (Ties, Mean, TaskArithmetic)}
)


def recipe_from_map(entries: Mapping[str, object]) -> Recipe:
    """The recipe that a map describes, defaults left out or not [RC-4]. Raises RecipeError or DecimalError."""
    method = entries.get("method")
    if not isinstance(method, str) or method not in RECIPES:
        found = shown(method) if isinstance(method, str) else f"a {type(method).__name__}"
        known = "is missing" if method is None else f"{found} is unknown"
        raise RecipeError(f"method: {known}; expected one of {', '.join(RECIPES)}")
    for key, text in entries.items():
        if not isinstance(text, str):
            raise RecipeError(f"{method}: {shown(key)}: expected text, not a {type(text).__name__}")
        if key == "lambda_":
            raise RecipeError(f"{method}: 'lambda_' is not a key of a recipe file; write 'lambda'")
    return RECIPES[method](**{key: value for key, value in entries.items() if key != "method"})


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


def _in_one_line(recipe: type[Recipe], error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        keys = ", ".join(field.alias or name for name, field in recipe.model_fields.items())
        return f"{recipe.method}: unknown key {shown(key)}; its keys are {keys}"
    return f"{recipe.method}: {key}: {first['msg'].lower()}, not {shown(first['input'])}"
