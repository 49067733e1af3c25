"""Whether the size of a contribution is that of a model from another base [CT-11]."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from statistics import median
from typing import Final

#: A difference this large, in norms of the base, is as that of two models that have little in common.
FAR: Final = 0.5
#: A difference so many times the median of the other contributions' is of another kind.
TIMES: Final = 10


def doubt(difference: float, others: Iterable[float] = ()) -> str:
    """What is said of a contribution by its difference from the base; empty where that is likely [CT-11].

    difference: its norm, in norms of the base; others: those of the other visible contributions, as far as known.
    """
    known = [other for other in others if isfinite(other)]
    usual = median(known) if known else 0.0
    its = f"in its tensors, its difference from the base has {difference:.4g} times the base's norm"
    if usual > 0 and difference >= TIMES * usual:
        more = f"{difference / usual:.4g} times the {usual:.4g} of the others (their median)"
        return f"{its}, {more}, as if it came from another base"
    return f"{its}, as if it came from another base" if difference >= FAR else ""
