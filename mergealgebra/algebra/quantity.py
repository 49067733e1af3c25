"""A statistic of something else than the vector: of what an equation makes of a view, such as what rounds gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.method import Group, Statistic, View
from mergealgebra.algebra.unproved import Unproved


@dataclass(frozen=True)
class Of(Unproved):
    """A `Statistic` that looks at a quantity in place of the vector. What it finds is found anew for every merge.

    quantity: a view to (n,) fp32, finite or not, NaN nowhere. name: what it is, for the key.
    """

    statistic: Statistic
    quantity: Callable[[View], Array]
    name: str

    @property
    def scope(self) -> Literal["model", "tensor"]:
        """As `Statistic.scope`."""
        return self.statistic.scope

    @property
    def key(self) -> Sequence[str]:
        """As `Statistic.key`."""
        return self.name, *self.statistic.key

    @property
    def unit(self) -> int:
        """What blocks must be whole numbers of."""
        return int(getattr(self.statistic, "unit", 1))

    def first(self, group: Group, sample: Array | None) -> Any:
        """As `Statistic.first`. The sample is one of the vector, which says nothing."""
        return self.statistic.first(group, None)

    def reads(self, look: Any, tensor: str, start: int, stop: int) -> bool:
        """As `Statistic.reads`."""
        return self.statistic.reads(look, tensor, start, stop)

    def nothing(self, look: Any) -> Any:
        """As `Statistic.nothing`."""
        return self.statistic.nothing(look)

    def observe(self, look: Any, view: View, seen: Any) -> Any:
        """As `Statistic.observe`, of the quantity."""
        return self.statistic.observe(look, view.with_tau(self.quantity(view)), seen)

    def combine(self, look: Any, one: Any, other: Any) -> Any:
        """As `Statistic.combine`."""
        return self.statistic.combine(look, one, other)

    def nbytes(self, look: Any) -> int:
        """As `Statistic.nbytes`."""
        return self.statistic.nbytes(look)

    def settle(self, look: Any, group: Group, seen: Any) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        return self.statistic.settle(look, group, seen)

    def within(self, answer: Any, tensor: str, start: int, stop: int) -> Any:
        """As `Statistic.within`."""
        return self.statistic.within(answer, tensor, start, stop)
