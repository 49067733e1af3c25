"""What a search for counterexamples to one law came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Outcome = Literal["holds", "broken", "does not apply", "error"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one law.

    tries: how many arguments both sides of the law were computed for. reason: why it does not apply, what was raised,
    or which case showed the breach. counterexample: a Python program that shows it when run, or "".
    """

    law: str
    outcome: Outcome
    tries: int = 0
    reason: str = ""
    counterexample: str = ""

    def __str__(self) -> str:
        if self.outcome == "holds":
            return f"holds in {self.tries} tries"
        return f"{self.outcome}: {self.reason}"

    def to_map(self) -> dict[str, object]:
        """The verdict as a map for JSON."""
        return asdict(self)
