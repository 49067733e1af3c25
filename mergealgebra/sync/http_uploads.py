"""Bodies that are read piece by piece: what has come of one is counted while its client is waited for [PR-23]."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import PeerError
from mergealgebra.sync.http_connections import Client, Connections, Waiting
from mergealgebra.sync.leaf_frames import HEAD_BYTES


@dataclass
class Coming:
    """The body of one request. What it yields is counted until it was worked at."""

    client: Client
    connections: Connections
    pieces: AsyncIterator[bytes]
    _rest: bytearray = field(default_factory=bytearray)

    @asynccontextmanager
    async def whole(self, most: int) -> AsyncGenerator[bytearray]:
        """All of a body. Raises PeerError when it is too long."""
        async with self._wait() as wait:
            while await self._more(wait):
                if len(self._rest) > most:
                    raise PeerError(f"what is asked has more than {most} bytes")
            self.connections.hold(wait)
            yield self._rest

    @asynccontextmanager
    async def frame(self) -> AsyncGenerator[tuple[memoryview, memoryview]]:
        """The next leaf: what is before it, and it as it travels. Raises PeerError when there is none, or too much."""
        async with self._wait() as wait:
            await self._fill(wait, HEAD_BYTES)
            nbytes = int.from_bytes(self._rest[1:HEAD_BYTES])
            if nbytes > LEAF_BYTES:
                raise PeerError(f"a leaf is said to come in {nbytes} bytes, and has at most {LEAF_BYTES}")
            await self._fill(wait, HEAD_BYTES + nbytes)
            self.connections.hold(wait)
            found = memoryview(self._rest)
            self._rest = self._rest[HEAD_BYTES + nbytes :]
            yield found[:HEAD_BYTES], found[HEAD_BYTES : HEAD_BYTES + nbytes]

    @asynccontextmanager
    async def _wait(self) -> AsyncGenerator[Waiting]:
        await self.connections.room()
        wait = self.connections.begin(self.client)
        try:
            self.connections.keep(wait, len(self._rest))
            yield wait
        finally:
            self.connections.end(wait)

    async def _fill(self, wait: Waiting, nbytes: int) -> None:
        while len(self._rest) < nbytes:
            if not await self._more(wait):
                raise PeerError("whoever gives them ends a run of leaves before its end; give them again")

    async def _more(self, wait: Waiting) -> bool:
        """Read the next piece; whether there was one."""
        async for piece in self.pieces:
            if piece:
                self.connections.keep(wait, len(piece))
                self._rest += piece
                return True
        return False
