"""A replica served over HTTP: what a `Service` answers, with bounds on sizes and times [PR-13].

    GET  /mergealgebra/1/genesis            POST /mergealgebra/1/CALL
    GET  /mergealgebra/1/blobs/ROOT/map     PUT  /mergealgebra/1/blobs/ROOT/map
    GET  /mergealgebra/1/blobs/ROOT/leaves/FIRST/COUNT/PACKING
    PUT  /mergealgebra/1/blobs/ROOT/leaves/FIRST/COUNT

Whoever reads or writes slowly costs a connection with small buffers, until it is cut off. starlette and uvicorn are
imported when a server is made: they come with the extra `net`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from anyio import CapacityLimiter, from_thread, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import EncodingError, MergeAlgebraError, PeerError
from mergealgebra.sync import calls
from mergealgebra.sync.calls import Run
from mergealgebra.sync.http_paths import BLOBS_PATH, PREFIX
from mergealgebra.sync.leaf_frames import HEAD_BYTES, exact
from mergealgebra.sync.service import Service

#: How long a client may take to take or send the next piece of a blob.
IDLE_SECONDS: Final = 60.0
#: Runs of leaves that are taken at one time.
_UPLOADS: Final = 8
#: Leaves that are read, and perhaps packed, at one time: packing one takes several times its memory.
_READERS: Final = 8
#: The longest run of leaves that is taken: what its map says bounds it further.
_MOST_BYTES: Final = calls.MOST_LEAVES * (LEAF_BYTES + HEAD_BYTES)
_LEAVES: Final = f"{BLOBS_PATH}/{{root}}/leaves/{{first:int}}/{{count:int}}"

_Send = Callable[[dict[str, Any]], Awaitable[None]]


def application(service: Service) -> Starlette:
    """The ASGI application of a service, which belongs behind a `Guard`."""
    served = _Served(service)
    return Starlette(
        routes=[
            Route(f"{PREFIX}/{calls.GENESIS}", served.genesis, methods=["GET"]),
            Route(f"{BLOBS_PATH}/{{root}}/map", served.blob_map, methods=["GET"]),
            Route(f"{BLOBS_PATH}/{{root}}/map", served.put_map, methods=["PUT"]),
            Route(f"{_LEAVES}/{{packing:int}}", served.leaves, methods=["GET"]),
            Route(_LEAVES, served.put_leaves, methods=["PUT"]),
            Route(f"{PREFIX}/{{call}}", served.call, methods=["POST"]),
        ]
    )


@dataclass
class _Served:
    service: Service
    uploads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_UPLOADS))
    readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_READERS))

    async def genesis(self, request: Request) -> Response:
        return await self._answered(partial(self.service.answer, calls.GENESIS, b""))

    async def call(self, request: Request) -> Response:
        asked = await request.body()  # bounded by the guard
        return await self._answered(partial(self.service.answer, str(request.path_params["call"]), asked))

    async def blob_map(self, request: Request) -> Response:
        return await self._answered(partial(self.service.blobs.map_of, _root(request)))

    async def leaves(self, request: Request) -> Any:
        opened = self.service.blobs.leaves(_run(request), request.path_params["packing"])
        try:
            found = await to_thread.run_sync(opened.__enter__)
        except MergeAlgebraError as error:
            return _refused(error)
        return _Sending(found.nbytes, found.pieces, partial(opened.__exit__, None, None, None), self.readers)

    async def put_map(self, request: Request) -> Response:
        root = _root(request)
        try:
            most = await to_thread.run_sync(self.service.blobs.most_map, root)
            async with self.uploads:  # or each slow client would have one in memory
                asked = await _body(request, most)
        except MergeAlgebraError as error:
            return _refused(error)
        except TimeoutError:
            return PlainTextResponse("the map came too slowly", 408)
        return await self._answered(partial(self.service.blobs.take_map, root, asked), self.uploads)

    async def put_leaves(self, request: Request) -> Response:
        try:
            nbytes = _length(request)
            fill = exact("whoever gives them", _Reading(request.stream(), nbytes).read_into)
            take = partial(self.service.blobs.take_leaves, _run(request), nbytes, fill)
            await to_thread.run_sync(take, limiter=self.uploads)
        except MergeAlgebraError as error:
            return _refused(error)
        except TimeoutError:
            return PlainTextResponse("the leaves came too slowly", 408)
        return Response(b"")

    async def _answered(self, answer: Callable[[], bytes], limiter: CapacityLimiter | None = None) -> Response:
        try:
            found = await to_thread.run_sync(answer, limiter=limiter)
            return Response(found, media_type="application/octet-stream")
        except MergeAlgebraError as error:
            return _refused(error)


async def _body(request: Request, most: int) -> bytes:
    """The whole of what is asked; the guard bounds the time. Raises PeerError when it is too long."""
    pieces, nbytes = [], 0
    async for piece in request.stream():
        nbytes += len(piece)
        if nbytes > most:
            raise PeerError(f"what is asked has more than {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _refused(error: MergeAlgebraError) -> Response:
    """What was wrong with what was asked, or with what is here, in one line."""
    return PlainTextResponse(str(error), 400 if isinstance(error, PeerError | EncodingError) else 500)


def _root(request: Request) -> str:
    return str(request.path_params["root"])


def _run(request: Request) -> Run:
    return Run(_root(request), request.path_params["first"], request.path_params["count"])


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_BYTES:
        raise PeerError("the number of bytes is missing, or not one that leaves may have")
    return int(text)


@dataclass
class _Reading:
    """The body of a request, read piece by piece by another thread."""

    pieces: AsyncIterator[bytes]
    left: int
    rest: memoryview = field(default_factory=lambda: memoryview(b""))

    def read_into(self, buffer: memoryview) -> int:
        """Read the next bytes into a buffer; how many there were, 0 at the end."""
        while not len(self.rest) and self.left:
            self.rest = memoryview(from_thread.run(self._next))
            if not len(self.rest):
                return 0
        count = min(len(buffer), len(self.rest), self.left)
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        self.left -= count
        return count

    async def _next(self) -> bytes:
        async with asyncio.timeout(IDLE_SECONDS):
            async for piece in self.pieces:
                if piece:
                    return piece
        return b""


@dataclass
class _Sending:
    """Leaves as a response: each piece is read when the client has taken those before it.

    size: of all, if it is known. readers: how many are read at one time.
    """

    size: int | None
    pieces: Iterator[bytes | memoryview]
    close: Callable[[], object]
    readers: CapacityLimiter

    async def __call__(self, scope: object, receive: object, send: _Send) -> None:
        try:
            length = [] if self.size is None else [(b"content-length", str(self.size).encode())]
            headers = [*length, (b"content-type", b"application/octet-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while (piece := await to_thread.run_sync(next, self.pieces, None, limiter=self.readers)) is not None:
                async with asyncio.timeout(IDLE_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                del piece  # it is not counted while the next one is waited for
            await send({"type": "http.response.body", "body": b""})
        except MergeAlgebraError:
            return  # the blob is damaged: the connection is closed, and the client sees that it lacks bytes
        finally:
            self.close()
