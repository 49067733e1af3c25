"""What stands before the routes of a server: who may ask, how long, and how much [PR-21, PR-23].

It knows nothing of what is asked, so it holds for every path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from anyio import to_thread
from starlette.requests import ClientDisconnect

from mergealgebra.errors import MergeAlgebraError, NotMember, PeerError, SignatureRefused
from mergealgebra.sync import calls
from mergealgebra.sync.admittance import Admittance
from mergealgebra.sync.challenges import SCHEME, SignedHeader
from mergealgebra.sync.http_connections import NOBODY, Client, Connections, Waiting, client_of
from mergealgebra.sync.http_paths import CHALLENGE_PATH, PREFIX

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

#: How long a client may keep a server waiting in all, beside the time that its bytes take at the least rate.
IDLE_SECONDS = 60.0
LEAST_RATE = 4096
#: Bytes that are handed to a connection at once.
PIECE_BYTES: Final = 1 << 16


@dataclass
class Guard:
    """An application that takes only what its rules admit, at a bounded cost."""

    application: Application
    admittance: Admittance
    connections: Connections

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            raise PeerError(f"a server answers no {scope['type']}")
        client = client_of(scope)
        asking = _Asking(client, self.connections, receive, send)
        self.connections.asked(client)
        try:
            await self._answer(scope, asking)
        except (_TooSlow, TimeoutError, ClientDisconnect):
            self.connections.cut(client)
            await asyncio.sleep(0.01)  # until the connection has noticed, else it takes this for a mistake of ours
        finally:
            asking.release()
            self.connections.answered(client)

    async def _answer(self, scope: Message, asking: _Asking) -> None:
        method, path = str(scope["method"]), scope["raw_path"].decode("ascii", "replace")
        if path == CHALLENGE_PATH and method == "GET":
            await self._challenge(asking.send)
            return
        try:
            await self._admit(scope, asking, method, path)
        except MergeAlgebraError as error:
            if isinstance(error, SignatureRefused | NotMember) and method == "POST":
                await asking.drain()
            await _refuse(asking.send, error)
        except TimeoutError:
            await _say(asking.send, 408, "what was asked came too slowly")
        else:
            await self.application(scope, asking.receive, asking.send)

    async def _admit(self, scope: Message, asking: _Asking, method: str, path: str) -> None:
        """Raise MergeAlgebraError unless the request is admitted; its body stays with `asking` alone."""
        signed = await self._begin(scope, method, path)
        body = await asking.body(_most(path)) if method == "POST" else b""
        if signed is not None:
            query = scope["query_string"].decode("ascii", "replace")
            target = path + (f"?{query}" if query else "")
            await to_thread.run_sync(self.admittance.finish, signed, method, target, body)

    async def _begin(self, scope: Message, method: str, path: str) -> SignedHeader | None:
        """What the request says of itself, where it needs a signature."""
        if not self.admittance.needs_signature(method, path):
            return None
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        header = found[0].decode("latin-1") if len(found) == 1 else None
        signed: SignedHeader = await to_thread.run_sync(self.admittance.begin, header, scope["server"])
        return signed

    async def _challenge(self, send: Send) -> None:
        challenger = self.admittance.challenger
        if challenger is None:
            await _say(send, 404, "this workspace is open, nobody signs for it")
            return
        headers = [(b"content-type", b"application/octet-stream"), (b"cache-control", b"no-store")]
        await _respond(send, 200, headers, challenger.answer())


class _TooSlow(Exception):
    """A client takes what it is sent too slowly."""


@dataclass
class _Asking:
    """One request: its client may not keep the server waiting for long, nor make it keep much."""

    client: Client
    connections: Connections
    _receive: Receive
    _send: Send
    _body: bytes | None = None
    _more: bool = True
    _spent: float = 0.0
    _nbytes: int = 0
    _wait: Waiting | None = None

    async def body(self, most: int) -> bytes:
        """All of the body, which the application then receives at once. Raises PeerError and TimeoutError.

        It is counted until `release`, or until an answer begins.
        """
        pieces, nbytes = [], 0
        await self.connections.room()
        self._wait = wait = self.connections.begin(self.client)
        try:
            while self._more:
                message = await self._next()
                if message["type"] == "http.disconnect":
                    raise PeerError("the connection ended before what is asked did")
                piece = message.get("body", b"")
                self.connections.keep(wait, len(piece))
                pieces.append(piece)
                nbytes += len(piece)
                if nbytes > most:
                    raise PeerError(f"what is asked has more than {most} bytes")
            self.connections.hold(wait)
        except BaseException:
            self.release()
            raise
        self._body = b"".join(pieces)
        return self._body

    def release(self) -> None:
        """The body was worked at."""
        self._body = None
        if self._wait is not None:
            self.connections.end(self._wait)
            self._wait = None

    async def receive(self) -> Message:
        """The next message, as the application asks for it."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        wait = self.connections.begin(self.client)
        try:
            return await self._next()
        finally:
            self.connections.end(wait)

    async def send(self, message: Message) -> None:
        """Send a message, in pieces that wait until the client has taken those before them."""
        self.release()
        body = message.get("body", b"")
        if len(body) <= PIECE_BYTES:
            await self._sent(message, len(body))
            return
        wait = self.connections.begin(self.client)
        self.connections.keep(wait, len(body))
        try:
            for at in range(0, len(body), PIECE_BYTES):
                more = at + PIECE_BYTES < len(body) or message.get("more_body", False)
                await self._sent({**message, "body": body[at : at + PIECE_BYTES], "more_body": more}, PIECE_BYTES)
        finally:
            self.connections.end(wait)

    async def drain(self) -> None:
        """Read what is left of a body that is refused unread, so that its client comes to read why."""
        left = max(most for most, _ in calls.CALLS.values())
        wait = self.connections.begin(self.client)
        try:
            with suppress(TimeoutError):
                while self._more and left > 0:
                    left -= len((await self._next()).get("body", b""))
        finally:
            self.connections.end(wait)

    async def _next(self) -> Message:
        async with asyncio.timeout(self._left()):
            began = asyncio.get_running_loop().time()
            message = await self._receive()
        self._count(began, len(message.get("body", b"")))
        self._more = message.get("more_body", False)
        return message

    async def _sent(self, message: Message, nbytes: int) -> None:
        if self.client != NOBODY and not self.connections.is_open(self.client):
            raise ClientDisconnect  # or all of a blob would be read for nobody
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._left() + nbytes / LEAST_RATE):
                await self._send(message)
        except TimeoutError:
            raise _TooSlow from None
        self._count(began, nbytes)

    def _left(self) -> float:
        """How many seconds the client may still keep the server waiting."""
        return max(0.0, IDLE_SECONDS + self._nbytes / LEAST_RATE - self._spent)

    def _count(self, began: float, nbytes: int) -> None:
        self._spent += asyncio.get_running_loop().time() - began
        self._nbytes += nbytes


def _most(path: str) -> int:
    """The most bytes of what is asked in a call. Raises PeerError for one that there is not."""
    return calls.most_asked(path.removeprefix(f"{PREFIX}/"))


async def _refuse(send: Send, error: MergeAlgebraError) -> None:
    """Say in one line why a request is not taken."""
    if isinstance(error, SignatureRefused):
        await _say(send, 401, str(error))
    elif isinstance(error, NotMember):
        await _say(send, 403, str(error))
    else:
        await _say(send, 400 if isinstance(error, PeerError) else 500, str(error))


async def _say(send: Send, status: int, line: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", SCHEME.encode()))
    await _respond(send, status, headers, line.encode())


async def _respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
