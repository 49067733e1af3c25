"""Histories of stores from a seed: what a team does, on disks and over wires that fail."""

from __future__ import annotations

from tests.simulation.damage import OUTER
from tests.simulation.draw_teams import TeamDrawing
from tests.simulation.draws import Draws
from tests.simulation.people import FORGERIES
from tests.simulation.stores import BRANCHES
from tests.simulation.wire import MISHAPS

#: How often what is always there happens, and what goes wrong where a history has it.
DOINGS = {"add": 6, "retract": 2, "sync": 4, "call": 4, "look": 2}
ADVERSITIES = {
    "revoke": 2,
    "grant": 1,
    "keep": 2,
    "steal": 2,
    "rule": 2,
    "borrow": 2,
    "attest": 1,
    "put": 4,
    "spoil": 3,
    "age": 4,
    "clock": 2,
    "stay": 1,
    "copy": 2,
    "restore": 1,
    "ferry": 2,
    "cut": 1,
    "power": 1,
}
#: Half of the histories are about one thing.
THEMES = (
    {"add": 6, "look": 4, "age": 5, "ferry": 2, "sync": 2, "retract": 1},
    {"add": 5, "spoil": 5, "sync": 4, "look": 1, "copy": 1},
    {"add": 4, "call": 6, "revoke": 2, "keep": 2, "retract": 2, "grant": 1},
    {"add": 5, "revoke": 5, "grant": 2, "keep": 1, "retract": 2, "call": 3, "sync": 2},
    {"add": 4, "put": 5, "borrow": 3, "rule": 2, "steal": 2, "sync": 3, "call": 2},
)
#: The longest that a command that dies lives, in calls.
LONGEST = 24


def draw_events(seed: int) -> tuple[str, ...]:
    """The events of a history of 6 to 25 scenes among two or three replicas and one or two shares."""
    drawing = StoreDrawing(Draws(f"stores {seed}"))
    drawing.events.append(f"branch {drawing.draws.one_of(BRANCHES)}")
    drawing.begin()
    for _ in range(6 + drawing.draws.below(20)):
        drawing.scene(drawing.draws.weighted(drawing.weights))
    return tuple(drawing.events)


class StoreDrawing(TeamDrawing):
    """A history of stores in the making."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self.shares = [f"x{number}" for number in range(1 + draws.below(2))]
        any_ = DOINGS | draws.some_of(ADVERSITIES)
        self.weights = any_ if draws.chance(0.4) else draws.one_of(THEMES)
        self.deadly = draws.one_of((0, 0, 0.15, 0.5))
        self.busy = draws.one_of((0, 0, 0.6))

    def begin(self) -> None:
        """Mostly the first writers are let in first, and everybody knows that."""
        super().begin()
        self.events = [event.replace("meet", "sync") for event in self.events]

    def scene(self, scene: str) -> None:
        """Let something happen, and sometimes let somebody meet it."""
        draws, where = self.draws, self.draws.one_of(self.replicas)
        place = draws.one_of([*self.replicas, *self.shares])
        match scene:
            case "sync" | "call":
                self.command(self.meeting(scene, where, place))
            case "look":
                self.command(f"look {where}")
            case "put":
                self.events.append(self.written(place))
            case "spoil":
                self.events.append(f"damage {place} {draws.one_of(tuple(OUTER))} {draws.below(10_000)}")
                self.command(f"sync {where} {place}")
            case "age":
                self.events.append(f"age {place} {self.mask()}")
                self.command(f"look {place}" if place[0] == "r" else f"sync {where} {place}")
            case "clock":
                self.events.append(f"clock {draws.one_of((-3, 0, 0, 3))}")
            case "copy" | "restore":
                self.events.append(f"{scene} {place if scene == 'copy' else where} s{draws.below(3)}")
            case "ferry":
                self.events.append(f"ferry {place} {draws.one_of([where, *self.shares])} {self.mask()}")
            case "stay" | "cut":
                self.events.append(f"{scene} {where}")
            case "power":
                self.events.append(f"power {self.mask()}")
            case _:
                self.saying(scene, where, place)

    def saying(self, scene: str, where: str, place: str) -> None:
        """Somebody says something; what was signed with another program is put somewhere."""
        line = self.line(scene, where)
        if line.startswith("craft"):
            self.events += [line, f"put {place} {line.split()[1]}"]
        else:
            self.command(line)
            if self.draws.chance(0.4):
                self.command(self.meeting(self.draws.one_of(("sync", "call")), where, place))

    def meeting(self, road: str, where: str, place: str) -> str:
        """A sync; a live one may be disturbed."""
        draws = self.draws
        if road == "sync" or place[0] != "r":
            return f"sync {where} {f's{draws.below(3)}' if draws.chance(0.1) else place}"
        line = f"call {where} {place}"
        if draws.chance(0.3):
            return f"{line} {draws.one_of(MISHAPS)} {draws.below(7)}"
        return f"{line} falls {draws.below(LONGEST)} {self.mask()}" if draws.chance(self.deadly) else line

    def written(self, place: str) -> str:
        """Facts, or a forgery, straight in a folder."""
        facts = ",".join(sorted({self.recent() for _ in range(1 + self.draws.below(4))}))
        how = f" forged {self.draws.one_of(tuple(FORGERIES))}" if self.draws.chance(0.5) else ""
        return f"put {place} {facts}{how}"

    def command(self, line: str) -> None:
        """A command, which may die, or meet another process."""
        undisturbed = line.startswith("call") and len(line.split()) > 3
        if not undisturbed and self.draws.chance(self.deadly):
            line += f" dies {self.draws.below(self.draws.one_of((8, LONGEST)))} {self.mask()}"
        elif not undisturbed and self.draws.chance(self.busy):
            line += f" meets {self.draws.below(40)}"
        self.events.append(line)

    def mask(self) -> int:
        """Mostly nothing or everything, sometimes some of it."""
        return self.draws.below(1 << 16) if self.draws.chance(0.4) else self.draws.one_of((0, 0xFFFF))
