"""The operations of a sync with an object store: what its packs hold is taken, and what they lack goes in one pack.

Everything is judged here, for nothing else judges it [PK-9]. What came is judged together, once all packs are read: so
it does not matter in which pack a grant lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_index import INDEX
from mergealgebra.crdt.packs import BRANCH, Pack
from mergealgebra.crdt.records import Record, in_writing_order
from mergealgebra.encoding import hash_id
from mergealgebra.errors import ForeignOperation, MergeAlgebraError, OperationError, PackError, PeerError
from mergealgebra.store.entries import PACKS
from mergealgebra.store.operation_store import parts
from mergealgebra.store.pack_files import decoded, read_pack
from mergealgebra.store.seen_packs import Seen, SeenPacks
from mergealgebra.sync.exchange import Moved
from mergealgebra.sync.held import Held
from mergealgebra.sync.messages import ADMISSIBLE, MAINTAINERS
from mergealgebra.sync.object_packs import Known, ObjectPacks
from mergealgebra.sync.object_store import ObjectStore
from mergealgebra.sync.taking import HELD_BYTES, MOST_REFUSED, take


@dataclass
class _Intake:
    """What comes from packs, until it is written.

    outside: what was not admissible when it was judged, by id. foreign: what can never be an operation here, and why.
    unsound: what is refused every time, or was not kept. fetched: the packs that were read, and what stands in them.
    passed_over: how much was passed over in packs that are not read again.
    """

    moved: Moved
    waiting: dict[str, Operation] = field(default_factory=dict)
    outside: dict[str, Record] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    unsound: set[str] = field(default_factory=set)
    fetched: dict[str, Known] = field(default_factory=dict)
    passed_over: int = 0
    _nbytes: int = 0
    _state: ORSet = field(init=False)

    def __post_init__(self) -> None:
        self._state = self.moved.holder.look().state

    def add_pack(self, pack: Pack) -> bool:
        """Take what is not here of a pack. False if too much is refused: then it is a pack that is not there."""
        try:
            for id_, data in pack.operations.items():
                self.add(id_, data, f"pack {pack.name}")
        except PackError as error:
            self.moved.refused.append(error)
            return False
        self.fetched[pack.name] = Known.of(pack)
        return True

    def salvage(self, data: bytes) -> None:
        """Take an operation that stands in a damaged pack, if it is one [PK-7]."""
        with suppress(MergeAlgebraError):
            decoded(data, self.moved.store.genesis)
            self.add(hash_id("operation", data), data, "a damaged pack")

    def add(self, id_: str, data: bytes, where: str) -> None:
        """Take an operation, if it is one and is not here. Raises PackError when too much was refused before it."""
        if (
            self._state.has(id_)
            or id_ in self.waiting
            or id_ in self.outside
            or id_ in self.foreign
            or id_ in self.unsound
        ):
            return
        here = f"{self.moved.name}, {where}"
        try:
            self.waiting[id_] = self._operation(id_, data)
        except ForeignOperation as error:
            self._check_refused(where, error)
            self.foreign[id_] = f"{here}: operation {id_} is passed over: {error}"
        except MergeAlgebraError as error:
            self._check_refused(where, error)
            self.unsound.add(id_)
            self.moved.refused.append(
                OperationError(f"{here}: operation {id_} is refused: {error}; tell whoever made it")
            )
        self._nbytes += len(data)
        if self._nbytes > HELD_BYTES:
            self.write()

    def _check_refused(self, where: str, error: MergeAlgebraError) -> None:
        """Whoever writes there may put millions of what is refused: each is kept, up to a number of them [PK-9]."""
        if len(self.moved.refused) + len(self.foreign) + self.passed_over >= MOST_REFUSED:
            raise PackError(
                f"{self.moved.name} holds thousands of operations that are refused or passed over; no more is taken of "
                f"{where}, in which is: {error}; delete it there"
            ) from error

    def _operation(self, id_: str, data: bytes) -> Operation:
        if (found := hash_id("operation", data)) != id_:
            raise OperationError(f"its bytes have the id {found}")
        return decoded(data, self.moved.store.genesis)

    def write(self) -> None:
        """Write what is admissible now, of what was not before too."""
        came = [*self.waiting.values(), *(record.operation for record in self.outside.values())]
        if came and self.moved.closed is not None:
            self.moved.refused.append(self.moved.closed)
            self.unsound |= {operation.id for operation in came}  # which are not seen, then
        elif came:
            self.outside = {record.id: record for record in take(self.moved, came)}
            self._state = self.moved.holder.look().state
            if sum(len(record.encoded) for record in self.outside.values()) > HELD_BYTES:
                self.unsound |= self.outside.keys()  # too many to keep: they are looked at again another time
                self.outside = {}
        self.waiting, self._nbytes = {}, 0


def exchange_operations(moved: Moved, objects: ObjectStore) -> Sequence[ForeignOperation]:
    """Take what is in an object store, and give what is not; returns what is passed over. Raises PeerError."""
    held = moved.holder.look()
    seen = _seen(moved)
    judged = held.ids(MAINTAINERS).root()
    intake = _Intake(moved)
    packs = ObjectPacks(objects, lambda name: _known(intake, held, seen, judged, name))
    try:
        packs.read(intake.add_pack, intake.salvage)
        packs.read_loose(held.state.has, lambda id_, data: intake.add(id_, data, "a file of its own"))
    except PackError as error:
        moved.refused.append(error)
    except PeerError:
        intake.write()
        _write_down(moved, seen, intake, intake.foreign)
        raise
    if packs.is_blind:
        moved.refused.append(
            PeerError(
                f"{moved.name} has no sound {PACKS}/{INDEX}, by which its packs could be found: sync again later, or "
                "have somebody who writes there `sync` with it once more"
            )
        )
    intake.write()
    _judge_again(moved, packs, seen, judged, intake)
    foreign = {**_foreign(seen, packs), **intake.foreign}
    now = moved.holder.look()
    moved.not_admissible = len({id_ for id_ in packs.ids() if not now.state.has(id_)} - foreign.keys())
    moved.refused += packs.damaged.values()
    for pack in _give(moved, packs, now, seen):
        intake.fetched[pack.name] = Known.of(pack)
    _write_down(moved, seen, intake, foreign)
    for name in seen.keys() - packs.held.keys() - packs.damaged.keys():
        del seen[name]
    return [ForeignOperation(said) for _, said in sorted(foreign.items())]


# What was seen before


def _seen(moved: Moved) -> MutableMapping[str, Seen]:
    """What this replica wrote down of the store's packs; a share that is synced keeps nothing."""
    store = moved.store
    return SeenPacks(store.path, store.genesis.workspace_id, moved.name) if store.keeps_records else {}


def _known(intake: _Intake, held: Held, seen: Mapping[str, Seen], judged: bytes, name: str) -> Known | None:
    """What a pack holds, if all of it is here or was judged by the same grants; or if the very pack is here."""
    if (before := seen.get(name)) is not None:
        apart = before.foreign.keys() | (before.outside if before.judged == judged else frozenset())
        if all(held.state.has(id_) or id_ in apart for id_ in before.ids):
            intake.passed_over += len(before.foreign)
            return Known(before.ids, before.nbytes, before.replaces)
    elif name in held.reading.packs:
        with suppress(MergeAlgebraError):
            pack = read_pack(intake.moved.store.pack(name))
            if all(map(held.state.has, pack.operations)):
                return Known.of(pack)
    return None


def _judge_again(moved: Moved, packs: ObjectPacks, seen: Mapping[str, Seen], judged: bytes, intake: _Intake) -> None:
    """Fetch packs again of which something stayed outside, when grants came meanwhile [SG-10]."""
    if moved.holder.look().ids(MAINTAINERS).root() == judged:
        return
    for name in sorted(packs.held.keys() - intake.fetched.keys()):
        if (before := seen.get(name)) is not None and before.outside:
            with suppress(PackError):
                intake.add_pack(packs.fetch(name))
    intake.write()


def _foreign(seen: Mapping[str, Seen], packs: ObjectPacks) -> dict[str, str]:
    """What was passed over in packs that were not fetched again."""
    found = (seen.get(name) for name in packs.held)
    return {id_: said for before in found if before is not None for id_, said in before.foreign.items()}


def _write_down(moved: Moved, seen: MutableMapping[str, Seen], intake: _Intake, foreign: Mapping[str, str]) -> None:
    """Write down what the packs hold that were read or written, but for those of which something could not be taken."""
    now = moved.holder.look()
    judged = now.ids(MAINTAINERS).root()
    for name, known in intake.fetched.items():
        apart = {id_: foreign[id_] for id_ in known.ids if id_ in foreign}
        outside = frozenset(id_ for id_ in known.ids if id_ in intake.outside)
        if all(now.state.has(id_) or id_ in apart or id_ in outside for id_ in known.ids):
            seen[name] = Seen(tuple(known.ids), known.nbytes, tuple(known.replaces), apart, outside, judged)


# Giving


def _mend(moved: Moved, packs: ObjectPacks, held: Held, seen: Mapping[str, Seen]) -> None:
    """Write damaged packs again whose operations are known and all here [PK-7]. Raises PeerError."""
    for name in list(packs.damaged):
        before = seen.get(name)
        ids = before.ids if before is not None else ()
        encodings = [data for id_ in ids if (data := held.encoded(id_)) is not None]
        if before is not None and len(encodings) == len(ids):
            packs.write(Pack.of(encodings, before.replaces))
            moved.refused.remove(packs.damaged.pop(name))
            moved.mended.append(f"{moved.name}/packs/{name}")
    packs.report()


def _give(moved: Moved, packs: ObjectPacks, held: Held, seen: Mapping[str, Seen]) -> list[Pack]:
    """Write what the store's packs lack, then what is due there, the index, and delete what is not needed.

    Returns the packs that were written.
    """
    if not moved.gives:
        return []
    lacking, written = moved.readable(_lacking(packs, held)), list[Pack]()
    named = packs.indexed.operations if packs.indexed else ()
    given = {record.id for record in lacking if record.id not in named}
    try:
        for part in _parts(lacking) if given else ():
            written.append(_write(packs, part))
            moved.given_operations += (record.id for record in part if record.id in given)
    except PeerError as error:
        moved.give_nothing(error)
        return written
    with suppress(MergeAlgebraError):  # it only saves requests
        _mend(moved, packs, held, seen)
        for part in _parts(lacking) if not given else ():  # what lies there in files of its own
            written.append(_write(packs, part))
        written += packs.merge(held.encoded)
        packs.write_index()
        packs.delete_covered()
    return written


def _lacking(packs: ObjectPacks, held: Held) -> list[Record]:
    """What is admissible here and in no pack there, in the order in which it is written."""
    there = packs.ids()
    ids = (id_.hex() for id_ in held.ids(ADMISSIBLE))
    found = (held.state.record(id_) for id_ in ids if id_ not in there)
    return in_writing_order(record for record in found if record is not None)


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Operations as packs hold them, few of them too."""
    if len(records) >= BRANCH:
        yield from parts(records)
    elif records:
        yield records


def _write(packs: ObjectPacks, records: Sequence[Record]) -> Pack:
    pack = Pack.of([record.encoded for record in records])
    packs.write(pack)
    return pack
