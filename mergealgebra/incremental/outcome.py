"""What became of an aggregate that a merge was to leave behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from mergealgebra.incremental.cost import Cost


@dataclass(frozen=True)
class Outcome:
    """Whether a merge left an aggregate behind. problem: why not; empty if it did.

    changes: how many contributions were read to bring an earlier one up to date; None for a merge in full. cost: what
    it takes, once it is kept.
    """

    problem: str
    changes: int | None
    cost: Cost | None = field(default=None, compare=False)

    def in_words(self) -> str:
        """The same in one line, but for the changes."""
        if self.problem or self.cost is None:
            return f"not kept: {self.problem}"
        return f"kept: {self.cost.in_words()}"
