"""What replicas attest to, and where they contradict each other [OS-12]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mergealgebra.crdt.orset import ORSet

#: The most roots, or merge ids, that are named: anybody can attest a thousand times.
MOST_SHOWN: Final = 8


def disagreements(state: ORSet) -> Iterator[tuple[str, str]]:
    """Merge ids for which replicas attest to different models, each with a line for people [OS-12]."""
    own = state.merge_id
    for merge_id, found in sorted(state.attested().items()):
        if len(found) > 1:
            what = "this merge id" if merge_id == own else f"merge id {merge_id}"
            told = f"replicas computed different models for {what}, some machine is broken: "
            more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
            yield merge_id, told + ", ".join(sorted(found)[:MOST_SHOWN]) + more
