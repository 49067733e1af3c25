"""Tables as one HTML page that needs nothing else: no script, no font, no picture, in light and in dark."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

from mergealgebra.conformance.reports.tables import Table
from mergealgebra.text import printable

#: Words that are coloured where they are all of a cell.
COLOURED: Final = {
    "conforms": "good",
    "holds": "good",
    "conforms but for rounding": "good",
    "holds but for rounding": "good",
    "differs": "bad",
    "broken": "bad",
}

_STYLE: Final = """\
:root { color-scheme: light dark; --line: #d8dade; --head: #f3f4f6; --good: #17693a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3d42; --head: #23262b; --good: #6fcf97; --bad: #ff8a80; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 75rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p { max-width: 45rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .875rem; min-width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
thead th { background: var(--head); white-space: nowrap; }
td { min-width: 5rem; max-width: 32rem; overflow-wrap: anywhere; }
tbody th { font-weight: 600; white-space: nowrap; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
"""


def page(title: str, paragraphs: Sequence[str], tables: Sequence[Table]) -> str:
    """The page. All text is printable and escaped."""
    text = "".join(f"<p>{_escaped(paragraph)}</p>\n" for paragraph in paragraphs)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_escaped(title)}</h1>\n{text}{''.join(map(_section, tables))}</body>\n</html>\n"
    )


def _section(table: Table) -> str:
    head = "".join(f'<th scope="col">{_escaped(cell)}</th>' for cell in table.head)
    rows = "".join(f"<tr>{_row(row)}</tr>\n" for row in table.rows)
    return (
        f'<h2>{_escaped(table.title)}</h2>\n<div class="scroll" tabindex="0" role="region"'
        f' aria-label="{_escaped(table.title)}">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _row(row: Sequence[str]) -> str:
    return f'<th scope="row">{_escaped(row[0])}</th>' + "".join(map(_cell, row[1:]))


def _cell(text: str) -> str:
    colour = COLOURED.get(text)
    return f'<td class="{colour}">{text}</td>' if colour else f"<td>{_escaped(text)}</td>"


def _escaped(text: str) -> str:
    return html.escape(printable(text))
