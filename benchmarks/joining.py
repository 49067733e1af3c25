"""Joining states of many operations, measured in one process: python joining.py 10 100 1000

Prints JSON: seconds for each number of operations and each thing that is done with such states. No tensor is read;
the contributions are made up.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.crdt.orset import ORSet

#: Five runs, or three where they take long.
RUNS, FEWER_RUNS, LONG_SECONDS = 5, 3, 3.0
BASE = hashlib.sha256(b"base").hexdigest()
ONE = "3f800000"
GENESIS = Genesis(BASE, "benchmark", {"method": "ties", "density": "0.2"})


def seconds(operations: int) -> dict[str, list[float]]:
    """All runs of each thing that is done with states of so many operations.

    join: two states that share half of their operations. delta: a state and a delta of one operation. visible: what
    is visible. decode: reading the state from its operations' bytes, hashing each, as when it comes from a peer.
    """
    facts = [_operation(number) for number in range(operations + operations // 2 + 1)]
    state = ORSet(GENESIS, frozenset(facts[:operations]))
    other = ORSet(GENESIS, frozenset(facts[operations // 2 : -1]))
    delta = ORSet(GENESIS, frozenset(facts[-1:]))
    encoded = [operation.encode() for operation in state.operations]
    return {
        "join": _timed(lambda: state.join(other)),
        "delta": _timed(lambda: state.join(delta)),
        "visible": _timed(state.visible),
        "decode": _timed(lambda: _decoded(encoded)),
    }


def _decoded(encoded: list[bytes]) -> ORSet:
    operations = [Operation.decode(data, GENESIS.workspace_id) for data in encoded]
    return ORSet(GENESIS, frozenset(operation for operation in operations if operation.id))


def _operation(number: int) -> Operation:
    digest = hashlib.sha256(str(number).encode())
    manifest = Manifest(BASE, ONE, 1_000_000, "finetuned", digest.hexdigest())
    return Operation(GENESIS.workspace_id, Add(manifest, digest.digest()[:16]))


def _timed(action: Callable[[], object]) -> list[float]:
    runs: list[float] = []
    while len(runs) < (RUNS if sum(runs) < LONG_SECONDS else FEWER_RUNS):
        runs.append(_seconds(action))
    return runs


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """Measure the numbers of operations of the command line."""
    rows = [(operations, seconds(operations)) for operations in map(int, sys.argv[1:])]
    measurements = [
        {"labels": {"what": what, "operations": operations}, "median": {"wall": statistics.median(runs)}, "runs": runs}
        for operations, row in rows
        for what, runs in row.items()
    ]
    print(json.dumps({"measurements": measurements}))


if __name__ == "__main__":
    main()
