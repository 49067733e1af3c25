"""A method as another tool computes it, where that is something else than ours: a recipe with `dialect` [NA-3].

Those of TIES are recipes of `Ties`, which has its own dialects [RC-9].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mergealgebra.dialects.strategies import STRATEGIES, Strategy
from mergealgebra.errors import CoefficientError, RecipeError
from mergealgebra.methods.method import Method
from mergealgebra.methods.names import refusal
from mergealgebra.methods.settings import SETTINGS
from mergealgebra.text import did_you_mean, shown

if TYPE_CHECKING:
    from mergealgebra.algebra import Round, WholeRound


class InDialect(Method):
    """A method of another tool, with its settings there [NA-3, NA-4].

    It takes no `settings` by tensor. Raises RecipeError for what is not computed, and DecimalError.

    >>> InDialect("slerp", "crdt-merge-0.11", t="0.50").to_map()
    {'method': 'slerp', 'dialect': 'crdt-merge-0.11', 't': '0.5'}
    """

    entries: Mapping[str, str] = field(hash=False)

    def __init__(self, method: str, dialect: str, /, **settings: object) -> None:
        strategy = find_strategy(method, dialect)
        if strategy is None:
            raise refusal(method, dialect)
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
        object.__setattr__(self, "entries", {"method": method, "dialect": dialect, **given})
        object.__setattr__(self, SETTINGS, ())

    def __repr__(self) -> str:
        """As it is written, without what is as when left out."""
        settings = "".join(
            f", {key}={self.entries[key]!r}"
            for key, setting in self._strategy.settings.items()
            if self.entries[key] != setting.default
        )
        return f"InDialect({self.name!r}, {self.dialect!r}{settings})"

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def dialect(self) -> str:
        """Whose method it is, and of which version."""
        return self.entries["dialect"]

    @property
    def rounds(self) -> tuple[Round | WholeRound, ...]:
        """One round over whole tensors."""
        from mergealgebra.dialects.strategy_round import round_of  # few merges need it

        settings = {key: self.entries[key] for key in self._strategy.settings}
        return (round_of(self.name, self.dialect, settings),)

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

    def to_map(self) -> dict[str, str]:
        """As `Method.to_map`: the method, the dialect, and all settings of that."""
        return dict(self.entries)

    @property
    def _strategy(self) -> Strategy:
        return STRATEGIES[self.dialect][self.name]


def find_strategy(method: str, dialect: str) -> Strategy | None:
    """The method of this name in a dialect; None where it is not computed."""
    return STRATEGIES.get(dialect, {}).get(method)


def is_in_dialect(method: object, dialect: object) -> bool:
    """Whether a recipe with these two is one of `InDialect`; a dialect of TIES is not."""
    return isinstance(method, str) and isinstance(dialect, str) and find_strategy(method, dialect) is not None
