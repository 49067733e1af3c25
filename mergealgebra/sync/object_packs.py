"""The packs of an object store, as one sync finds and leaves them [PK-8 to PK-11].

A pack that was seen is not fetched again. Whoever writes adds one pack, merges what is due, rewrites the index, and
deletes what lies wholly inside one larger pack. Writers know nothing of each other, and none of them loses anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.operations import MAX_OPERATION_BYTES
from mergealgebra.crdt.pack_index import INDEX, MAX_INDEX_BYTES, PackIndex
from mergealgebra.crdt.pack_levels import insides, to_merge
from mergealgebra.crdt.packs import MAX_PACK_BYTES, Pack, salvage
from mergealgebra.encoding import hash_id
from mergealgebra.errors import MergeAlgebraError, PackError, PeerError
from mergealgebra.store.entries import OPERATIONS, PACKS
from mergealgebra.sync.damage_reports import is_reported, report, withdraw
from mergealgebra.sync.object_store import Listed, ObjectStore, TooLong, get, mended_in_folder

#: For how long a pack must have been in the store before what lies inside it is deleted.
RESTING_SECONDS: Final = 24 * 60 * 60
#: How often the store is listed, when packs go while they are read.
_TRIES: Final = 4
#: One sync reads no more packs and files of one operation of a store, nor more bytes of them; the next goes on.
MOST_READ: Final = 1 << 16
MOST_BYTES: Final = 1 << 32
#: No more ids of operations are kept, of all packs together; each is in few of them.
MOST_IDS: Final = 1 << 22


@dataclass(frozen=True)
class Known:
    """What a pack that was seen holds: the ids of its operations, ascending, its bytes, and what it replaces."""

    ids: Sequence[str]
    nbytes: int
    replaces: Sequence[str] = ()

    @classmethod
    def of(cls, pack: Pack) -> Known:
        """What there is to know of a pack."""
        return cls(tuple(pack.operations), pack.nbytes, pack.replaces)


#: What is known of a pack of this name, so that it need not be fetched; None if it must be.
Knows = Callable[[str], Known | None]
#: Told of each pack that was fetched, says whether it counts; and of what may be an operation in a damaged one.
Fetched = Callable[[Pack], bool]
Salvaged = Callable[[bytes], object]


@dataclass
class ObjectPacks:
    """The packs of a store. held: the ids in each good one. damaged: why others are refused.

    indexed: the index as it was found, None if there was none.
    """

    objects: ObjectStore
    knows: Knows
    held: dict[str, Mapping[str, None]] = field(default_factory=dict)
    damaged: dict[str, MergeAlgebraError] = field(default_factory=dict)
    indexed: PackIndex | None = None
    _sizes: dict[str, int] = field(default_factory=dict)
    _listed: Mapping[str, Listed] | None = None
    _reads: int = 0
    _nbytes: int = 0
    _ids: int = 0

    # Reading

    def read(self, fetched: Fetched, salvaged: Salvaged) -> None:
        """Find every pack, and fetch those that are not known; list again when one is gone [PK-5]. Raises PeerError."""
        gone: list[str] = []
        for _ in range(_TRIES):
            names = self._look()
            for name in self.held.keys() - names:
                del self.held[name]
            gone = [name for name in sorted(names - self.held.keys()) if not self._read(name, fetched, salvaged)]
            if not gone:
                break
        for name in gone:
            what = f"{self.objects.name} names pack {name} and does not have it; sync again later"
            self.damaged[name] = PackError(what)

    def read_loose(self, has: Callable[[str], bool], taken: Callable[[str, bytes], object]) -> None:
        """Fetch the single operations that the index names and that are not here. What is gone is in a pack now."""
        for name in self.indexed.operations if self.indexed else ():
            with suppress(TooLong):
                data = None if has(name) else self._get(f"{OPERATIONS}/{name}", MAX_OPERATION_BYTES)
                if data is not None:
                    taken(name, data)

    def _look(self) -> set[str]:
        """The names of all packs that are listed, or that the index names."""
        self._listed = self.objects.list(PACKS)
        self.indexed = self._index()
        named = self.indexed.packs if self.indexed else ()
        return {*named, *filter(is_id, self._listed)} if self._listed is not None else set(named)

    @property
    def is_blind(self) -> bool:
        """Whether there is nothing by which packs could be found."""
        return self._listed is None and self.indexed is None

    def _index(self) -> PackIndex | None:
        """The index; None where there is none. A damaged one is one that is not there: it is rewritten."""
        with suppress(PackError, TooLong):
            data = get(self.objects, f"{PACKS}/{INDEX}", MAX_INDEX_BYTES)
            return None if data is None else PackIndex.decode(data)
        return None

    def _read(self, name: str, fetched: Fetched, salvaged: Salvaged) -> bool:
        """Know what a pack holds, fetching it if need be; False when it is gone.

        That the index names it, where there is a list without it, is no reason to think that it is there [PK-8].
        """
        is_there = self._listed is None or name in self._listed
        if is_there and not self.is_reported(name) and (known := self.knows(name)) is not None:
            self._holds(name, known.ids, known.nbytes)
            return True
        try:
            data = self._get(f"{PACKS}/{name}", MAX_PACK_BYTES)
        except TooLong as error:
            self.damaged[name] = PackError(str(error))
            return True
        if data is None:
            return self._listed is not None and name not in self._listed  # the index says so, and that is a hint
        try:
            pack = self._decoded(name, data)
        except PackError as error:
            self.damaged[name] = error
            for one in salvage(data):
                salvaged(one)
            return True
        if fetched(pack):
            self._holds(name, pack.operations, pack.nbytes)
        return True

    def _get(self, key: str, most: int) -> bytes | None:
        """What is read of a store in one sync is counted."""
        if self._reads >= MOST_READ or self._nbytes >= MOST_BYTES:
            raise PeerError(f"{self.objects.name} holds more operations than one sync reads; sync again for the rest")
        data = get(self.objects, key, most)
        self._reads, self._nbytes = self._reads + 1, self._nbytes + len(data or b"")
        return data

    def is_reported(self, name: str) -> bool:
        """Whether somebody found a pack damaged; it may be good all the same."""
        return is_reported(self._listed, name)

    def _decoded(self, name: str, data: bytes) -> Pack:
        """The pack of this name. Raises PackError, naming store and pack."""
        if (found := hash_id("pack", data)) != name:
            raise PackError(
                f"{self.objects.name} gives other bytes for pack {name}, of name {found}; {mending_pack(self.objects)}"
            )
        try:
            return Pack.decode(data)
        except PackError as error:
            raise PackError(f"{self.objects.name} holds pack {name}, which is refused: {error}; delete it") from error

    def fetch(self, name: str) -> Pack:
        """The pack of this name, read again. Raises PackError, also when it is not there any more, and PeerError."""
        data = get(self.objects, f"{PACKS}/{name}", MAX_PACK_BYTES)
        if data is None:
            raise PackError(f"{self.objects.name} has no pack {name} any more; sync again")
        return self._decoded(name, data)

    def ids(self) -> set[str]:
        """The ids of the operations in all good packs."""
        return {id_ for held in self.held.values() for id_ in held}

    # Writing

    def write(self, pack: Pack) -> None:
        """Put a pack. Raises PeerError."""
        self.objects.put(f"{PACKS}/{pack.name}", pack.encode())
        self._holds(pack.name, pack.operations, pack.nbytes)

    def report(self) -> None:
        """Write down beside damaged packs that they are, so that others mend them, and forget what is mended.

        Only where that can be listed. Raises PeerError.
        """
        listed = self._listed or {}
        for name in self.damaged:
            if name in listed and not self.is_reported(name):
                report(self.objects, f"{PACKS}/{name}")
        for name in self.held:
            if self.is_reported(name):
                withdraw(self.objects, f"{PACKS}/{name}")

    def merge(self, encoded: Callable[[str], bytes | None]) -> list[Pack]:
        """Write the packs that are due [PK-3]. encoded: the encoding of an operation that is here. Raises PeerError."""
        written = list[Pack]()
        while names := to_merge(self.held, self._sizes):
            encodings = [data for name in names for data in self._encodings(name, encoded)]
            written.append(Pack.of(encodings, names))
            self.write(written[-1])
        return written

    def _encodings(self, name: str, encoded: Callable[[str], bytes | None]) -> Iterable[bytes]:
        """The operations of a pack, from here if all of them are here."""
        here = [encoded(id_) for id_ in self.held[name]]
        known = [data for data in here if data is not None]
        if len(known) == len(here):
            return known
        return self.fetch(name).operations.values()

    def write_index(self) -> None:
        """Rewrite the index, unless it is right [PK-8]: it names no pack that lies inside another. Raises PeerError."""
        inside, packed = {name for name, _ in insides(self.held)}, self.ids()
        loose = [name for name in (self.indexed.operations if self.indexed else ()) if name not in packed]
        index = PackIndex(tuple(sorted(self.held.keys() - inside)), tuple(loose))
        if index != self.indexed:
            self.objects.put(f"{PACKS}/{INDEX}", index.encode())
            self.indexed = index

    def delete_covered(self) -> list[str]:
        """Delete packs that have been wholly inside one larger pack for a day; their names [PK-10]. Raises PeerError.

        The larger one is read again before.
        """
        deleted = list[str]()
        for larger, names in deletable(self.held, self._rested()).items():
            with suppress(PackError):
                self.fetch(larger)
                for name in names:
                    self.objects.delete(f"{PACKS}/{name}")
                    del self.held[name]
                    deleted.append(name)
        return deleted

    def _rested(self) -> set[str]:
        """The packs that the store says it has had for a day when it last wrote anything here."""
        listed = self._listed or {}
        newest = max((told.modified for told in listed.values()), default=0.0)
        return {name for name, told in listed.items() if newest - told.modified > RESTING_SECONDS}

    def _holds(self, name: str, ids: Iterable[str], nbytes: int) -> None:
        self.held[name] = dict.fromkeys(ids)
        self._ids += len(self.held[name])
        if self._ids > MOST_IDS:
            raise PeerError(
                f"the packs of {self.objects.name} hold more than {MOST_IDS} operations, each counted as often as it "
                "is there; delete packs there that lie inside others"
            )
        self._sizes[name] = nbytes


def mending_pack(objects: ObjectStore) -> str:
    """Who mends a damaged pack of a store [PK-11]: others cannot know what stood in it."""
    return mended_in_folder(objects.name) or (
        "the next `sync` of whoever wrote it, or read it there before, mends it; if that is nobody, delete it there, "
        "and members who sync write again what they hold"
    )


def deletable(held: Mapping[str, Mapping[str, None]], rested: Iterable[str]) -> Mapping[str, list[str]]:
    """The packs that lie wholly inside one larger pack that has rested, by that pack [PK-10]."""
    found: dict[str, list[str]] = defaultdict(list)
    allowed = set(rested)
    for name, larger in insides(held):
        if larger in allowed:
            found[larger].append(name)
    return found
