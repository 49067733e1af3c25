"""One way to get something wrong: what is typed, and which words the one line of complaint must contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Changes a copy of the scene, or looks at it.
Step = Callable[[Path], object]


def nothing(scene: Path) -> None:
    """The scene as it is."""


def no_names(scene: Path) -> Mapping[str, str]:
    """All words are known beforehand."""
    return {}


@dataclass(frozen=True)
class Case:
    """A command that must fail with exit status 1, one line, and nothing changed in the scene.

    command: as typed in the scene's folder. words: what the line must contain. arrange: spoils the scene first.
    clauses: what the case checks, besides CL-1. names: more words, known only once the scene is spoilt; the command
    may contain them as `{key}`. changes: names in the scene's folder that may change all the same. then: looks at
    the scene afterwards. skip: why the case cannot be tried here; empty when it can.
    """

    command: str
    words: tuple[str, ...]
    arrange: Step = nothing
    clauses: tuple[str, ...] = ()
    names: Callable[[Path], Mapping[str, str]] = no_names
    changes: frozenset[str] = frozenset()
    then: Step = nothing
    skip: str = ""
