"""A signed workspace and its people, for tests: two maintainers, a writer, and a stranger."""

from __future__ import annotations

from mergealgebra.crdt.genesis import Genesis
from tests.crdt.strategies import BASE
from tests.signers import SeedSigner, signers

MAINTAINER, OTHER_MAINTAINER, *_ = signers(2)
WRITER, STRANGER = SeedSigner(b"w" * 32), SeedSigner(b"s" * 32)
GENESIS = Genesis(BASE, "team", {"lambda": "1", "method": "mean"}, (MAINTAINER.key, OTHER_MAINTAINER.key))
