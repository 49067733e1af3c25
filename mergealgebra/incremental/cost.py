"""What a kept aggregate costs, and from how many contributions on it pays [SY-15]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Record
from mergealgebra.incremental.pages import Layout
from mergealgebra.kernels.blocks import block_rounds, whole_round
from mergealgebra.methods.method import OUT_DTYPE, Method
from mergealgebra.tensors.dtypes import DTYPES

#: How often an update moves the bytes of the sums: it reads them, and writes them anew.
_READ_AND_WRITTEN: Final = 2


@dataclass(frozen=True)
class Cost:
    """nbytes: of the sums. model: bytes of the merged model. pays_from: contributions."""

    nbytes: int
    model: int
    pays_from: int

    @classmethod
    def of(cls, plan: Plan, layout: Layout) -> Cost:
        """The cost of sums of this layout, for this merge.

        A merge in full reads all contributions, an update moves the sums: it pays where those are fewer bytes.
        """
        contributions = plan.contributions
        read = sum(
            _nbytes(source.records[name])
            for contribution in contributions
            for name in contribution.names
            for source in (contribution.source, *(contribution.auxiliary[kind] for kind in plan.needs.auxiliary))
        )
        pays_from = math.ceil(_READ_AND_WRITTEN * layout.nbytes * len(contributions) / max(read, 1))
        return cls(layout.nbytes, sum(map(_nbytes, plan.base.records.values())), pays_from)

    def in_words(self) -> str:
        """What it takes, in words.

        >>> Cost(2100, 200, 21).in_words()
        "2,100 bytes in the workspace's cache, 10.5 times the model"
        """
        times = self.nbytes / max(self.model, 1)
        return f"{self.nbytes:,} bytes in the workspace's cache, {times:.1f} times the model"


def _nbytes(record: Record) -> int:
    return record.size * DTYPES[record.dtype].itemsize


def why_not_kept(recipe: Method) -> str:
    """Why the sums of a method cannot be kept on the disk, as the end of a sentence; empty if they can [EX-8, ST-6]."""
    if recipe.settings:
        return "its recipe has settings by tensor, and kept sums are those of one recipe for all tensors"
    if recipe.out_dtype:
        return f"its recipe has {OUT_DTYPE}, and kept sums are those of a model with the base's dtypes"
    return _why_no_sums(recipe)


def _why_no_sums(recipe: Method) -> str:
    """The same, of a method."""
    if whole := whole_round(recipe):
        return f"its recipe's {whole.name} has no exact sums"
    if len(recipe.rounds) > 1:
        return f"{recipe.name} has {len(recipe.rounds)} rounds: all but the first need all contributions again"
    if recipe.needs.arity is not None:
        return f"{recipe.name} takes exactly {recipe.needs.arity}, and none comes or goes"
    (round_,) = block_rounds(recipe)
    if round_.weigh is not None:
        return (
            f"the coefficients of {recipe.name} follow from all contributions, which are read again for their sum; "
            "their dot products are kept without it"
        )
    if round_.columns.maxima:
        return f"{recipe.name} takes maxima, and no contribution can be taken out of those"
    return ""
