"""A case: its input, what a hand says it must give, and what the reference makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.checks import CHECKS
from generator.reference.refused import Refused

Json = Any


@dataclass(frozen=True)
class Case:
    """One conformance case.

    says: the part of `expected` that was worked out by hand, or the name of the broken rule; the reference must
    agree with it. None leaves the whole answer to the reference.
    """

    check: str
    id: str
    clauses: str
    why: str
    input: Json
    says: Json = None

    def result(self) -> dict[str, Json]:
        """{"expected": ...} or {"error": ...} as the reference has it."""
        try:
            return {"expected": CHECKS[self.check](self.input)}
        except Refused as refused:
            return {"error": refused.to_json()}

    def answer(self) -> dict[str, Json]:
        """The result, held against what was worked out by hand."""
        result = self.result()
        self.hold(result)
        return result

    def hold(self, result: dict[str, Json]) -> None:
        found = result.get("expected")
        if isinstance(self.says, str):
            ok = result.get("error", {}).get("rule") == self.says
        elif isinstance(self.says, dict) and "rule" in self.says:
            error = result.get("error", {})
            ok = all(error.get(key) == said for key, said in self.says.items())
        else:
            ok = found is not None and all(found[key] == said for key, said in (self.says or {}).items())
        if not ok:
            raise AssertionError(f"{self.id}: by hand {self.says}, by the reference {result}")

    def to_json(self) -> dict[str, Json]:
        fields = {"id": self.id, "check": self.check, "clauses": self.clauses.split(), "why": self.why}
        return {**fields, "input": self.input, **self.answer()}


def document(topic: str, cases: Sequence[Case], more: Mapping[str, Json]) -> dict[str, Json]:
    """One JSON file, with more keys than every file has; a double id is a mistake in a topic module."""
    ids = [case.id for case in cases]
    double = {i for i in ids if ids.count(i) > 1}
    if double:
        raise AssertionError(f"{topic}: ids that stand twice: {sorted(double)}")
    return {"format": 1, "topic": topic, **more, "cases": [case.to_json() for case in cases]}
