"""Order statistics with signs: the number at a rank from the top, exactly [PC-2, PC-5, AF-4].

Read as an integer, and turned round below zero, the bits of an fp32 number have the order of the numbers. One pass
counts them by their high halves, another by the low halves within those that hold a rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, int_bits, to_numpy
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.unproved import Unproved

_HALVES: Final = 1 << 16

#: The high halves that hold a rank, and how many numbers lie above each; nothing for the first look, at all of them.
_Look = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Ranked(Unproved):
    """A `Statistic`: the numbers at some ranks of a group; the stage gets them as `found`, a tuple of fp32 numbers.

    What it looks at has no NaN, and zeros that are +0, as vectors and quantities have. ranks: of so many elements the
    ranks that are wanted, from 1, the largest, on. name: what they depend on, for the key.
    """

    ranks: Callable[[int], Sequence[int]]
    name: str
    scope: Literal["model", "tensor"] = "tensor"

    @property
    def key(self) -> Sequence[str]:
        """As `Statistic.key`."""
        return self.name, self.scope

    def first(self, group: Group, sample: Array | None) -> _Look:
        """As `Statistic.first`: nothing is guessed."""
        return ()

    def nothing(self, look: _Look) -> Any:
        """As `Statistic.nothing`: a count for each half, in a row for each high half that is looked into."""
        return np.zeros((max(1, len(look)), _HALVES), np.int64)

    def observe(self, look: _Look, view: View, seen: Any) -> Any:
        """As `Statistic.observe`."""
        bits = _ordered(int_bits(view.tau))
        highs = (bits >> 16) + _HALVES // 2
        wanted = [bits[highs == high] & (_HALVES - 1) for high, _ in look] if look else [highs]
        for row, halves in enumerate(wanted):
            seen[row] += to_numpy(array_namespace(halves).bincount(halves, minlength=_HALVES))
        return seen

    def combine(self, look: _Look, one: Any, other: Any) -> Any:
        """As `Statistic.combine`."""
        one += other
        return one

    def nbytes(self, look: _Look) -> int:
        """As `Statistic.nbytes`."""
        return 8 * _HALVES * max(1, len(look))

    def settle(self, look: _Look, group: Group, seen: Any) -> tuple[bool, Any]:
        """As `Statistic.settle`."""
        ranks = self.ranks(group.size)
        from_above = np.cumsum(seen[:, ::-1], axis=1)
        if not look:
            return False, tuple(sorted({_located(from_above[0], rank) for rank in ranks}))
        return True, tuple(_number(look, from_above, rank) for rank in ranks)


def _ordered(bits: Any) -> Any:
    """The bits of fp32 numbers, int32, as integers in the order of the numbers; its own inverse."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _located(from_above: Any, rank: int) -> tuple[int, int]:
    """The place that holds the rank-th largest of what was counted, and how many lie above it.

    from_above: how many lie at each place or above it, the greatest place first.
    """
    at = int(np.searchsorted(from_above, rank))
    if at == from_above.size:
        raise LookupError("there are fewer elements than the group has")
    return from_above.size - 1 - at, int(from_above[at - 1]) if at else 0


def _number(look: _Look, from_above: Any, rank: int) -> float:
    """The rank-th largest number, whose high half is among those that were looked into.

    from_above: a row for each of those, as `_located` takes it.
    """
    above, high, row = max((above, high, row) for row, (high, above) in enumerate(look) if above < rank)
    low, _ = _located(from_above[row], rank - above)
    bits = np.array([(high - _HALVES // 2) * _HALVES + low], np.int32)
    return float(_ordered(bits).view(np.float32)[0])
