"""Good copies of what a store of objects holds: a bucket, or the files of a web server [SY-11, PR-17].

Nothing is kept of packs but the ids in them: a pack is fetched again when something of it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_levels import insides
from mergealgebra.crdt.packs import Pack
from mergealgebra.errors import (
    BlobMissing,
    ForeignOperation,
    MergeAlgebraError,
    OperationError,
    PackError,
    PeerError,
)
from mergealgebra.store.entries import BLOBS, OPERATIONS, PACKS
from mergealgebra.store.objects import Store
from mergealgebra.store.pack_files import decoded
from mergealgebra.store.reading import Reading
from mergealgebra.sync.admission import Claim, Fits
from mergealgebra.sync.exchange import Moved
from mergealgebra.sync.held import Held, Holder
from mergealgebra.sync.object_blobs import take_blob
from mergealgebra.sync.object_packs import ObjectPacks
from mergealgebra.sync.object_store import Listed, ObjectStore, TooLong, get
from mergealgebra.sync.object_sync import genesis_of
from mergealgebra.sync.taking import HELD_BYTES, MOST_BYTES, operation_of

#: Packs that are remembered: one that is damaged here holds many operations of one pack there.
_REMEMBERED: Final = 2


def genesis_from(name: str, data: bytes) -> Genesis:
    """The genesis that a peer of this name gives. Raises PeerError."""
    try:
        return Genesis.decode(data)
    except MergeAlgebraError as error:
        raise PeerError(f"{name} gives a genesis that is refused: {error}; name another peer") from error


@dataclass
class _Lacking:
    """Operations that are not here, as they come. Anybody may fill a store with what is not admissible."""

    held: Held
    name: str
    came: dict[str, Operation] = field(default_factory=dict)
    _nbytes: int = 0

    def has(self, id_: str) -> bool:
        """Whether an operation is here, or came."""
        return self.held.state.has(id_) or id_ in self.came

    def take(self, operation: Operation, nbytes: int) -> None:
        """Keep an operation of so many bytes."""
        self.came[operation.id] = operation
        self._nbytes += nbytes

    def check_size(self) -> None:
        """Keep what is admissible where it is much. Raises PeerError where that is more than one sync takes."""
        if self._nbytes > HELD_BYTES:
            self.drop_others()
            self._nbytes = sum(len(operation.encode()) for operation in self.came.values())
        if self._nbytes > MOST_BYTES:
            raise PeerError(
                f"{self.name} holds more than {MOST_BYTES:,} bytes of operations that are not here: `sync` with it, as "
                "often as it says so, and repair then"
            )

    def drop_others(self) -> None:
        """Keep what is admissible once all of it is here."""
        self.came = {record.id: record.operation for record in self.held.admissible(self.came.values())[0]}


class ObjectCopies:
    """A store of objects. Raises PeerError for one that is not reached, and WorkspaceError where there is none."""

    store = None

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.genesis = genesis_from(self.name, genesis_of(objects))
        self._fetch = lru_cache(_REMEMBERED)(self._fetched)

    @property
    def name(self) -> str:
        return self._objects.name

    def operation(self, store: Store, name: str) -> Operation:
        """As in GoodCopies: a file of its own, as a share has it, or in a pack."""
        data = get(self._objects, f"{OPERATIONS}/{name}", MAX_OPERATION_BYTES)
        if data is None:
            data = next((self._fetch(pack).operations[name] for pack, ids in self._held.items() if name in ids), None)
        if data is None:
            self._check_complete()
        return operation_of(self._moved(store), name, data)

    def pack(self, name: str) -> tuple[list[Operation], Pack]:
        """As in GoodCopies."""
        try:
            pack = self._fetch(name)
        except TooLong as error:
            raise PackError(str(error)) from error
        found = list[Operation]()
        for id_, data in pack.operations.items():
            with suppress(ForeignOperation):
                found.append(self._decoded(name, id_, data))
        return found, pack

    def lacking(self, store: Store, here: Reading) -> ORSet:
        """As in GoodCopies: the admissible ones. Raises PeerError for more than one sync takes."""
        moved, lacking = self._moved(store), _Lacking(Held(here), self.name)

        def take(id_: str, data: bytes) -> None:
            with suppress(MergeAlgebraError):
                found = operation_of(moved, id_, data)
                lacking.take(found, len(data))

        inside = {name for name, _ in insides(self._held)}
        for name in self._held.keys() - inside:
            if not all(map(lacking.has, self._held[name])):
                for id_, data in self._fetch(name).operations.items():
                    if not lacking.has(id_):
                        take(id_, data)
                lacking.check_size()
        self._packs.read_loose(lacking.has, take)
        self._check_complete()
        lacking.drop_others()
        return ORSet(self.genesis, frozenset(lacking.came.values()))

    def take_blob(self, store: Store, root: str, claims: Sequence[Claim], fits: Fits) -> None:
        """As in GoodCopies."""
        if not claims:
            raise BlobMissing(f"no contribution names the tensors of root {root}: nobody can say how large they may be")
        moved = self._moved(store)
        if not take_blob(moved, self._objects, self._blobs, fits, root, list(claims)):
            raise BlobMissing(f"{self.name} has no tensors of root {root}")
        for error in moved.refused:
            raise error

    @cached_property
    def _packs(self) -> ObjectPacks:
        found = ObjectPacks(self._objects, lambda name: None)
        found.read(lambda pack: True, lambda data: None)
        return found

    @property
    def _held(self) -> Mapping[str, Mapping[str, None]]:
        return self._packs.held

    @cached_property
    def _blobs(self) -> Mapping[str, Listed] | None:
        return self._objects.list(BLOBS)

    def _fetched(self, name: str) -> Pack:
        return ObjectPacks(self._objects, lambda _: None).fetch(name)

    def _decoded(self, pack: str, id_: str, data: bytes) -> Operation:
        try:
            return decoded(data, self.genesis)
        except ForeignOperation:
            raise
        except MergeAlgebraError as error:
            raise PackError(f"{self.name}, pack {pack}, operation {id_}: {error}") from error

    def _check_complete(self) -> None:
        """Raise an error where packs of the store could not be found or read, since something may be in them."""
        if self._packs.is_blind:
            raise PeerError(f"{self.name} has no sound {PACKS}/index, by which its packs could be found; name another")
        for error in self._packs.damaged.values():
            raise OperationError(f"it may be where nothing can be read: {error}")

    def _moved(self, store: Store) -> Moved:
        return Moved(store, self.name, Holder(store), None)
