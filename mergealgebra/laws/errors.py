"""Why a search for counterexamples cannot begin."""

from __future__ import annotations

from mergealgebra.errors import NotInstalled, TargetError, UnknownLaw

__all__ = ["NotInstalled", "TargetError", "UnknownLaw"]
