"""Why a search for counterexamples cannot begin."""

from __future__ import annotations

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.text import printable, shown


class TargetError(MergeAlgebraError):
    """A target names no merge function, cannot be imported, or does not take an option."""


class UnknownLaw(MergeAlgebraError):
    """A name is not that of a law."""


class NotInstalled(MergeAlgebraError):
    """A package that a search or a target needs is not installed."""


def raised(error: BaseException) -> str:
    """What a merge function raised: its class, and its message as data.

    >>> raised(ValueError("no \\x1b[31m"))
    "ValueError: 'no \\\\x1b[31m'"
    """
    return f"{printable(type(error).__name__)}: {shown(str(error))}"
