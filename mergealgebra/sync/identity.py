"""As whom peers are asked [PR-20]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mergealgebra.crdt.operations import Signer


@dataclass(frozen=True)
class Identity:
    """Who asks, and about which workspace. signer: None for nobody. workspace: its id, None where any is meant."""

    signer: Signer | None = None
    workspace: str | None = None


NOBODY: Final = Identity()
