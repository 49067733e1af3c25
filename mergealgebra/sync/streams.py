"""A replica served over the standard streams of this process [PR-14]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from mergealgebra.errors import EncodingError, MergeAlgebraError, PeerError
from mergealgebra.sync import calls, frames
from mergealgebra.sync.leaf_frames import exact
from mergealgebra.sync.ranges import ID_BYTES
from mergealgebra.sync.service import Service


def serve_streams(service: Service, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every question that comes, until there is none. Raises PeerError for what is not a question."""
    while True:
        try:
            head = frames.read_question(source.read)
        except EncodingError as error:
            raise PeerError(f"what comes is not a question: {error}") from error
        if head is None:
            return
        call, nbytes = head
        body = frames.Body(source.read, nbytes)
        try:
            _answer(service, call, body, sink)
        except MergeAlgebraError as error:
            body.drain()
            if body.left:
                raise PeerError("a question ends before its end") from error
            frames.write_refusal(sink.write, str(error))
        sink.flush()


def refuse_streams(why: MergeAlgebraError, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer the first question with why nothing is served here, so that whoever asked is told it once."""
    with suppress(EncodingError):
        if (head := frames.read_question(source.read)) is not None:
            frames.Body(source.read, head[1]).drain()
            frames.write_refusal(sink.write, str(why))
            sink.flush()


def _answer(service: Service, call: str, body: frames.Body, sink: BinaryIO) -> None:
    if call == frames.LEAVES:
        _send_leaves(service, body, sink)
        return
    if call == frames.MAP:
        found = service.blobs.map_of(_root(body))
    elif call == frames.PUT_MAP:
        root = _root(body)
        if body.left > (most := service.blobs.most_map(root)):
            raise PeerError(f"the map has {body.left} bytes, at most {most} are allowed")
        found = service.blobs.take_map(root, frames.exactly(body.read, body.left))
    elif call == frames.PUT_LEAVES:
        run = frames.read_run(body)
        service.blobs.take_leaves(run, body.left, exact("whoever gives it", _into(body)))
        found = b""
    else:
        if body.left > calls.most_asked(call):
            raise PeerError(f"the call {call} has {body.left} bytes, at most {calls.most_asked(call)} are allowed")
        found = service.answer(call, frames.exactly(body.read, body.left))
    frames.write_answer(sink.write, len(found))
    sink.write(found)


def _send_leaves(service: Service, body: frames.Body, sink: BinaryIO) -> None:
    run = frames.read_run(body)
    packing = frames.exactly(body.read, min(body.left, 1))
    if len(packing) != 1:
        raise PeerError("what can be unpacked is not said")
    with service.blobs.leaves(run, packing[0]) as found:
        nbytes, pieces = found.nbytes, found.pieces
        if nbytes is None:  # how long they are packed is known when they are
            ready = list(pieces)
            nbytes, pieces = sum(map(len, ready)), iter(ready)
        frames.write_answer(sink.write, nbytes)
        try:
            for piece in pieces:
                sink.write(piece)
        except MergeAlgebraError as error:  # whoever reads must see that it is cut short, and nothing else can follow
            raise SystemExit(1) from error


def _into(body: frames.Body) -> Callable[[memoryview], int]:
    def read(buffer: memoryview) -> int:
        piece = body.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    return read


def _root(body: frames.Body) -> str:
    return frames.exactly(body.read, min(body.left, ID_BYTES)).hex()
