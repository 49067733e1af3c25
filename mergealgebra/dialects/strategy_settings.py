"""Settings of a method of another tool, for some tensors and some contributions [NA-13].

The recipe keeps them as a list of entries; the first that is for a tensor and a contribution and has a key wins, and
what no entry says stands at the top of the recipe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from mergealgebra.algebra import decimals
from mergealgebra.dialects.strategy import Ids, Setting, Strategy, Word
from mergealgebra.encoding import encode
from mergealgebra.errors import RecipeError
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.layers import layer_of
from mergealgebra.text import did_you_mean, listed, shown

TENSORS: Final = "tensors"
CONTRIBUTION: Final = "contribution"
COEFFICIENT: Final = "coefficient"
LAYERS: Final = "layers"
#: The most bytes of their encoding, as of all settings [ST-1].
_MOST_BYTES: Final = 1 << 16
_RANGE: Final = re.compile("(0|[1-9][0-9]{0,8}) ([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One of them. tensors: a pattern of names; contribution: an id; each empty for all. texts: by key.

    layers: the first one and the one after the last, empty for all; over them go the texts that are lists.
    """

    tensors: str
    contribution: str
    texts: Mapping[str, str | tuple[str, ...]]
    layers: str = ""

    def to_map(self) -> dict[str, Any]:
        """As recipes have it."""
        found = {TENSORS: self.tensors, CONTRIBUTION: self.contribution, LAYERS: self.layers}
        texts = {key: text if isinstance(text, str) else list(text) for key, text in self.texts.items()}
        return {key: text for key, text in found.items() if text} | texts

    def of(self, name: str) -> dict[str, str]:
        """What it says of a tensor, by key; nothing where it is not for it."""
        if self.tensors and name not in Choice(take=(self.tensors,)):
            return {}
        if not self.layers:
            return {key: text for key, text in self.texts.items() if isinstance(text, str)}
        first, stop = map(int, self.layers.split(" "))
        layer = layer_of(name)
        if layer is None or not first <= layer < stop:
            return {}
        t = (layer - first) / (stop - first - 1) if stop - first > 1 else 1.0
        return {
            key: text if isinstance(text, str) else str(Decimal(interpolated([float(point) for point in text], t)))
            for key, text in self.texts.items()
        }


def interpolated(points: Sequence[float], t: float) -> float:
    """The number at a place from 0 to 1 on a gradient, in binary64 as mergekit has it.

    >>> interpolated([0.3, 1.0], 1 / 3)
    0.5333333333333333
    """
    x = t * (len(points) - 1)
    low = int(x)
    high = min(low + 1, len(points) - 1)
    return (1 - (x - low)) * points[low] + (x - low) * points[high]


def read_entries(given: object, method: str, strategy: Strategy) -> tuple[Entry, ...]:
    """The entries of a recipe's `settings`. Raises RecipeError or DecimalError."""
    where = f"{method}: settings"
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise RecipeError(
            f"{where}: {shown(given)} is not a list; write entries like {{tensors: '*.mlp.*', ...}} in it"
        )
    found = tuple(read_entry(one, strategy, f"{where}[{i}]") for i, one in enumerate(given))
    size = len(encode([entry.to_map() for entry in found]))
    if size > _MOST_BYTES:
        raise RecipeError(f"{where}: they take {size:,} bytes, at most {_MOST_BYTES:,} can be; use fewer patterns")
    return found


def read_entry(given: object, strategy: Strategy, where: str) -> Entry:
    """One of them. where: how messages begin. Raises likewise."""
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: {shown(given)} is not an entry; write one like {{tensors: '*.mlp.*', ...}}")
    pattern, contribution = given.get(TENSORS, ""), given.get(CONTRIBUTION, "")
    if not isinstance(pattern, str):
        raise RecipeError(f"{where}: {TENSORS} is {shown(pattern)}; write a pattern of names, or leave it out")
    Ids("", several=False).check(contribution, f"{where}: {CONTRIBUTION}")
    layers = _range(given.get(LAYERS, ""), f"{where}: {LAYERS}")
    texts = {
        key: _number(key, value, bool(contribution), bool(layers), strategy, where)
        for key, value in given.items()
        if key not in (TENSORS, CONTRIBUTION, LAYERS)
    }
    if not texts:
        raise RecipeError(f"{where}: it sets nothing; give it a number, or leave it out")
    return Entry(pattern, contribution, texts, layers)


def _range(given: object, where: str) -> str:
    """Some layers, as texts have them."""
    found = _RANGE.fullmatch(given) if isinstance(given, str) else None
    if given != "" and (found is None or int(found[1]) >= int(found[2])):
        raise RecipeError(f"{where}: {shown(given)} is not the first layer and the one after the last, like '0 32'")
    return str(given)


def _number(
    key: object, value: object, of_one: bool, in_layers: bool, strategy: Strategy, where: str
) -> str | tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return _text(key, value, of_one, strategy, where)
    setting = strategy.settings.get(str(key))
    if not in_layers or not value or isinstance(setting, Word | Ids) or (setting is not None and setting.whole):
        raise RecipeError(
            f"{where}: {key} is a list; write a text, or a list of decimals with {LAYERS}: '0 32' beside it"
        )
    return tuple(_text(key, point, of_one, strategy, f"{where}: {key}[{i}]") for i, point in enumerate(value))


def _text(key: object, value: object, of_one: bool, strategy: Strategy, where: str) -> str:
    known = {name: setting for name, setting in strategy.settings.items() if setting.by != "all"}
    if strategy.coefficients and key == COEFFICIENT:
        return decimals.canonical_decimal(value, f"{where}: {key}")
    if not isinstance(key, str) or key not in known:
        keys = [*known, *([COEFFICIENT] if strategy.coefficients else [])]
        near = did_you_mean(str(key), keys) or ";"
        raise RecipeError(f"{where}: unknown key {shown(key)}{near} an entry takes {listed(keys) or 'none here'}")
    if of_one and known[key].by != "contribution":
        raise RecipeError(f"{where}: {key} is of all contributions together; leave {CONTRIBUTION} out")
    return known[key].check(value, f"{where}: {key}")


@dataclass(frozen=True)
class Settings:
    """All settings of a recipe. top: those for all tensors, each given, by key; entries: those for some."""

    settings: Mapping[str, Setting]
    top: Mapping[str, str]
    entries: Sequence[Entry] = ()
    _matching: dict[str, list[tuple[str, dict[str, str]]]] = field(default_factory=dict, compare=False)

    def of_tensor(self, name: str) -> dict[str, Any]:
        """What holds for a tensor, by key."""
        texts = self._texts(name, "")
        return {k: setting.read(texts.get(k, self.top[k])) for k, setting in self.settings.items()}

    def of_model(self, name: str, contribution: str, coefficient: str) -> dict[str, Any]:
        """What holds for a tensor of a contribution, by key; `weight` is the exact product of both coefficients."""
        texts = self._texts(name, contribution)
        own = {key: setting for key, setting in self.settings.items() if setting.by == "contribution"}
        found = {key: setting.read(texts.get(key, self.top[key])) for key, setting in own.items()}
        return found | {"weight": float(Fraction(coefficient) * Fraction(texts.get(COEFFICIENT, "1")))}

    def _texts(self, name: str, contribution: str) -> dict[str, str]:
        if name not in self._matching:
            self._matching[name] = [(e.contribution, said) for e in self.entries if (said := e.of(name))]
        texts: dict[str, str] = {}
        for whose, of_entry in self._matching[name]:
            if whose in ("", contribution):
                texts = of_entry | texts
        return texts
