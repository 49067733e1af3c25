"""What TIES has to settle: how many parameters are pulled by several fine-tunes, and in which directions.

Counted with the package's own equations: what `trim` keeps of each task vector votes, and `lift` counts the votes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mergealgebra.algebra.exact import Sums, combine
from mergealgebra.algebra.method import View
from mergealgebra.algebra.trim import kept_count, magnitude_bits, trim
from mergealgebra.methods.ties import lift

TaskVector = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Votes:
    """Parameters of one layer by who changes them, after trim: nobody, one fine-tune, several that agree, or not."""

    nobody: int
    one: int
    agreeing: int
    opposed: int

    @property
    def parameters(self) -> int:
        return self.nobody + self.one + self.agreeing + self.opposed

    def __add__(self, other: Votes) -> Votes:
        ours, theirs = (vars(votes).values() for votes in (self, other))
        return Votes(*(x + y for x, y in zip(ours, theirs, strict=True)))


def votes_by_layer(task_vectors: Sequence[TaskVector], density: str) -> dict[str, Votes]:
    """The votes of each layer, in the order of the model; a layer's name is what stands before the point."""
    trimmed = [keep_largest(task_vector, Fraction(density)) for task_vector in task_vectors]
    found: dict[str, Votes] = {}
    for name in task_vectors[0]:
        layer = name.partition(".")[0]
        votes = count_votes([tensors[name] for tensors in trimmed])
        found[layer] = found[layer] + votes if layer in found else votes
    return found


def keep_largest(task_vector: TaskVector, density: Fraction) -> dict[str, NDArray[np.float32]]:
    """The task vector with one threshold for the whole model, flat [TI-3]."""
    magnitudes = np.concatenate([magnitude_bits(tau.ravel()) for tau in task_vector.values()])
    kept = kept_count(density, magnitudes.size)
    threshold = max(1, int(np.partition(magnitudes, -kept)[-kept]))
    return {name: trim(tau.ravel(), threshold, tau.size) for name, tau in task_vector.items()}


def count_votes(trimmed: Sequence[NDArray[np.float32]]) -> Votes:
    """The votes on the parameters of one tensor."""
    *_, up, down = combine(Sums.of(lift(View(v, 1.0)), votes=True) for v in trimmed).columns
    up, down = up.astype(int), -down.astype(int)
    opposed = (up > 0) & (down > 0)
    several = (up + down > 1) & ~opposed
    return Votes(
        nobody=int((up + down == 0).sum()),
        one=int((up + down == 1).sum()),
        agreeing=int(several.sum()),
        opposed=int(opposed.sum()),
    )
