"""Histories of stores from a seed: what a team does, on disks and over wires that fail."""

from __future__ import annotations

from tests.simulation.bucket import HARMLESS, OBJECT_MISHAPS
from tests.simulation.damage import OUTER
from tests.simulation.draw_teams import TeamDrawing
from tests.simulation.draws import Draws
from tests.simulation.people import FORGERIES, MAINTAINERS, WRITERS
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
    {"add": 6, "look": 3, "age": 4, "rot": 3, "ferry": 2, "sync": 3},
    {"add": 6, "look": 5, "sync": 2},
    {"add": 5, "spoil": 5, "sync": 4, "look": 1, "copy": 1},
    {"add": 4, "call": 6, "revoke": 2, "keep": 2, "retract": 2, "grant": 1},
    {"add": 4, "oust": 5, "revoke": 1, "grant": 1, "keep": 1, "regret": 4, "call": 2, "sync": 1},
    {"add": 4, "put": 5, "borrow": 3, "rule": 2, "steal": 2, "sync": 3, "call": 2},
)
#: What histories with an object store are about.
BUCKET_THEMES = (
    {"add": 3, "rot leaf": 5, "bucket": 2, "cross": 3, "clock": 2},
    {"add": 5, "bucket": 6, "retract": 1, "call": 1},
    {"add": 5, "bucket": 5, "bury": 3, "cross": 2, "age": 1},
    {"add": 3, "bucket": 5, "spoil": 3, "rot part": 2, "put": 2},
    {"add": 4, "bucket": 5, "revoke": 2, "grant": 1, "keep": 1, "let stand": 2, "retract": 2, "borrow": 1},
)
#: The longest that a command that dies lives, in calls.
LONGEST = 24


def draw_events(seed: int) -> tuple[str, ...]:
    """The events of a history of 6 to 25 scenes among two or three replicas and one or two shares.

    Of 120, the last 30 have an object store.
    """
    kind = BucketDrawing if seed % 120 >= 90 else StoreDrawing
    drawing = kind(Draws(f"stores {seed}"))
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
        self.deadly = 0.5 if "regret" in self.weights else draws.one_of((0, 0, 0.15, 0.5))
        self.busy = 0.8 if len(self.weights) == 3 else draws.one_of((0, 0, 0.6))

    def begin(self) -> None:
        """Mostly the first writers are let in first, and everybody knows that."""
        super().begin()
        self.events = [event.replace("meet", "sync") for event in self.events]

    def scene(self, scene: str) -> None:
        """Let something happen, and sometimes let somebody meet it."""
        draws, where = self.draws, self.draws.one_of(self.replicas)
        place = draws.one_of([*self.replicas, *self.shares])
        match scene:
            case "bucket":
                self.command(self.bucket_meeting(where, self.shares[0]))
            case "bury":
                self.buried(where, self.shares[0])
            case "rot leaf":
                self.left_halfway(where)
            case "cross":
                self.crossed(where, draws.one_of(self.shares))
            case "rot part":
                self.said_by(where)
                self.events += [f"bucket {where} {self.shares[0]}", f"damage {self.shares[0]} flip -2"]
                self.events.append(f"bucket {draws.one_of(self.replicas)} {self.shares[0]}")
            case "sync" | "call":
                self.command(self.meeting(scene, where, place))
            case "look":
                self.command(f"look {where}")
            case "put":
                self.events.append(self.written(place))
            case "regret" | "oust":
                self.taken_back(scene, where)
            case "spoil" | "rot" | "age":
                self.decayed(scene, where, place)
            case "clock" | "copy" | "restore" | "ferry" | "stay" | "cut" | "power":
                self.events.append(f"{scene} {self.mishap(scene, where, place)}")
            case _:
                self.saying(scene, where, place)

    def taken_back(self, scene: str, where: str) -> None:
        """Somebody adds something, and right after that it, or they, are taken back, and something goes wrong."""
        draws, writer = self.draws, self.said_by(where)
        if scene == "oust":
            self.events.append(f"revoke {where} m0 {writer} t{draws.below(50)} {self.fact('revoke')}")
            self.events[-1] += f" dies {draws.below(12)} {self.mask()}" if draws.chance(0.7) else ""
        else:
            what = self.events[-1].split()[3]
            self.events.append(f"retract {where} {writer} {what} t{draws.below(50)} {self.fact('retract')}")
            self.command(self.meeting(draws.one_of(("sync", "call", "call")), where, draws.one_of(self.replicas)))

    def decayed(self, scene: str, where: str, place: str) -> None:
        """Files grow old or rot, and somebody meets that."""
        draws = self.draws
        if scene == "age":
            self.events.append(f"age {place} {self.mask()}")
            self.command(f"look {place}" if place[0] == "r" else self.meeting("sync", where, place))
        elif scene == "rot":  # a pack that was good: the last of the files
            for _ in range(2):
                self.said_by(where)
            self.events += [f"look {where}", f"age {where} 65535", f"damage {where} flip -1"]
            self.command(f"look {where}")
        else:
            self.events.append(f"damage {place} {draws.one_of(tuple(OUTER))} {draws.below(10_000)}")
            self.command(self.meeting("sync", where, place))
            if draws.chance(0.3):
                self.events.append(f"mend {place}")

    def mishap(self, scene: str, where: str, place: str) -> str:
        """What befalls folders and clocks."""
        draws, copy = self.draws, f"s{self.draws.below(3)}"
        return {
            "clock": f"{draws.one_of((-3, 0, 0, 3))}",
            "copy": f"{place if place[0] != 'o' else where} {copy}",
            "restore": f"{where} {copy}",
            "ferry": f"{place} {draws.one_of([where, *self.shares])} {self.mask()}",
            "stay": where,
            "cut": where,
            "power": f"{self.mask()}",
        }[scene]

    def said_by(self, where: str) -> str:
        """Somebody who was let in, if need be, and has just added something."""
        draws, who = self.draws, self.draws.one_of(WRITERS)
        self.events.append(f"grant {where} m0 {who} t{draws.below(50)} {self.fact('grant')}")
        what = draws.one_of(self.contributions)
        self.events.append(f"add {where} {who} {what} t{draws.below(50)} {self.fact('add')}")
        return who

    def saying(self, scene: str, where: str, place: str) -> None:
        """Somebody says something; what was signed with another program is put somewhere."""
        line = self.kept(where) if scene == "let stand" else self.line(scene, where)
        if line.startswith("craft"):
            self.events += [line, f"put {place} {line.split()[1]}"]
        else:
            self.command(line)
            if self.draws.chance(0.4):
                self.command(self.meeting(self.draws.one_of(("sync", "call")), where, place))

    def kept(self, where: str) -> str:
        """A maintainer keeps what a revoke hides: all of it, or something that is named."""
        draws = self.draws
        who = self.ruler(draws.one_of(MAINTAINERS))
        which = f":{self.names('add', 'retract', 'remove')}" if draws.chance(0.4) else ""
        return f"keep {where} {who} {draws.one_of(WRITERS)}{which} t{draws.below(50)} {self.fact('keep')}"

    def meeting(self, road: str, where: str, place: str) -> str:
        """A sync; a live one may be disturbed."""
        draws = self.draws
        if place[0] == "o":
            return self.bucket_meeting(where, place)
        if road == "sync" or place[0] != "r":
            return f"sync {where} {f's{draws.below(3)}' if draws.chance(0.1) else place}"
        line = f"call {where} {place}"
        if draws.chance(0.3):
            return f"{line} {draws.one_of(MISHAPS)} {draws.below(7)}"
        return f"{line} falls {draws.below(LONGEST)} {self.mask()}" if draws.chance(self.deadly) else line

    def bucket_meeting(self, where: str, place: str) -> str:
        """A sync with an object store, of which anything may be wrong."""
        draws, line = self.draws, f"bucket {where} {place}"
        if draws.chance(0.15):
            return f"{line} {HARMLESS} 0"
        if draws.chance(0.4):
            how = draws.one_of(OBJECT_MISHAPS)
            return f"{line} {how} {draws.below(16 if how in ('joins', 'gone') else 5)}"
        return line

    def buried(self, where: str, place: str) -> None:
        """One pack for each of several operations, which are merged; days later somebody writes and deletes."""
        for _ in range(2):
            self.said_by(where)
            self.command(f"bucket {where} {place}")
        if self.draws.chance(0.6):
            self.events.append(f"age {place} {self.mask()}")
            self.said_by(where)
        self.command(self.bucket_meeting(where, place))

    def crossed(self, where: str, place: str) -> None:
        """Packs of which each two hold together what the third holds, and time passes before somebody writes."""
        facts = []
        for _ in range(3):
            self.said_by(where)
            facts.append(self.events[-1].split()[-1])
        for left_out in facts:
            self.events.append(f"put {place} {','.join(fact for fact in facts if fact != left_out)}")
        self.events.append(f"age {place} 65535")
        self.said_by(where)
        self.events.append(self.meeting("sync", where, place) if self.draws.chance(0.3) else self.plain(where, place))

    @staticmethod
    def plain(where: str, place: str) -> str:
        """A sync of which nothing is wrong."""
        return f"{'bucket' if place[0] == 'o' else 'sync'} {where} {place}"

    def left_halfway(self, where: str) -> None:
        """A sync dies when some leaves of a blob are here; one of them rots, and the next sync goes on."""
        other = self.draws.one_of([name for name in self.replicas if name != where])
        self.said_by(where)
        self.events += [
            f"call {other} {where} dies {36 + self.draws.below(16)} 65535",
            f"rot {other} {self.draws.below(576)}",
            f"call {other} {where}",
        ]

    def written(self, place: str) -> str:
        """Facts, or a forgery, straight in a folder."""
        facts = ",".join(sorted({self.recent() for _ in range(1 + self.draws.below(4))}))
        how = f" forged {self.draws.one_of(tuple(FORGERIES))}" if self.draws.chance(0.5) else ""
        return f"put {place} {facts}{how}"

    def command(self, line: str) -> None:
        """A command, which may die, or meet another process."""
        undisturbed = line.startswith(("call", "bucket")) and len(line.split()) > 3
        if not undisturbed and self.draws.chance(self.deadly):
            line += f" dies {self.draws.below(self.draws.one_of((8, LONGEST)))} {self.mask()}"
        elif not undisturbed and self.draws.chance(self.busy):
            line += f" meets {self.draws.below(self.draws.one_of((12, 40)))}"
        self.events.append(line)

    def mask(self) -> int:
        """Mostly nothing or everything, sometimes some of it."""
        return self.draws.below(1 << 16) if self.draws.chance(0.4) else self.draws.one_of((0, 0xFFFF))


class BucketDrawing(StoreDrawing):
    """A history in which everybody syncs with an object store."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(draws)
        self.shares = ["o0", "x0"] if draws.chance(0.5) else ["o0"]
        self.weights = draws.one_of(BUCKET_THEMES)
        self.busy = 0.0
