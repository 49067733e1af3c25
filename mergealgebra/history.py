"""What happened in a workspace: its operations by time and by contribution, and who says that they made them.

Names, times and notes are what somebody wrote. Nothing proves them, and nothing that is merged depends on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import OPERATION_TIMES, Add, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.records import Record
from mergealgebra.ids import short_ids
from mergealgebra.text import listed, shown


@dataclass(frozen=True)
class Story:
    """What was done with one contribution. adds: every add of it, by time. removes: of each add that was taken back."""

    manifest: Manifest
    adds: tuple[Operation, ...]
    removes: Mapping[str, tuple[Operation, ...]]

    @cached_property
    def standing(self) -> tuple[Operation, ...]:
        """The adds that nobody took back, by time [OS-9]."""
        return tuple(add for add in self.adds if add.id not in self.removes)

    @property
    def visible(self) -> bool:
        """Whether it is merged."""
        return bool(self.standing)

    @property
    def told_by(self) -> Operation:
        """The add that says who, when and why: the earliest that stands, or of all if none does."""
        return (self.standing or self.adds)[0]

    @cached_property
    def retractions(self) -> tuple[Operation, ...]:
        """The removes of its adds, each once, by time."""
        return by_time({remove for removes in self.removes.values() for remove in removes})


def now() -> int | None:
    """The time for an operation; None where the clock shows one that an operation cannot have, such as 1969."""
    seconds = int(time.time())
    return seconds if seconds in OPERATION_TIMES else None


def by_time(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Operations by their time, an add before the remove of that second; those without a time last."""
    return tuple(sorted(operations, key=_time_and_kind))


def stories(state: ORSet, contributions: Iterable[str]) -> dict[str, Story]:
    """What was done with each of these contributions, by id; those that were never visible here are left out.

    The body of each operation about them is read, and of no other.
    """
    found = {id_: state.adds(id_) for id_ in contributions}
    return {id_: _story(state, adds) for id_, adds in found.items() if adds}


def _story(state: ORSet, records: Sequence[Record]) -> Story:
    adds = by_time(record.operation for record in records)
    removes = {add.id: by_time(remove.operation for remove in state.removes(add)) for add in records}
    return Story(_manifest(adds[0]), adds, {id_: own for id_, own in removes.items() if own})


def _manifest(add: Operation) -> Manifest:
    if not isinstance(add.payload, Add):
        raise ValueError(add)
    return add.payload.manifest


def told_by(state: ORSet, contribution: str) -> Operation:
    """The same as of its story: the add that says who, when and why; no other body is read but of adds that stand."""
    return by_time(add.operation for add in state.standing(contribution) or state.adds(contribution))[0]


def seen_before(contribution: str, state: ORSet) -> list[str]:
    """A line for a contribution that is visible already, or was taken back: what adding it once more does [OS-16]."""
    story = stories(state, [contribution]).get(contribution)
    if story is None:
        return []
    if story.visible:
        since, by = _on(story.told_by, " since "), state.maker(story.told_by)
        said = f"it is visible already{',' if since or by else ''}{since}{f' by {shown(by)}' if by else ''}"
        return [f"{said}; it counts once"]
    remove = story.retractions[-1]
    by = state.maker(remove)
    who = "somebody" if by is None else shown(by)
    note = f": {shown(remove.note)}" if remove.note else ""
    return [f"{who} took it back{_on(remove, ' on ')}{note}; it is visible again now"]


def not_mine(state: ORSet, contributions: Collection[str], mine: str | None) -> list[str]:
    """A line for each of these contributions that stands under other names than one's own [OS-14].

    mine: one's own name, None without one. What stands under no name may be anybody's: nothing is said of it. In a
    signed workspace keys decide, and nothing is said either.
    """
    if state.genesis.is_signed:
        return []
    told = stories(state, contributions)
    short = short_ids(state.known_ids())
    lines = []
    for id_ in contributions:
        names = {add.name for add in told[id_].standing if add.name is not None} if id_ in told else set()
        if others := sorted(names - {mine}):
            who = f"you are {shown(mine)}" if mine else "you have set no name"
            lines.append(f"contribution {short[id_]} is from {listed(map(shown, others))}, and {who}")
    return lines


def _on(operation: Operation, before: str) -> str:
    """The day of an operation in UTC, behind that word; nothing where none is known."""
    try:
        day = None if operation.time is None else datetime.fromtimestamp(operation.time, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return "" if day is None else f"{before}{day:%Y-%m-%d}"


def _time_and_kind(operation: Operation) -> tuple[float, str, str]:
    return math.inf if operation.time is None else operation.time, operation.kind, operation.id
