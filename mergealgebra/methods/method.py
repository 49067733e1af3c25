"""A method with its settings: the recipe of a merge [RC-4, RC-5].

A method is a class, its recipe an object of it. Both are read wherever a workspace is opened, so nothing that computes
is loaded here: `rounds` says how the method computes, when that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import Field, dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, dataclass_transform

from mergealgebra.algebra import decimals
from mergealgebra.algebra.method import leaves_out
from mergealgebra.algebra.needs import Needs
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import CoefficientError, RecipeError
from mergealgebra.methods.key_checks import Check, check_lambda, check_out_dtype
from mergealgebra.methods.settings import (
    COEFFICIENT,
    SETTINGS,
    Keys,
    Setting,
    entries_of,
    listed_in,
    read_own,
    read_settings,
)
from mergealgebra.text import did_you_mean, shown

if TYPE_CHECKING:
    from mergealgebra.algebra.method import Round, WholeRound

#: The key of the result's dtype [RC-15].
OUT_DTYPE: Final = "out_dtype"
#: Keys of all methods, which stand in a recipe's map only where they are written.
_OF_ALL: Final = (SETTINGS, OUT_DTYPE)


def key(*, default: str, check: Check, by_tensor: bool = False, by_contribution: bool = False) -> Any:
    """A key of a recipe, for the body of a method's class: `density: str = key(default="1", check=check_density)`.

    default: as `check` writes it. check: what makes a value canonical, or refuses it: check_density, check_lambda,
    check_share, check_seed, check_text, `one_of("model", "tensor")`, or a function of your own. by_tensor: whether it
    is a decimal that `settings` may set for some tensors; then the text may be a ratio of whole numbers too: read it by
    `Fraction` or `decimals.rounded`. by_contribution: whether they may set it for some contributions too: then only
    stages and lifts of the rounds follow from it, not what becomes of the sums; it is by tensor too.
    """
    kinds = {"by_tensor": by_tensor or by_contribution, "by_contribution": by_contribution}
    return field(default=default, metadata={"check": check, **kinds})


@dataclass_transform(eq_default=True, frozen_default=True, kw_only_default=True, field_specifiers=(key,))
@dataclass(frozen=True, init=False, repr=False)
class Method:
    """What all methods share. Equal recipes have equal ids. Raises RecipeError or DecimalError.

    name: what recipes call the method. distribution, version: the package that brings it, and which one; empty for the
    methods of this package. A subclass is a frozen dataclass by itself. It declares its keys, each with `key`, in the
    order in which they are shown; one called `lambda_`, `lambda` in files, is the lambda of the merge. It says how it
    computes in `rounds`, and perhaps what it needs in `needs`, and what it does in `in_words`. settings: what some
    tensors or contributions have instead, each a mapping with a pattern of names under `tensors`, and numbers by key
    [ST-1]. out_dtype: of the result, F64, F32, BF16 or F16; left out, the base's [RC-15].
    docs/how-to/add-a-method.md adds one.
    """

    name: ClassVar[str] = ""
    distribution: ClassVar[str] = ""
    version: ClassVar[str] = ""
    settings: Sequence[Setting | Mapping[str, str | Sequence[str]]] = ()
    out_dtype: str = ""

    if TYPE_CHECKING:  # what editors and mypy see; whatever else is written is refused by name below

        def __init__(self) -> None: ...

    else:

        def __init__(self, /, **entries: object) -> None:
            known = {field_.name: field_ for field_ in own_fields(type(self))}
            settings, out = entries.pop(SETTINGS, ()), entries.pop(OUT_DTYPE, "")
            given = {field_of(key): value for key, value in entries.items()}
            if len(given) < len(entries):
                raise RecipeError(f"{self.name}: lambda and lambda_ are one key; give it once")
            for key in given:
                if key not in known:
                    keys = [*map(key_of, known), *_OF_ALL]
                    near = did_you_mean(key_of(key), keys) or ";"
                    said = f"its keys are {', '.join(keys)}" if known else f"its only keys are {' and '.join(keys)}"
                    raise RecipeError(f"{self.name}: unknown key {shown(key_of(key))}{near} {said}")
            for key, field_ in known.items():
                check = field_.metadata["check"]
                object.__setattr__(self, key, check(given.get(key, field_.default), f"{self.name}: {key_of(key)}"))
            object.__setattr__(self, SETTINGS, read_settings(settings, self._keys))
            object.__setattr__(self, OUT_DTYPE, check_out_dtype(out, f"{self.name}: {OUT_DTYPE}"))
            self._check(given.keys())

    def __init_subclass__(cls) -> None:
        """Make it a frozen dataclass, whose fields are the recipe's keys."""
        dataclass(frozen=True, init=False, repr=False)(cls)

    def _check(self, given: Set[str]) -> None:
        """Refuse what does not go together. given: the keys that were written."""

    def _check_factor(self, value: object, what: str) -> str:
        """A decimal that multiplies coefficients; 0 takes tensors out [ST-1]."""
        text = check_lambda(value, what)
        if text.startswith("-") and not self.needs.negative:
            raise CoefficientError(f"{what}: {text} is negative, and {self.name} takes no negative coefficients")
        return text

    @property
    def _keys(self) -> Keys:
        """What may stand in settings."""
        own = {key_of(f.name): f for f in own_fields(type(self)) if f.metadata.get("by_tensor")}
        numbers = {name: f.metadata["check"] for name, f in own.items()} | {COEFFICIENT: self._check_factor}
        by_contribution = [name for name, f in own.items() if f.metadata.get("by_contribution")]
        return Keys(numbers, (*by_contribution, COEFFICIENT), keys_of(type(self)), self.name)

    @property
    def own_keys(self) -> Sequence[str]:
        """The keys that may differ by contribution [ST-7]."""
        return self._keys.own

    def own_settings(self, given: object, where: str) -> tuple[Setting, ...]:
        """The settings of one model, whose contribution's id is not known yet [ST-9]. where: how messages begin.

        Raises RecipeError, DecimalError or CoefficientError.
        """
        return tuple(self.own_setting(one, f"{where}[{i}]") for i, one in enumerate(listed_in(given, where)))

    def own_setting(self, given: object, where: str) -> Setting:
        """One entry of them. Raises likewise."""
        return read_own(given, self._keys, where)

    def with_settings(self, first: Sequence[Setting]) -> Self:
        """The same recipe with other entries before its own [ST-9]. Raises as `read_settings` does."""
        made = self._copied()
        object.__setattr__(made, SETTINGS, read_settings([*first, *entries_of(self)], self._keys))
        return made

    def with_numbers(self, numbers: Mapping[str, Fraction]) -> Self:
        """The recipe of tensors that have these numbers, by key, in place of its own: one without settings [ST-2].

        Raises RecipeError where they do not go together.
        """
        made = self._copied()
        for key, number in numbers.items():
            object.__setattr__(made, field_of(key), decimals.text_of(number))
        object.__setattr__(made, SETTINGS, ())
        made._check({field_of(key) for key in numbers})
        return made

    def _copied(self) -> Self:
        made = object.__new__(type(self))
        for field_ in fields(self):
            object.__setattr__(made, field_.name, getattr(self, field_.name))
        return made

    def __repr__(self) -> str:
        """What is not as it is when left out."""
        fields_ = own_fields(type(self))
        own = {f.name: getattr(self, f.name) for f in fields_ if getattr(self, f.name) != f.default}
        if self.settings:
            own[SETTINGS] = self._settings_map()
        if self.out_dtype:
            own[OUT_DTYPE] = self.out_dtype
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in own.items())})"

    @property
    def rounds(self) -> tuple[Round | WholeRound, ...]:
        """How the method computes."""
        raise NotImplementedError(f"{type(self).__name__} has no rounds")

    @property
    def needs(self) -> Needs:
        """What it needs beside base and task vectors."""
        return Needs()

    @property
    def in_words(self) -> str:
        """What it does, for somebody who never read the paper; a sentence or two, for the model card."""
        return ""

    @property
    def lambda_text(self) -> str:
        """lambda as a decimal; 1 for a method without."""
        return str(getattr(self, "lambda_", "1"))

    @property
    def lambda32(self) -> float:
        """lambda as an fp32 number [MG-1]; of a tensor, perhaps of a ratio [ST-4]."""
        return decimals.rounded(self.lambda_text)

    @property
    def drops(self) -> bool:
        """Whether some elements of a task vector may not count: left out by a stage, a dialect or a setting [LK-4]."""
        factors = any(COEFFICIENT in dict(setting.numbers) for setting in entries_of(self))
        return factors or any(map(leaves_out, self.rounds))

    def check_coefficient(self, coefficient: float, what: str) -> float:
        """The coefficient itself, if the method can use it [RC-6]. Raises CoefficientError."""
        return decimals.check_coefficient(coefficient, what, negative=self.needs.negative, method=self.name)

    def to_map(self) -> dict[str, Any]:
        """The recipe as a map with every default filled in [RC-4]; a method from outside names its package [RC-11].

        Texts by key, and under `settings`, if there are any, a list of maps [ST-1].
        """
        entries = {"method": self.name} | {key_of(f.name): getattr(self, f.name) for f in own_fields(type(self))}
        if self.distribution:
            entries |= {"distribution": self.distribution, "version": self.version}
        if self.out_dtype:
            entries |= {OUT_DTYPE: self.out_dtype}
        return entries | ({SETTINGS: self._settings_map()} if self.settings else {})

    def _settings_map(self) -> list[dict[str, Any]]:
        return [setting.to_map() for setting in entries_of(self)]

    @property
    def id(self) -> str:
        """The recipe's id [RC-5]."""
        return hash_id("recipe", encode(self.to_map()))


def own_fields(method: type[Method]) -> list[Field[str]]:
    """The fields of a method's keys; all recipes may have `settings` and `out_dtype` beside them."""
    return [field_ for field_ in fields(method) if field_.name not in _OF_ALL]


def keys_of(method: type[Method]) -> list[str]:
    """The keys of a method's recipes, as files have them."""
    return [key_of(field_.name) for field_ in own_fields(method)]


def field_of(key: str) -> str:
    """The field of a key; `lambda` is a word of Python."""
    return "lambda_" if key == "lambda" else key


def key_of(field_name: str) -> str:
    """The key of a field, as files and maps have it."""
    return "lambda" if field_name == "lambda_" else field_name
