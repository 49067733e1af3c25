"""What a replica answers to others, as bytes to bytes: HTTP, the streams of a process and memory carry it [PR-11].

Nothing that a peer says becomes a path: ids and roots are bytes, and files are named by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.crdt.operations import MAX_OPERATION_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, PeerError, PeerRefused
from mergealgebra.store.base_leaves import Base, no_base
from mergealgebra.store.objects import Store
from mergealgebra.store.operation_store import parts
from mergealgebra.store.pack_files import decoded
from mergealgebra.sync import calls
from mergealgebra.sync.admission import Claim, Fits, anything_fits, claims_of
from mergealgebra.sync.calls import Run
from mergealgebra.sync.held import Held, Holder
from mergealgebra.sync.leaf_frames import Fill, exact, pieces_read
from mergealgebra.sync.messages import ADMISSIBLE, MAINTAINERS
from mergealgebra.sync.reconciliation import answer
from mergealgebra.sync.served_blobs import ServedBlobs
from mergealgebra.sync.taking import check_room

_READ_ONLY: Final = "it takes nothing, it is served for reading only"


@dataclass
class Service:
    """One store, served.

    writes: whether operations and blobs are taken. fits: judges the header of a blob first. base: the base, if it is at
    hand. blobs: what is served and taken of blobs.
    Every call raises PeerError for what is wrong with what was asked, and other errors for what is wrong here.
    """

    store: Store
    writes: bool = False
    fits: Fits = anything_fits
    base: Base = no_base
    blobs: ServedBlobs = field(init=False)
    _holder: Holder = field(init=False)

    def __post_init__(self) -> None:
        self._holder = Holder(self.store)
        self.blobs = ServedBlobs(self.store, self.fits, self.base, self._claims, self._check_writes)

    def answer(self, call: str, asked: bytes) -> bytes:
        """What is answered to a call of CALLS."""
        if len(asked) > calls.most_asked(call):
            raise PeerError(f"the call {call} has {len(asked)} bytes, at most {calls.most_asked(call)} are allowed")
        held = self._holder.look()
        if call == calls.GENESIS:
            return calls.write_genesis(self.store.genesis.encode(), held.ids(MAINTAINERS).root())
        if call == calls.RECONCILE:
            return answer(asked, held.ids)
        if call == calls.OPERATIONS:
            return calls.write_operations(_first_of(held, calls.read_ids(asked)))
        if call == calls.BLOBS:
            return calls.write_sizes([self._size(root) for root in calls.read_ids(asked)])
        if call == calls.PUT:
            return self._put(held, asked)
        raise PeerError(f"nothing answers the call {call}")

    def state(self) -> ORSet:
        """The operations that are here now."""
        return self._holder.look().state

    def _put(self, held: Held, asked: bytes) -> bytes:
        self._check_writes()
        refused: dict[int, str] = {}
        found: dict[int, Operation] = {}
        for position, data in enumerate(calls.read_operations(asked)):
            try:
                found[position] = self._operation(data)
            except MergeAlgebraError as error:
                refused[position] = str(error)
        taken, others = held.admissible(found.values())
        check_room(self.store, taken)
        for record in taken:
            if record.id in held.damaged:
                self.store.mend_operation(record)
        for part in parts([record for record in taken if record.id not in held.damaged]):
            self.store.write_records(part)
        outside = {record.id for record in others}
        for position, operation in found.items():
            if operation.id in outside:
                refused[position] = f"operation {operation.id} is not admissible here"
        return calls.write_refusals(sorted(refused.items()))

    def _operation(self, data: bytes | None) -> Operation:
        if data is None or len(data) > MAX_OPERATION_BYTES:
            raise PeerError("an operation is missing, or too long")
        return decoded(data, self.store.genesis)

    def _claims(self, root: str) -> list[Claim]:
        """What visible contributions claim of a root."""
        return claims_of(self.state().visible().values()).get(root, [])

    def _size(self, root: bytes) -> int | None:
        """The size of a blob that is a regular file."""
        try:
            return self.store.blob_bytes(root.hex())
        except MergeAlgebraError:
            return None

    def _check_writes(self) -> None:
        if not self.writes:
            raise PeerError(_READ_ONLY)


def _first_of(held: Held, ids: tuple[bytes, ...]) -> list[bytes | None]:
    """The encodings of as many as one answer carries; only of those that are admissible."""
    allowed, found, nbytes = held.ids(ADMISSIBLE), list[bytes | None](), 0
    for id_ in ids:
        data = held.encoded(id_.hex()) if id_ in allowed else None
        nbytes += len(data or b"")
        if found and nbytes > calls.BATCH_BYTES:
            break
        found.append(data)
    return found


@dataclass(frozen=True)
class InMemory:
    """Carries calls to a service of this process."""

    service: Service
    name: str = "a peer in memory"

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """As in Carrier."""
        with self._refusals():
            return self.service.answer(call, asked)

    def blob_map(self, root: str, most: int) -> bytes:
        """As in Carrier."""
        with self._refusals():
            return self.service.blobs.map_of(root)

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Fill]:
        """As in Carrier."""
        with ExitStack() as opened:
            with self._refusals():
                found = opened.enter_context(self.service.blobs.leaves(run, packing))
            yield exact(self.name, pieces_read(found.pieces))

    def put_map(self, root: str, data: bytes, most: int) -> bytes:
        """As in Carrier."""
        with self._refusals():
            return self.service.blobs.take_map(root, data)

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """As in Carrier."""
        with self._refusals():
            self.service.blobs.take_leaves(run, sum(map(len, frames)), exact(self.name, pieces_read(iter(frames))))

    def cut(self) -> None:
        """As in Carrier: nothing is carried here."""

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except MergeAlgebraError as error:
            raise PeerRefused(f"{self.name} refuses: {error}") from error
