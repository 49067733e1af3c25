"""Where a server has what peers ask for, below its own address [PR-13]."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "/mergealgebra/1"
BLOBS_PATH: Final = f"{PREFIX}/blobs"
CHALLENGE_PATH: Final = f"{PREFIX}/challenge"
