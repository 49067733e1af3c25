"""Settings: numbers of a recipe that some tensors or contributions have instead of the others' [ST-1, ST-7].

method: ties
density: "0.2"
settings:
  - {tensors: "*.mlp.*", density: "0.5"}
  - {tensors: "model.layers.*", lambda: ["0.1", "1"]}      from the first layer to the last
  - {contribution: 3f8a..., density: "0.7"}                the id in full
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.encoding import encode
from mergealgebra.errors import EncodingError, MergeAlgebraError, RecipeError
from mergealgebra.ids import SHORT
from mergealgebra.text import did_you_mean, kind_of, listed, shown

if TYPE_CHECKING:
    from mergealgebra.methods.method import Method

#: The key of a recipe under which they stand.
SETTINGS: Final = "settings"
#: In an entry: for which tensors and which contribution it is, and what multiplies the coefficients there.
TENSORS: Final = "tensors"
CONTRIBUTION: Final = "contribution"
COEFFICIENT: Final = "coefficient"
#: The most bytes of their encoding: as many as a recipe file has.
MOST_BYTES: Final = 1 << 16

_ID: Final = re.compile("[0-9a-f]{64}", re.ASCII)

#: A value, and how a message about it begins, to the text that is kept.
_Check = Callable[[object, str], str]


@dataclass(frozen=True)
class Setting:
    """One entry. numbers: by key, a decimal, or a gradient over layers.

    tensors: a pattern [CT-8]; None for all, of an entry that is for one contribution. contribution: its id, in full;
    None for all of them. where: how messages begin that are about what was written beside a model.
    """

    tensors: str | None
    numbers: tuple[tuple[str, str | tuple[str, ...]], ...]
    contribution: str | None = None
    where: str = field(default="", compare=False, repr=False)

    @property
    def pattern(self) -> str:
        """Of the tensors that it is for."""
        return "*" if self.tensors is None else self.tensors

    def to_map(self) -> dict[str, Any]:
        """As recipes have it."""
        whose = {TENSORS: self.tensors, CONTRIBUTION: self.contribution}
        return {key: text for key, text in whose.items() if text is not None} | {
            key: number if isinstance(number, str) else list(number) for key, number in self.numbers
        }

    def of(self, contribution: str) -> Setting:
        """The same for a contribution, by its id."""
        return replace(self, contribution=contribution)


@dataclass(frozen=True)
class Keys:
    """What may stand in the entries of a method's settings.

    numbers: what checks a number, by key. own: those keys that may differ by contribution. others: the recipe's keys.
    method: what messages call it.
    """

    numbers: Mapping[str, _Check]
    own: Sequence[str]
    others: Collection[str]
    method: str


# Reading


def read_settings(given: object, keys: Keys) -> tuple[Setting, ...]:
    """The entries of a recipe's `settings` [ST-1, ST-7]. Raises RecipeError, DecimalError or CoefficientError."""
    where = f"{keys.method}: {SETTINGS}"
    found = tuple(_entry(one, keys, f"{where}[{i}]") for i, one in enumerate(listed_in(given, where)))
    if found and (size := _size(found, where)) > MOST_BYTES:
        raise RecipeError(f"{where}: they take {size:,} bytes, at most {MOST_BYTES:,} can be; use fewer patterns")
    return found


def read_own(given: object, keys: Keys, where: str) -> Setting:
    """One entry of a model's settings, whose contribution is not known yet [ST-9]. where: how messages begin.

    Raises as `read_settings` does.
    """
    if isinstance(given, Setting):
        where = given.where or where
        given = given.to_map()
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: {shown(given)} is not an entry; write one like {_example(keys)}")
    if CONTRIBUTION in given:
        raise RecipeError(f"{where}: {CONTRIBUTION!r} is known, it is this model; leave it out")
    pattern = given.get(TENSORS)
    if TENSORS in given and not isinstance(pattern, str):
        raise RecipeError(_not_a_pattern(f"{TENSORS} is {kind_of(pattern)}", where))
    return Setting(pattern, _numbers(given, keys, where, by_contribution=True), where=where)


def listed_in(given: object, where: str) -> Sequence[object]:
    """A list of entries, none of them read yet. Raises RecipeError for anything else."""
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise RecipeError(
            f"{where}: {shown(given)} is not a list; write entries like {{tensors: '*.mlp.*', ...}} in a list"
        )
    return given


def _size(settings: Sequence[Setting], where: str) -> int:
    try:
        return len(encode([setting.to_map() for setting in settings]))
    except EncodingError as error:  # half a character in a pattern
        raise RecipeError(f"{where}: {error}") from None


def _example(keys: Keys) -> str:
    return f"{{tensors: '*.mlp.*', {next(iter(keys.numbers))}: '0.5'}}"


def _entry(given: object, keys: Keys, where: str) -> Setting:
    written = ""
    if isinstance(given, Setting):
        written = given.where
        given = given.to_map()
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: {shown(given)} is not an entry; write one like {_example(keys)}")
    pattern, contribution = given.get(TENSORS), given.get(CONTRIBUTION)
    if not isinstance(pattern, str) and (TENSORS in given or CONTRIBUTION not in given):
        found = f"{TENSORS} is {kind_of(pattern)}" if TENSORS in given else f"it has no {TENSORS}"
        raise RecipeError(_not_a_pattern(found, where))
    if CONTRIBUTION in given:
        _check_id(contribution, where)
    numbers = _numbers(given, keys, where, by_contribution=CONTRIBUTION in given)
    return Setting(pattern, numbers, contribution, written)


def _not_a_pattern(found: str, where: str) -> str:
    return f"{where}: {found}; write the pattern of the tensors that it is for, like '*.mlp.*'"


def _check_id(contribution: object, where: str) -> None:
    if not isinstance(contribution, str) or not _ID.fullmatch(contribution):
        raise RecipeError(
            f"{where}: {CONTRIBUTION}: {shown(contribution)} is not the id of a contribution; write all of its 64 "
            "hexadecimal digits, in lower case"
        )


def _numbers(
    given: Mapping[Any, object], keys: Keys, where: str, *, by_contribution: bool
) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
    """The numbers of an entry, at least one. by_contribution: whether it is for one contribution alone."""
    allowed = [key for key in keys.numbers if not by_contribution or key in keys.own]
    for key in given:
        if key not in (TENSORS, CONTRIBUTION, *allowed):
            raise RecipeError(f"{where}: {_refused(key, allowed, keys, by_contribution)}")
    found = {key: _number(given[key], keys.numbers[key], key, where) for key in allowed if key in given}
    if not found:
        raise RecipeError(f"{where}: it sets nothing; give it {_one_of(allowed)}, or leave it out")
    return tuple(found.items())


def _refused(key: object, allowed: Collection[str], keys: Keys, by_contribution: bool) -> str:
    if by_contribution and key in keys.numbers:
        return (
            f"{shown(key)} acts on what all contributions give together, so it cannot differ by contribution; write it "
            f"in an entry without {CONTRIBUTION}, or at the top of the recipe"
        )
    if key in keys.others or key == "method":
        same = "contributions" if by_contribution else "tensors"
        return f"{shown(key)} is the same for all {same}; write it at the top of the recipe"
    near = did_you_mean(str(key), allowed) or ";"
    return f"unknown key {shown(key)}{near} an entry takes {TENSORS} and {_one_of(allowed)}"


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


def entries_of(recipe: Method) -> tuple[Setting, ...]:
    """The settings of a recipe, as they were read."""
    return tuple(setting for setting in recipe.settings if isinstance(setting, Setting))


def contributions_in(recipe: Method) -> tuple[str, ...]:
    """The ids of the contributions that settings are for, ascending [ST-7]."""
    return tuple(sorted({one.contribution for one in entries_of(recipe) if one.contribution is not None}))


def numbers_by_contribution(recipe: Method) -> bool:
    """Whether more than coefficients differs by contribution."""
    entries = [one for one in entries_of(recipe) if one.contribution is not None]
    return any(key != COEFFICIENT for one in entries for key, _ in one.numbers)


# Of the models of one merge


def for_models(recipe: Method, own: Iterable[tuple[str, str, Sequence[Setting]]]) -> Method:
    """The recipe with the settings of its models, in the order of their ids, before its own [ST-9].

    own: what messages call a model, its contribution's id, and its settings. Raises RecipeError for two that are the
    same contribution and have not the same settings, and as `Method.with_settings` does.
    """
    found: dict[str, tuple[str, Sequence[Setting]]] = {}
    for label, id_, settings in own:
        other, known = found.setdefault(id_, (label, settings))
        if known != settings:
            raise RecipeError(
                f"{other} and {label} are the same contribution {id_[:SHORT]}, with different settings; leave one of "
                "them out"
            )
    entries = [one.of(id_) for id_ in sorted(found) for one in found[id_][1]]
    return recipe.with_settings(entries) if entries else recipe


# In words


def lines(settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The entries of a recipe's map, each as a line.

    >>> list(lines([{"tensors": "*.mlp.*", "density": "0.5"}, {"tensors": "h.*", "lambda": ["0", "1"]}]))
    ['*.mlp.*: density 0.5', 'h.*: lambda from 0 to 1 by layer']
    >>> list(lines([{"contribution": "3f" * 32, "density": "0.5"}]))
    ['contribution 3f3f3f3f3f3f: density 0.5']
    """
    for entry in settings:
        numbers = (f"{key} {_said(number)}" for key, number in entry.items() if key not in (TENSORS, CONTRIBUTION))
        whose = [f"contribution {entry[CONTRIBUTION][:SHORT]}"] if CONTRIBUTION in entry else []
        yield f"{', '.join([*whose, *([entry[TENSORS]] if TENSORS in entry else [])])}: {', '.join(numbers)}"


def _said(number: str | Sequence[str]) -> str:
    if isinstance(number, str):
        return number
    first, *between, last = (number[0], *number) if len(number) == 1 else number
    over = f" over {listed(between)}" if between else ""
    return f"from {first}{over} to {last} by layer"
