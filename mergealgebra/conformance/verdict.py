"""What is found out about a target, as plain data: which options, which dialects, how stable, what went wrong.

`judging.judge` asks and decides; the reports only show what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shown:
    """The smallest input found that shows something. question: its id; the others: short texts of one line."""

    question: str
    input: str
    answer: str
    expected: str

    def __str__(self) -> str:
        return f"{self.input}: answered {self.answer}, {self.expected}"


@dataclass(frozen=True)
class Finding:
    """What the target takes at one point.

    options: one, it is settled; several, these answers do not tell them apart; none, no option explains the answers.
    shown_by: ruled-out option -> what showed it. note: why several are left, or what no option explains. rounding:
    whether what no option explains is rounded in a way of its own, and nothing else.
    """

    clause: str
    point: str
    options: tuple[str, ...]
    shown_by: Mapping[str, Shown] = field(default_factory=dict)
    note: str = ""
    rounding: bool = False


@dataclass(frozen=True)
class Standing:
    """Where the target stands to one dialect.

    conformant: it answered all questions, and as the dialect does. asked: how many it answered; differences: how many
    of them otherwise; rounding: how many of these in the last digits alone; first: the smallest of the differences, of
    one that is more than rounding if there is any. note: how far the dialect can be asked about, and how many questions
    got no answer; "" if it settles every point and all did.
    """

    dialect: str
    conformant: bool
    asked: int
    differences: int
    first: Shown | None = None
    note: str = ""
    rounding: int = 0


@dataclass(frozen=True)
class Property:
    """Whether something that no dialect may depend on changes the answer. holds: None when it cannot be told.

    rounding: whether it changes the last digits alone.
    """

    name: str
    holds: bool | None
    tries: int = 0
    counterexample: Shown | None = None
    note: str = ""
    rounding: bool = False


@dataclass(frozen=True)
class Failure:
    """A question that got no answer. kind: one of `questions.KINDS`."""

    question: str
    kind: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """All that was found out about a target. faults: known mistakes that it makes, and
    where no option explains its answers, in a few words each."""

    target: str
    version: str
    findings: tuple[Finding, ...] = ()
    standings: tuple[Standing, ...] = ()
    properties: tuple[Property, ...] = ()
    failures: tuple[Failure, ...] = ()
    faults: tuple[str, ...] = ()
    summary: str = ""

    @property
    def conformant_to(self) -> tuple[str, ...]:
        """The dialects that explain every answer."""
        return tuple(standing.dialect for standing in self.standings if standing.conformant)

    def to_map(self) -> dict[str, Any]:
        """The verdict as a map for JSON."""
        return asdict(self)
