"""Syncing workspaces of many operations with a live peer: python syncing.py FOLDER 1000 10000 100000

Prints JSON: CPU seconds of both sides together, and the bytes and round trips between them, for each number of
operations and each state of the two. The peer answers in this process, so nothing but the two replicas is measured.
There are no tensors.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opening import GENESIS, RUNS, Run, add, made, measure_each

from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.objects import Store
from mergealgebra.sync.calls import RECONCILE
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import InMemory, Service

#: Operations that each side has, and the other lacks.
MISSING = 10


@dataclass
class Counted:
    """Carries calls to a service of this process, and counts them and their bytes."""

    carrier: InMemory
    name: str = "http://peer.example"
    nbytes: int = 0
    reconciling: int = 0
    round_trips: int = 0

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """As in Carrier."""
        answer = self.carrier.call(call, asked, most)
        self.nbytes += len(asked) + len(answer)
        if call == RECONCILE:
            self.reconciling += len(asked) + len(answer)
            self.round_trips += 1
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.carrier, name)


def measured(folder: Path, operations: int) -> dict[str, list[Run]]:
    """All runs of each state of two replicas of so many operations.

    Of each run `cpu`, the `bytes` of everything, those of `reconciling` ids, and the `round_trips` of that.
    all: this side has none of them. missing: each side has 10 that the other lacks. nothing: both have the same.
    """
    ours, theirs = made(folder / "ours", operations), _copy(folder / "ours", folder / "theirs")
    theirs.state()  # a copy checks its operations once; that is no part of a sync
    found: dict[str, list[Run]] = {
        "all": [_sync(_empty(folder / "empty"), theirs) for _ in range(RUNS if operations < 100_000 else 1)]
    }
    for at in range(RUNS):
        for number, store in enumerate((ours, theirs)):
            first = operations + (2 * at + number) * MISSING
            store.write_delta(ORSet(GENESIS, [add(other, other) for other in range(first, first + MISSING)]))
            store.state().visible_ids()
        found.setdefault("missing", []).append(_sync(ours, theirs))
        found.setdefault("nothing", []).append(_sync(ours, theirs))
    return found


def _sync(store: Store, other: Store) -> Run:
    counted = Counted(InMemory(Service(other, writes=True)))
    start = time.process_time()
    result = sync_live(store, CarriedPeer(counted))
    seconds = time.process_time() - start
    if result.refused or store.state() != other.state():
        raise SystemExit(f"the two did not become equal: {result.refused[:1]}")
    return {
        "cpu": seconds,
        "bytes": counted.nbytes,
        "reconciling": counted.reconciling,
        "round_trips": counted.round_trips,
    }


def _empty(folder: Path) -> Store:
    shutil.rmtree(folder, ignore_errors=True)
    return Store.create(folder, GENESIS)


def _copy(folder: Path, other: Path) -> Store:
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other)
    return Store.open(other)


if __name__ == "__main__":
    measure_each(measured, ("cpu", "bytes", "reconciling", "round_trips"))
