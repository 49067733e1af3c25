"""What a planted fault is, and what the patches of several need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet

Patches = Iterable[Any]


@dataclass(frozen=True)
class Fault:
    """what: the mistake. level: sets or folders. laws: those that a history may break. patches: made anew each time."""

    what: str
    level: str
    laws: tuple[str, ...]
    patches: Callable[[], Patches]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The product makes this mistake while the body runs."""
        with ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


#: Every planted fault by its name.
FAULTS: dict[str, Fault] = {}


def fault(what: str, level: str, *laws: str) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    """Enter a planted fault under the name of its function."""

    def enter(patches: Callable[[], Patches]) -> Callable[[], Patches]:
        FAULTS[patches.__name__.replace("_", "-")] = Fault(what, level, laws, patches)
        return patches

    return enter


def with_operations(state: ORSet, operations: Iterable[Operation]) -> ORSet:
    return ORSet(state.genesis, frozenset(operations))


def payloads(state: ORSet, kind: type) -> dict[str, Any]:
    return {one.id: one.payload for one in state.operations if isinstance(one.payload, kind)}
