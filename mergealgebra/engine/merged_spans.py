"""What a run gives, piece by piece, and what it counts and hashes on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mergealgebra.encoding import TensorTree
from mergealgebra.engine.groups import Trimming
from mergealgebra.engine.plan import Block
from mergealgebra.kernels.equations import Host

#: The place of the result among what is hashed, beside the inputs' places.
RESULT = -2


@dataclass(frozen=True)
class MergedSpan:
    """A span of the merged model, in the base's dtype, with what was counted and hashed on the way.

    kept, above: by index, as in `Reduced`. leaves: by index, of inputs and result.
    """

    span: Block
    data: Host
    kept: Mapping[int, int]
    above: Mapping[int, int]
    uncertified: int
    leaves: Mapping[int, list[bytes]]


@dataclass
class Totals:
    """What was counted and hashed over a whole run.

    kept, above: by index and tensor. roots: of every tensor read and written, by index and name. known: how many
    elements were kept of the contributions that are not read, by index. trimming: the thresholds of those that are.
    """

    known: Mapping[int, int] = field(default_factory=dict)
    trimming: Trimming = field(default_factory=lambda: Trimming({}))
    kept: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    above: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    uncertified: int = 0
    _trees: dict[tuple[int | tuple[int, str], str], TensorTree] = field(default_factory=lambda: defaultdict(TensorTree))

    def take(self, piece: MergedSpan) -> None:
        """Count one piece; pieces come in order."""
        for index, kept in piece.kept.items():
            self.kept[index, piece.span.name] += kept
            self.above[index, piece.span.name] += piece.above[index]
        for index, leaves in piece.leaves.items():
            self._trees[index, piece.span.name].extend(leaves)
        self.uncertified += piece.uncertified

    def kept_by(self, index: int) -> int:
        """How many elements were kept of one contribution."""
        if index in self.known:
            return self.known[index]
        return sum(kept for (whose, _), kept in self.kept.items() if whose == index)

    def root(self, index: int | tuple[int, str], name: str) -> str:
        """The root of one tensor of an input, or of the result; or of auxiliary tensors, by index and kind."""
        return self._trees[index, name].root()
