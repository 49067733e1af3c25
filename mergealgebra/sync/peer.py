"""A live peer: what one can ask of it, whatever carries the bytes [PR-11, PR-12]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from mergealgebra.crdt.operations import MAX_OPERATION_BYTES
from mergealgebra.encoding import MAX_BYTES
from mergealgebra.errors import EncodingError, PeerError
from mergealgebra.sync import calls
from mergealgebra.sync.calls import Run
from mergealgebra.sync.leaf_frames import Fill
from mergealgebra.text import shortened

#: Reads at most so many bytes; none at the end.
Read = Callable[[int], bytes]


class Unserved(PeerError):
    """Whatever answers at an address, with a status of HTTP, is no answer of a live peer."""

    def __init__(self, message: str, status: int = 0) -> None:
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

    def blob_map(self, root: str, most: int) -> bytes:
        """The map of a blob, at most so many bytes; it is not looked at."""
        ...

    def leaves(self, run: Run, packing: int) -> AbstractContextManager[Fill]:
        """The frames of a run of leaves, packed at most so, while the body runs [BL-5]."""
        ...

    def put_map(self, root: str, data: bytes, leaves: int) -> tuple[bytes, int]:
        """Give it a map of so many leaves: which of them it has, and what it can unpack [BL-11]."""
        ...

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """Give it a run of leaves."""
        ...

    def cut(self) -> None:
        """End what is being carried, from another thread: whoever waits for it gets an error."""
        ...


class Carrier(Protocol):
    """What carries the bytes of calls to a peer and back: HTTP, the streams of a process, memory."""

    @property
    def name(self) -> str: ...

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """What is answered, at most so many bytes. Raises PeerError."""
        ...

    def blob_map(self, root: str, most: int) -> bytes: ...

    def leaves(self, run: Run, packing: int) -> AbstractContextManager[Fill]: ...

    def put_map(self, root: str, data: bytes, most: int) -> bytes: ...

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None: ...

    def cut(self) -> None: ...


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
            nbytes = sum(len(one or b"") for one in found)
            if len(found) < len(asked) and (not found or nbytes + MAX_OPERATION_BYTES <= calls.BATCH_BYTES):
                raise PeerError(
                    f"it answers for {len(found)} of {len(asked)} operations, and more have room in an answer"
                )
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

    def blob_map(self, root: str, most: int) -> bytes:
        """As in Peer."""
        return self.carrier.blob_map(root, most)

    def leaves(self, run: Run, packing: int) -> AbstractContextManager[Fill]:
        """As in Peer."""
        return self.carrier.leaves(run, packing)

    def put_map(self, root: str, data: bytes, leaves: int) -> tuple[bytes, int]:
        """As in Peer."""
        found = self.carrier.put_map(root, data, MAX_BYTES)
        with naming(self.name):
            return calls.read_wanted(found, leaves)

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """As in Peer."""
        self.carrier.put_leaves(run, frames)

    def cut(self) -> None:
        """As in Peer."""
        self.carrier.cut()

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
