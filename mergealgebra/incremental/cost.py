"""What a kept aggregate costs, and from how many contributions on it pays [SY-15]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Record
from mergealgebra.incremental.pages import Layout
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
        read = sum(_nbytes(c.source.records[name]) for c in contributions for name in c.names)
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
