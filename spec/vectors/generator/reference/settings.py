"""Settings: what a recipe says of some tensors or contributions alone [ST-1 to ST-4, ST-7, ST-8]."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from generator.reference.canonical import encode
from generator.reference.decimals import canonical, density, fp32, parse, share
from generator.reference.patterns import matches
from generator.reference.refused import Refused

NUMBERS = (
    *("density", "trim_density", "lambda", "t", "scale", "gamma", "epsilon"),
    *("r", "alpha", "tall_lambda", "tol"),
)
#: Those that act on one contribution, before the sums [ST-7].
OWN = ("density", "trim_density", "gamma", "epsilon", "tall_lambda", "coefficient")
WHOSE = {"tensors", "contribution"}
ID = re.compile("[0-9a-f]{64}")
KEY = re.compile("[a-z][a-z0-9_]{0,63}")
LAYER = re.compile("[0-9]{1,9}")
SIZE = 2**16

Value = Any


def complete_settings(given: Value, keys: Collection[str], negative: bool) -> list[Value]:
    """The entries with decimals in canonical form; keys: of the recipe [ST-1]."""
    if not isinstance(given, list):
        raise Refused("RecipeError")
    numbers = [key for key in NUMBERS if key in keys] + ["coefficient"]
    entries = [complete_entry(entry, numbers, negative) for entry in given]
    if entries and not fits(entries):
        raise Refused("RecipeError")
    return entries


def fits(entries: Value) -> bool:
    return len(encode(entries)) <= SIZE


def complete_entry(entry: Value, numbers: Sequence[str], negative: bool) -> Value:
    if not isinstance(entry, dict) or not is_for_something(entry):
        raise Refused("RecipeError")
    if "contribution" in entry:
        numbers = [key for key in numbers if key in OWN]
        if not ID.fullmatch(entry["contribution"]):
            raise Refused("RecipeError")
    if set(entry) - {*WHOSE, *numbers}:
        raise Refused("RecipeError")
    found: dict[str, Value] = {key: entry[key] for key in sorted(WHOSE & set(entry))}
    for key in numbers:
        if key in entry:
            points = entry[key] if isinstance(entry[key], list) else [entry[key]]
            if not points:
                raise Refused("RecipeError")
            texts = [complete_number(key, point, negative) for point in points]
            found[key] = texts if isinstance(entry[key], list) else texts[0]
    return found


def is_for_something(entry: Mapping[str, Value]) -> bool:
    """Whether it says for which tensors, or for which contribution, or both, and sets something."""
    whose = WHOSE & set(entry)
    return bool(whose) and all(isinstance(entry[key], str) for key in whose) and set(entry) > whose


def complete_number(key: str, text: Value, negative: bool) -> str:
    if not isinstance(text, str):
        raise Refused("DecimalError")
    if key in ("density", "trim_density"):
        density(text)
    if key in ("gamma", "epsilon", "tol"):
        share(text)
    fp32(text)
    if key in ("t", "r", "alpha", "tall_lambda") and canonical(text).startswith("-"):
        raise Refused("DecimalError")
    if key == "coefficient" and parse(text) < 0 and not negative:
        raise Refused("CoefficientError")
    return canonical(text)


def are_well_formed(x: Value) -> bool:
    """Whether this may stand under `settings` in a recipe that is not known here [RC-12, ST-1]."""
    return isinstance(x, list) and len(x) > 0 and all(map(is_entry, x)) and fits(x)


def is_entry(x: Value) -> bool:
    return (
        isinstance(x, dict)
        and len(x) <= 64
        and is_for_something(x)
        and all(KEY.fullmatch(key) for key in x)
        and all(isinstance(p, str) for key in x for p in (x[key] if isinstance(x[key], list) else [x[key]]))
        and [] not in x.values()
    )


def named(settings: Sequence[Value]) -> list[str]:
    """The contributions that entries are for."""
    return sorted({entry["contribution"] for entry in settings if "contribution" in entry})


def numbers_of(
    settings: Sequence[Value], names: Sequence[str], contribution: str | None = None
) -> dict[str, dict[str, Fraction]]:
    """By float tensor of the base, the numbers that it has by key, of all or of one contribution [ST-2, ST-8]."""
    found: dict[str, dict[str, Fraction]] = {name: {} for name in names}
    for entry in settings:
        if entry.get("contribution", contribution) != contribution:
            continue
        matching = [name for name in names if matches(entry.get("tensors", "*"), name)]
        if not matching:
            raise Refused("NamesError")
        greatest = max((layer(name) or 0 for name in matching), default=0)
        for name in matching:
            for key in set(entry) - WHOSE - set(found[name]):
                found[name][key] = number_at(entry[key], name, greatest)
    return found


def number_at(number: Value, name: str, greatest: int) -> Fraction:
    if isinstance(number, str):
        return parse(number)
    own = layer(name)
    if own is None:
        raise Refused("RecipeError", tensor=name)
    n = len(number) - 1
    x = Fraction(n * own, max(greatest, 1))
    i = floor(x)
    p, q = parse(number[i]), parse(number[min(i + 1, n)])
    return p + (x - i) * (q - p)


def layer(name: str) -> int | None:
    return next(layers(name), None)


def layers(name: str) -> Iterator[int]:
    """The parts of a name that may be a layer, in order [ST-3]."""
    return (int(part) for part in name.split(".") if LAYER.fullmatch(part))


def plain(full: Mapping[str, Value]) -> dict[str, Value]:
    """A recipe's map without its settings."""
    return {key: value for key, value in full.items() if key != "settings"}
