"""Syncing with a live peer: ids by ranges, then the operations, then the blobs that either side lacks [PR-10 to PR-12].

As with a folder, everything is checked as it comes, operations go first, and what is wrong with one of them is one
refusal: the rest goes on. A peer that breaks the protocol ends the sync; what was exchanged before stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from mergealgebra.crdt.manifest import KINDS
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.records import Record, in_writing_order
from mergealgebra.encoding import hash_id
from mergealgebra.errors import (
    MergeAlgebraError,
    OperationError,
    PackError,
    PeerError,
    WrongWorkspace,
)
from mergealgebra.progress import Progress, quiet
from mergealgebra.store.base_leaves import Base, BaseLeaves, no_base
from mergealgebra.store.holdings import needed_kinds
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.sync import calls
from mergealgebra.sync.admission import Fits, anything_fits, claims_of, is_taken
from mergealgebra.sync.exchange import Exchange
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.held import Held, Holder
from mergealgebra.sync.live_blobs import Carrying
from mergealgebra.sync.messages import ADMISSIBLE, MAINTAINERS, SALT_BYTES
from mergealgebra.sync.peer import Peer
from mergealgebra.sync.reconciliation import reconcile
from mergealgebra.sync.taking import HELD_BYTES, MOST_BYTES, MOST_REFUSED, operation_of, take
from mergealgebra.wanted import known_manifests


def sync_live(
    store: Store,
    peer: Peer,
    fits: Fits = anything_fits,
    closed: MergeAlgebraError | None = None,
    progress: Progress = quiet,
    *,
    base: Base = no_base,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
) -> SyncResult:
    """Take from a live peer what this store lacks, and give it what it lacks [PR-10 to PR-12].

    The arguments are those of `sync` with a folder. base: the base, if it is at hand. Raises WrongWorkspace for a peer
    with another workspace, and PeerError for one that is not reached.
    """
    (result,) = sync_together(
        store, [peer], fits, [closed], progress, base=base, retracted=retracted, auxiliary=auxiliary, give=give
    )
    if isinstance(result, MergeAlgebraError):
        raise result
    return result


def sync_together(
    store: Store,
    peers: Sequence[Peer],
    fits: Fits,
    closed: Sequence[MergeAlgebraError | None],
    progress: Progress,
    *,
    base: Base = no_base,
    retracted: bool = False,
    auxiliary: bool = False,
    give: bool = True,
) -> list[SyncResult | MergeAlgebraError]:
    """The same with several peers: operations with each in turn, then leaves from all at once [BL-10].

    closed: for each, why nothing may be taken from it, if so. Returns for each what `sync_live` returns or raises.
    """
    found: list[Exchange | MergeAlgebraError] = [
        _operations_with(store, peer, reason, give=give) for peer, reason in zip(peers, closed, strict=True)
    ]
    lost: tuple[str, ...] = ()
    if reached := [one for one in found if isinstance(one, Exchange)]:
        if any(one.taken_operations for one in reached[1:]):  # which those before them lack
            for exchange in reached[:-1]:
                if not exchange.dropped:
                    _exchange_sets(exchange, (MAINTAINERS, ADMISSIBLE))
        maps = Maps(store)
        carrying = Carrying(store, maps, BaseLeaves(maps, base), fits, progress)
        try:
            lost = _exchange_blobs(carrying, reached, retracted=retracted, auxiliary=auxiliary)
        except (OperationError, PackError) as error:  # what rotted does not say which tensors there are
            reached[-1].refused.append(error)
    return [one if isinstance(one, MergeAlgebraError) else one.result(lost) for one in found]


def _operations_with(
    store: Store, peer: Peer, closed: MergeAlgebraError | None, *, give: bool
) -> Exchange | MergeAlgebraError:
    """What was exchanged with a peer but for blobs; an error where it is none to sync with."""
    try:
        maintainers = check_workspace(store, peer)
    except MergeAlgebraError as error:
        return error
    exchange = Exchange(store, peer.name, Holder(store), closed, give, peer=peer)
    of = [MAINTAINERS] if maintainers != exchange.holder.look().ids(MAINTAINERS).root() else []
    _exchange_sets(exchange, [*of, ADMISSIBLE])
    return exchange


def _exchange_sets(exchange: Exchange, sets: Iterable[str]) -> None:
    """Exchange the operations of some sets; what was exchanged before an error stays, and so does what was refused."""
    try:
        for of in sets:
            _exchange_operations(exchange, of)
    except PeerError as error:
        exchange.refused.append(error)
        exchange.dropped = True


def _exchange_blobs(
    carrying: Carrying, exchanges: Sequence[Exchange], *, retracted: bool, auxiliary: bool
) -> tuple[str, ...]:
    """Exchange the blobs of what is visible now, and take retracted ones; the roots of those that nobody has."""
    held = exchanges[-1].holder.look()
    exchanges[-1].refused += held.reading.refusals
    reached = [exchange for exchange in exchanges if not exchange.dropped]
    if not reached:
        return ()
    wanted = claims_of(held.state.visible().values())
    kinds = KINDS if auxiliary else needed_kinds(carrying.store.genesis)
    taken = {root for root in wanted if is_taken(wanted[root], kinds)}
    known = claims_of(known_manifests(held.state).values(), kinds) if retracted else {}
    others = {root: known[root] for root in known.keys() - wanted.keys()}
    return tuple(sorted(carrying.exchange(reached, wanted, taken, others)))


def check_workspace(store: Store, peer: Peer) -> bytes:
    """The root of what a peer has of maintainers' operations.

    Raises WrongWorkspace unless the peer has the workspace of this store, and PeerError when it does not answer.
    """
    found, maintainers = peer.genesis()
    if found != store.genesis.encode():
        raise WrongWorkspace(
            f"{peer.name} holds workspace {hash_id('genesis', found)}, not {store.genesis.workspace_id}: "
            "choose another peer"
        )
    return maintainers


# Operations


def _exchange_operations(exchange: Exchange, of: str) -> None:
    """Find out what either side lacks of one set, take it, and give it [PR-10]."""
    held, peer = exchange.holder.look(), exchange.peer
    found = reconcile(held.ids(of), peer.reconcile, of, secrets.token_bytes(SALT_BYTES), peer.name)
    if exchange.closed is None:
        _take_operations(exchange, found.lacking)
    elif found.lacking:
        exchange.refused.append(exchange.closed)
    if exchange.gives:
        _give_operations(exchange, _records(held, found.extra))


def _take_operations(exchange: Exchange, lacking: Sequence[bytes]) -> None:
    came: list[Operation] = []
    nbytes, at = 0, 0
    while at < len(lacking) and exchange.closed is None:
        if exchange.came_bytes >= MOST_BYTES:
            exchange.refused.append(_left(exchange, len(lacking) - at))
            break
        asked = lacking[at : at + calls.MOST_ASKED]
        answered = exchange.peer.operations(asked)
        for id_, data in zip(asked, answered, strict=False):
            try:
                came.append(operation_of(exchange, id_.hex(), data))
                nbytes += len(data or b"")
            except MergeAlgebraError as error:
                exchange.refused.append(error)
        at += len(answered)
        exchange.came_bytes += sum(len(data or b"") for data in answered)
        if len(exchange.refused) > MOST_REFUSED:
            _count(exchange, take(exchange, came))
            raise PeerError(
                f"{exchange.peer.name} gives thousands of operations that are refused, first: {exchange.refused[0]}; "
                "no more were asked for: sync with another peer"
            )
        if nbytes > HELD_BYTES:
            _count(exchange, take(exchange, came))
            came, nbytes = [], 0
    _count(exchange, take(exchange, came))


def _left(exchange: Exchange, count: int) -> PeerError:
    """That one sync takes no more of a peer [PR-11]."""
    return PeerError(
        f"{exchange.peer.name} has {count:,} more operations, and one sync takes at most {MOST_BYTES:,} bytes of them; "
        "sync again for the next ones"
    )


def _count(exchange: Exchange, outside: Sequence[Record]) -> None:
    exchange.not_admissible += len(outside)


def _records(held: Held, ids: Iterable[bytes]) -> list[Record]:
    found = (held.state.record(id_.hex()) for id_ in ids)
    return [record for record in found if record is not None]


def _give_operations(exchange: Exchange, extra: Iterable[Record]) -> None:
    given, at = exchange.readable(in_writing_order(extra)), 0
    for batch in calls.batches([record.encoded for record in given]):
        try:
            refused = dict(exchange.peer.put_operations(batch))
        except PeerError as error:
            exchange.give_nothing(error)
            return
        for position, operation in enumerate(given[at : at + len(batch)]):
            if position in refused:
                exchange.give_nothing(
                    OperationError(f"{exchange.peer.name} does not take {operation.id}: {refused[position]}")
                )
            else:
                exchange.given_operations.append(operation.id)
        at += len(batch)
