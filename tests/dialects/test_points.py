"""The dialects are data: the specification's own tables, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from mergealgebra.dialects.points import DIALECTS, POINTS, Dialect

SPEC = (Path(__file__).parent.parent.parent / "spec" / "dialects.md").read_text(encoding="utf-8")


def points() -> dict[str, dict[str, str]]:
    """The options at each point, as DI-2 to DI-17 list them."""
    clauses = re.findall(r"^- \*\*DI-\d+\*\* `(\w+)`: .*\n\n((?:  \|.*\n)+)", SPEC, re.MULTILINE)
    return {point: dict(re.findall(r"^  \| `(\w+)` \| (.+) \|$", table, re.MULTILINE)) for point, table in clauses}


def options() -> dict[str, dict[str, str | None]]:
    """The option of each dialect at each point, as the table of all has them."""
    (names,) = re.findall(r"^\| point \| (.+) \|$", SPEC, re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", SPEC[SPEC.index("| point |") :], re.MULTILINE)
    columns = zip(*(row.split(" | ") for _, row in rows), strict=True)
    taken = ([None if option == "open" else option for option in column] for column in columns)
    dialects = zip(names.replace("`", "").split(" | "), taken, strict=True)
    return {name: dict(zip((point for point, _ in rows), column, strict=True)) for name, column in dialects}


def sources() -> dict[str, tuple[str, dict[str, str]]]:
    """What computes so, and its defaults, as the list below the table has them."""
    lines = re.findall(r"^- `([\w.-]+)`: (.+?)\.(?: By default (.+)\.)?$", SPEC, re.MULTILINE)
    return {name: (of, _defaults(text)) for name, of, text in lines}


def _defaults(text: str) -> dict[str, str]:
    pairs = (pair.split(" ") for pair in text.split(", ") if pair)
    return {name.replace("lambda", "lambda_"): value for name, value in pairs}


@pytest.mark.clause("DI-1")
def test_points_are_those_of_the_specification():
    assert list(POINTS) == list(points())
    assert points() == POINTS


@pytest.mark.clause("DI-1")
def test_dialects_are_those_of_the_specification():
    assert list(DIALECTS) == list(options()) == list(sources())
    for name, dialect in DIALECTS.items():
        assert dialect == Dialect(name, sources()[name][0], options()[name], sources()[name][1])
        assert list(dialect.options) == list(POINTS)
        assert all(dialect[point] == option for point, option in options()[name].items())


def test_a_dialect_cannot_be_changed():
    paper = DIALECTS["paper"]
    assert isinstance(paper.options, Mapping)
    with pytest.raises(FrozenInstanceError):
        paper.name = "mine"
    for values in (paper.options, paper.defaults):
        with pytest.raises(TypeError):
            values["scope"] = "tensor"
