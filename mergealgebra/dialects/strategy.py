"""What a method of another tool takes: its settings, each with what may stand there [NA-3]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from mergealgebra.algebra import decimals
from mergealgebra.errors import DecimalError, RecipeError
from mergealgebra.text import shown

_ID: Final = re.compile("[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Setting:
    """A key of such a recipe: a decimal from `low` to `high`, or a whole number if it says so.

    default: what the tool takes when none is given, in canonical form. optional: whether it stands in a recipe's map
    only where it is something else. by: whether `settings` may set it, for all, for some tensors, or for some tensors
    of some contributions [NA-13].
    """

    default: str
    low: str = "0"
    high: str = "1"
    whole: bool = False
    optional: bool = False
    by: str = "all"

    def check(self, value: object, what: str) -> str:
        """The value in canonical form [RC-1]. Raises RecipeError or DecimalError. what: how a message begins."""
        if self.whole:
            return self._check_whole(value, what)
        text = decimals.canonical_decimal(value, what)
        if not Fraction(self.low) <= Fraction(text) <= Fraction(self.high):
            raise RecipeError(f"{what}: {shown(value)} is not a decimal from {self.low} to {self.high}")
        return text

    def _check_whole(self, value: object, what: str) -> str:
        """The same of a whole number, which no decimal point has a place in."""
        with suppress(DecimalError):
            text = decimals.canonical_decimal(value, what)
            if int(self.low) <= Fraction(text) <= int(self.high) and Fraction(text).denominator == 1:
                return text
        raise RecipeError(
            f"{what}: {shown(value)} is not a whole number from {self.low} to {self.high}; write it like "
            f"{shown(self.default)}"
        )

    def read(self, text: str) -> Any:
        """What an equation gets: the nearest binary64 number, or a whole one."""
        return int(text) if self.whole else float(text)


@dataclass(frozen=True)
class Word(Setting):
    """A key with one of some words."""

    words: tuple[str, ...] = ()

    def check(self, value: object, what: str) -> str:
        """As `Setting.check`."""
        if not isinstance(value, str) or value not in self.words:
            known = ", ".join(filter(None, self.words))
            raise RecipeError(f"{what}: {shown(value)} is unknown; expected one of {known}")
        return value

    def read(self, text: str) -> Any:
        """The word, a flag as a bool."""
        return text == "true" if self.words == FLAG else text


#: The words of a flag.
FLAG: Final = ("true", "false")


@dataclass(frozen=True)
class Ids(Setting):
    """A key with ids, or one root: each 64 hexadecimal digits, with single spaces between; none twice.

    several: whether there may be more than one.
    """

    default: str = ""
    optional: bool = True
    several: bool = True

    def check(self, value: object, what: str) -> str:
        """As `Setting.check`."""
        ids = value.split(" ") if isinstance(value, str) and value else []
        if not isinstance(value, str) or not all(_ID.fullmatch(one) for one in ids):
            them = "ids of contributions with single spaces between" if self.several else "a root"
            raise RecipeError(f"{what}: {shown(value)} is not {them}; write all 64 hexadecimal digits, in lower case")
        if len(set(ids)) < len(ids) or (len(ids) > 1 and not self.several):
            raise RecipeError(f"{what}: {shown(value)} has an id too many; write each once")
        return value

    def read(self, text: str) -> Any:
        """The ids as a tuple."""
        return tuple(text.split(" ")) if text else ()


@dataclass(frozen=True)
class Strategy:
    """A method of another tool. words: what it computes, as a sentence. coefficients: whether it has any.

    settings: its keys, in the order in which they are shown. negative: whether coefficients may be below 0.
    """

    words: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    coefficients: bool = True
    negative: bool = False
