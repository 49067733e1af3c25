"""The operations of a store as peers are told of them: by the sets that are reconciled [PR-10]."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import admissible
from mergealgebra.errors import ForeignOperation, MergeAlgebraError, PeerError
from mergealgebra.store.objects import Store
from mergealgebra.sync.ranges import IdSet

#: The ids of some operations, of all that are given.
Judge = Callable[[Collection[Operation]], Collection[str]]


@dataclass(frozen=True)
class Rules:
    """Which operations are exchanged [PR-10].

    maintainers: those that maintainers made, which are exchanged first. admissible: all that may be exchanged.
    """

    maintainers: Judge
    admissible: Judge


def rules_of(genesis: Genesis) -> Rules:
    """The rules of a workspace [SG-8]; in an open one nobody is a maintainer, and everything may be exchanged."""
    maintainers = frozenset(genesis.maintainers)

    def of_maintainers(operations: Collection[Operation]) -> Collection[str]:
        return {operation.id for operation in operations if operation.author in maintainers}

    def all_admissible(operations: Collection[Operation]) -> Collection[str]:
        return {operation.id for operation in admissible(genesis, operations)}

    return Rules(of_maintainers, all_admissible)


def operation_of(data: bytes, genesis: Genesis) -> Operation:
    """The operation of a workspace in these bytes, its signature verified [OS-6, SG-7]. Raises as `decode` does."""
    decode = Operation.decode_signed if genesis.is_signed else Operation.decode
    return decode(data, genesis.workspace_id)


@dataclass(frozen=True)
class Held:
    """The operations that a store had at some moment.

    damaged: by name, why others there are not among them. foreign: names of those that may not enter the set [SG-7].
    """

    state: ORSet
    rules: Rules
    damaged: Mapping[str, MergeAlgebraError]
    foreign: Collection[str] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Operation]:
        """The operations by their ids."""
        return {operation.id: operation for operation in self.state.operations}

    @property
    def held_back(self) -> int:
        """How many operations are not admissible, and stay where they are [SG-10]."""
        return len(self.state.operations) - len(self.ids("admissible"))

    def ids(self, of: str) -> IdSet:
        """One of the sets that are reconciled."""
        if of not in self._sets:
            raise PeerError(f"there is no set {of!r}")
        return self._sets[of]

    @cached_property
    def _sets(self) -> Mapping[str, IdSet]:
        operations = self.state.operations
        judges = {"maintainers": self.rules.maintainers, "admissible": self.rules.admissible}
        return {name: IdSet(map(bytes.fromhex, judge(operations))) for name, judge in judges.items()}

    def admissible(self, operations: Iterable[Operation]) -> tuple[list[Operation], list[Operation]]:
        """Of further operations, those that are admissible once all of them are here, and the others."""
        new = list(operations)
        joined = self.state.join(ORSet(self.state.genesis, frozenset(new)))
        allowed = set(self.rules.admissible(joined.operations))
        return [one for one in new if one.id in allowed], [one for one in new if one.id not in allowed]


class Holder:
    """Looks again at a store before each answer; only the operations that are new are read. Threads may share it."""

    def __init__(self, store: Store, rules: Rules | None = None) -> None:
        self.store = store
        self._held = Held(ORSet(store.genesis), rules or rules_of(store.genesis), {})
        self._lock = threading.Lock()

    def look(self) -> Held:
        """What the store has now. Raises WorkspaceError when its folder cannot be read."""
        with self._lock:
            names, held = set(self.store.operation_ids()), self._held
            if names != held.by_id.keys() | set(held.foreign) or held.damaged:
                self._held = self._read(names)
            return self._held

    def _read(self, names: Collection[str]) -> Held:
        known = self._held.by_id
        kept = [operation for name, operation in known.items() if name in names]
        damaged: dict[str, MergeAlgebraError] = {}
        foreign = set(self._held.foreign) & set(names)
        for name in set(names) - known.keys() - foreign:
            try:
                kept.append(self.store.read_operation(name))
            except ForeignOperation:
                foreign.add(name)
            except MergeAlgebraError as error:
                damaged[name] = error
        return Held(ORSet(self.store.genesis, frozenset(kept)), self._held.rules, damaged, foreign)
