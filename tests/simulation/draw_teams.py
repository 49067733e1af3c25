"""Histories of teams from a seed: who may write, who turns, and who hears of it when."""

from __future__ import annotations

from tests.simulation.draws import Draws
from tests.simulation.people import FORGERIES, MAINTAINERS, STRANGER, WRITERS
from tests.simulation.team_model import ANOTHER_BASE

#: How often what is always there happens, and what goes wrong where a history has it.
DOINGS = {"add": 6, "retract": 4, "meet": 5, "hear": 5}
ADVERSITIES = {
    "revoke": 3,
    "grant": 2,
    "keep": 4,
    "steal": 4,
    "rule": 3,
    "borrow": 2,
    "attest": 4,
    "forge": 2,
    "lose": 1,
}
#: Half of the histories are about one thing, and find what is rare where everything happens at once.
THEMES = (
    {"add": 4, "revoke": 3, "keep": 6, "hear": 6, "meet": 2, "grant": 1},
    {"add": 6, "retract": 3, "steal": 6, "meet": 3, "hear": 3},
    {"add": 3, "attest": 6, "claim": 4, "meet": 4, "revoke": 1},
    {"add": 4, "rule": 5, "borrow": 4, "forge": 2, "hear": 5, "meet": 3},
)


def draw_events(seed: int) -> tuple[str, ...]:
    """The events of a history of 10 to 40 lines among two or three replicas."""
    drawing = TeamDrawing(Draws(f"teams {seed}"))
    drawing.begin()
    for _ in range(10 + drawing.draws.below(31)):
        drawing.event(drawing.draws.weighted(drawing.weights))
    return tuple(drawing.events)


class TeamDrawing:
    """A history of a team in the making: who takes part in it, and what was said so far."""

    def __init__(self, draws: Draws) -> None:
        self.draws, self.events = draws, list[str]()
        self.said: dict[str, list[str]] = {}  # facts by kind
        self.replicas = [f"r{number}" for number in range(2 + draws.below(2))]
        self.contributions = [f"c{number}" for number in range(1 + draws.below(3))]
        any_ = DOINGS | draws.some_of(ADVERSITIES)
        self.weights = any_ if draws.chance(0.5) else draws.one_of(THEMES)

    def begin(self) -> None:
        """Mostly the first writers are let in first, and everybody knows that."""
        for who in WRITERS[:2]:
            if self.draws.chance(0.9):
                self.events.append(f"grant r0 m0 {who} t0 {self.fact('grant')}")
        self.events += [f"meet r0 {name}" for name in self.replicas[1:]]

    def event(self, scene: str) -> None:
        """Let something happen, and mostly let somebody hear of it."""
        where = self.draws.one_of(self.replicas)
        line = self.line(scene, where)
        self.events.append(line)
        if line.startswith("craft"):
            self.events.append(f"hear {where} {line.split()[1]}")

    def line(self, scene: str, where: str) -> str:
        """What happens."""
        draws, what = self.draws, self.draws.one_of(self.contributions)
        writer, maintainer = draws.one_of(WRITERS), draws.one_of(MAINTAINERS)
        anybody = draws.one_of((*WRITERS, *WRITERS, *MAINTAINERS))
        match scene:
            case "add" | "retract" | "attest":
                what = f"v{draws.below(2)}" if scene == "attest" else what
                return f"{scene} {where} {anybody} {what} t{draws.below(50)} {self.fact(scene)}"
            case "grant" | "revoke":
                return f"{scene} {where} {self.ruler(maintainer)} {writer} t{draws.below(50)} {self.fact(scene)}"
            case "meet":
                return f"meet {where} {draws.one_of(self.replicas)}"
            case "hear" | "lose":
                return f"{scene} {where} {self.recent()}"
            case "forge":
                return f"hear {where} {self.recent()} forged {draws.one_of(tuple(FORGERIES))}"
            case _:
                return self.crafted(scene, what, writer, maintainer)

    def crafted(self, scene: str, what: str, writer: str, maintainer: str) -> str:
        """What somebody signs with a program of their own."""
        draws, under = self.draws, self.under()
        match scene:
            case "keep":
                said = maintainer, "keep", "-", self.some("revoke"), self.names("add", "retract", "remove")
            case "steal":
                said = writer, "remove", under, "-", self.names("add")
            case "rule":
                kind = draws.one_of(("grant", "revoke", "keep"))
                about = {"grant": draws.one_of((*WRITERS, STRANGER)), "revoke": "-", "keep": self.some("revoke")}[kind]
                said = writer, kind, under, about, self.names("grant" if kind == "revoke" else "add")
            case "borrow":
                kind = draws.one_of(("add", "add", "remove", "later"))
                base = draws.chance(0.2) and kind == "add"
                said = (
                    draws.one_of((STRANGER, writer, maintainer)),
                    kind,
                    under,
                    ANOTHER_BASE if base else what,
                    self.names("add"),
                )
            case "claim":
                merged = ",".join(one for one in self.contributions if draws.chance(0.7)) or "-"
                said = draws.one_of((writer, maintainer, STRANGER)), "attest", under, f"v{draws.below(2)}", merged
            case _:
                raise ValueError(scene)
        return f"craft {self.fact(said[1])} {' '.join(said)}"

    def ruler(self, maintainer: str) -> str:
        """Mostly who may; sometimes a writer tries."""
        return self.draws.one_of(WRITERS) if self.draws.chance(0.1) else maintainer

    def fact(self, kind: str) -> str:
        """A new one."""
        fact = f"m{len(self.events)}"
        self.said.setdefault(kind, []).append(fact)
        return fact

    def some(self, *kinds: str) -> str:
        """One of these, mostly one of the last; `-` where there is none."""
        known = [fact for kind in kinds for fact in self.said.get(kind, ())]
        return self.draws.one_of(known[-4:] if self.draws.chance(0.7) else known) if known else "-"

    def names(self, *kinds: str) -> str:
        """One to four of these, seldom something else among them."""
        kinds = (*kinds, "attest") if self.draws.chance(0.1) else kinds
        return ",".join(sorted({self.some(*kinds) for _ in range(1 + self.draws.below(4))}))

    def under(self) -> str:
        """A grant, seldom none or one that nobody made."""
        return self.draws.one_of((*[self.some("grant")] * 8, "-", "?"))

    def recent(self) -> str:
        """A fact, mostly one of the last few; of a revoke, sometimes its keep."""
        fact = self.some(*self.said)
        return f"{fact}k" if fact in self.said.get("revoke", ()) and self.draws.chance(0.5) else fact
