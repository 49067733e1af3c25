"""Opening workspaces of many operations, and joining one more: python opening.py FOLDER 1000 10000 100000

Prints JSON: seconds, of the clock and of the CPU, for each number of operations and each thing that is done. There are
a hundredth as many visible contributions as operations; half of the other operations are adds that the other half took
back. No tensor is there; `status` says so.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ours import keep_bytecode

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store

RUNS = 5
#: Seconds of one run: `wall` and `cpu`, that of child processes too.
Run = dict[str, float]
BASE = hashlib.sha256(b"base").hexdigest()
GENESIS = Genesis(BASE, "benchmark", {"method": "mean", "lambda": "1"})


def seconds(folder: Path, operations: int) -> dict[str, list[Run]]:
    """All runs of each thing that is done with a workspace of so many operations.

    read: the bytes of its packs, and of what is kept of them. first: opening it when every operation is still to be
    checked. open: when all were checked, and what is visible is known. join: one more operation is written, read, and
    what is then visible known. start: the command line, without any workspace. status: the command, a process of its
    own.
    """
    store = made(folder, operations)
    first = _timed(lambda: _open(store.path), 1)
    state = store.state()
    state.visible_ids()
    numbers = iter(range(operations, operations + RUNS))
    folders = [folder / part for part in ("operations", "packs", "cache/records")]
    files = [file for part in folders if part.exists() for file in part.iterdir()]
    command = [sys.executable, "-m", "mergealgebra"]
    return {
        "read": _timed(lambda: [file.read_bytes() for file in files]),
        "first": first,
        "open": _timed(lambda: _open(store.path)),
        "join": _timed(lambda: _join(store, next(numbers))),
        "start": _timed(lambda: _run([*command, "--version"])),
        "status": _timed(lambda: _run([*command, "-C", str(folder), "status"])),
    }


def made(folder: Path, operations: int) -> Store:
    """A workspace of so many operations in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    store = Store.create(folder, GENESIS)
    write_local(store, folder / "base.safetensors")
    store.write_delta(ORSet(GENESIS, list(_operations(operations))))
    return store


def _operations(count: int) -> Iterator[Operation]:
    contributions = max(1, count // 100)
    for number in range((count - contributions) // 2):
        taken_back = add(number % contributions, number + contributions)
        yield taken_back
        yield Operation(GENESIS.workspace_id, Remove((taken_back.id,)), time=1_700_000_000 + number, name="Alice")
    for number in range(contributions):
        yield add(number, number)


def add(contribution: int, nonce: int) -> Operation:
    """An add of a contribution; numbers tell them apart."""
    manifest = Manifest(BASE, "3f800000", 4, "finetuned", hashlib.sha256(str(contribution).encode()).hexdigest())
    payload = Add(manifest, nonce.to_bytes(16))
    return Operation(GENESIS.workspace_id, payload, time=1_700_000_000 + nonce, note="three epochs", name="Alice")


def _open(folder: Path) -> None:
    Store.open(folder).state().visible_ids()


def _join(store: Store, number: int) -> None:
    store.write_operation(add(number, number))
    store.state().visible_ids()


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _timed(action: Callable[[], object], runs: int = RUNS) -> list[Run]:
    return [_seconds(action) for _ in range(runs)]


def _seconds(action: Callable[[], object]) -> Run:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    action()
    return {"wall": time.perf_counter() - wall, "cpu": _cpu_seconds() - cpu}


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Measure the numbers of operations of the command line, in a folder that may be written."""
    keep_bytecode()
    measure_each(seconds, ("wall", "cpu"))


def measure_each(measure: Callable[[Path, int], dict[str, list[Run]]], fields: tuple[str, ...]) -> None:
    """Measure in the folder that the command line names, for each number of operations there; print it as JSON."""
    folder, rows = Path(sys.argv[1]), []
    for operations in map(int, sys.argv[2:]):
        rows.append((operations, measure(folder, operations)))
        shutil.rmtree(folder)
    measurements = [
        {
            "labels": {"what": what, "operations": operations},
            "median": {field: statistics.median(run[field] for run in runs) for field in fields},
            "runs": runs,
        }
        for operations, row in rows
        for what, runs in row.items()
    ]
    print(json.dumps({"measurements": measurements}))


if __name__ == "__main__":
    main()
