"""One way to get something wrong: what is typed, and which words the one line of complaint must contain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Changes a copy of the scene, or looks at it.
Step = Callable[[Path], object]


def nothing(scene: Path) -> None:
    """The scene as it is."""


@dataclass(frozen=True)
class Case:
    """A command that must fail with exit status 1, one line, and nothing changed in the scene.

    command: as typed in the scene's folder. words: what the line must contain. arrange: spoils the scene first.
    changes: names in the scene's folder that may change all the same. then: what must be true of it afterwards.
    clauses: what the case checks, besides CL-1.
    """

    command: str
    words: tuple[str, ...]
    arrange: Step = nothing
    clauses: tuple[str, ...] = ()
    changes: frozenset[str] = frozenset()
    then: Step = nothing
