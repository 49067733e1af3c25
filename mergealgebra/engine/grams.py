"""Dot products of contributions by pairs, tensor by tensor, as they are kept from merge to merge [DT-8].

They are facts about two contributions and the base: no recipe, coefficient or third contribution shows in them. So all
methods that take them of the task vectors have one set, and those on models have another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Contribution

#: How the names of kept dot products begin. Nothing proves them, so whoever keeps them must know them again [SY-9].
DOTS: Final = "dots-"

#: (n, n) fp64, symmetric; NaN where a dot product is not known: that of finite vectors is a number.
Gram = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Grams:
    """What is known of some contributions. whose: form and root of each. tensors: the dot products in it, by name."""

    whose: tuple[str, ...] = ()
    tensors: Mapping[str, Gram] = field(default_factory=dict)

    def of(self, name: str, whose: Sequence[str]) -> Gram:
        """The dot products in a tensor, of these contributions.

        >>> both = Grams(("a", "b"), {"w": np.array([[1.0, 2.0], [2.0, 5.0]])})
        >>> both.of("w", ["b", "c"]).tolist()
        [[5.0, nan], [nan, nan]]
        """
        found = np.full((len(whose), len(whose)), np.nan)
        place = {one: at for at, one in enumerate(self.whose)}
        here = [at for at, one in enumerate(whose) if one in place]
        if name in self.tensors and here:
            there = [place[whose[at]] for at in here]
            found[np.ix_(here, here)] = self.tensors[name][np.ix_(there, there)]
        return found

    @classmethod
    def joined(cls, whose: Sequence[str], holders: Mapping[str, Sequence[int]], tensors: Mapping[str, Gram]) -> Grams:
        """What was found of these contributions. holders: by tensor, the numbers of those that its matrix is of."""
        grams = {name: np.full((len(whose), len(whose)), np.nan) for name in tensors}
        for name, gram in tensors.items():
            grams[name][np.ix_(holders[name], holders[name])] = gram
        return cls(tuple(whose), grams)

    def packed(self) -> bytes:
        """As canonical data: each number as its 8 bytes, and of two that are the same one."""
        upper = np.triu_indices(len(self.whose))
        dots = {name: gram[upper].astype("<f8").tobytes() for name, gram in self.tensors.items()}
        return encode({"contributions": list(self.whose), "dots": dots})

    @classmethod
    def unpacked(cls, data: bytes) -> Grams:
        """The inverse, for what `packed` gave and nothing else."""
        value: Any = decode(data, max_bytes=len(data))
        whose = tuple(value["contributions"])
        return cls(whose, {name: _gram(len(whose), dots) for name, dots in value["dots"].items()})


def kept_under(plan: Plan, round_: int, base_root: str) -> str | None:
    """The name under which the dot products of a round are kept; None where they are not.

    Those of later rounds, and behind stages, depend on more than two contributions, or on the recipe.
    """
    first = plan.rounds[round_]
    if round_ or first.stages or first.squares or not base_root:
        return None
    return DOTS + hash_id("dots", encode([base_root, plan.needs.on]))


def owner(contribution: Contribution) -> str:
    """What the vectors of a contribution follow from; empty where it is not known yet. Forms follow from it [CT-13]."""
    return f"{contribution.form} {contribution.tensors}" if contribution.tensors else ""


def _gram(size: int, dots: bytes) -> Gram:
    gram = np.empty((size, size))
    rows, columns = np.triu_indices(size)
    gram[rows, columns] = gram[columns, rows] = np.frombuffer(dots, "<f8")
    return gram
