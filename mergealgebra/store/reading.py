"""What was read of the operations of a store: which files hold them, and which of these are damaged [PK-5].

What one process has read it keeps, for as long as the system says that the file is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operation_set import OperationSet
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.records import Record
from mergealgebra.errors import ForeignOperation, MergeAlgebraError
from mergealgebra.store.entries import Told

#: A file by its folder and name.
Place = tuple[str, str]
#: The operations of one file, by id, ascending.
Held = Mapping[str, Record]


class File(NamedTuple):
    """A file that was read. foreign: what of it is passed over in a signed workspace [SG-7]."""

    told: Told
    held: Held
    foreign: tuple[ForeignOperation, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The operations of a store.

    state: those in files that are what their names promise. packs: what each good pack holds. alone: the good files of
    one operation each that no pack holds. loose: the names of all such files, good or not, in a pack or not. damaged,
    damaged_packs: why other files are refused, by id and by the name of the pack. told: what the system says of files.
    foreign: what is passed over in a signed workspace [SG-7].
    """

    state: ORSet
    packs: Mapping[str, Held]
    alone: Mapping[str, Record]
    loose: tuple[str, ...]
    damaged: Mapping[str, MergeAlgebraError]
    damaged_packs: Mapping[str, MergeAlgebraError]
    told: Mapping[Place, Told]
    foreign: tuple[ForeignOperation, ...] = ()

    @property
    def refusals(self) -> list[MergeAlgebraError]:
        """Why files are refused, in a fixed order."""
        return [error for _, error in sorted([*self.damaged.items(), *self.damaged_packs.items()], key=_name)]

    def holds(self, name: str) -> bool:
        """Whether an operation lies in a good file."""
        return name in self.alone or in_any(self.packs.values(), name)


@dataclass
class Memory:
    """What this process has read of a store: the good files, and their state."""

    files: dict[Place, File] = field(default_factory=dict)
    last: ORSet | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def known(self, place: Place, told: Told) -> File | None:
        """A file that was read before, and has not changed."""
        before = self.files.get(place)
        return before if before is not None and before.told == told else None

    def state(self, genesis: Genesis, files: Mapping[Place, File]) -> ORSet:
        """The state of these files: the one that was made last, with what is new, if nothing was lost meanwhile."""
        with self._lock:
            lost = [file for place, file in self.files.items() if place not in files or files[place].told != file.told]
            new = [file for place, file in files.items() if self.known(place, file.told) is None]
            there = [file.held for file in files.values()]
            if self.last is None or not all(in_any(there, name) for file in lost for name in file.held):
                self.last = ORSet(genesis, OperationSet.of(genesis, _all(there)))
            else:
                self.last = self.last.joined(_all(file.held for file in new))
            self.files = dict(files)
            return self.last


def in_any(files: Iterable[Held], name: str) -> bool:
    """Whether one of these files holds an operation."""
    return any(name in held for held in files)


def _all(files: Iterable[Held]) -> Iterable[Record]:
    return (record for held in files for record in held.values())


def _name(item: tuple[str, MergeAlgebraError]) -> str:
    return item[0]
