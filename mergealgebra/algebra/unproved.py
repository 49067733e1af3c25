"""What statistics without a proof have in common: one look at all of a group, unless they say otherwise."""

from __future__ import annotations

from typing import Any, Literal

from mergealgebra.algebra import plain
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.method import Group, View


class Unproved:
    """A `Statistic` whose answers nothing proves: each merge finds them anew, and sees to it that all passes read the
    same bytes. They are kept beside sums that they led to, and nowhere else.
    """

    @property
    def proved(self) -> Literal[False]:
        """As `Statistic.proved`."""
        return False

    def first(self, group: Group, sample: Array | None) -> Any:
        """As `Statistic.first`: there is one look, at all of it."""
        return None

    def reads(self, look: Any, tensor: str, start: int, stop: int) -> bool:
        """As `Statistic.reads`."""
        return True

    def within(self, answer: Any, tensor: str, start: int, stop: int) -> Any:
        """As `Statistic.within`: the whole answer."""
        return answer

    def witness(self, before: View, after: View, found: Any) -> tuple[int, ...]:
        """As `Statistic.witness`: nothing is counted."""
        return ()

    def proves(self, answer: Any, group: Group, witness: tuple[int, ...]) -> bool:
        """As `Statistic.proves`, which nobody asks."""
        return False

    def packed(self, answer: Any) -> Any:
        """As `Statistic.packed`; None for what is no number, text or tuple."""
        return plain.packed(answer)

    def unpacked(self, data: Any) -> Any:
        """As `Statistic.unpacked`."""
        return plain.unpacked(data)
