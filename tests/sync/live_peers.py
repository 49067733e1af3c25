"""Live peers for tests: a store served from memory, and what may go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mergealgebra.store.objects import Store
from mergealgebra.sync.calls import Run
from mergealgebra.sync.leaf_frames import Fill, exact, pieces_read
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import InMemory, Service

BOB = "http://bob.example"


@dataclass
class Wire:
    """Carries calls to a service; `change` may alter what comes back, `asked` keeps what went there."""

    service: Service
    change: Callable[[str, bytes], bytes] = lambda call, data: data
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    name: str = BOB

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        self.asked.append((call, asked))
        found = self.change(call, InMemory(self.service, self.name).call(call, asked, most))
        assert len(found) <= most
        return found

    def blob_map(self, root: str, most: int) -> bytes:
        return self.change("map", InMemory(self.service, self.name).blob_map(root, most))

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Fill]:
        with self.service.blobs.leaves(run, packing) as found:
            came = self.change("leaves", b"".join(found.pieces))
        yield exact(self.name, pieces_read(iter([came])))

    def put_map(self, root: str, data: bytes, most: int) -> bytes:
        return self.change("put-map", InMemory(self.service, self.name).put_map(root, data, most))

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        InMemory(self.service, self.name).put_leaves(run, frames)

    def cut(self) -> None:
        pass

    @property
    def peer(self) -> CarriedPeer:
        return CarriedPeer(self)


def wire_to(store: Store, *, writes: bool = True, **changes) -> Wire:
    """A wire to a store."""
    return Wire(Service(store, writes), **changes)
