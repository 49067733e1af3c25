"""What a service gives of blobs, maps and runs of leaves, and what it takes from those who may write [BL-4, BL-11].

What is taken is checked leaf by leaf, kept among the blobs in the making, and appears when it is whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.errors import EncodingError, LeafDamaged, MapError, MergeAlgebraError, OutputError, PeerError
from mergealgebra.store.base_leaves import Base, BaseLeaves
from mergealgebra.store.blob_map import BlobMap, Leaf, most_map_bytes
from mergealgebra.store.entries import PARTIAL, Entry
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.partial_blob import MAP, PartialBlob
from mergealgebra.sync import calls
from mergealgebra.sync.admission import Claim, Fits, admission
from mergealgebra.sync.calls import Run
from mergealgebra.sync.leaf_frames import HEAD_BYTES, RAW, XORED, Fill, head, leaf_buffer, pack, read_leaf, readable
from mergealgebra.text import shown

#: Blobs in the making that a process remembers; of others it reads again what is here.
_REMEMBERED: Final = 8
#: Bytes of a leaf as it is that are read, and sent, at once.
PIECE_BYTES: Final = 1 << 18
#: Threads that make maps or wait for one; so there are others left for whoever asks for something else.
_MAKERS: Final = 16


@dataclass(frozen=True)
class Sending:
    """A run of leaves on its way: their frames, and how many bytes these are, if that is known before."""

    nbytes: int | None
    pieces: Iterator[bytes | memoryview]


def frames(
    store: Store, root: str, leaves: Sequence[Leaf], packing: int, base: BaseLeaves
) -> Generator[bytes | memoryview]:
    """Leaves of a blob as they travel: what is before each, and the leaf, in pieces [BL-5].

    Nothing is kept between two pieces, so that a slow taker costs no more than the one it has not taken [PR-23].
    """
    with store.reading(root) as read:
        for leaf in leaves:
            yield from _frame(read, leaf, packing, base)


def _frame(
    read: Callable[[int, int], memoryview], leaf: Leaf, packing: int, base: BaseLeaves
) -> Generator[bytes | memoryview]:
    if packing != RAW:
        way, packed = pack(leaf, read(leaf.offset, leaf.nbytes), packing, base)
        if way != RAW:
            packed = b"".join((head(way, len(packed)), packed))
            yield packed
            return
        del packed  # it would wait with the pieces
    yield head(RAW, leaf.nbytes)
    for at in range(0, leaf.nbytes, PIECE_BYTES):
        yield read(leaf.offset + at, min(PIECE_BYTES, leaf.nbytes - at))


class ServedBlobs:
    """The blobs of one store, served. claims: what visible contributions claim of a root. may_write: raises if not.

    Every call raises PeerError for what is wrong with what was asked, and other errors for what is wrong here.
    """

    def __init__(
        self,
        store: Store,
        fits: Fits,
        base: Base,
        claims: Callable[[str], Sequence[Claim]],
        may_write: Callable[[], None],
    ) -> None:
        self._store, self._fits, self._claims, self._may_write = store, fits, claims, may_write
        self._maps = Maps(store)
        self._base = BaseLeaves(self._maps, base)
        self._making: OrderedDict[str, PartialBlob] = OrderedDict()
        self._lock = threading.RLock()
        self._makers = threading.Semaphore(_MAKERS)

    # What is given

    def map_of(self, root: str) -> bytes:
        """The map of a blob that is here."""
        return self._map(root).encode()

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Sending]:
        """A run of leaves, packed at most so where it pays, while the body runs [BL-5]."""
        blob_map = self._map(run.checked().root)
        if run.first + run.count > blob_map.leaves or not RAW <= packing <= XORED:
            raise PeerError(
                f"the blob has {blob_map.leaves} leaves, not {run.count} from {run.first} on, packed {packing}"
            )
        leaves = blob_map.run(run.first, run.count)
        nbytes = sum(HEAD_BYTES + leaf.nbytes for leaf in leaves) if packing == RAW else None
        with closing(frames(self._store, run.root, leaves, packing, self._base)) as pieces:
            yield Sending(nbytes, pieces)

    def _map(self, root: str) -> BlobMap:
        self._check_root(root)
        if self._size(root) is None:
            raise PeerError(f"the tensors {root} are not there")
        if (found := self._maps.known(root)) is not None:
            return found
        if not self._makers.acquire(blocking=False):
            raise PeerError("too many maps of tensors are being made here; sync again in some minutes")
        try:
            return self._maps.of_blob(root)
        finally:
            self._makers.release()

    # What is taken

    def most_map(self, root: str) -> int:
        """How long the map of a blob may be that is given to this store."""
        return max(most_map_bytes(claim.elements) for claim in self._wanted(root))

    def take_map(self, root: str, data: bytes) -> bytes:
        """Take the map of a blob of a visible contribution: which of its leaves are here already."""
        claims = self._wanted(root)
        try:
            blob_map = BlobMap.decode(data, root, max(claim.elements for claim in claims))
        except (EncodingError, MapError) as error:
            raise PeerError(f"the map is refused: {error}") from error
        if self._size(root) is not None:
            return calls.write_wanted(b"\xff" * -(-blob_map.leaves // 8), RAW)
        blob = self._begun(root, blob_map, claims)
        self._finish(blob)
        return calls.write_wanted(blob.here(), readable(self._base))

    def take_leaves(self, run: Run, nbytes: int, fill: Fill) -> None:
        """Take a run of leaves, each checked as it comes; the blob appears with the last of them.

        nbytes: of all frames.
        """
        if (blob := self.begin_run(run, nbytes)) is None:
            return
        buffer = leaf_buffer()
        for number in run.numbers:
            if not self.take_leaf(blob, number, fill, buffer):
                return

    def begin_run(self, run: Run, nbytes: int) -> PartialBlob | None:
        """The blob in the making that a run of leaves is for; None where it is here already. nbytes: of all frames."""
        claims = self._wanted(run.checked().root)
        if self._size(run.root) is not None:
            return None
        blob = self._made(run.root) or self._begun(run.root, self._map_in_part(run.root), claims)
        if run.first + run.count > blob.map.leaves:
            raise PeerError(f"the blob has {blob.map.leaves} leaves, not {run.count} from {run.first} on")
        if nbytes > sum(HEAD_BYTES + leaf.nbytes for leaf in blob.map.run(run.first, run.count)):
            raise PeerError(f"{nbytes} bytes are more than the leaves can have")
        return blob

    def take_leaf(self, blob: PartialBlob, number: int, fill: Fill, buffer: memoryview) -> bool:
        """Take one leaf of a run that was begun; False where somebody else gave the rest."""
        try:
            with blob.opened() as file:
                leaf = blob.map.leaf(number)
                file.write(number, leaf, self._leaf(fill, leaf, number, buffer))
        except FileNotFoundError:
            self._drop(blob)
            if self._size(blob.root) is None:
                raise PeerError(f"what was here of the tensors {blob.root} went away: give the map again") from None
            return False
        self._finish(blob)
        return True

    def _leaf(self, fill: Fill, leaf: Leaf, number: int, buffer: memoryview) -> memoryview:
        try:
            return read_leaf(fill, leaf, readable(self._base), self._base, buffer)
        except LeafDamaged as error:
            if error.by_base and not self._base.is_good_at(leaf):
                raise OutputError("the base here is damaged; whoever runs this server puts it right") from error
            raise PeerError(f"leaf {number} of {shown(leaf.tensor.name)} is damaged: {error}") from error

    def _wanted(self, root: str) -> Sequence[Claim]:
        self._may_write()
        self._check_root(root)
        claims = self._claims(root)
        if not claims:
            raise PeerError(f"no visible contribution names the tensors {root}: give the operations first")
        return claims

    def _map_in_part(self, root: str) -> BlobMap:
        """The map that was given to an earlier process."""
        most = self.most_map(root)
        try:
            data = Entry(self._store.path, PARTIAL, f"{root}{MAP}").read(most)
            return BlobMap.decode(data, root, max(claim.elements for claim in self._claims(root)))
        except (OSError, EncodingError, MapError):
            raise PeerError(f"the map of the tensors {root} is not there: give it first") from None

    def _made(self, root: str) -> PartialBlob | None:
        """What this process knows of a blob, if its file is still there [BL-8]."""
        with self._lock:
            blob = self._making.get(root)
        if blob is not None and not blob.is_current():
            self._drop(blob)
            return None
        return blob

    def _begun(self, root: str, blob_map: BlobMap, claims: Sequence[Claim]) -> PartialBlob:
        with self._lock:  # one at a time: it may hash what is here
            if (blob := self._made(root)) is None:
                blob = PartialBlob.begin(self._store, root, blob_map, admission(claims, self._fits))
                self._base.copy_equal(blob)
                self._making[root] = blob
                while len(self._making) > _REMEMBERED:
                    self._making.popitem(last=False)
            return blob

    def _finish(self, blob: PartialBlob) -> None:
        """Let a blob appear, if it is whole."""
        if blob.finish():
            self._maps.keep(blob.map)
            self._drop(blob)

    def _drop(self, blob: PartialBlob) -> None:
        with self._lock:
            if self._making.get(blob.root) is blob:
                del self._making[blob.root]

    def _size(self, root: str) -> int | None:
        """The size of a blob that is a regular file."""
        try:
            return self._store.blob_bytes(root)
        except MergeAlgebraError:
            return None

    def _check_root(self, root: str) -> None:
        if not is_id(root):
            raise PeerError(f"{shown(root)} is not a root, 64 digits 0-9a-f")
