"""Settings of mergekit's files: a number, a list of numbers over layers, or one of these by filters [MK-4].

    weight: 0.5
    weight: [0, 0.5, 1]                                     a gradient
    weight: [{filter: self_attn, value: [0, 1]}, {value: 0.5}]

A filter is a part of a tensor's name. Numbers are exact: no float comes between the file and what is computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from mergealgebra.dialects.strategy_settings import interpolated
from mergealgebra.formats.mergekit.nodes import Node, Where
from mergealgebra.text import shown

_NUMBER: Final = re.compile(r"([-+]?)([0-9_]*)(?:\.([0-9_]*))?(?:[eE]([-+]?[0-9]{1,3}))?", re.ASCII)
#: The most digits after the point of a decimal in a recipe [RC-1].
_PLACES: Final = 60
#: How many, after zeros, a number is rounded to that has more: all that matter, and lists of layers stay short.
_ROUNDED: Final = 20


@dataclass(frozen=True)
class Value:
    """What a tensor has of a setting. number: exact. points: of the gradient that it comes from, if it does.

    t: the place on it. where: the setting that said so; None for what nobody wrote.
    """

    number: Fraction
    points: tuple[Fraction, ...] = ()
    where: Where | None = None
    t: Fraction = Fraction(0)


@dataclass(frozen=True)
class Plain:
    """One number for all tensors, or for all layers: `points`."""

    where: Where
    points: tuple[Fraction, ...]
    is_gradient: bool

    def at(self, t: Fraction) -> Value:
        """The number at a place from 0, the first layer, to 1, the last."""
        if not self.is_gradient:
            return Value(self.points[0], where=self.where)
        x = t * (len(self.points) - 1)
        low = int(x)
        high = min(low + 1, len(self.points) - 1)
        number = self.points[low] + (x - low) * (self.points[high] - self.points[low])
        return Value(number, self.points, self.where, t)


@dataclass(frozen=True)
class Filtered:
    """What the tensors have whose name holds `filter`; all of them where it is None."""

    where: Where
    filter: str | None
    value: Setting

    def matches(self, name: str) -> bool:
        """Whether a tensor of this name is meant."""
        return self.filter is None or self.filter in name


@dataclass(frozen=True)
class Setting:
    """All that stands under one key. Of filters, the first that matches counts."""

    where: Where
    plain: Plain | None = None
    filters: tuple[Filtered, ...] = ()

    def at(self, name: str, t: Fraction, matched: set[Filtered]) -> Value | None:
        """What a tensor has; None where no filter matches. matched: told which did."""
        if self.plain is not None:
            return self.plain.at(t)
        for filtered in self.filters:
            if filtered.matches(name):
                matched.add(filtered)
                return filtered.value.at(name, t, matched)
        return None

    @property
    def said(self) -> tuple[object, ...]:
        """What it says, wherever it stands."""
        if self.plain is not None:
            return self.plain.points, self.plain.is_gradient
        return tuple((filtered.filter, filtered.value.said) for filtered in self.filters)

    @property
    def gradients(self) -> bool:
        """Whether something in it is a list of numbers over layers."""
        if self.plain is not None:
            return self.plain.is_gradient
        return any(filtered.value.gradients for filtered in self.filters)


def read_setting(key: str, node: Node) -> Setting:
    """A setting as it is written. Raises RecipeError."""
    if node.items is None:
        return Setting(node.where, Plain(node.where, (read_number(key, node),), False))
    items = node.list(f"`{key}`", f"{key}: [0, 1]")
    mappings = [item.keys is not None for item in items]
    if all(mappings):
        return Setting(node.where, filters=tuple(_filtered(key, item) for item in items))
    if any(mappings):
        odd = items[mappings.index(False)]
        raise odd.where.refuse(
            f"`{key}` has {odd.kind} in a list of filters; write what all other tensors have as `- value: {odd.text}`"
        )
    return Setting(node.where, Plain(node.where, tuple(read_number(key, item) for item in items), True))


def _filtered(key: str, item: Node) -> Filtered:
    keys = item.mapping(f"`{key}`", "{filter: self_attn, value: 0.5}")
    for unknown in keys.keys() - {"filter", "value"}:
        raise item.key_places[unknown].refuse(f"{shown(unknown)} beside a filter; its keys are `filter` and `value`")
    if "value" not in keys:
        raise item.where.refuse(f"a filter of `{key}` has no `value`; write `{{filter: ..., value: 0.5}}`")
    given = keys.get("filter")
    text = None if given is None or given.is_null else given.scalar("`filter`", "filter: self_attn")
    return Filtered(item.where, None if text == "*" else text, read_setting(key, keys["value"]))


def read_number(key: str, node: Node) -> Fraction:
    """A number as it is written, `true` being 1. Raises RecipeError for what is none."""
    if node.truth is not None:
        return Fraction(node.truth)
    found = _NUMBER.fullmatch(node.text or "")
    if not found or not (digits := (found[2] + (found[3] or "")).replace("_", "")) or len(digits) > 2 * _PLACES:
        raise node.where.refuse(f"`{key}` is {node.kind}; expected a number, like `{key}: 0.5`")
    power = int(found[4] or 0) - len((found[3] or "").replace("_", ""))
    number = Fraction(int(digits)) * (Fraction(10) ** power)
    return -number if found[1] == "-" else number


def decimal_of(number: Fraction) -> str:
    """A number as a decimal of at most 60 places, rounded once where it has more [MK-5].

    >>> decimal_of(Fraction(1, 4)), decimal_of(Fraction(-2, 3)), decimal_of(Fraction(1, 150))
    ('0.25', '-0.66666666666666666667', '0.0066666666666666666667')
    """
    zeros = len(str(int(1 / abs(number)))) - 1 if number else 0
    exact = (number * 10**_PLACES).denominator == 1
    places = _PLACES if exact else min(_PLACES, zeros + _ROUNDED)
    digits = str(abs(round(number * 10**places))).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
    return f"-{text}" if number < 0 and text != "0" else text


def in_binary64(value: Value) -> str:
    """The number that mergekit has, which interpolates in binary64: the shortest decimal that is nearest to it."""
    if not value.points:
        number = float(value.number)
    else:
        points = [float(point) for point in value.points]
        number = interpolated(points, float(value.t))
    return decimal_of(Fraction(repr(number)))
