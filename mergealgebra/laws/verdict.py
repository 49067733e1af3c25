"""What a search for counterexamples to one law came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal, Self, get_args

Outcome = Literal["holds", "holds but for rounding", "broken", "not deterministic", "does not apply", "error"]

#: Characters of a reason: all that it quotes is shortened.
_LONGEST: Final = 4000


@dataclass(frozen=True)
class Verdict:
    """The verdict on one law.

    tries: how many arguments both sides of the law were computed for. reason: why it does not apply, what was raised,
    or both sides and which case showed the breach. counterexample: a Python program that shows it when run, or "".
    cause: of an error, what is the same for all laws that fail by it; or "". A law holds but for rounding where its
    sides never differ by more than the last digits of numbers. The function is not deterministic where the sides of a
    law differ, and so do the answers to one question that is asked again.
    """

    law: str
    outcome: Outcome
    tries: int = 0
    reason: str = ""
    counterexample: str = ""
    cause: str = ""

    def __str__(self) -> str:
        if self.outcome == "holds":
            return f"holds in {self.tries} tries"
        return f"{self.outcome}: {self.reason}"

    @classmethod
    def of(cls, found: object, law: str) -> Self:
        """The inverse of `to_map`, for the verdict on a law. Raises ValueError for anything else."""
        match found:
            case {
                "law": str(name),
                "outcome": str(outcome),
                "tries": int(tries),
                "reason": str(reason),
                "counterexample": str(program),
                "cause": str(cause),
                **others,
            } if (  # fmt: skip
                (name, others) == (law, {})
                and outcome in get_args(Outcome)
                and tries >= 0
                and max(len(reason), len(cause)) <= _LONGEST
            ):
                return cls(name, outcome, int(tries), reason, program, cause)  # type: ignore[arg-type]
        raise ValueError("not a verdict")

    def to_map(self) -> dict[str, object]:
        """The verdict as a map for JSON."""
        return asdict(self)
