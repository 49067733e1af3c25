"""All cases of dialects, what their file has besides, and what no input can tell apart [DI]."""

from __future__ import annotations

from generator.reference.dialect_table import DIALECTS, POINTS
from generator.topics import dialect_breadth, dialect_pairs, dialect_points

CASES = [*dialect_points.CASES, *dialect_pairs.CASES, *dialect_breadth.CASES]

_A_CHOICE = "keeping the {} that tie is one of the choices that `any` allows [DI-18]"
_OPEN = "what it does is one of the things that the paper leaves open"

#: Names that share a result on every input: of options of one point, or of dialects, and why.
INSEPARABLE = [
    {"point": "boundary", "names": ["lowest_index", "any"], "why": _A_CHOICE.format("first")},
    {"point": "boundary", "names": ["highest_index", "any"], "why": _A_CHOICE.format("last")},
    {"point": None, "names": ["paper", "authors"], "why": _OPEN},
    {"point": None, "names": ["paper", "mergelm"], "why": _OPEN},
]

#: The keys that the file has besides those of every file.
MORE = {"points": POINTS, "dialects": DIALECTS, "inseparable": INSEPARABLE}
