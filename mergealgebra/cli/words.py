"""How people are told who did what, when, and how large it is. Others wrote the names and notes."""

from __future__ import annotations

from collections.abc import Mapping
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


def form_in_words(form: str, coefficient: str) -> str:
    """What a contribution is, and by what it is scaled, if it is.

    >>> form_in_words("finetuned", "1"), form_in_words("task_vector", "0.5")
    ('fine-tune', 'task vector, times 0.5')
    """
    scaled = "" if coefficient == "1" else f", times {coefficient}"
    return {"finetuned": "fine-tune", "task_vector": "task vector"}[form] + scaled


def percent(share: str) -> str:
    """A share as it is measured, in percent; as it is where nothing could be measured.

    >>> percent("0.01003"), percent("1"), percent("3.2e-07")
    ('1.003%', '100%', '3.2e-05%')
    """
    return share if share == NOTHING else f"{float(share) * 100:.4g}%"


def change(figures: Mapping[str, str]) -> str:
    """How much a contribution changes the base, by the figures that were measured."""
    values = f"{percent(figures['changed'])} of the base's values"
    if figures["difference"] == NOTHING:  # the base is zero, or there is none of it
        return values
    return f"{percent(figures['difference'])} of the base's size (their norms), in {values}"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "contribution"), count(2, "contribution")
    ('1 contribution', '2 contributions')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
