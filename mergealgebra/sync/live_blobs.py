"""The blobs that either side of a live sync lacks, leaf by leaf; taken from all peers at once [BL-10, BL-11, BL-13]."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mergealgebra.errors import MergeAlgebraError, PeerError
from mergealgebra.progress import Progress, counter
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.partial_blob import numbers_in
from mergealgebra.sync.admission import Claim, Fits
from mergealgebra.sync.calls import runs_of
from mergealgebra.sync.exchange import Exchange
from mergealgebra.sync.fetch import Fetch
from mergealgebra.sync.served_blobs import frames

#: What blobs are of, by root.
Claims = Mapping[str, list[Claim]]


@dataclass
class Carrying:
    """The blobs of one sync with live peers. base: the leaves of the base, if it is at hand."""

    store: Store
    maps: Maps
    base: BaseLeaves
    fits: Fits
    progress: Progress

    def exchange(
        self, exchanges: Sequence[Exchange], wanted: Claims, taken: Collection[str], known: Claims
    ) -> list[str]:
        """Carry each blob to the side that lacks it; the roots of `known` that nobody has.

        wanted: of what is visible. taken: those of them that this side takes; it gives all that it has. known: others
        that it takes and does not give.
        """
        ours = self._own_sizes(exchanges[0], [*wanted, *known])
        asked = [root for root in ours if root in wanted or ours[root] is None]
        theirs = {exchange: _sizes(exchange, asked) for exchange in exchanges}
        lacking = [root for root in asked if ours[root] is None and (root in taken or root in known)]
        self._take(theirs, {root: [*wanted.get(root, ()), *known.get(root, ())] for root in lacking})
        for exchange in exchanges:
            self._give(exchange, wanted, theirs[exchange])
        there = {root for sizes in theirs.values() for root, size in sizes.items() if size is not None}
        return [root for root in known if ours.get(root) is None and root not in there]

    def _own_sizes(self, exchange: Exchange, roots: Iterable[str]) -> dict[str, int | None]:
        """What is here of these; what stands in place of a blob is a refusal, and is left out."""
        found: dict[str, int | None] = {}
        for root in roots:
            try:
                found[root] = self.store.blob_bytes(root)
            except MergeAlgebraError as error:
                exchange.refused.append(error)
        return found

    # Taking

    def _take(
        self, theirs: Mapping[Exchange, Mapping[str, int | None]], lacking: Mapping[str, Sequence[Claim]]
    ) -> None:
        open_ = [exchange for exchange in theirs if exchange.closed is None and not exchange.dropped]
        givers = {root: [one for one in open_ if theirs[one].get(root) is not None] for root in lacking}
        total = sum(max(theirs[one].get(root) or 0 for one in found) for root, found in givers.items() if found)
        fetch = Fetch(self.store, self.base, self.maps, self.fits, counter(self.progress, "copying blobs", total))
        for root, found in givers.items():
            if found:
                fetch.want(root, lacking[root], found)
        if total:
            fetch.run([one for one in open_ if any(one in found for found in givers.values())])

    # Giving

    def _give(self, exchange: Exchange, wanted: Claims, theirs: Mapping[str, int | None]) -> None:
        """Give a peer what it lacks, if it is given anything."""
        if not exchange.gives:
            return
        lacking = [root for root in wanted if root in theirs and theirs[root] is None]
        gives = {root: size for root, size in self._own_sizes(exchange, lacking).items() if size is not None}
        if not gives or exchange.dropped:
            return
        _ask_to_give(exchange)
        more = counter(self.progress, "giving blobs", sum(gives.values()))
        for root in gives:
            if exchange.not_given:
                return
            try:
                for nbytes in self._give_blob(exchange, root):
                    more(nbytes)
                exchange.given_blobs.append(root)
            except MergeAlgebraError as error:
                exchange.give_nothing(self._reason(root, error))

    def _give_blob(self, exchange: Exchange, root: str) -> Iterator[int]:
        """Give a blob by the leaves that the peer lacks; yields the bytes that it has then."""
        blob_map = self.maps.of_blob(root)
        here, packing = exchange.peer.put_map(root, blob_map.encode(), blob_map.leaves)
        there = set(numbers_in(here, blob_map.leaves))
        yield len(blob_map.header) + sum(blob_map.leaf(number).nbytes for number in there)
        lacking = [number for number in range(blob_map.leaves) if number not in there]
        for run in runs_of(root, lacking):
            leaves = blob_map.run(run.first, run.count)
            exchange.peer.put_leaves(run, list(frames(self.store, root, leaves, packing, self.base)))
            yield sum(leaf.nbytes for leaf in leaves)

    def _reason(self, root: str, error: MergeAlgebraError) -> MergeAlgebraError:
        """Why a blob was not given: that the peer does not take it, unless what is here is damaged."""
        try:
            if isinstance(error, PeerError):
                self.store.check_blob(root)
        except MergeAlgebraError as damage:
            return damage
        return error


def _sizes(exchange: Exchange, roots: Sequence[str]) -> dict[str, int | None]:
    """What a peer has of these; nothing is known of one that does not say so."""
    try:
        found = exchange.peer.blob_sizes([bytes.fromhex(root) for root in roots])
    except PeerError as error:
        exchange.refused.append(error)
        exchange.dropped = True
        return {}
    return dict(zip(roots, found, strict=True))


def _ask_to_give(exchange: Exchange) -> None:
    """Give no operation at all: whoever takes nothing says so before many bytes are on their way."""
    try:
        exchange.peer.put_operations([])
    except MergeAlgebraError as error:
        exchange.give_nothing(error)
