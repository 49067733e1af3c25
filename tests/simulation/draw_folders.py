"""Histories of folders from a seed: what owners do, and what befalls their folders.

They are made of scenes of one to four events: a damage that nobody meets, or a retraction of what is not there,
would show nothing.
"""

from __future__ import annotations

from tests.simulation.blob_files import BLOB_DAMAGES
from tests.simulation.damage import DAMAGES
from tests.simulation.draws import Draws
from tests.simulation.scenery import PUBLICATIONS, RECIPES

#: How often what is always there happens, and what goes wrong where a history has it.
SCENES = {"publish": 5, "contribute": 2, "take-back": 2, "regret": 1, "sync": 6, "resolve": 2}
ADVERSITIES = {
    "spoil": 4,
    "ferry": 2,
    "lose": 2,
    "copy": 3,
    "restore": 2,
    "clone": 2,
    "cut": 2,
    "power": 2,
    "repair": 1,
}
#: Half of the histories are about one thing, and find what is rare where everything happens at once.
THEMES = (
    {"publish": 2, "sync": 2, "spoil": 6, "repair": 1},
    {"publish": 3, "regret": 4, "sync": 3, "contribute": 1, "clone": 1},
    {"publish": 4, "sync": 3, "lose": 3, "ferry": 3, "clone": 1, "resolve": 1},
    {"rework": 2, "publish": 3, "sync": 3, "spoil": 1},
)
#: What only a careful reader of blobs notices, and what is therefore drawn twice as often.
_SUBTLE = ("reshaped", "changed", "respelt")
#: The longest that a command that dies lives, in calls.
LIFETIMES = {"contribute": 14, "retract": 6, "sync": 40, "clone": 40, "resolve": 30}


def draw_events(seed: int) -> tuple[str, ...]:
    """The events of a history of 4 to 12 scenes among two or three replicas and one or two exchange folders."""
    drawing = _Drawing(Draws(f"folders {seed}"))
    for _ in range(4 + drawing.draws.below(9)):
        drawing.scene()
    recipe = Draws(f"recipe {seed}").one_of(("ties", *RECIPES))
    return tuple(drawing.events) if recipe == "ties" else (f"recipe {recipe}", *drawing.events)


class _Drawing:
    """A history in the making: who takes part in it, and what has happened so far."""

    def __init__(self, draws: Draws) -> None:
        self.draws, self.events = draws, list[str]()
        self._replicas = [f"r{number}" for number in range(2 + draws.below(2))]
        self._exchanges = [f"x{number}" for number in range(1 + draws.below(2))]
        names = sorted(PUBLICATIONS)
        first = draws.below(len(names))
        self._contributions = [*names, *names][first : first + 1 + draws.below(4)]
        any_ = SCENES | draws.some_of(ADVERSITIES)
        self._weights = any_ if draws.chance(0.5) else draws.one_of(THEMES)
        self._deadly = 0.6 if "regret" in self._weights and draws.chance(0.5) else 0

    def scene(self) -> None:
        """Let something happen."""
        draws = self.draws
        who, other, exchange = draws.one_of(self._replicas), draws.one_of(self._replicas), draws.one_of(self._exchanges)
        what, where = draws.one_of(self._contributions), draws.one_of([other, exchange])
        copy = f"s{draws.below(len(self.events) + 1)}"
        match scene := draws.weighted(self._weights):
            case "publish" | "regret" | "take-back":
                self._say(scene, who, what)
                self._command(f"sync {who} {exchange}")
            case "contribute":
                self._say("publish", who, what)
            case "sync":
                self._command(f"sync {who} {copy if draws.chance(0.15) else where}")
            case "resolve":
                self._resolve(who)
            case "rework":
                self._rework(who)
            case "clone":
                self._command(f"clone {who} {where}")
            case "spoil":
                self._spoil(who, what, where)
            case "lose":
                self._lose(what, where)
            case _:
                self.events.append(self._mishap(scene, who, where, copy))

    def _mishap(self, scene: str, who: str, where: str, copy: str) -> str:
        rest = {
            "ferry": f"{where} {self.draws.one_of([who, *self._exchanges])} {self.draws.below(1 << 16)}",
            "copy": f"{where} s{len(self.events)}",
            "restore": f"{who} {copy}",
            "power": f"{self._mask()}",
            "repair": where,
            "cut": who,
        }
        return f"{scene} {rest[scene]}"

    def _say(self, scene: str, who: str, what: str) -> None:
        """Publish, retract, or one right after the other, so that peers hear of both at once."""
        contribute = f"contribute {who} {what} t{self.draws.below(50)} m{len(self.events)}"
        retract = f"retract {who} {what} t{self.draws.below(50)} m{len(self.events) + 1}"
        if scene == "regret":
            self.events += [contribute, retract]
        else:
            self._command(contribute if scene == "publish" else retract)

    def _resolve(self, who: str) -> None:
        backend, keep = self.draws.one_of(("numpy", "auto")), self.draws.one_of(("keep", "keep", "plain"))
        self._command(f"resolve {who} {backend} {keep}")

    def _rework(self, who: str) -> None:
        """Resolve, change a little, and resolve again with what was kept [SY-9]."""
        first = self.draws.below(len(PUBLICATIONS))
        three = [*PUBLICATIONS, *PUBLICATIONS][first : first + 3]
        for what in three:
            self._say("publish", who, what)
        self.events.append(f"resolve {who} numpy keep")
        self._say(self.draws.one_of(("take-back", "take-back", "publish")), who, self.draws.one_of(three))
        self.events.append(f"resolve {who} numpy keep")

    def _spoil(self, who: str, what: str, where: str) -> None:
        """Publish something, damage a file of those who have it, and let somebody meet that."""
        if self.draws.chance(0.7):
            self._say("publish", who, what)
            self._command(f"sync {who} {where}")
        if where[0] == "r" and self.draws.chance(0.6):
            how = self._damage() if self.draws.chance(0.5) else "blob-changed"
            self.events.append(f"damage {where} {how} {self.draws.below(10_000)}")
            self._resolve(where)
        else:
            self.events.append(f"damage {where} {self._damage()} {self.draws.below(10_000)}")
            other = self.draws.one_of([one for one in self._replicas if one != who])
            self.events.append(f"{self.draws.one_of(('sync', 'clone'))} {other} {where}")
        if self.draws.chance(0.3):  # who makes it again has it whole again
            self._say("publish", where if where[0] == "r" else who, what)

    def _lose(self, what: str, where: str) -> None:
        """Let a file vanish, and let its owner miss it."""
        if where[0] != "r" or self.draws.chance(0.3):
            self.events.append(f"lose {where} {self.draws.one_of(('blobs', 'operations'))} {self.draws.below(100)}")
            return
        for contribution in (what, self.draws.one_of(self._contributions)):
            self._say("publish", where, contribution)
        self.events.append(f"lose {where} blobs {self.draws.below(100)}")
        self._resolve(where)

    def _damage(self) -> str:
        if self.draws.chance(0.06):
            return "genesis"
        if self.draws.chance(0.3):
            return self.draws.one_of(DAMAGES)
        return f"blob-{self.draws.one_of((*BLOB_DAMAGES, *_SUBTLE))}"

    def _command(self, command: str) -> None:
        """A command, which may die."""
        death = ""
        if self.draws.chance(self._deadly):
            longest = LIFETIMES[command.split(maxsplit=1)[0]] if self.draws.chance(0.5) else 8
            death = f" dies {self.draws.below(longest)} {self._mask()}"
        self.events.append(command + death)

    def _mask(self) -> int:
        """Mostly all is lost that can be, sometimes nothing, sometimes some of it."""
        return self.draws.below(1 << 16) if self.draws.chance(0.3) else self.draws.one_of((0, 0, 0xFFFF))
