"""The operations of a store as peers are told of them: by the sets that are reconciled [PR-10]."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, PeerError, WorkspaceError
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


def _nobody(operations: Collection[Operation]) -> Collection[str]:
    return ()


def _everything(operations: Collection[Operation]) -> Collection[str]:
    return {operation.id for operation in operations}


#: Of an open workspace: nobody is a maintainer, and everything may be exchanged.
OPEN: Final = Rules(_nobody, _everything)


def rules_of(genesis: Genesis) -> Rules:
    """The rules of a workspace, by its policy."""
    if genesis.policy == "open":
        return OPEN
    raise WorkspaceError(f"this version exchanges no operations of workspaces with the policy {genesis.policy!r}")


@dataclass(frozen=True)
class Held:
    """The operations that a store had at some moment. damaged: by name, why others there are not among them."""

    state: ORSet
    rules: Rules
    damaged: Mapping[str, MergeAlgebraError]

    @cached_property
    def by_id(self) -> Mapping[str, Operation]:
        """The operations by their ids."""
        return {operation.id: operation for operation in self.state.operations}

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

    def __init__(self, store: Store, rules: Rules = OPEN) -> None:
        self.store = store
        self._held = Held(ORSet(store.genesis), rules, {})
        self._lock = threading.Lock()

    def look(self) -> Held:
        """What the store has now. Raises WorkspaceError when its folder cannot be read."""
        with self._lock:
            names, known = set(self.store.operation_ids()), self._held.by_id
            if names != known.keys() | self._held.damaged.keys() or self._held.damaged:
                self._held = self._read(names)
            return self._held

    def _read(self, names: Collection[str]) -> Held:
        known = self._held.by_id
        kept = [operation for name, operation in known.items() if name in names]
        damaged: dict[str, MergeAlgebraError] = {}
        for name in names - known.keys():
            try:
                kept.append(self.store.read_operation(name))
            except MergeAlgebraError as error:
                damaged[name] = error
        return Held(ORSet(self.store.genesis, frozenset(kept)), self._held.rules, damaged)
