"""Settings of a method of another tool, for some tensors and some contributions [NA-13].

The recipe keeps them as a list of entries; the first that is for a tensor and a contribution and has a key wins, and
what no entry says stands at the top of the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from mergealgebra.algebra import decimals
from mergealgebra.dialects.strategy import Ids, Setting, Strategy
from mergealgebra.encoding import encode
from mergealgebra.errors import RecipeError
from mergealgebra.tensors.choice import Choice
from mergealgebra.text import did_you_mean, listed, shown

TENSORS: Final = "tensors"
CONTRIBUTION: Final = "contribution"
COEFFICIENT: Final = "coefficient"
#: The most bytes of their encoding, as of all settings [ST-1].
_MOST_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class Entry:
    """One of them. tensors: a pattern of names; contribution: an id; each empty for all. texts: by key."""

    tensors: str
    contribution: str
    texts: Mapping[str, str]

    def to_map(self) -> dict[str, str]:
        """As recipes have it."""
        found = {TENSORS: self.tensors, CONTRIBUTION: self.contribution}
        return {key: text for key, text in found.items() if text} | dict(self.texts)


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
    texts = {
        key: _text(key, value, bool(contribution), strategy, where)
        for key, value in given.items()
        if key not in (TENSORS, CONTRIBUTION)
    }
    if not texts:
        raise RecipeError(f"{where}: it sets nothing; give it a number, or leave it out")
    return Entry(pattern, contribution, texts)


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
    if isinstance(value, list | tuple):
        raise RecipeError(f"{where}: {key} is a list, which a dialect does not take; write an entry for each layer")
    return known[key].check(value, f"{where}: {key}")


@dataclass(frozen=True)
class Settings:
    """All settings of a recipe. top: those for all tensors, each given, by key; entries: those for some."""

    settings: Mapping[str, Setting]
    top: Mapping[str, str]
    entries: Sequence[Entry] = ()
    _matching: dict[str, list[Entry]] = field(default_factory=dict, compare=False)

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
            self._matching[name] = [e for e in self.entries if not e.tensors or name in Choice(take=(e.tensors,))]
        texts: dict[str, str] = {}
        for entry in self._matching[name]:
            if entry.contribution in ("", contribution):
                texts = dict(entry.texts) | texts
        return texts
