"""Why a search for counterexamples cannot begin."""

from __future__ import annotations

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.errors import NotInstalled, TargetError

__all__ = ["NotInstalled", "TargetError", "UnknownLaw"]


class UnknownLaw(MergeAlgebraError):
    """A name is not that of a law."""
