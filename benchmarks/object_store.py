"""Requests and bytes of syncing with an object store: python object_store.py FOLDER 1000 100000

Prints a table. The store is in memory and counts what is asked of it; the numbers are the same on every machine. A list
counts as many requests as S3 makes of it, one for 1,000 names. There are no tensors.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from opening import GENESIS, add, made

from mergealgebra.crdt.orset import ORSet
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.sync.object_store import Listed, NotThere, Opened
from mergealgebra.sync.object_sync import create_share, sync_objects

_PAGE = 1000
#: How many operations are given one by one, so that packs are merged on the way.
MORE = 100


class Counted:
    """A store in memory. counted: requests by kind, and the bytes of bodies."""

    name = "memory://bucket"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.counted: Counter[str] = Counter()

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """As in ObjectStore."""
        self.counted["GET"] += 1
        if key not in self.objects:
            raise NotThere(key)
        self.counted["bytes"] += len(self.objects[key])
        yield Opened(len(self.objects[key]), BytesIO(self.objects[key]).read)

    def put(self, key: str, data: bytes) -> None:
        """As in ObjectStore."""
        self.counted["PUT"] += 1
        self.counted["bytes"] += len(data)
        self.objects[key] = data

    def list(self, folder: str) -> Mapping[str, Listed]:
        """As in ObjectStore."""
        names = [key for key in self.objects if key.startswith(folder)]
        self.counted["LIST"] += 1 + len(names) // _PAGE
        return {key.removeprefix(f"{folder}/"): Listed(len(self.objects[key]), 0.0) for key in names}

    def delete(self, key: str) -> None:
        """As in ObjectStore."""
        self.counted["DELETE"] += 1
        self.objects.pop(key, None)


def measured(folder: Path, operations: int) -> Iterator[tuple[str, Mapping[str, int]]]:
    """What a sync costs in each state of a replica of so many operations and the store."""
    objects, store = Counted(), made(folder / "ours", operations)
    write_local(store, folder / "base")
    create_share(objects, GENESIS)
    yield "the first upload", _sync(store, objects)
    yield "nothing new", _sync(store, objects)
    store.write_delta(ORSet(GENESIS, [add(operations, operations)]))
    yield "one new operation given", _sync(store, objects)
    other = Store.create(folder / "theirs", GENESIS)
    write_local(other, folder / "base")
    yield "the first download", _sync(other, objects)
    store.write_delta(ORSet(GENESIS, [add(operations + 1, operations + 1)]))
    _sync(store, objects)
    yield "one new operation taken", _sync(other, objects)
    total: Counter[str] = Counter()
    for more in range(2, 2 + MORE):
        store.write_delta(ORSet(GENESIS, [add(operations + more, operations + more)]))
        total += _sync(store, objects)
    yield f"{MORE} more, each given by itself, together", total


def _sync(store: Store, objects: Counted) -> Counter[str]:
    objects.counted.clear()
    result = sync_objects(store, objects)
    if result.refused:
        raise SystemExit(f"something was refused: {result.refused[0]}")
    return Counter(objects.counted)


def main() -> None:
    """Measure the numbers of operations of the command line, in a folder that may be written."""
    folder = Path(sys.argv[1])
    print("| operations | sync | GET | PUT | LIST | bytes |\n|---|---|---|---|---|---|")
    for operations in map(int, sys.argv[2:]):
        for what, found in measured(folder, operations):
            kinds = " | ".join(str(found[kind]) for kind in ("GET", "PUT", "LIST"))
            print(f"| {operations:,} | {what} | {kinds} | {found['bytes']:,} |")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
