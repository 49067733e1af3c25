"""A method with its settings: the recipe of a merge [RC-4, RC-5].

A method is a class, its recipe an object of it. Both are read wherever a workspace is opened, so nothing that computes
is loaded here: `rounds` says how the method computes, when that is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import Field, dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, dataclass_transform

from mergealgebra.algebra import decimals
from mergealgebra.algebra.method import leaves_out
from mergealgebra.algebra.needs import Needs
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import CoefficientError, DecimalError, RecipeError
from mergealgebra.methods.settings import COEFFICIENT, SETTINGS, Setting, entries_of, read_settings
from mergealgebra.text import did_you_mean, shown

if TYPE_CHECKING:
    from mergealgebra.algebra.method import Round, WholeRound

#: A value, and how a message about it begins, to the text that is kept. Raises RecipeError or DecimalError.
Check = Callable[[object, str], str]


def key(*, default: str, check: Check, by_tensor: bool = False) -> Any:
    """A key of a recipe, for the body of a method's class: `density: str = key(default="1", check=check_density)`.

    default: as `check` writes it. check: what makes a value canonical, or refuses it: check_density, check_lambda,
    check_share, check_seed, check_text, `one_of("model", "tensor")`, or a function of your own. by_tensor: whether it
    is a decimal that `settings` may set for some tensors; then the text may be a ratio of whole numbers too: read it by
    `Fraction` or `decimals.rounded`.
    """
    return field(default=default, metadata={"check": check, "by_tensor": by_tensor})


@dataclass_transform(eq_default=True, frozen_default=True, kw_only_default=True, field_specifiers=(key,))
@dataclass(frozen=True, init=False, repr=False)
class Method:
    """What all methods share. Equal recipes have equal ids. Raises RecipeError or DecimalError.

    name: what recipes call the method. distribution, version: the package that brings it, and which one; empty for the
    methods of this package. A subclass is a frozen dataclass by itself. It declares its keys, each with `key`, in the
    order in which they are shown; one called `lambda_`, `lambda` in files, is the lambda of the merge. It says how it
    computes in `rounds`, and perhaps what it needs in `needs`, and what it does in `in_words`. settings: what some
    tensors have instead, each a mapping with a pattern of names under `tensors`, and numbers by key [ST-1].
    docs/how-to/add-a-method.md adds one.
    """

    name: ClassVar[str] = ""
    distribution: ClassVar[str] = ""
    version: ClassVar[str] = ""
    settings: Sequence[Setting | Mapping[str, str | Sequence[str]]] = ()

    if TYPE_CHECKING:  # what editors and mypy see; whatever else is written is refused by name below

        def __init__(self) -> None: ...

    else:

        def __init__(self, /, **entries: object) -> None:
            known = {field_.name: field_ for field_ in own_fields(type(self))}
            settings = entries.pop(SETTINGS, ())
            given = {field_of(key): value for key, value in entries.items()}
            if len(given) < len(entries):
                raise RecipeError(f"{self.name}: lambda and lambda_ are one key; give it once")
            for key in given:
                if key not in known:
                    keys = [*map(key_of, known), SETTINGS]
                    near = did_you_mean(key_of(key), keys) or ";"
                    said = f"its keys are {', '.join(keys)}" if known else f"its only key is {SETTINGS}"
                    raise RecipeError(f"{self.name}: unknown key {shown(key_of(key))}{near} {said}")
            for key, field_ in known.items():
                check = field_.metadata["check"]
                object.__setattr__(self, key, check(given.get(key, field_.default), f"{self.name}: {key_of(key)}"))
            numbers = {key_of(name): field_.metadata["check"] for name, field_ in known.items() if _by_tensor(field_)}
            numbers[COEFFICIENT] = self._check_factor
            read = read_settings(settings, numbers, keys_of(type(self)), self.name)
            object.__setattr__(self, SETTINGS, read)
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

    def with_numbers(self, numbers: Mapping[str, Fraction]) -> Self:
        """The recipe of tensors that have these numbers, by key, in place of its own: one without settings [ST-2].

        Raises RecipeError where they do not go together.
        """
        made = object.__new__(type(self))
        for field_ in fields(self):
            object.__setattr__(made, field_.name, getattr(self, field_.name))
        for key, number in numbers.items():
            object.__setattr__(made, field_of(key), decimals.text_of(number))
        object.__setattr__(made, SETTINGS, ())
        made._check({field_of(key) for key in numbers})
        return made

    def __repr__(self) -> str:
        """What is not as it is when left out."""
        fields_ = own_fields(type(self))
        own = {f.name: getattr(self, f.name) for f in fields_ if getattr(self, f.name) != f.default}
        if self.settings:
            own[SETTINGS] = self._settings_map()
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
        return entries | ({SETTINGS: self._settings_map()} if self.settings else {})

    def _settings_map(self) -> list[dict[str, Any]]:
        return [setting.to_map() for setting in entries_of(self)]

    @property
    def id(self) -> str:
        """The recipe's id [RC-5]."""
        return hash_id("recipe", encode(self.to_map()))


def own_fields(method: type[Method]) -> list[Field[str]]:
    """The fields of a method's keys; all recipes have `settings` beside them."""
    return [field_ for field_ in fields(method) if field_.name != SETTINGS]


def _by_tensor(field_: Field[str]) -> bool:
    return bool(field_.metadata.get("by_tensor"))


def keys_of(method: type[Method]) -> list[str]:
    """The keys of a method's recipes, as files have them."""
    return [key_of(field_.name) for field_ in own_fields(method)]


def field_of(key: str) -> str:
    """The field of a key; `lambda` is a word of Python."""
    return "lambda_" if key == "lambda" else key


def key_of(field_name: str) -> str:
    """The key of a field, as files and maps have it."""
    return "lambda" if field_name == "lambda_" else field_name


# What keys take

_WHOLE: Final = re.compile("0|[1-9][0-9]{0,19}", re.ASCII)
_TEXT_BYTES: Final = 1 << 12
_COUNT: Final = re.compile("[1-9][0-9]{0,8}", re.ASCII)
_ID: Final = re.compile("[0-9a-f]{64}", re.ASCII)


def _key_in(what: str) -> str:
    """The key, of how a message about it begins."""
    return what.rpartition(": ")[2]


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_lambda(value: object, what: str) -> str:
    """A decimal whose fp32 number is finite [MG-1]."""
    decimals.fp32(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_density(value: object, what: str) -> str:
    """A decimal above 0 and at most 1 [RC-3]."""
    decimals.exact_density(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_share(value: object, what: str) -> str:
    """A decimal from 0 to below 1 [BC-1, DE-1]."""
    decimals.exact_share(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_factor(value: object, what: str) -> str:
    """A decimal from 0 on whose fp32 number is finite [RA-3, CO-1]."""
    text = check_lambda(value, what)
    if text.startswith("-"):
        raise DecimalError(f"{_key_in(what)}: {text} is negative; it must be 0 or more")
    return text


def check_count(value: object, what: str) -> str:
    """A whole number from 1 to 999999999 in decimal digits [CO-1]."""
    if not isinstance(value, str) or not _COUNT.fullmatch(value):
        raise RecipeError(f"{what}: {shown(value)} is not a whole number from 1 to 999999999; write it like '2'")
    return value


def check_task(value: object, what: str) -> str:
    """The id of a contribution in full, or an empty text [RC-13]."""
    if not isinstance(value, str) or not (value == "" or _ID.fullmatch(value)):
        raise RecipeError(
            f"{what}: {shown(value)} is not the id of a contribution; write all of its 64 hexadecimal digits, in "
            "lower case, or leave it out"
        )
    return value


def check_seed(value: object, what: str) -> str:
    """A whole number below 2^64 in decimal digits [RM-1]."""
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise RecipeError(f"{what}: {shown(value)} is not a whole number in decimal digits; write it like '42'")
    if int(value) >= 1 << 64:
        raise RecipeError(f"{what}: {value} is 2^64 or more; choose a smaller one")
    return value


def check_text(value: object, what: str) -> str:
    """Any text of at most 4,096 bytes, kept as it is."""
    if not isinstance(value, str) or not _is_utf8(value) or len(value.encode()) > _TEXT_BYTES:
        raise RecipeError(f"{what}: {shown(value)} is not a text of at most {_TEXT_BYTES:,} bytes")
    return value


def one_of(*known: str) -> Check:
    """One of some words."""

    def check(value: object, what: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise RecipeError(f"{what}: {shown(value)} is unknown; expected one of {', '.join(known)}")
        return str(value)

    return check
