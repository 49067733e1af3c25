"""Leaves of blobs from several peers at once, each checked as it comes [BL-6 to BL-10].

Every peer has a thread, which pulls runs of leaves from one queue. Whoever lies is dropped, and what it should have
brought comes from the others; what a slow one has not brought when nothing else is left, an idle one brings too.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.errors import (
    BlobDamaged,
    EncodingError,
    LeafDamaged,
    MapError,
    MergeAlgebraError,
    OutputError,
    PeerError,
    PeerRefused,
)
from mergealgebra.progress import More
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.blob_map import BlobMap, most_map_bytes
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.sync.admission import Claim, Fits, admission
from mergealgebra.sync.calls import MOST_LEAVES, Run, runs_of
from mergealgebra.sync.exchange import Exchange
from mergealgebra.sync.fetch_queue import Queue, Taken
from mergealgebra.sync.leaf_frames import RAW, Metered, leaf_buffer, read_leaf, readable
from mergealgebra.text import shown

#: Pieces that a blob is cut into for each peer that has it, at least, so that none waits for another's last run.
_RUNS_EACH: Final = 4


@dataclass
class Fetch:
    """Blobs that are taken from peers.

    fits: judges headers. more: told the bytes that came, by one thread at a time.
    """

    store: Store
    base: BaseLeaves
    maps: Maps
    fits: Fits
    more: More
    queue: Queue = field(default_factory=Queue)
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _failed: list[BaseException] = field(default_factory=list)

    def want(self, root: str, claims: Sequence[Claim], givers: Sequence[Exchange]) -> None:
        """Take a blob, from any of these."""
        self.queue.add(Taken(root, claims, list(givers)))

    def run(self, givers: Sequence[Exchange]) -> None:
        """Take all that is wanted, as far as it comes; what went wrong is noted with the peer that it came from."""
        if len(givers) == 1:
            self._pull(givers[0])
        else:
            self._pull_together(givers)
        if self._failed:
            raise self._failed[0]

    def _pull_together(self, givers: Sequence[Exchange]) -> None:
        threads = [threading.Thread(target=self._guarded, args=(giver,), daemon=True) for giver in givers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            self.queue.stop()
            for giver in givers:
                giver.peer.cut()
            for thread in threads:
                thread.join()
            raise

    def _guarded(self, giver: Exchange) -> None:
        """What is nobody's refusal is raised where the threads were started."""
        try:
            self._pull(giver)
        except BaseException as error:
            self._failed.append(error)
            self.queue.stop()

    def _pull(self, giver: Exchange) -> None:
        buffer = leaf_buffer()
        while (task := self.queue.next(giver)) is not None:
            taken, run = task
            try:
                if run is None:
                    self._begin(taken, giver)
                elif self._bring(taken, run, giver, buffer):
                    self._done(taken, run, giver)
            except PeerRefused as error:
                self.queue.without(giver, taken, run)
                giver.refused.append(error)
            except PeerError as error:
                if not self.queue.is_over(taken, run):  # else another brought it, and cut this one off
                    self._drop(giver, taken, run, error)
            except MergeAlgebraError as error:
                self._give_up(taken, giver, error)

    # One blob

    def _begin(self, taken: Taken, giver: Exchange) -> None:
        """Ask for the map, judge it, and see what is here of the blob. Raises PeerError, and what is wrong here."""
        elements = max(claim.elements for claim in taken.claims)
        data = giver.peer.blob_map(taken.root, most_map_bytes(elements))
        try:
            blob_map = BlobMap.decode(data, taken.root, elements)
        except (EncodingError, MapError) as error:
            raise PeerError(
                f"{giver.name} gives a map that is not that of {taken.root}: {error}; sync with another peer"
            ) from error
        try:
            blob = PartialBlob.begin(self.store, taken.root, blob_map, admission(taken.claims, self.fits), self._tell)
        except BlobDamaged as error:
            what = str(error).split("; ", maxsplit=1)[0]  # what follows is said of a file that lies here
            raise BlobDamaged(
                f"{giver.name} serves damaged tensors: {what}; sync with another peer that has them"
            ) from error
        self.base.copy_equal(blob, self._tell)
        self._tell(len(blob_map.header))
        lacking = blob.lacking()
        most = max(1, min(MOST_LEAVES, len(lacking) // (_RUNS_EACH * len(taken.givers))))
        runs = list(runs_of(taken.root, lacking, MOST_LEAVES if len(taken.givers) == 1 else most))
        if self.queue.opened(taken, blob, runs, giver):
            self._finish(taken)

    def _bring(self, taken: Taken, run: Run, giver: Exchange, buffer: memoryview) -> bool:
        """Write the leaves of a run as they come; whether all did. Raises PeerError and OutputError."""
        blob, packing = taken.made, RAW if giver.is_fast else readable(self.base)
        number = run.first
        try:
            with blob.opened() as file, giver.peer.leaves(run, packing) as came:
                fill = Metered(came)
                for number, leaf in zip(run.numbers, blob.map.run(run.first, run.count), strict=True):
                    if self.queue.is_over(taken, run):  # another was faster, and cut this one off before it began
                        return False
                    data = read_leaf(fill, leaf, packing, self.base, buffer)
                    if file.write(number, leaf, data):
                        self._tell(leaf.nbytes)
                giver.is_fast = fill.is_fast(packing != RAW, giver.is_fast)
        except LeafDamaged as error:
            leaf = blob.map.leaf(number)
            if error.by_base and not self.base.is_good_at(leaf):
                self.queue.again(taken, run, giver)
                giver.refused.append(OutputError(_BASE_DAMAGED))
                return False
            raise PeerError(
                f"{giver.name} serves damaged tensors: leaf {number} of {shown(leaf.tensor.name)} in {taken.root}: "
                f"{error}; nothing more was taken from it: sync with another peer that has them"
            ) from error
        except FileNotFoundError:
            if self.store.has_blob(taken.root):  # another process was first
                return True
            raise blob.went_away() from None
        return True

    def _done(self, taken: Taken, run: Run, giver: Exchange) -> None:
        if self.queue.done(taken, run, giver):
            self._finish(taken)

    def _finish(self, taken: Taken) -> None:
        blob, giver = taken.made, taken.opened_by
        if giver is None or not (blob.finish() or self.store.has_blob(taken.root)):
            raise OutputError(f"{blob.path} lacks leaves that came; run it again")
        self.maps.keep(blob.map)
        giver.taken_blobs.append(taken.root)

    # What goes wrong

    def _drop(self, giver: Exchange, taken: Taken, run: Run | None, error: MergeAlgebraError) -> None:
        """Ask this peer for nothing any more in this sync."""
        self.queue.without(giver, None, run, asked=taken)
        giver.dropped = True
        giver.refused.append(error)

    def _give_up(self, taken: Taken, giver: Exchange, error: MergeAlgebraError) -> None:
        """Take nothing more of a blob, or of all, where the disk takes nothing."""
        self.queue.failed(taken)
        giver.refused.append(error)
        if isinstance(error, OutputError) and not self.store.takes_files():
            giver.closed = error
            self.queue.stop()

    def _tell(self, nbytes: int) -> None:
        with self._telling:
            self.more(nbytes)


_BASE_DAMAGED: Final = (
    "the base here is not the workspace's any more, so leaves packed by it are of no use: get it again, and say where "
    "it is with `set-base`"
)
