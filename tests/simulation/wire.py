"""The wire between a replica and a live peer: messages are lost, cut and altered, and the peer dies in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from mergealgebra.errors import PeerError
from mergealgebra.sync.calls import Run
from mergealgebra.sync.leaf_frames import Fill, exact, pieces_read
from mergealgebra.sync.service import InMemory, Service
from tests.simulation.damage import flip
from tests.simulation.disk import PowerCut, PowerDisk

#: What may befall a message: it does not arrive, its answer does not, or only half of that, or with another bit, or all
#: that follow do not arrive either.
MISHAPS = ("lost", "unanswered", "cut", "altered", "silent")
T = TypeVar("T")


@dataclass
class Wire:
    """Carries calls to a service in memory. mishap: what befalls the message of this number, from 0.

    falls: after so many writing calls the peer's process dies; None if it lives.
    """

    service: Service
    disk: PowerDisk
    mishap: str = ""
    number: int = 0
    falls: int | None = None
    name: str = "http://peer.example"
    dead: bool = False
    _messages: int = 0

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """As in Carrier."""
        found = self._carried(lambda: self._memory.call(call, asked, most))
        if self._befalls("cut"):
            return found[: len(found) // 2]
        return flip(found, 37 * self.number + 5) if found and self._befalls("altered") else found

    def blob_map(self, root: str, most: int) -> bytes:
        """As in Carrier."""
        return self._carried(lambda: self._memory.blob_map(root, most))

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Fill]:
        """As in Carrier: all frames at once, as a message."""
        came = self._carried(lambda: self._frames(run, packing))
        if self._befalls("cut"):
            came = came[: len(came) // 2]
        elif self._befalls("altered"):
            came = flip(came, 37 * self.number + 5)
        yield exact(self.name, pieces_read(iter([came])))

    def put_map(self, root: str, data: bytes, most: int) -> bytes:
        """As in Carrier."""
        return self._carried(lambda: self._memory.put_map(root, data, most))

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """As in Carrier."""
        self._carried(lambda: self._memory.put_leaves(run, frames))

    def cut(self) -> None:
        """As in Carrier: nobody waits here."""

    def _frames(self, run: Run, packing: int) -> bytes:
        with self.service.blobs.leaves(run, packing) as found:
            return b"".join(found.pieces)

    @property
    def _memory(self) -> InMemory:
        return InMemory(self.service, self.name)

    def _carried(self, step: Callable[[], T]) -> T:
        self._messages += 1
        if self.dead or self._befalls("lost"):
            raise PeerError(f"{self.name} does not answer")
        if self._befalls("silent"):
            self.dead = True
            raise PeerError(f"{self.name} has gone silent")
        found = self._served(step)
        if self._befalls("unanswered"):
            raise PeerError(f"{self.name} answers, and nothing arrives")
        return found

    def _served(self, step: Callable[[], T]) -> T:
        """What the peer's process answers, unless it dies over it."""
        if self.falls is None:
            return step()
        try:
            self.disk.limit(self.falls)
            return step()
        except PowerCut:
            self.dead = True
            raise PeerError(f"{self.name} was cut off") from None
        finally:
            self.falls = self.disk.limit(None)

    def _befalls(self, what: str) -> bool:
        return self.mishap == what and self._messages == self.number + 1
