"""What a target's errors say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mergealgebra.text import printable, shown

#: Characters of the name of a class that are shown.
_LONGEST: Final = 200


def raised(error: BaseException) -> str:
    """What a merge function raised: its class, and its message as data.

    >>> raised(ValueError("no \\x1b[31m"))
    "ValueError: 'no \\\\x1b[31m'"
    """
    return f"{printable(_text_of(lambda: type(error).__name__)[:_LONGEST])}: {shown(_text_of(lambda: str(error)))}"


def _text_of(told: Callable[[], str]) -> str:
    """What an error tells of itself, in a plain string; or that it does not."""
    try:
        return "".join(told())
    except (Exception, SystemExit):
        return "(it cannot be told)"
