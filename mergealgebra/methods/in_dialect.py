"""A method as another tool computes it, where that is something else than ours: a recipe with `dialect` [NA-3].

Those of TIES are recipes of `Ties`, which has its own dialects [RC-9].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.algebra.needs import Needs
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.dialects.strategy import Strategy
from mergealgebra.dialects.strategy_settings import LAYERS, Entry, read_entries, read_entry
from mergealgebra.errors import CoefficientError, RecipeError
from mergealgebra.methods.key_checks import check_out_dtype
from mergealgebra.methods.method import OUT_DTYPE, Method
from mergealgebra.methods.names import refusal
from mergealgebra.methods.settings import COEFFICIENT, CONTRIBUTION, SETTINGS, Setting
from mergealgebra.text import did_you_mean, location, shown

if TYPE_CHECKING:
    from mergealgebra.algebra import Round, WholeRound
    from mergealgebra.dialects.mergekit_masks import Masks


#: Whose methods have settings by tensor and contribution.
_BY_CONTRIBUTION: Final = frozenset({"mergekit-0.1.5"})
#: The keys of a recipe of `Ties` in a dialect [RC-9].
_OF_TIES: Final = frozenset({"method", "dialect", "density", "lambda", OUT_DTYPE})


class InDialect(Method):
    """A method of another tool, with its settings there [NA-3, NA-4, NA-13].

    Of mergekit, `settings` by tensor and contribution stand in `entries`, which the engine does not look at: they are
    looked up in the dialect. drawn: the masks of a file. Raises RecipeError for what is not computed,
    and DecimalError.

    >>> InDialect("slerp", "crdt-merge-0.11", t="0.50").to_map()
    {'method': 'slerp', 'dialect': 'crdt-merge-0.11', 't': '0.5'}
    >>> InDialect("linear", "mergekit-0.1.5", dtype="bfloat16").to_map()
    {'method': 'linear', 'dialect': 'mergekit-0.1.5', 'normalize': 'true', 'dtype': 'bfloat16'}
    """

    entries: Mapping[str, Any] = field(hash=False)
    drawn: Masks | None = field(default=None, hash=False, compare=False)

    def __init__(self, method: str, dialect: str, /, **settings: object) -> None:
        strategy = find_strategy(method, dialect)
        if strategy is None:
            raise refusal(method, dialect)
        entries = settings.pop(SETTINGS, ()) if dialect in _BY_CONTRIBUTION else ()
        out = check_out_dtype(settings.pop(OUT_DTYPE, ""), f"{method}: {OUT_DTYPE}")
        for key in settings:
            if key not in strategy.settings:
                known = f"its keys are {', '.join(strategy.settings)}" if strategy.settings else "it has no keys"
                near = did_you_mean(key, strategy.settings) or ";"
                raise RecipeError(f"{method}: unknown key {shown(key)}{near} in dialect {dialect} {known}")
        given = {
            key: setting.check(settings.get(key, setting.default), f"{method}: {key}")
            for key, setting in strategy.settings.items()
        }
        object.__setattr__(self, "name", method)
        written = {key: text for key, text in given.items() if not _left_out(strategy, key, text)}
        by_some = [entry.to_map() for entry in read_entries(entries, method, strategy)]
        more = {key: value for key, value in ((OUT_DTYPE, out), (SETTINGS, by_some)) if value}
        object.__setattr__(self, "entries", {"method": method, "dialect": dialect, **written, **more})
        object.__setattr__(self, SETTINGS, ())
        object.__setattr__(self, OUT_DTYPE, out)

    def __repr__(self) -> str:
        """As it is written, without what is as when left out."""
        settings = "".join(
            f", {key}={self.entries[key]!r}"
            for key, setting in self._strategy.settings.items()
            if self.entries.get(key, setting.default) != setting.default
        )
        more = "".join(f", {key}={self.entries[key]!r}" for key in (OUT_DTYPE, SETTINGS) if key in self.entries)
        return f"InDialect({self.name!r}, {self.dialect!r}{settings}{more})"

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def dialect(self) -> str:
        """Whose method it is, and of which version."""
        return str(self.entries["dialect"])

    @property
    def rounds(self) -> tuple[Round | WholeRound, ...]:
        """One round over whole tensors."""
        from mergealgebra.dialects.strategy_round import round_of  # few merges need it

        strategy = self._strategy
        top = {key: self.entries.get(key, setting.default) for key, setting in strategy.settings.items()}
        entries: tuple[Entry, ...] = read_entries(self.entries.get(SETTINGS, ()), self.name, strategy)
        return (round_of(self.name, self.dialect, top, entries, self.drawn),)

    def with_masks(self, path: Path) -> InDialect:
        """The same with the masks of a file, whose root the recipe then names [NA-15].

        Raises RecipeError for a method without masks, and for others than the recipe names, and CheckpointError.
        """
        from mergealgebra.dialects.mergekit_masks import Masks

        if "masks" not in self._strategy.settings:
            raise RecipeError(f"{self.name}: it draws no masks in dialect {self.dialect}; leave the file of masks out")
        masks = Masks.open(path)
        if self.entries.get("masks", masks.root) != masks.root:
            raise RecipeError(
                f"{location(path)} has masks with the root {masks.root[:12]}, and the recipe names "
                f"{self.entries['masks'][:12]}; name the file that the merge was made with"
            )
        given = {key: value for key, value in self.entries.items() if key not in ("method", "dialect", "masks")}
        made = InDialect(self.name, self.dialect, **given, masks=masks.root)
        object.__setattr__(made, "drawn", masks)
        return made

    @property
    def own_keys(self) -> Sequence[str]:
        """As `Method.own_keys`."""
        if self.dialect not in _BY_CONTRIBUTION:
            return ()
        keys = [key for key, setting in self._strategy.settings.items() if setting.by != "all"]
        return (*keys, *((COEFFICIENT,) if self._strategy.coefficients else ()))

    def own_setting(self, given: object, where: str) -> Setting:
        """As `Method.own_setting`, by the dialect's keys [NA-13]."""
        if not isinstance(given, Mapping) or not self.own_keys:
            return super().own_setting(given, where)
        entry = read_entry({CONTRIBUTION: "0" * 64, **given}, self._strategy, where)
        layers = ((LAYERS, entry.layers),) if entry.layers else ()
        return Setting(entry.tensors or None, (*layers, *entry.texts.items()))

    def with_settings(self, first: Sequence[Setting]) -> InDialect:
        """As `Method.with_settings`."""
        given = {key: value for key, value in self.entries.items() if key not in ("method", "dialect", SETTINGS)}
        entries = [*(one.to_map() for one in first), *self.entries.get(SETTINGS, ())]
        made = InDialect(self.name, self.dialect, **given, settings=entries)
        object.__setattr__(made, "drawn", self.drawn)
        return made

    @property
    def needs(self) -> Needs:
        """Some methods of mergekit take negative coefficients."""
        return Needs(negative=self._strategy.negative)

    @property
    def in_words(self) -> str:
        """As `Method.in_words`."""
        return f"{self.name}, as {self.dialect} computes it. {self._strategy.words}"

    def check_coefficient(self, coefficient: float, what: str) -> float:
        """As `Method.check_coefficient`; some methods of other tools have none [NA-4]."""
        if not self._strategy.coefficients and coefficient != 1:
            raise CoefficientError(
                f"{what}: {self.name} has no coefficients in dialect {self.dialect}: leave them out, or give 1"
            )
        return super().check_coefficient(coefficient, what)

    def to_map(self) -> dict[str, Any]:
        """As `Method.to_map`: the method, the dialect, and all settings of that, but for the optional ones [NA-13]."""
        return dict(self.entries)

    @property
    def _strategy(self) -> Strategy:
        return STRATEGIES[self.dialect][self.name]


def _left_out(strategy: Strategy, key: str, text: str) -> bool:
    """Whether a setting is optional and as when left out."""
    setting = strategy.settings[key]
    return setting.optional and text == setting.default


def find_strategy(method: str, dialect: str) -> Strategy | None:
    """The method of this name in a dialect; None where it is not computed."""
    return STRATEGIES.get(dialect, {}).get(method)


def is_in_dialect(entries: Mapping[str, object]) -> bool:
    """Whether a recipe's map is one of `InDialect`. A dialect of TIES is not, if it has no keys but those [NA-13]."""
    method, dialect = entries.get("method"), entries.get("dialect")
    if not isinstance(method, str) or not isinstance(dialect, str) or find_strategy(method, dialect) is None:
        return False
    return method != "ties" or bool(entries.keys() - _OF_TIES)
