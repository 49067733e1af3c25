"""A verdict as tables of text, which a terminal, a page and a Markdown file show alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mergealgebra.algebra.dialects import DIALECTS, POINTS, Dialect
from mergealgebra.conformance.verdict import Failure, Finding, Property, Shown, Standing, Verdict
from mergealgebra.text import printable
from mergealgebra.text import shown as quoted

#: What is said of a point where no option explains the answers.
UNEXPLAINED: Final = "none of these"

#: What is said of a point, or of where a dialect stands, when the answers tell nothing.
UNTOLD: Final = "cannot be told"

#: Where a property stands, by `Property.holds`.
HOLDS: Final = {True: "holds", False: "broken", None: UNTOLD}

#: What a version usually is.
_WORD: Final = re.compile(r"\S{0,40}")


@dataclass(frozen=True)
class Table:
    """A table of printable text, every row as long as the head.

    What cannot be printed is written as in Python, as targets choose some of the text.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable(self.title))
        object.__setattr__(self, "head", tuple(map(printable, self.head)))
        object.__setattr__(self, "rows", tuple(tuple(map(printable, row)) for row in self.rows))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of what is counted or looked up."""
    return Table(title, tuple(head), tuple(tuple(row) for row in rows))


def name_of(verdict: Verdict) -> str:
    """The target and its version, as a heading; a version that is more than a word is quoted."""
    version = verdict.version if _WORD.fullmatch(verdict.version) else quoted(verdict.version)
    return printable(f"{verdict.target} {'(version unknown)' if version == 'unknown' else version}".strip())


def tables(verdict: Verdict) -> tuple[Table, ...]:
    """All of a verdict but its summary; parts that have nothing in them are left out."""
    every = (
        clauses(verdict),
        table("Dialects", ("dialect", "standing", "differ", "first difference"), map(_standing, verdict.standings)),
        table("Properties", ("property", "standing", "tries", "shown by"), map(_property, verdict.properties)),
        table("Noticed", ("mistake",), ([fault] for fault in verdict.faults)),
        table("No answers", ("question", "kind", "what it did"), map(_failure, verdict.failures)),
    )
    return tuple(table for table in every if table.rows)


def clauses(verdict: Verdict) -> Table:
    """What was seen at each point."""
    rows = ((found.clause, found.point, seen(found), shown_by(found)) for found in verdict.findings)
    return table("Points of variation", ("clause", "point", "seen", "shown by"), rows)


def ruled_out(verdict: Verdict) -> Table:
    """For every option that was ruled out, what ruled it out."""
    rows = (
        (found.clause, found.point, option, shown.input, shown.answer, shown.expected)
        for found in verdict.findings
        for option, shown in found.shown_by.items()
    )
    return table("Options ruled out", ("clause", "point", "not", "asked", "answered", "expected"), rows)


def nearest(verdict: Verdict) -> Table:
    """Of the dialects that settle every point, the three that differ from what was seen at the fewest.

    It has no rows if nothing was seen.
    """
    settled = [dialect for dialect in DIALECTS.values() if None not in dialect.options.values()]
    apart = {dialect.name: differing(verdict, dialect) for dialect in settled}
    rows = ((name, ", ".join(apart[name]) or "nowhere") for name in sorted(apart, key=lambda name: len(apart[name])))
    any_seen = any(found.shown_by or not found.options for found in verdict.findings)
    return table("Nearest dialects", ("dialect", "differs at"), list(rows)[: 3 if any_seen else 0])


def differing(verdict: Verdict, dialect: Dialect) -> tuple[str, ...]:
    """The points at which a dialect takes an option that the target was seen not to take."""
    return tuple(found.point for found in verdict.findings if dialect[found.point] not in found.options)


def as_map(verdict: Verdict) -> dict[str, Any]:
    """The verdict for JSON (spec/conformance/README.md)."""
    return {"conformant_to": list(verdict.conformant_to), **verdict.to_map()}


def as_discovery(verdict: Verdict) -> dict[str, Any]:
    """The inferred dialect for JSON: the options at each point, and the nearest named dialects."""
    rows = nearest(verdict).rows
    return {
        "target": verdict.target,
        "version": verdict.version,
        "options": {found.point: list(found.options) for found in verdict.findings},
        "nearest": [{"dialect": name, "differs_at": list(differing(verdict, DIALECTS[name]))} for name, _ in rows],
        "failures": [vars(failure) for failure in verdict.failures],
        "summary": verdict.summary,
    }


def seen(found: Finding) -> str:
    """The options that the answers leave; not those of a point of many options that are all left."""
    if len(found.options) == len(POINTS[found.point]) > 2:
        return UNTOLD
    return " or ".join(found.options) or UNEXPLAINED


def shown_by(found: Finding) -> str:
    """The note of a finding, or the input that rules out most of the other options, the shortest of those."""
    if found.note or not found.shown_by:
        return found.note
    every = list(found.shown_by.values())
    return _asked(min(every, key=lambda shown: (-every.count(shown), len(shown.input))))


def told(note: str, shown: Shown | None) -> str:
    """A note and what shows it, if there are such, as one text."""
    return "; ".join(filter(None, [note, str(shown or "")]))


def _asked(shown: Shown) -> str:
    return f"{shown.input}: answered {shown.answer}"


def standing_of(standing: Standing) -> str:
    """Where a target stands to a dialect, in a word or two."""
    if standing.conformant:
        return "conforms"
    return "differs" if standing.differences else UNTOLD


def _standing(standing: Standing) -> tuple[str, ...]:
    return (
        standing.dialect,
        standing_of(standing),
        f"{standing.differences} of {standing.asked}",
        told(standing.note, standing.first),
    )


def _property(found: Property) -> tuple[str, ...]:
    return found.name, HOLDS[found.holds], str(found.tries), told(found.note, found.counterexample)


def _failure(failure: Failure) -> tuple[str, ...]:
    return failure.question, failure.kind, failure.message
