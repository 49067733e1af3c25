"""The blobs that either side of a live sync lacks, whole, each checked before it appears [PR-12]."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mergealgebra.errors import BlobDamaged, MergeAlgebraError
from mergealgebra.progress import More, Progress, counter
from mergealgebra.store.objects import Store
from mergealgebra.sync.admission import Claim, Fits, admission
from mergealgebra.sync.exchange import Exchange
from mergealgebra.text import location


def exchange_blobs(
    exchange: Exchange, wanted: Mapping[str, list[Claim]], taken: Collection[str], fits: Fits, progress: Progress
) -> None:
    """Carry each blob to the side that lacks it. taken: those that this side takes; it gives all that it has."""
    ours = _own_sizes(exchange, wanted)
    theirs = _sizes(exchange, list(ours))
    takes = {root: size for root, size in theirs.items() if size is not None and ours[root] is None and root in taken}
    gives = {root: size for root, size in ours.items() if size is not None and theirs[root] is None}
    total, done = sum(takes.values()) + sum(gives.values()), 0
    for root, size in takes.items():
        _take(exchange, root, size, wanted[root], fits, counter(progress, "copying blobs", total, done))
        done += size
    if gives:
        _ask_to_give(exchange)
    for root, size in gives.items():
        _give(exchange, root, size)
        done += size
        progress("copying blobs", done, total)


def take_retracted(
    exchange: Exchange, known: Mapping[str, list[Claim]], fits: Fits, progress: Progress
) -> tuple[str, ...]:
    """Take what this side lacks; the roots of what the peer lacks too."""
    sizes = _sizes(exchange, [root for root, size in _own_sizes(exchange, sorted(known)).items() if size is None])
    there = {root: size for root, size in sizes.items() if size is not None}
    total, done = sum(there.values()), 0
    for root, size in there.items():
        _take(exchange, root, size, known[root], fits, counter(progress, "copying retracted blobs", total, done))
        done += size
    return tuple(root for root, size in sizes.items() if size is None)


def _sizes(exchange: Exchange, roots: Sequence[str]) -> dict[str, int | None]:
    """What the peer has of these."""
    return dict(zip(roots, exchange.peer.blob_sizes([bytes.fromhex(root) for root in roots]), strict=True))


def _own_sizes(exchange: Exchange, roots: Iterable[str]) -> dict[str, int | None]:
    """What is here of these; where something else stands in place of a blob, that is a refusal, and it is left out."""
    found: dict[str, int | None] = {}
    for root in roots:
        try:
            found[root] = exchange.store.blob_bytes(root)
        except MergeAlgebraError as error:
            exchange.refused.append(error)
    return found


def _take(exchange: Exchange, root: str, size: int, claims: list[Claim], fits: Fits, more: More) -> None:
    if exchange.closed is not None:
        return
    try:
        with exchange.peer.blob(root) as read:
            exchange.store.receive_blob(root, size, read, admission(claims, fits), more)
        exchange.taken_blobs.append(root)
    except BlobDamaged as error:
        what = str(error).split("; ", maxsplit=1)[0]  # what follows is said of a file that lies here
        exchange.refused.append(
            BlobDamaged(f"{exchange.peer.name} serves damaged tensors: {what}; sync with another peer that has them")
        )
    except MergeAlgebraError as error:
        exchange.refused.append(error)


def _ask_to_give(exchange: Exchange) -> None:
    """Give no operation at all: whoever takes nothing says so before many bytes are on their way."""
    try:
        exchange.peer.put_operations([])
    except MergeAlgebraError as error:
        exchange.give_nothing(error)


def _give(exchange: Exchange, root: str, size: int) -> None:
    if exchange.not_given:
        return
    try:
        _send(exchange.store, root, size, exchange)
        exchange.given_blobs.append(root)
    except MergeAlgebraError as error:
        exchange.give_nothing(error)


def _send(store: Store, root: str, size: int, exchange: Exchange) -> None:
    entry = store.blob(root)
    try:
        with entry.opened() as descriptor, open(descriptor, "rb", closefd=False) as file:
            exchange.peer.put_blob(root, size, file.read)
    except OSError as error:
        raise BlobDamaged(
            f"{location(entry.path)} cannot be read: {error.strerror}; check the disk, and its permissions"
        ) from error
