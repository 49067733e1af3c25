"""How people are told who did what, when, and how large it is. Others wrote the names and notes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from mergealgebra.text import one_line, shortened

#: What stands where nothing is known.
NOTHING: Final = "-"
#: Heads a column of times.
WHEN: Final = "when (UTC)"
#: Said once, below names.
UNPROVED: Final = "Names are what people wrote; nothing proves them yet."

#: Characters of a name and of a note on one line: longer ones lose their middle.
_NAME: Final = 24
_NOTE: Final = 60


def who(name: str | None) -> str:
    """A name, as far as a column goes."""
    return NOTHING if name is None else shortened(one_line(name), _NAME)


def when(seconds: int | None) -> str:
    """A time in UTC to the minute; in seconds since 1970 where no calendar has it."""
    if seconds is None:
        return NOTHING
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def noted(note: str | None) -> str:
    """A note, as far as a line goes."""
    return shortened(note or "", _NOTE)


def size(nbytes: int) -> str:
    """A number of bytes with three digits or so.

    >>> size(512), size(1_234_567)
    ('512 B', '1.2 MB')
    """
    number, units = float(nbytes), ["B", "kB", "MB", "GB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{nbytes} B" if units[0] == "B" else f"{number:.1f} {units[0]}"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "contribution"), count(2, "contribution")
    ('1 contribution', '2 contributions')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
