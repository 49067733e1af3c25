"""A live peer: what one can ask of it, whatever carries the bytes [PR-11, PR-12]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from mergealgebra.errors import EncodingError, PeerError
from mergealgebra.sync import calls
from mergealgebra.text import shortened

#: Reads at most so many bytes of a blob; none at its end.
Read = Callable[[int], bytes]


class Unserved(PeerError):
    """Whatever answers at an address, with a status of HTTP, is no answer of a live peer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Peer(Protocol):
    """A replica or a share that answers. Every call raises PeerError, which names it, for whatever goes wrong.

    What it answers has the form that it must have, and may still be a lie: whoever asks checks it by ids and roots.
    """

    @property
    def name(self) -> str:
        """Its address, for messages and for what is written down of syncs."""
        ...

    def genesis(self) -> tuple[bytes, bytes]:
        """The encoding of its genesis, and the root of the operations that maintainers made [PR-10]."""
        ...

    def reconcile(self, question: bytes) -> bytes:
        """The answer to a question about ids [PR-3 to PR-6]."""
        ...

    def operations(self, ids: Sequence[bytes]) -> Sequence[bytes | None]:
        """The encodings of the first of these operations, None for one that is not there: of one at least."""
        ...

    def put_operations(self, operations: Sequence[bytes]) -> Sequence[tuple[int, str]]:
        """Give it encodings of operations; those that it did not take, by their positions, and why."""
        ...

    def blob_sizes(self, roots: Sequence[bytes]) -> Sequence[int | None]:
        """The bytes of the blobs with these roots, None for one that is not there."""
        ...

    def blob(self, root: str) -> AbstractContextManager[Read]:
        """The bytes of a blob, while the body runs."""
        ...

    def put_blob(self, root: str, nbytes: int, read: Read) -> None:
        """Give it a blob of so many bytes."""
        ...


class Carrier(Protocol):
    """What carries the bytes of calls to a peer and back: HTTP, the streams of a process, memory."""

    @property
    def name(self) -> str: ...

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """What is answered, at most so many bytes. Raises PeerError."""
        ...

    def blob(self, root: str) -> AbstractContextManager[Read]: ...

    def put_blob(self, root: str, nbytes: int, read: Read) -> None: ...


@dataclass(frozen=True)
class CarriedPeer:
    """The peer at the other end of a carrier."""

    carrier: Carrier

    @property
    def name(self) -> str:
        """The carrier's address."""
        return self.carrier.name

    def genesis(self) -> tuple[bytes, bytes]:
        """As in Peer."""
        with naming(self.name):
            return calls.read_genesis(self._call(calls.GENESIS, b""))

    def reconcile(self, question: bytes) -> bytes:
        """As in Peer."""
        return self._call(calls.RECONCILE, question)

    def operations(self, ids: Sequence[bytes]) -> Sequence[bytes | None]:
        """As in Peer."""
        asked = ids[: calls.MOST_ASKED]
        with naming(self.name):
            found = calls.read_operations(self._call(calls.OPERATIONS, calls.write_ids(asked)), len(asked))
            if asked and not found:
                raise PeerError("it answers for none of the operations that were asked for")
        return found

    def put_operations(self, operations: Sequence[bytes]) -> Sequence[tuple[int, str]]:
        """As in Peer. operations: as many as one call takes."""
        found = self._call(calls.PUT, calls.write_operations(operations))
        with naming(self.name):
            return calls.read_refusals(found, len(operations))

    def blob_sizes(self, roots: Sequence[bytes]) -> Sequence[int | None]:
        """As in Peer."""
        sizes: list[int | None] = []
        for at in range(0, len(roots), calls.MOST_ASKED):
            asked = roots[at : at + calls.MOST_ASKED]
            found = self._call(calls.BLOBS, calls.write_ids(asked))
            with naming(self.name):
                sizes += calls.read_sizes(found, len(asked))
        return sizes

    def blob(self, root: str) -> AbstractContextManager[Read]:
        """As in Peer."""
        return self.carrier.blob(root)

    def put_blob(self, root: str, nbytes: int, read: Read) -> None:
        """As in Peer."""
        self.carrier.put_blob(root, nbytes, read)

    def _call(self, call: str, asked: bytes) -> bytes:
        return self.carrier.call(call, asked, calls.CALLS[call][1])


@contextmanager
def naming(peer: str) -> Iterator[None]:
    """Name the peer in what is wrong with the form of an answer."""
    try:
        yield
    except (PeerError, EncodingError) as error:
        if str(error).startswith(peer):
            raise
        raise PeerError(
            f"{peer} gives an answer that the protocol does not allow: {shortened(str(error), calls.MOST_REASON)}; "
            "nothing was taken of it: sync with another peer, and tell whoever runs this one"
        ) from error
