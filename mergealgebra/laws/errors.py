"""Why a search for counterexamples cannot begin."""

from __future__ import annotations

from mergealgebra.errors import MergeAlgebraError


class TargetError(MergeAlgebraError):
    """A target names no merge function, cannot be imported, or does not take an option."""


class UnknownLaw(MergeAlgebraError):
    """A name is not that of a law."""


class NotInstalled(MergeAlgebraError):
    """A package that a search or a target needs is not installed."""
