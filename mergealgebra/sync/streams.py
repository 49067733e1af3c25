"""A replica served over the standard streams of this process [PR-14]."""

from __future__ import annotations

from typing import BinaryIO

from mergealgebra.errors import EncodingError, MergeAlgebraError, PeerError
from mergealgebra.sync import calls, frames
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


def _answer(service: Service, call: str, body: frames.Body, sink: BinaryIO) -> None:
    if call == frames.BLOB:
        with service.blob(_root(body)) as (size, read):
            frames.write_answer(sink.write, size)
            sent = frames.Body(read, size)
            while piece := sent.read(frames.PIECE_BYTES):
                sink.write(piece)
            if sent.left:  # it became shorter: whoever reads must see that, and nothing else can follow
                raise SystemExit(1)
        return
    if call == frames.PUT_BLOB:
        root = _root(body)
        service.take_blob(root, body.left, body.read)
        body.drain()
        found = b""
    else:
        if body.left > calls.most_asked(call):
            raise PeerError(f"the call {call} has {body.left} bytes, at most {calls.most_asked(call)} are allowed")
        found = service.answer(call, frames.exactly(body.read, body.left))
    frames.write_answer(sink.write, len(found))
    sink.write(found)


def _root(body: frames.Body) -> str:
    return frames.exactly(body.read, min(body.left, ID_BYTES)).hex()
