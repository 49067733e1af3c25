"""Implementations against clauses: the verdicts on many targets side by side, as tables and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mergealgebra.conformance.judgement.comparison import Compared
from mergealgebra.conformance.judgement.random_merges import DTYPES
from mergealgebra.conformance.probes.interview import PATIENCE
from mergealgebra.conformance.reports.tables import HOLDS, Table, clauses, noted, seen, standing_of, table
from mergealgebra.conformance.verdict import Finding, Property, Standing, Verdict
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.text import printable

#: What Markdown acts on, but for the underscore between letters, which it leaves alone: `lowest_index`.
_MARKUP: Final = re.compile(r"[\\|*<&~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(|:(?=//)|(?<=www)\.", re.IGNORECASE)

#: What stands where there is nothing to say.
NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """An implementation in the matrix.

    name: as people call it. of: what was run, with versions. claim: the dialect that is stated to be what it computes.
    verdict: None if it was not run. breadth: how it compares with its claim on random merges, if it was asked.
    why_not: why it was not run.
    """

    name: str
    of: str
    claim: str
    verdict: Verdict | None = None
    breadth: Compared | None = None
    why_not: str = ""


def tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    """The matrix: who was asked, claims, points, dialects, properties, and what shows the points of each."""
    run = {row.name: row.verdict for row in rows if row.verdict}
    return (
        table("Implementations", ("implementation", "what was run", "it says it is", "in short"), map(_row, rows)),
        table("Claims", ("implementation", "dialect", *DTYPES, "smallest difference"), _claims(rows)),
        _against("Points of variation", "point", run, _points),
        _against("Dialects: answers that differ", "dialect", run, _standings),
        _against("Properties", "property", run, _properties),
        table("Properties that do not hold", ("implementation", "property", "shown by"), _broken(run)),
        table("Noticed", ("implementation", "mistake"), _mistakes(run)),
        table("No answers", ("implementation", "question", "kind", "what it did"), _failures(run)),
        *(Table(f"What shows it: {name}", found.head, found.rows) for name, found in _shown(run)),
    )


def markdown(title: str, paragraphs: Sequence[str], found: Sequence[Table]) -> str:
    """Tables as a Markdown file; those that have no rows are left out."""
    sections = [_section(table) for table in found if table.rows]
    return "\n\n".join([f"# {_plain(title)}", *map(_plain, paragraphs), *sections]) + "\n"


def _section(table: Table) -> str:
    lines = [table.head, tuple("---" for _ in table.head), *table.rows]
    return f"## {_plain(table.title)}\n\n" + "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(text: str) -> str:
    """Printable text in which Markdown finds no table, link, tag or emphasis; code it may find."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def _row(row: Row) -> tuple[str, ...]:
    if row.verdict is None:
        return row.name, row.of, NOTHING, f"not run: {row.why_not}"
    return row.name, row.of, f"{row.verdict.target} {row.verdict.version}".strip(), row.verdict.summary


def _claims(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row.breadth is None:
            yield row.name, row.claim, *(NOTHING for _ in DTYPES), row.why_not
            continue
        equal, asked = row.breadth.equal, row.breadth.asked
        counts = (f"{equal.get(dtype, 0)} of {asked[dtype]}" if dtype in asked else NOTHING for dtype in DTYPES)
        yield row.name, row.claim, *counts, _difference(row.breadth)


def _difference(found: Compared) -> str:
    """The smallest one, and whether there may be more."""
    parts = [str(found.first)] if found.first else []
    if found.not_asked:
        parts.append(f"{found.not_asked} were not asked, after {PATIENCE} failures in a row")
    return "; ".join(parts)


Lines = Callable[[Verdict], dict[str, str]]


def _against(title: str, what: str, run: dict[str, Verdict], lines: Lines) -> Table:
    """A line for each thing that is said of the verdicts, a column for each implementation."""
    columns = {name: lines(verdict) for name, verdict in run.items()}
    every = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = ((key, *(column.get(key, NOTHING) for column in columns.values())) for key in every)
    return table(title, (what, *columns), rows)


def _points(verdict: Verdict) -> dict[str, str]:
    return {_point(found): seen(found) for found in verdict.findings}


def _point(found: Finding) -> str:
    return f"{found.clause} {found.point}"


def _standings(verdict: Verdict) -> dict[str, str]:
    """In the order of the dialects, whatever the order of the standings."""
    standings = {standing.dialect: standing for standing in verdict.standings}
    return {name: _standing(standings[name]) for name in DIALECTS if name in standings}


def _standing(standing: Standing) -> str:
    told_so = standing_of(standing)
    return f"{standing.differences} of {standing.asked}" if told_so == "differs" else told_so


def _properties(verdict: Verdict) -> dict[str, str]:
    return {found.name: _property(found) for found in verdict.properties}


def _property(found: Property) -> str:
    return HOLDS[found.holds]


def _broken(run: dict[str, Verdict]) -> Iterator[tuple[str, ...]]:
    for name, verdict in run.items():
        for found in verdict.properties:
            if found.holds is False:
                yield name, found.name, noted(found.note, found.counterexample)


def _mistakes(run: dict[str, Verdict]) -> Iterator[tuple[str, str]]:
    return ((name, fault) for name, verdict in run.items() for fault in verdict.faults)


def _failures(run: dict[str, Verdict]) -> Iterator[tuple[str, ...]]:
    for name, verdict in run.items():
        yield from ((name, failure.question, failure.kind, failure.message) for failure in verdict.failures)


def _shown(run: dict[str, Verdict]) -> Iterator[tuple[str, Table]]:
    return ((name, clauses(verdict)) for name, verdict in run.items())
