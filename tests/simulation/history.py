"""A history: what happens, one event a line. The text is the history, so what is printed can be run again.

Every event names what it acts on and stays lawful when others are left out; then it may do nothing. That is what
lets a history be cut down to its shortest form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


class Broken(AssertionError):
    """A law did not hold. law: its name, one of LAWS."""

    def __init__(self, law: str, found: str) -> None:
        super().__init__(f"{law}: {found}")
        self.law, self.found = law, found


#: Every law that is judged, and what it says.
LAWS = {
    "identity": "different contributions have different ids",
    "visible": "what is visible is what the model says",
    "order": "what is visible stands in the order of the ids",
    "held": "a replica holds what it has heard of, no more and no less",
    "admission": "no damaged byte enters, and damage does not keep out the rest",
    "durable": "what was acknowledged is there after a crash, whole",
    "between": "a command that died leaves the state before it, after it, or between the two",
    "refusal": "what cannot be done is refused, changes nothing, and nothing else is refused",
    "convergence": "who has heard the same is the same, in every bit",
    "merge id": "the merge id names what is visible and nothing else",
    "attests": "attested roots that differ are told, and who counts as a witness",
    "authority": "nobody changes what is visible who may not, and each may do what is theirs",
    "relay": "what is admissible is carried to everybody, and nothing else to anybody",
    "packs": "as few files as PK-3 says; none goes but into one strictly larger pack, a day later",
    "blobs": "a replica's blobs are the bytes that were contributed",
    "model": "who sees the same contributions resolves to the same files",
    "error": "nothing is raised but what the laws ask for",
}


def insist(law: str, holds: bool, found: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(law, str(found))


@dataclass(frozen=True)
class History:
    """level: which simulation, one of those in campaign.py. events: a line each."""

    level: str
    events: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """By which recipe all merge; TIES where no event says it."""
        return next((event.split()[1] for event in self.events if event.startswith("recipe ")), "ties")

    def with_events(self, events: tuple[str, ...]) -> History:
        """The same, with other events."""
        return replace(self, events=events)

    def to_text(self, *remarks: str) -> str:
        """The history as a file; remarks stand above it and are not read."""
        return "\n".join([*(f"# {remark}" for remark in remarks), self.level, *self.events]) + "\n"

    @classmethod
    def from_text(cls, text: str) -> History:
        """The history that a text is: its level, then its events; blank lines and those with `#` are left out."""
        stripped = (line.strip() for line in text.splitlines())
        level, *events = (line for line in stripped if line and not line.startswith("#"))
        return cls(level, tuple(events))
