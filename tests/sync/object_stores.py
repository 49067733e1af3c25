"""Object stores for tests: one in memory that counts what is asked of it, and what stores may lack."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mergealgebra.errors import PeerError
from mergealgebra.sync.object_store import Listed, NotThere, Opened

DAY = 24 * 60 * 60.0


@dataclass
class MemoryObjects:
    """Objects in memory. lists, writes, deletes: what the store does at all. now: its clock.

    asked: each call with its key. moved: bytes that came and went. step: called before each call, as another writer's
    turn.
    """

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    lists: bool = True
    writes: bool = True
    deletes: bool = True
    now: float = 0.0
    name: str = "memory://bucket"
    asked: list[tuple[str, str]] = field(default_factory=list)
    moved: Counter[str] = field(default_factory=Counter)
    step: Callable[[], object] = lambda: None

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        self._ask("get", key)
        if key not in self.objects:
            raise NotThere(f"{self.name} has no {key}")
        data, at = self.objects[key][0], 0

        def read(most: int) -> bytes:
            nonlocal at
            piece = data[at : at + most]
            at += len(piece)
            self.moved["read"] += len(piece)
            return piece

        yield Opened(len(data), read)

    def put(self, key: str, data: bytes) -> None:
        self._ask("put", key)
        self._refuse_unless(self.writes)
        self.moved["written"] += len(data)
        self.objects[key] = data, self.now

    def list(self, folder: str) -> Mapping[str, Listed] | None:
        self._ask("list", folder)
        if not self.lists:
            return None
        start = f"{folder}/" if folder else ""
        found = {key.removeprefix(start): told for key, told in self.objects.items() if key.startswith(start)}
        return {key: Listed(len(data), modified) for key, (data, modified) in found.items()}

    def delete(self, key: str) -> None:
        self._ask("delete", key)
        self._refuse_unless(self.deletes)
        self.objects.pop(key, None)

    def keys(self, folder: str) -> set[str]:
        return {key.removeprefix(f"{folder}/") for key in self.objects if key.startswith(f"{folder}/")}

    def spoil(self, key: str, at: int = -1) -> None:
        """Change a byte of an object."""
        data = bytearray(self.objects[key][0])
        data[at] ^= 1
        self.objects[key] = bytes(data), self.objects[key][1]

    def counted(self) -> dict[str, int]:
        """How many calls of each kind there were since the last time."""
        found = Counter(call for call, _ in self.asked)
        self.asked.clear()
        return dict(found)

    def _ask(self, call: str, key: str) -> None:
        self.step()
        self.asked.append((call, key))

    def _refuse_unless(self, allowed: bool) -> None:
        if not allowed:
            raise PeerError(f"{self.name} does not do that")


class Turns:
    """Threads that take turns at random at each call of a store: one runs at a time."""

    def __init__(self, random) -> None:
        self._random, self._lock, self._waiting = random, threading.Condition(), dict[int, bool]()

    def run(self, *work: Callable[[], object]) -> list[BaseException]:
        """Run these, interleaved; what they raised."""
        errors: list[BaseException] = []
        threads = [threading.Thread(target=self._run, args=(one, errors)) for one in work]
        self._expected = len(work)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    def _run(self, work: Callable[[], object], errors: list[BaseException]) -> None:
        self.step()
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            with self._lock:
                self._expected -= 1
                self._choose()

    def step(self) -> None:
        """Wait for the next turn."""
        me = threading.get_ident()
        with self._lock:
            self._waiting[me] = False
            self._choose()
            self._lock.wait_for(lambda: self._waiting[me])
            del self._waiting[me]

    def _choose(self) -> None:
        if self._waiting and len(self._waiting) == self._expected and not any(self._waiting.values()):
            self._waiting[self._random.choice(sorted(self._waiting))] = True
            self._lock.notify_all()
