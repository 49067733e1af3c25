"""Histories of sets from a seed: who does what, and what goes wrong."""

from __future__ import annotations

from tests.simulation.contributions import COUNT
from tests.simulation.damage import DAMAGES
from tests.simulation.draws import Draws

#: How often what is always there happens, and what goes wrong where a history has it.
DOINGS = {"add": 5, "retract": 5, "hear": 14, "send": 3}
ADVERSITIES = {"damaged": 4, "attest": 3, "forge": 2, "flush": 3, "crash": 3, "back-up": 2, "restore": 2, "cut": 2}


def draw_events(seed: int) -> tuple[str, ...]:
    """The events of a history of 8 to 40 lines among two to four replicas and two to all contributions."""
    draws = Draws(f"sets {seed}")
    replicas, contributions = 2 + draws.below(3), 2 + draws.below(COUNT - 1)
    first = draws.below(COUNT)  # so that small histories differ in what they are about
    weights = DOINGS | draws.some_of(ADVERSITIES)
    events: list[str] = []
    for number in range(8 + draws.below(33)):
        who, other = f"r{draws.below(replicas)}", f"r{draws.below(replicas)}"
        what = f"c{(first + draws.below(contributions)) % COUNT}"
        events.append(_event(draws, draws.weighted(weights), (who, other), what, number))
    return tuple(events)


def _event(draws: Draws, kind: str, replicas: tuple[str, str], what: str, number: int) -> str:
    who, other = replicas
    heard = f"m{_recent(draws, number)}"
    match kind:
        case "add" | "retract":
            rest = f"{who} {what} t{draws.below(50)} m{number}"
        case "attest":
            rest = f"{who} v{draws.below(2)} m{number}"
        case "send":
            rest = f"{who} m{number}" + (f" lacking {other}" if draws.chance(0.4) else "")
        case "forge":
            rest = f"base m{number}" if draws.chance(0.3) else f"remove {heard} m{number}"
        case "hear":
            rest = f"{who} {heard}"
        case "damaged":
            kind, rest = "hear", f"{who} {heard} damaged {draws.one_of(DAMAGES)} {draws.below(10_000)}"
        case _:
            rest = who
    return f"{kind} {rest}"


def _recent(draws: Draws, number: int) -> int:
    """A letter, mostly one of the last few."""
    back = draws.below(8) if draws.chance(0.7) else draws.below(number + 1)
    return max(0, number - 1 - back)
