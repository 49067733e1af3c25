"""The connections of a server: none waits for its client for ever, and where there are too many the laziest go [PR-23].

A connection waits while its client has not sent the whole head of a request, or the next bytes of a body, or has not
taken what was sent. Whoever opens hundreds of them and is slow loses those that have waited longest; nobody else waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long a client may take to send the head of a request.
HEAD_SECONDS = 60.0
#: Connections at one time.
MOST: Final = 500
#: Bytes of bodies and answers that wait for clients, of all connections together.
MOST_BYTES: Final = 1 << 26

#: A client's address, and its port.
Client = tuple[str, int]
NOBODY: Final = ("", 0)


def client_of(scope: Mapping[str, Any]) -> Client:
    """The client of a request (ASGI)."""
    return tuple(scope["client"] or NOBODY)


@dataclass
class Waiting:
    """One wait for a client, and the bytes that are kept meanwhile."""

    client: Client
    nbytes: int = 0
    is_held: bool = False


@dataclass
class Connections:
    """Those of one server, by their clients. It is used by one thread, that of the event loop."""

    most: int = MOST
    most_bytes: int = MOST_BYTES
    _open: dict[Client, asyncio.Transport] = field(default_factory=dict)
    _asked: Counter[Client] = field(default_factory=Counter)
    _heads: OrderedDict[Client, asyncio.TimerHandle] = field(default_factory=OrderedDict)
    _waits: OrderedDict[int, Waiting] = field(default_factory=OrderedDict)
    _nbytes: int = 0
    _held: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    def made(self, client: Client, transport: asyncio.Transport) -> None:
        """A client has connected; where there are too many, the one that has waited longest goes."""
        self._open[client] = transport
        if len(self._open) > self.most:
            self._cut_longest()
        self._expects_head(client)

    def secured(self, client: Client, transport: asyncio.Transport) -> bool:
        """A connection that was made is one of TLS now; whether it was kept meanwhile."""
        if client not in self._open:
            transport.abort()
            return False
        self._open[client] = transport
        return True

    def lost(self, client: Client) -> None:
        """A connection has ended."""
        self._open.pop(client, None)
        self._has_head(client)

    def is_open(self, client: Client) -> bool:
        """Whether a client is still there."""
        return client in self._open

    def asked(self, client: Client) -> None:
        """The head of a request has come."""
        self._asked[client] += 1
        self._has_head(client)

    def answered(self, client: Client) -> None:
        """A request was answered; the head of the next one is to come."""
        self._asked[client] -= 1
        if not self._asked[client]:  # where requests are sent without waiting, the next one may have begun already
            del self._asked[client]
            self._expects_head(client)

    def begin(self, client: Client) -> Waiting:
        """A wait for a client begins."""
        wait = Waiting(client)
        self._waits[id(wait)] = wait
        return wait

    def keep(self, wait: Waiting, nbytes: int) -> None:
        """So many more bytes are kept during a wait; where they are too many in all, the longest wait ends.

        Raises ClientDisconnect for a wait that has ended: its next bytes had come already when it was cut off.
        """
        if id(wait) not in self._waits:
            raise ClientDisconnect
        wait.nbytes += nbytes
        self._nbytes += nbytes
        while self._nbytes > self.most_bytes and self._waits:
            self.cut(self._end_first().client)

    def hold(self, wait: Waiting) -> None:
        """All has come that was waited for, and is worked at: the client keeps nobody waiting, its bytes are kept.

        Raises ClientDisconnect for a wait that has ended.
        """
        if self._waits.pop(id(wait), None) is None:
            raise ClientDisconnect
        wait.is_held = True
        self._held += wait.nbytes

    async def room(self) -> None:
        """Until what is worked at leaves room for the bytes of clients that have more to send."""
        while self._held > self.most_bytes // 2:
            self._freed.clear()
            await self._freed.wait()

    def end(self, wait: Waiting) -> None:
        """A wait is over, and what was kept is not any more."""
        if wait.is_held:
            wait.is_held = False
            self._held -= wait.nbytes
            self._nbytes -= wait.nbytes
            self._freed.set()
        elif self._waits.pop(id(wait), None) is not None:
            self._nbytes -= wait.nbytes

    def cut(self, client: Client) -> None:
        """End a connection at once, whatever is not sent yet."""
        self._has_head(client)
        if transport := self._open.pop(client, None):
            transport.abort()

    def _expects_head(self, client: Client) -> None:
        if client in self._open:
            self._heads[client] = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.cut, client)

    def _has_head(self, client: Client) -> None:
        if timer := self._heads.pop(client, None):
            timer.cancel()

    def _end_first(self) -> Waiting:
        _, wait = self._waits.popitem(last=False)
        self._nbytes -= wait.nbytes
        return wait

    def _cut_longest(self) -> None:
        """End the connection that has waited longest: for a head if there is one, as no work is lost then."""
        if self._heads:
            self.cut(next(iter(self._heads)))
        elif self._waits:
            self.cut(self._end_first().client)


class Watched(H11Protocol):  # type: ignore[misc]
    """uvicorn's protocol, whose connections are told of."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._watch = connections
        self._early = b""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.client is not None:
            self._watch.made(tuple(self.client), transport)

    def begin_secured(self, transport: Any) -> None:
        """Begin on a connection that was counted when it was made, before its handshake."""
        super().connection_made(transport)
        if self._early:
            super().data_received(self._early)

    def data_received(self, data: bytes) -> None:
        if self.transport is None:  # it came with the end of the handshake
            self._early += data
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is None:
            return
        with suppress(OSError):
            super().connection_lost(exc)
        if self.client is not None:
            self._watch.lost(tuple(self.client))
