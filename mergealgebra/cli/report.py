"""What a verb prints: aligned lines for people, or one JSON object [CL-2]; nothing that a terminal acts on [CL-5]."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from mergealgebra.text import one_line, printable, shortened

if TYPE_CHECKING:
    from mergealgebra.conformance.reports.tables import Table

#: Characters of a line on standard error: what it quotes may be as long as a file.
_LONGEST: Final = 4000
#: The key of what is known while a command runs.
_REPORTED: Final = f"{__name__}.reported"
#: More columns than any line of a table has.
_WIDE: Final = 100_000


def say(text: str = "", *, err: bool = False) -> None:
    """Print one line, to standard error if err: the only way in which text leaves the program [CL-5].

    Raises OSError, BrokenPipeError among it, when it cannot be written.
    """
    line = printable(text)
    try:
        click.echo(shortened(line, _LONGEST) if err else line, err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"standard {'error' if err else 'output'}") from error


def report(found: Mapping[str, object]) -> None:
    """Print what a verb found as one JSON object [CL-2]."""
    click.get_current_context().meta[_REPORTED] = True
    say(json.dumps(found))


def tell(lines: Mapping[str, str]) -> None:
    """Print what a verb found for people: a label and what is to be said, line by line."""
    width = max(map(len, lines))
    for label, text in lines.items():
        say(f"{label:<{width}}  {text}")


def say_table(rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Print rows of cells, the first of them the heads, in columns as wide as they need."""
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        say(f"{indent}{cells}".rstrip())


def report_error(message: str) -> None:
    """Print what went wrong as JSON, where that was asked for and nothing has been reported yet [CL-2]."""
    context = click.get_current_context(silent=True)
    if _asks_for_json() and not (context and context.meta.get(_REPORTED)):
        with suppress(OSError):  # standard error has it too
            say(json.dumps({"error": message}))


def _asks_for_json() -> bool:
    """Whether the command line has --json; it may be one that click cannot read."""
    words = sys.argv[1:]
    return "--json" in words[: words.index("--") if "--" in words else len(words)]


def warn(text: str) -> None:
    """Print a warning to standard error."""
    say(f"warning: {text}", err=True)


def wrong_usage(error: click.ClickException) -> None:
    """Print what is wrong with a command line, and where its usage is told."""
    report_error(one_line(error.format_message()))
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().split("\n"):
            say(line, err=True)
        say(f"Try '{error.ctx.command_path} --help' for help.", err=True)
        say(err=True)
    say(f"Error: {error.format_message()}", err=True)


def report_tables(tables: Iterable[Table]) -> None:
    """Print tables as wide as the terminal, or as they are in a pipe."""
    from rich.console import Console
    from rich.table import Table as Columns

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(width=width, color_system=None, markup=False, emoji=False, highlight=False)
    for table in tables:
        columns = Columns(*table.head, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for row in table.rows:
            columns.add_row(*row)
        with console.capture() as printed:
            console.print(columns)
        for line in ["", table.title, *printed.get().splitlines()]:
            say(line.rstrip())
