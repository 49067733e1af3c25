"""Which peer brings which leaves: one queue for all blobs that are taken [BL-10]."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.errors import PeerError
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.sync.admission import Claim
from mergealgebra.sync.calls import Run, runs_of
from mergealgebra.sync.exchange import Exchange

#: How long an idle peer waits before it brings what another was asked for, and how often it looks.
PATIENCE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.2

#: Where a blob stands.
_WAITING, _BEGUN, _OPEN, _OVER = range(4)


@dataclass
class _Flight:
    """A run that was asked for: by whom, and since when."""

    since: float
    by: list[Exchange]


@dataclass(eq=False)
class Taken:
    """A blob that is taken. givers: the peers that may still bring some of it. opened_by: who gave its map."""

    root: str
    claims: Sequence[Claim]
    givers: list[Exchange]
    blob: PartialBlob | None = None
    opened_by: Exchange | None = None
    stage: int = _WAITING
    runs: deque[Run] = field(default_factory=deque)
    flying: dict[Run, _Flight] = field(default_factory=dict)

    @property
    def made(self) -> PartialBlob:
        """The blob in the making, once its map came."""
        if self.blob is None:
            raise PeerError(f"the map of {self.root} did not come")
        return self.blob


class Queue:
    """The runs that are still to come. Threads share it."""

    def __init__(self) -> None:
        self._blobs: list[Taken] = []
        self._turn = threading.Condition()
        self._stopped = False

    def add(self, taken: Taken) -> None:
        """Want a blob."""
        self._blobs.append(taken)

    def stop(self) -> None:
        """Let nobody ask for more."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def next(self, giver: Exchange) -> tuple[Taken, Run | None] | None:
        """What a peer brings now, a run or (None) the map of a blob; None when there is nothing left for it."""
        with self._turn:
            while not self._stopped:
                mine = [taken for taken in self._blobs if giver in taken.givers and taken.stage != _OVER]
                found = _ready(mine, giver) or _begun(mine) or _late(mine, giver)
                if found is not None:
                    return found
                if not mine:
                    return None
                self._turn.wait(_LOOK_SECONDS)
        return None

    def opened(self, taken: Taken, blob: PartialBlob, runs: Sequence[Run], by: Exchange) -> bool:
        """Let the runs of a blob be brought; whether there are none, and it is complete."""
        with self._turn:
            taken.blob, taken.opened_by = blob, by
            taken.runs.extend(runs)
            taken.stage = _OPEN if runs else _OVER
            self._turn.notify_all()
            return not runs

    def done(self, taken: Taken, run: Run, by: Exchange) -> bool:
        """A run came: whether it was the last of its blob. Whoever else was asked for it is cut off."""
        with self._turn:
            flight = taken.flying.pop(run, None)
            if flight is None or taken.stage != _OPEN:
                return False
            for other in flight.by:
                if other is not by:
                    other.peer.cut()  # while nobody else has a turn, so that it was asked for nothing after this run
            last = not taken.runs and not taken.flying
            if last:
                taken.stage = _OVER
            self._turn.notify_all()
            return last

    def again(self, taken: Taken, run: Run, giver: Exchange) -> None:
        """Let what is lacking of a run be brought once more, by anybody."""
        with self._turn:
            self._return(taken, run, giver)
            self._turn.notify_all()

    def without(self, giver: Exchange, taken: Taken | None, run: Run | None, asked: Taken | None = None) -> None:
        """Ask a peer for nothing more of one blob, or (None) of all. run: what it did not bring, of `asked`."""
        with self._turn:
            for one in self._blobs if taken is None else [taken]:
                if giver in one.givers:
                    one.givers.remove(giver)
            self._leave(taken or asked, run, giver)
            self._turn.notify_all()

    def failed(self, taken: Taken) -> None:
        """Bring nothing more of a blob."""
        with self._turn:
            taken.stage = _OVER
            taken.runs.clear()
            taken.flying.clear()
            self._turn.notify_all()

    def is_over(self, taken: Taken, run: Run | None) -> bool:
        """Whether nobody waits for a run any more."""
        with self._turn:
            return run is not None and run not in taken.flying

    def _leave(self, taken: Taken | None, run: Run | None, giver: Exchange) -> None:
        if taken is None:
            return
        if run is not None:
            self._return(taken, run, giver)
        elif taken.stage == _BEGUN:
            taken.stage = _WAITING
        if not taken.givers:
            taken.stage = _OVER

    def _return(self, taken: Taken, run: Run, giver: Exchange) -> None:
        flight = taken.flying.get(run)
        if flight is None:
            return
        flight.by.remove(giver)
        if not flight.by:
            del taken.flying[run]
            lacking = [number for number in run.numbers if not taken.made.is_here(number)]
            taken.runs.extendleft(reversed(list(runs_of(run.root, lacking or run.numbers))))


def _ready(mine: Sequence[Taken], giver: Exchange) -> tuple[Taken, Run] | None:
    for taken in mine:
        if taken.runs:
            run = taken.runs.popleft()
            taken.flying[run] = _Flight(time.monotonic(), [giver])
            return taken, run
    return None


def _begun(mine: Sequence[Taken]) -> tuple[Taken, None] | None:
    for taken in mine:
        if taken.stage == _WAITING:
            taken.stage = _BEGUN
            return taken, None
    return None


def _late(mine: Sequence[Taken], giver: Exchange) -> tuple[Taken, Run] | None:
    """A run that one other peer was asked for a while ago."""
    for taken in mine:
        for run, flight in taken.flying.items():
            if giver not in flight.by and len(flight.by) == 1 and time.monotonic() - flight.since > PATIENCE_SECONDS:
                flight.by.append(giver)
                return taken, run
    return None
