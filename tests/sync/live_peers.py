"""Live peers for tests: a store served from memory, and what may go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mergealgebra.store.objects import Store
from mergealgebra.sync.peer import CarriedPeer, Read
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

    @contextmanager
    def blob(self, root: str) -> Iterator[Read]:
        with InMemory(self.service, self.name).blob(root) as read:
            yield lambda nbytes: self.change("blob", read(min(nbytes, 64)))

    def put_blob(self, root: str, nbytes: int, read: Read) -> None:
        InMemory(self.service, self.name).put_blob(root, nbytes, read)

    @property
    def peer(self) -> CarriedPeer:
        return CarriedPeer(self)


def wire_to(store: Store, *, writes: bool = True, **changes) -> Wire:
    """A wire to a store."""
    return Wire(Service(store, writes), **changes)
