"""The points, their options, and who takes which: read off the tables of spec/dialects.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[3] / "dialects.md").read_text("utf-8")
POINT = re.compile(r"^- \*\*(DI-\d+)\*\* `(\w+)`:.*?$((?:\n(?!- \*\*|## ).*)*)", re.MULTILINE)
OPTION = re.compile(r"^  \| `(\w+)` \|", re.MULTILINE)
CLAUSE = re.compile(r"^- \*\*([A-Z]{2}-\d+)\*\*", re.MULTILINE)

#: point -> the clause that defines it; point -> its options.
CLAUSES = {point: clause for clause, point, _ in POINT.findall(TEXT)}
POINTS = {point: OPTION.findall(table) for _, point, table in POINT.findall(TEXT)}


def rows() -> Iterator[list[str]]:
    """The cells of the table whose head names the dialects."""
    lines = TEXT.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| point |"))
    for line in lines[start:]:
        if not line.startswith("|"):
            return
        if not line.startswith("|---"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def dialects() -> dict[str, dict[str, str | None]]:
    """name -> point -> option, None where the source leaves the point open."""
    (_, *names), *table = rows()
    return {
        name: {point: None if options[i] == "open" else options[i] for point, *options in table}
        for i, name in enumerate(names)
    }


DIALECTS = dialects()


def clauses() -> set[str]:
    """Every clause of the specification."""
    texts = (path.read_text("utf-8") for path in Path(__file__).resolve().parents[3].glob("*.md"))
    return {clause for text in texts for clause in CLAUSE.findall(text)}
