"""What replicas attest to, by whom it is known, and where they contradict each other [OS-12, SG-12]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Final

from mergealgebra.crdt.orset import ORSet
from mergealgebra.signatures import fingerprint
from mergealgebra.text import listed

#: The most roots, or merge ids, that are named: anybody can attest a thousand times.
MOST_SHOWN: Final = 8


def witnesses(state: ORSet, merge_id: str) -> dict[str, frozenset[str]]:
    """The keys that attest each model root of a merge id in a signed workspace, roots ascending [SG-12].

    A key that attests two roots is not among them.
    """
    return _counted(state.attested().get(merge_id, {}))


def disagreements(state: ORSet) -> Iterator[tuple[str, str]]:
    """Merge ids for which replicas attest to different models, each with a line for people [OS-12, SG-12]."""
    own = state.merge_id
    for merge_id, by_key in sorted(state.attested().items()):
        what = "this merge id" if merge_id == own else f"merge id {merge_id}"
        if state.genesis.is_signed:
            counted = _counted(by_key)
            if len(counted) > 1:
                yield merge_id, f"MACHINES DISAGREE on {what}, at least one of them is broken: {_accused(counted)}"
            if liars := [key for key, roots in by_key.items() if key is not None and len(roots) > 1]:
                yield (
                    merge_id,
                    f"{listed(sorted(map(fingerprint, liars)))} attested two models for {what} and counts for neither",
                )
        elif len(roots := {root for said in by_key.values() for root in said}) > 1:
            yield (
                merge_id,
                f"{len(roots)} unsigned roots differ for {what}; anybody can write one: {_few(sorted(roots))}",
            )


def _counted(by_key: Mapping[str | None, Set[str]]) -> dict[str, frozenset[str]]:
    """The keys by the one root that each attests, roots ascending; without the keys that attest two."""
    found: dict[str, set[str]] = {}
    for key, roots in by_key.items():
        if key is not None and len(roots) == 1:
            found.setdefault(next(iter(roots)), set()).add(key)
    return {root: frozenset(keys) for root, keys in sorted(found.items())}


def _accused(counted: dict[str, frozenset[str]]) -> str:
    """Each root, and who attests it."""
    return _few([f"{root} by {listed(sorted(map(fingerprint, keys)))}" for root, keys in counted.items()])


def _few(texts: list[str]) -> str:
    more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
    return ", ".join(texts[:MOST_SHOWN]) + more
