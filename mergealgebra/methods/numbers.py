"""What each tensor of each contribution is merged by, by a recipe with settings [ST-2 to ST-4, ST-8]."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from mergealgebra.errors import MergeAlgebraError, NamesError, RecipeError
from mergealgebra.ids import SHORT
from mergealgebra.methods.settings import COEFFICIENT, SETTINGS, Setting, contributions_in, entries_of
from mergealgebra.tensors.choice import Choice, escaped
from mergealgebra.tensors.layers import layer_of
from mergealgebra.text import listed

if TYPE_CHECKING:
    from mergealgebra.methods.method import Method

#: By tensor and key, an exact number.
Numbers = dict[str, dict[str, Fraction]]


@dataclass(frozen=True)
class Plain:
    """What one tensor is merged by: a recipe without settings, and what multiplies coefficients.

    own: of contributions that settings name, by id, the same of what one adds to the sums; all others have the rest.
    """

    method: Method
    factor: Fraction = Fraction(1)
    own: Mapping[str, Plain] = field(default_factory=dict)

    def of(self, contribution: str | None) -> Plain:
        """What a contribution is merged by, by its id."""
        return self.own.get(contribution, self) if self.own and contribution is not None else self


def by_tensor(recipe: Method, names: Collection[str]) -> dict[str, Plain]:
    """What each of the base's float tensors is merged by; tensors with equal numbers share one object [ST-2, ST-8].

    names: of these tensors, all of them. Raises NamesError for a pattern that matches none, and RecipeError.
    """
    everybody, named = numbers_of(recipe, names), contributions_in(recipe)
    of_named = {one: numbers_of(recipe, names, one) for one in named}
    made: dict[object, Plain] = {}
    found = {}
    for name in names:
        alike = tuple(tuple(sorted(numbers[name].items())) for numbers in (everybody, *of_named.values()))
        if alike not in made:
            own = {one: _plain(recipe, numbers[name], f"of contribution {one[:SHORT]}: ", name, {})
                   for one, numbers in of_named.items()}  # fmt: skip
            made[alike] = _plain(recipe, everybody[name], "", name, own)
        found[name] = made[alike]
    return found


def _plain(recipe: Method, numbers: Mapping[str, Fraction], whose: str, name: str, own: Mapping[str, Plain]) -> Plain:
    rest = {key: number for key, number in numbers.items() if key != COEFFICIENT}
    try:
        return Plain(recipe.with_numbers(rest), numbers.get(COEFFICIENT, Fraction(1)), own)
    except MergeAlgebraError as error:
        text = str(error).removeprefix(f"{recipe.name}: ")
        raise type(error)(f"{recipe.name}: {SETTINGS}: tensor {name!r} {whose}would have {text}") from None


def numbers_of(recipe: Method, names: Collection[str], contribution: str | None = None) -> Numbers:
    """By tensor and key, the number of the first entry that matches and sets it, where there is one [ST-2, ST-8].

    names: as for `by_tensor`. contribution: its id; None for one that no entry names. Raises as `by_tensor` does.
    """
    found: Numbers = {name: {} for name in names}
    for place, setting in enumerate(entries_of(recipe)):
        if setting.contribution not in (None, contribution):
            continue
        where = setting.where or f"{recipe.name}: {SETTINGS}[{place}]"
        matching = _matching(setting, names, where)
        layers = {name: layer_of(name) for name in matching}
        last = max((layer for layer in layers.values() if layer is not None), default=0)
        for name, layer in layers.items():
            for key, number in setting.numbers:
                if key not in found[name]:
                    found[name][key] = _at(number, name, layer, last, f"{where}: {key}")
    return found


def _matching(setting: Setting, names: Collection[str], where: str) -> Collection[str]:
    matching = Choice(take=(setting.pattern,)).of(names)
    if not matching:
        raise NamesError(
            f"{where}: pattern {setting.pattern!r} matches no float tensor of the base; their names begin with "
            f"{min(names, default='')!r}"
        )
    return matching


def unused(recipe: Method, names: Collection[str]) -> Iterator[str]:
    """A line for each number that no tensor takes, and for each list longer than there are layers [ST-2, ST-3].

    names: as for `by_tensor`, which refuses what does not fit them.
    """
    named = contributions_in(recipe)
    taken_by: dict[tuple[str, str, str | None], int] = {}
    for place, setting in enumerate(entries_of(recipe)):
        matching = Choice(take=(setting.pattern,)).of(names)
        layers = 1 + max((layer_of(name) or 0 for name in matching), default=0)
        takes = (None, *named) if setting.contribution is None else (setting.contribution,)
        for key, number in setting.numbers:
            takers = {taken_by.setdefault((name, key, one), place) for name in matching for one in takes}
            where = f"{setting.where or f'{recipe.name}: {SETTINGS}[{place}]'}: {key}"
            if place not in takers:
                above = listed(f"{SETTINGS}[{other}]" for other in sorted(takers))
                yield f"{where} is used nowhere: {above} above has all tensors that {setting.pattern!r} matches"
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
