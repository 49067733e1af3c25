"""What is written beside an object that somebody found damaged, until whoever has a good copy mends it [PK-11, PR-18].

A report that is empty is withdrawn: so one is gone for all who read, in a store that deletes nothing, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from mergealgebra.errors import PeerError
from mergealgebra.sync.object_store import Listed, ObjectStore

#: Ends the key of a report.
REPORT: Final = ".damaged"


def is_reported(listed: Mapping[str, Listed] | None, name: str) -> bool:
    """Whether there is a report of an object, of those that a store lists."""
    told = (listed or {}).get(f"{name}{REPORT}")
    return told is not None and told.nbytes > 0


def report(objects: ObjectStore, key: str) -> None:
    """Write that an object is damaged. Raises PeerError."""
    objects.put(f"{key}{REPORT}", b"damaged\n")


def withdraw(objects: ObjectStore, key: str) -> None:
    """Let a report count no more, and delete it if the store does that."""
    with suppress(PeerError):
        objects.put(f"{key}{REPORT}", b"")
        objects.delete(f"{key}{REPORT}")
