"""A replica served over HTTP: what a `Service` answers, with bounds on sizes and times [PR-13].

    GET  /mergealgebra/1/genesis        POST /mergealgebra/1/CALL
    GET  /mergealgebra/1/blobs/ROOT     PUT  /mergealgebra/1/blobs/ROOT

Whoever reads or writes slowly costs a connection with small buffers, until it is cut off. starlette and uvicorn are
imported when a server is made: they come with the extra `net`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from anyio import CapacityLimiter, from_thread, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mergealgebra.errors import EncodingError, MergeAlgebraError, PeerError
from mergealgebra.sync import calls
from mergealgebra.sync.http_paths import BLOBS_PATH, PREFIX
from mergealgebra.sync.peer import Read
from mergealgebra.sync.service import Service

#: How long a client may take to take or send the next piece of a blob.
IDLE_SECONDS: Final = 60.0
#: Bytes of a blob in one piece: each slow reader keeps one.
PIECE_BYTES: Final = 1 << 18
#: Blobs that are taken at one time.
_UPLOADS: Final = 8
#: The longest blob that is taken: its claims bound it further.
_MOST_BYTES: Final = 1 << 53

_Send = Callable[[dict[str, Any]], Awaitable[None]]


def application(service: Service) -> Starlette:
    """The ASGI application of a service, which belongs behind a `Guard`."""
    served = _Served(service)
    return Starlette(
        routes=[
            Route(f"{PREFIX}/{calls.GENESIS}", served.genesis, methods=["GET"]),
            Route(f"{BLOBS_PATH}/{{root}}", served.blob, methods=["GET"]),
            Route(f"{BLOBS_PATH}/{{root}}", served.put_blob, methods=["PUT"]),
            Route(f"{PREFIX}/{{call}}", served.call, methods=["POST"]),
        ]
    )


@dataclass
class _Served:
    service: Service
    uploads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_UPLOADS))

    async def genesis(self, request: Request) -> Response:
        return await self._answered(partial(self.service.answer, calls.GENESIS, b""))

    async def call(self, request: Request) -> Response:
        asked = await request.body()  # bounded by the guard
        return await self._answered(partial(self.service.answer, str(request.path_params["call"]), asked))

    async def blob(self, request: Request) -> Any:
        opened = self.service.blob(str(request.path_params["root"]))
        try:
            size, read = await to_thread.run_sync(opened.__enter__)
        except MergeAlgebraError as error:
            return _refused(error)
        return _Sending(size, read, partial(opened.__exit__, None, None, None))

    async def put_blob(self, request: Request) -> Response:
        try:
            nbytes = _length(request)
        except PeerError as error:
            return _refused(error)
        read = _Reading(request.stream(), nbytes).read
        take = partial(self.service.take_blob, str(request.path_params["root"]), nbytes, read)
        try:
            await to_thread.run_sync(take, limiter=self.uploads)
        except MergeAlgebraError as error:
            return _refused(error)
        except TimeoutError:
            return PlainTextResponse("the tensors came too slowly", 408)
        return Response(b"")

    async def _answered(self, answer: Callable[[], bytes]) -> Response:
        try:
            return Response(await to_thread.run_sync(answer), media_type="application/octet-stream")
        except MergeAlgebraError as error:
            return _refused(error)


def _refused(error: MergeAlgebraError) -> Response:
    """What was wrong with what was asked, or with what is here, in one line."""
    return PlainTextResponse(str(error), 400 if isinstance(error, PeerError | EncodingError) else 500)


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_BYTES:
        raise PeerError("the number of bytes is missing, or not a number that a blob may have")
    return int(text)


@dataclass
class _Reading:
    """The body of a request, read piece by piece by another thread."""

    pieces: AsyncIterator[bytes]
    left: int
    rest: bytes = b""

    def read(self, nbytes: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        while not self.rest and self.left:
            self.rest = from_thread.run(self._next)
            if not self.rest:
                return b""
        piece, self.rest = self.rest[: min(nbytes, self.left)], self.rest[nbytes:]
        self.left -= len(piece)
        return piece

    async def _next(self) -> bytes:
        async with asyncio.timeout(IDLE_SECONDS):
            async for piece in self.pieces:
                if piece:
                    return piece
        return b""


@dataclass
class _Sending:
    """A blob as a response: each piece is read when the client has taken those before it."""

    size: int
    read: Read
    close: Callable[[], object]

    async def __call__(self, scope: object, receive: object, send: _Send) -> None:
        try:
            headers = [(b"content-length", str(self.size).encode()), (b"content-type", b"application/octet-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            left = self.size
            while left:
                piece = await to_thread.run_sync(self.read, min(left, PIECE_BYTES))
                if not piece:
                    break  # it became shorter: the connection is closed, and the client sees that it lacks bytes
                left -= len(piece)
                async with asyncio.timeout(IDLE_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
            if not self.size:
                await send({"type": "http.response.body", "body": b""})
        finally:
            self.close()
