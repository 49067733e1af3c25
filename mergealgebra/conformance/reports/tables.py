"""A verdict as tables of text, which a terminal, a page and a Markdown file show alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mergealgebra.conformance.judgement.summary import BROKEN, MISTAKEN
from mergealgebra.conformance.verdict import Failure, Finding, Property, Shown, Standing, Verdict
from mergealgebra.dialects.points import DIALECTS, POINTS, Dialect
from mergealgebra.text import printable
from mergealgebra.text import shown as quoted

#: What is said of a point where no option explains the answers.
UNEXPLAINED: Final = "none of these"

#: What is said of it where no option explains how numbers are rounded, and nothing else is amiss.
OWN_ROUNDING: Final = "its own rounding"

#: What is said of differences in the last digits alone.
ROUNDED: Final = "but for rounding"

#: What is said of a point, or of where a dialect stands, when the answers tell nothing.
UNTOLD: Final = "cannot be told"

#: Where a property stands, by `Property.holds`.
HOLDS: Final = {True: "holds", False: "broken", None: UNTOLD}

#: How to read the tables.
LEGEND: Final = (
    "Inputs are task vectors over a base of zeros, unless a base is given: [1] and [3] are two models of one number.",
    "A refusal is an error that it raised or told. rho is the density; d the number of elements of a group, which is",
    "trimmed as one; t the threshold, and m its rank. `mergealgebra conformance --points` lists all options.",
)

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
        table("Noticed", ("mistake", "shown by"), ((fault, _fault_shown(fault, verdict)) for fault in verdict.faults)),
        table("No answers", ("question", "kind", "what it did"), _failures(verdict.failures)),
    )
    return tuple(table for table in every if table.rows)


def telling(verdict: Verdict) -> tuple[Table, ...]:
    """The tables that tell something: of a target of which nothing was learned, why it gave no answers."""
    return tuple(table for table in tables(verdict) if told(verdict) or table.title == "No answers")


def clauses(verdict: Verdict) -> Table:
    """What was seen at each point, and what that means."""
    rows = ((found.clause, found.point, seen(found), meaning(found), shown_by(found)) for found in verdict.findings)
    return table("What it does at each point", ("clause", "point", "seen", "which means", "shown by"), rows)


def meaning(found: Finding) -> str:
    """What an implementation does that takes the options that are left; nothing of several that say too much."""
    return POINTS[found.point][found.options[0]] if len(found.options) == 1 else ""


def every_point() -> tuple[Table, ...]:
    """All points with all options, and who takes which, as spec/dialects.md has them."""
    names = tuple(DIALECTS)
    options = ((point, option, text) for point, options in POINTS.items() for option, text in options.items())
    rows = ((point, *(dialect[point] or "open" for dialect in DIALECTS.values())) for point in POINTS)
    return (
        table("Points, and the options at each", ("point", "option", "which means"), options),
        table("Dialects, and the option that each takes", ("point", *names), rows),
        table("Whose they are", ("dialect", "of"), ((name, dialect.of) for name, dialect in DIALECTS.items())),
    )


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
    return table("Nearest dialects", ("dialect", "differs at"), list(rows)[: 3 if told(verdict) else 0])


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
    return " or ".join(found.options) or (OWN_ROUNDING if found.rounding else UNEXPLAINED)


def shown_by(found: Finding) -> str:
    """The note of a finding, or an input, the answer and what another option gives.

    Where it is not what `canonical` does, that is `canonical`'s; else it rules out most options, the shortest of those.
    """
    if found.note or not found.shown_by:
        return found.note
    right = found.shown_by.get(str(DIALECTS["canonical"][found.point]))
    every = list(found.shown_by.values())
    return str(right or min(every, key=lambda shown: (-every.count(shown), len(shown.input))))


def _fault_shown(fault: str, verdict: Verdict) -> str:
    """The smallest input that shows a mistake, with what `canonical` would have answered."""
    canonical = DIALECTS["canonical"]
    shown = [
        found.shown_by.get(str(canonical[found.point]))
        for found in verdict.findings
        if found.point in MISTAKEN.get(fault, {})
    ]
    broken = [p.counterexample for p in verdict.properties if BROKEN.get(p.name) == fault]
    return min((str(one) for one in [*shown, *broken] if one), key=len, default="")


def told(verdict: Verdict) -> bool:
    """Whether its answers tell anything: an option is ruled out, or none explains them."""
    return any(found.shown_by or not found.options for found in verdict.findings)


def noted(note: str, shown: Shown | None) -> str:
    """A note and what shows it, if there are such, as one text."""
    return "; ".join(filter(None, [note, str(shown or "")]))


def standing_of(standing: Standing) -> str:
    """Where a target stands to a dialect, in a word or two."""
    if standing.conformant:
        return "conforms"
    if standing.differences == standing.rounding > 0:
        return f"conforms {ROUNDED}"
    return "differs" if standing.differences else UNTOLD


def _standing(standing: Standing) -> tuple[str, ...]:
    return (
        standing.dialect,
        standing_of(standing),
        f"{standing.differences} of {standing.asked}{_rounded(standing)}",
        noted(standing.note, standing.first),
    )


def _rounded(standing: Standing) -> str:
    return f", {standing.rounding} by rounding" if standing.rounding else ""


def property_of(found: Property) -> str:
    """Whether a property holds, in a word or two."""
    return f"holds {ROUNDED}" if found.rounding else HOLDS[found.holds]


def _property(found: Property) -> tuple[str, ...]:
    return found.name, property_of(found), str(found.tries), noted(found.note, found.counterexample)


def _failures(failures: Sequence[Failure]) -> Iterable[tuple[str, ...]]:
    """What was done instead of answering, each once, with the first question at which it was."""
    questions: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        questions.setdefault((failure.kind, failure.message), []).append(failure.question)
    for (kind, message), of in questions.items():
        yield of[0] + (f" and {len(of) - 1} more" if len(of) > 1 else ""), kind, message
