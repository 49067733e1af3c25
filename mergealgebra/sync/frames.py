"""Calls over two streams of bytes, as those of a process are [PR-14].

    4 bytes, the length of a head    the head, a canonical map    as many bytes of a body as the head says

A question's head has the call and the length of its body; an answer's has that length, and a reason if it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mergealgebra.crdt.fields import map_with_keys
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import PeerError
from mergealgebra.sync import calls
from mergealgebra.sync.calls import Run
from mergealgebra.sync.message_fields import number_of
from mergealgebra.sync.peer import Read
from mergealgebra.text import shortened, shown

#: A map and a run of leaves that are asked for, and those that are given: behind the root, or the run.
MAP: Final = "map"
LEAVES: Final = "leaves"
PUT_MAP: Final = "put-map"
PUT_LEAVES: Final = "put-leaves"
_RUN_BYTES: Final = 32 + 4 + 1

_HEAD_BYTES: Final = 1 << 12
_MOST_BYTES: Final = 1 << 53
PIECE_BYTES: Final = 1 << 20

Write = Callable[[bytes], object]


def write_run(run: Run) -> bytes:
    """The root, the number of the first leaf, how many leaves."""
    return bytes.fromhex(run.root) + run.first.to_bytes(4) + bytes([run.count])


def read_run(body: Body) -> Run:
    """The same from the next bytes. Raises PeerError."""
    data = exactly(body.read, min(body.left, _RUN_BYTES))
    if len(data) < _RUN_BYTES:
        raise PeerError(f"a run is named by {_RUN_BYTES} bytes, not by {len(data)}")
    return Run(data[:32].hex(), int.from_bytes(data[32:36]), data[36]).checked()


def write_question(write: Write, call: str, nbytes: int) -> None:
    """The head of a question, whose body follows."""
    _write_head(write, {"bytes": nbytes, "call": call})


def read_question(read: Read) -> tuple[str, int] | None:
    """The call and the length of its body; None where the stream ends. Raises PeerError or EncodingError."""
    head = _read_head(read)
    if head is None:
        return None
    found = map_with_keys(head, {"bytes", "call"}, "a question's head", PeerError)
    if not isinstance(found["call"], str):
        raise PeerError(f"the call is {shown(found['call'])}, not text")
    return found["call"], number_of(found["bytes"], range(_MOST_BYTES), "the length of a body")


def write_answer(write: Write, nbytes: int) -> None:
    """The head of an answer, whose body follows."""
    _write_head(write, {"bytes": nbytes, "refused": None})


def write_refusal(write: Write, reason: str) -> None:
    """An answer that refuses; it has no body."""
    _write_head(write, {"bytes": 0, "refused": shortened(reason, calls.MOST_REASON)})


def read_answer(read: Read) -> tuple[int, str | None]:
    """The length of an answer's body, and why it refuses if it does. Raises PeerError or EncodingError."""
    head = _read_head(read)
    if head is None:
        raise PeerError("it ended without an answer")
    found = map_with_keys(head, {"bytes", "refused"}, "an answer's head", PeerError)
    if found["refused"] is not None and not isinstance(found["refused"], str):
        raise PeerError(f"a reason is {shown(found['refused'])}, not text")
    return number_of(found["bytes"], range(_MOST_BYTES), "the length of a body"), found["refused"]


def exactly(read: Read, nbytes: int) -> bytes:
    """So many of the next bytes. Raises PeerError where the stream ends before."""
    pieces = []
    while nbytes:
        piece = read(min(nbytes, PIECE_BYTES))
        if not piece:
            raise PeerError("it ended in the middle of a message")
        pieces.append(piece)
        nbytes -= len(piece)
    return b"".join(pieces)


class Body:
    """A body that is read bit by bit, and no further than to its end."""

    def __init__(self, read: Read, nbytes: int) -> None:
        self._read, self.left = read, nbytes

    def read(self, most: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        piece = self._read(min(most, self.left, PIECE_BYTES)) if self.left else b""
        self.left -= len(piece)
        return piece

    def drain(self) -> None:
        """Read what is left of it, so that the next message can be read."""
        while self.left and self.read(PIECE_BYTES):
            pass


def _write_head(write: Write, head: dict[str, object]) -> None:
    data = encode(head)
    write(len(data).to_bytes(4) + data)


def _read_head(read: Read) -> object | None:
    first = read(1)
    if not first:
        return None
    length = int.from_bytes(first + exactly(read, 3))
    if length > _HEAD_BYTES:
        raise PeerError(f"a head has {length} bytes, at most {_HEAD_BYTES} are allowed")
    found: object = decode(exactly(read, length), max_bytes=_HEAD_BYTES)
    return found
