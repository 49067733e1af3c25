"""Settings by tensor: numbers of a recipe that some tensors have instead of the others' [ST-1 to ST-4].

method: ties
density: "0.2"
settings:
  - {tensors: "*.mlp.*", density: "0.5"}
  - {tensors: "model.layers.*", lambda: ["0.1", "1"]}      from the first layer to the last
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.encoding import encode
from mergealgebra.errors import EncodingError, MergeAlgebraError, NamesError, RecipeError
from mergealgebra.tensors.choice import Choice, escaped
from mergealgebra.text import did_you_mean, kind_of, listed, shown

if TYPE_CHECKING:
    from mergealgebra.methods.method import Method

#: The key of a recipe under which they stand.
SETTINGS: Final = "settings"
#: In an entry: for which tensors it is, and what multiplies the coefficients of all contributions there.
TENSORS: Final = "tensors"
COEFFICIENT: Final = "coefficient"
#: The most bytes of their encoding: as many as a recipe file has.
MOST_BYTES: Final = 1 << 16

#: A layer's number has at most so many digits.
_DIGITS: Final = 9

#: A value, and how a message about it begins, to the text that is kept.
_Check = Callable[[object, str], str]


@dataclass(frozen=True)
class Setting:
    """One entry. tensors: a pattern [CT-8]. numbers: by key, a decimal, or a gradient over layers."""

    tensors: str
    numbers: tuple[tuple[str, str | tuple[str, ...]], ...]

    def to_map(self) -> dict[str, Any]:
        """As recipes have it."""
        return {TENSORS: self.tensors} | {
            key: number if isinstance(number, str) else list(number) for key, number in self.numbers
        }


@dataclass(frozen=True)
class Plain:
    """What one tensor is merged by: a recipe without settings, and what multiplies all coefficients."""

    method: Method
    factor: Fraction = Fraction(1)


# Reading


def read_settings(
    given: object, numbers: Mapping[str, _Check], keys: Collection[str], method: str
) -> tuple[Setting, ...]:
    """The entries of a recipe's `settings` [ST-1]. numbers: what may stand in them, by key. keys: of the recipe.

    Raises RecipeError, DecimalError or CoefficientError.
    """
    where = f"{method}: {SETTINGS}"
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise RecipeError(f"{where}: {shown(given)} is not a list; write entries like {_example(numbers)} in a list")
    found = tuple(_entry(one, numbers, keys, f"{where}[{i}]") for i, one in enumerate(given))
    if found and (size := _size(found, where)) > MOST_BYTES:
        raise RecipeError(f"{where}: they take {size:,} bytes, at most {MOST_BYTES:,} can be; use fewer patterns")
    return found


def _size(settings: Sequence[Setting], where: str) -> int:
    try:
        return len(encode([setting.to_map() for setting in settings]))
    except EncodingError as error:  # half a character in a pattern
        raise RecipeError(f"{where}: {error}") from None


def _example(numbers: Mapping[str, _Check]) -> str:
    return f"{{tensors: '*.mlp.*', {next(iter(numbers))}: '0.5'}}"


def _entry(given: object, numbers: Mapping[str, _Check], keys: Collection[str], where: str) -> Setting:
    if isinstance(given, Setting):
        given = given.to_map()
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: {shown(given)} is not an entry; write one like {_example(numbers)}")
    pattern = given.get(TENSORS)
    if not isinstance(pattern, str):
        found = f"{TENSORS} is {kind_of(pattern)}" if TENSORS in given else f"it has no {TENSORS}"
        raise RecipeError(f"{where}: {found}; write the pattern of the tensors that it is for, like '*.mlp.*'")
    for key in given:
        if key != TENSORS and key not in numbers:
            raise RecipeError(f"{where}: {_not_by_tensor(key, numbers, keys)}")
    set_here = {key: _number(given[key], check, key, where) for key, check in numbers.items() if key in given}
    if not set_here:
        raise RecipeError(f"{where}: it sets nothing; give it {_one_of(numbers)}, or leave it out")
    return Setting(pattern, tuple(set_here.items()))


def _not_by_tensor(key: object, numbers: Collection[str], keys: Collection[str]) -> str:
    if key in keys or key == "method":
        return f"{shown(key)} is the same for all tensors; write it at the top of the recipe"
    near = did_you_mean(str(key), numbers) or ";"
    return f"unknown key {shown(key)}{near} an entry takes {TENSORS} and {_one_of(numbers)}"


def _one_of(numbers: Collection[str]) -> str:
    return " or ".join(numbers)


def _number(given: object, check: _Check, key: str, where: str) -> str | tuple[str, ...]:
    """A decimal or a gradient, every decimal canonical."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        return _checked(given, check, key, where)
    if not given:
        raise RecipeError(f"{where}: {key}: the list is empty; give it a number for the first layer, and for the last")
    return tuple(_checked(point, check, f"{key}[{i}]", where) for i, point in enumerate(given))


def _checked(given: object, check: _Check, key: str, where: str) -> str:
    try:
        return check(given, f"{where}: {key}")
    except MergeAlgebraError as error:
        text = str(error)
        raise type(error)(text if text.startswith(where) else f"{where}: {text}") from None


# For one tensor


def entries_of(recipe: Method) -> tuple[Setting, ...]:
    """The settings of a recipe, as they were read."""
    return tuple(setting for setting in recipe.settings if isinstance(setting, Setting))


def by_tensor(recipe: Method, names: Collection[str]) -> dict[str, Plain]:
    """What each of the base's float tensors is merged by; tensors with equal numbers share one object [ST-2].

    names: of these tensors, all of them. Raises NamesError for a pattern that matches none, and RecipeError.
    """
    made: dict[tuple[tuple[str, Fraction], ...], Plain] = {}
    found = {}
    for name, numbers in _numbers(recipe, names).items():
        alike = tuple(sorted(numbers.items()))
        if alike not in made:
            factor = numbers.pop(COEFFICIENT, Fraction(1))
            made[alike] = Plain(_with(recipe, numbers, name), factor)
        found[name] = made[alike]
    return found


def _with(recipe: Method, numbers: Mapping[str, Fraction], name: str) -> Method:
    try:
        return recipe.with_numbers(numbers)
    except MergeAlgebraError as error:
        text = str(error).removeprefix(f"{recipe.name}: ")
        raise type(error)(f"{recipe.name}: {SETTINGS}: tensor {name!r} would have {text}") from None


def _numbers(recipe: Method, names: Collection[str]) -> dict[str, dict[str, Fraction]]:
    """By tensor and key, the number of the first entry that matches and sets it."""
    found: dict[str, dict[str, Fraction]] = {name: {} for name in names}
    for place, setting in enumerate(entries_of(recipe)):
        where = f"{recipe.name}: {SETTINGS}[{place}]"
        matching = Choice(take=(setting.tensors,)).of(names)
        if not matching:
            raise NamesError(
                f"{where}: pattern {setting.tensors!r} matches no float tensor of the base; their names begin with "
                f"{min(names, default='')!r}"
            )
        layers = {name: layer_of(name) for name in matching}
        last = max((layer for layer in layers.values() if layer is not None), default=0)
        for name, layer in layers.items():
            for key, number in setting.numbers:
                if key not in found[name]:
                    found[name][key] = _at(number, name, layer, last, f"{where}: {key}")
    return found


def unused(recipe: Method, names: Collection[str]) -> Iterator[str]:
    """A line for each number that no tensor takes, and for each list longer than there are layers [ST-2, ST-3].

    names: as for `by_tensor`, which refuses what does not fit them.
    """
    taken_by: dict[tuple[str, str], int] = {}
    for place, setting in enumerate(entries_of(recipe)):
        matching = Choice(take=(setting.tensors,)).of(names)
        layers = 1 + max((layer_of(name) or 0 for name in matching), default=0)
        for key, number in setting.numbers:
            takers = {taken_by.setdefault((name, key), place) for name in matching}
            where = f"{recipe.name}: {SETTINGS}[{place}]: {key}"
            if place not in takers:
                above = listed(f"{SETTINGS}[{other}]" for other in sorted(takers))
                yield f"{where} is used nowhere: {above} above has all tensors that {setting.tensors!r} matches"
            elif not isinstance(number, str) and len(number) > layers:
                more = "layer" if layers == 1 else "layers"
                yield f"{where} is a list of {len(number)} numbers for {layers} {more}, so not all of them are used"


def _at(number: str | tuple[str, ...], name: str, layer: int | None, last: int, where: str) -> Fraction:
    if isinstance(number, str):
        return Fraction(number)
    if layer is None:
        key = where.rpartition(": ")[2]
        raise RecipeError(
            f"{where} is a list over layers, and the name of tensor {name!r} has no layer's number: write an entry "
            f"like {{tensors: {escaped(name)!r}, {key}: {number[0]!r}}} above this one, or a narrower pattern"
        )
    return gradient(number, layer, last)


def layer_of(name: str) -> int | None:
    """The number of a tensor's layer: the first part of its name, between dots, that is digits [ST-3].

    >>> layer_of("model.layers.7.mlp.experts.3.weight"), layer_of("lm_head.weight")
    (7, None)
    """
    for part in name.split("."):
        if len(part) <= _DIGITS and part.isascii() and part.isdigit():
            return int(part)
    return None


def gradient(points: Sequence[str], layer: int, last: int) -> Fraction:
    """The number of a layer, linear between the points, which stand evenly from layer 0 to the last one [ST-3].

    >>> [str(gradient(["0", "1", "3"], layer, 4)) for layer in range(5)]
    ['0', '1/2', '1', '2', '3']
    """
    x = Fraction((len(points) - 1) * layer, max(last, 1))
    before = int(x)
    after = min(before + 1, len(points) - 1)
    low, high = Fraction(points[before]), Fraction(points[after])
    return low + (x - before) * (high - low)


# In words


def lines(settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The entries of a recipe's map, each as a line.

    >>> list(lines([{"tensors": "*.mlp.*", "density": "0.5"}, {"tensors": "h.*", "lambda": ["0", "1"]}]))
    ['*.mlp.*: density 0.5', 'h.*: lambda from 0 to 1 by layer']
    """
    for entry in settings:
        numbers = (f"{key} {_said(number)}" for key, number in entry.items() if key != TENSORS)
        yield f"{entry[TENSORS]}: {', '.join(numbers)}"


def _said(number: str | Sequence[str]) -> str:
    if isinstance(number, str):
        return number
    first, *between, last = (number[0], *number) if len(number) == 1 else number
    over = f" over {listed(between)}" if between else ""
    return f"from {first}{over} to {last} by layer"
