"""Operations that a peer gives: each checked, and written if it is admissible, in order [OS-6, PR-10, SY-8]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.records import Record, in_writing_order
from mergealgebra.encoding import hash_id
from mergealgebra.errors import MergeAlgebraError, OperationError, OutputError
from mergealgebra.store.objects import Store
from mergealgebra.store.operation_store import parts
from mergealgebra.store.pack_files import decoded
from mergealgebra.sync.exchange import Moved

#: Operations that came are written together, so that removes go first, until they are so many bytes.
HELD_BYTES: Final = 1 << 26
#: Bytes of operations that one sync takes of one peer: it may have 2^22 that are each as long as they may be.
MOST_BYTES: Final = 1 << 28
#: After so many refusals of one peer no more is taken of what it gives: it may hold 2^22 operations that nobody made.
MOST_REFUSED: Final = 1 << 12


def operation_of(moved: Moved, id_: str, data: bytes | None) -> Operation:
    """An operation that came, if it is the one that was asked for. Raises OperationError, naming the peer."""
    name = moved.name
    if data is None:
        raise OperationError(f"{name} names operation {id_} and does not have it; sync with another peer")
    if (found := hash_id("operation", data)) != id_:
        raise OperationError(f"{name} gives other bytes for operation {id_}, of id {found}; sync with another peer")
    try:
        return decoded(data, moved.store.genesis)
    except MergeAlgebraError as error:
        raise OperationError(
            f"{name} gives operation {id_}, which is refused: {error}; tell whoever made it"
        ) from error


def take(moved: Moved, came: Iterable[Operation]) -> list[Record]:
    """Let operations appear, in an order in which a death halfway shows nothing that was taken back [SY-8].

    What is not admissible stays outside until it is, and is returned [PR-10].
    """
    held = moved.holder.look()
    admissible, others = held.admissible(came)
    ordered = in_writing_order(admissible)
    try:
        check_room(moved.store, ordered)
    except OutputError as error:
        moved.refused.append(error)
        moved.closed = error
        return others
    for record in ordered:
        if record.id in held.damaged and _try(moved, partial(moved.store.mend_operation, record)):
            moved.mended.append(str(moved.store.operation_path(record.id)))
    for part in parts([record for record in ordered if record.id not in held.damaged]):
        if _try(moved, partial(moved.store.write_records, part)):
            moved.taken_operations += (record.id for record in part)
    moved.holder.look(ordered)
    return others


def check_room(store: Store, records: Sequence[Record]) -> None:
    """Raise OutputError unless a store's disk has room for operations that it is to take [PR-11]."""
    if records:
        store.check_room("operations", sum(len(record.encoded) for record in records))


def _try(moved: Moved, step: Callable[[], object]) -> bool:
    """Take a step; what keeps it from being done is one refusal, and so is a disk that takes nothing at all."""
    if moved.closed is not None:
        return False
    try:
        step()
    except MergeAlgebraError as error:
        moved.refused.append(error)
        if isinstance(error, OutputError) and not moved.store.takes_files():
            moved.closed = error
        return False
    return True
