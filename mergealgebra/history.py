"""What happened in a workspace: its operations by time and by contribution, and who says that they made them.

Names, times and notes are what somebody wrote. Nothing proves them, and nothing that is merged depends on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import OPERATION_TIMES, Add, Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import taken_back
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


def stories(state: ORSet) -> dict[str, Story]:
    """What was done with each contribution that was ever visible, as far as it is known here, by id [OS-8, OS-9]."""
    counted = by_time(state.effective)
    removes = taken_back(state.authority, counted)
    adds: dict[str, list[Operation]] = {}
    manifests: dict[str, Manifest] = {}
    for operation in counted:
        if isinstance(payload := operation.payload, Add):
            adds.setdefault(payload.manifest.id, []).append(operation)
            manifests[payload.manifest.id] = payload.manifest
    return {
        id_: Story(manifests[id_], tuple(own), {add.id: tuple(removes[add.id]) for add in own if add.id in removes})
        for id_, own in sorted(adds.items())
    }


def seen_before(contribution: str, state: ORSet) -> list[str]:
    """A line for a contribution that is visible already, or was taken back: what adding it once more does [OS-16]."""
    story = stories(state).get(contribution)
    if story is None:
        return []
    if story.visible:
        since, by = _on(story.told_by, " since "), story.told_by.name
        said = f"it is visible already{',' if since or by else ''}{since}{f' by {shown(by)}' if by else ''}"
        return [f"{said}; it counts once"]
    remove = story.retractions[-1]
    who = "somebody" if remove.name is None else shown(remove.name)
    note = f": {shown(remove.note)}" if remove.note else ""
    return [f"{who} took it back{_on(remove, ' on ')}{note}; it is visible again now"]


def attests(state: ORSet) -> tuple[Operation, ...]:
    """What replicas say that they merged, by time [OS-12]."""
    return by_time(operation for operation in state.effective if isinstance(operation.payload, Attest))


def not_mine(state: ORSet, contributions: Collection[str], mine: str | None) -> list[str]:
    """A line for each of these contributions that stands under other names than one's own [OS-14].

    mine: one's own name, None without one. What stands under no name may be anybody's: nothing is said of it.
    """
    told = stories(state)
    short = short_ids(told)
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
