"""Names of other tools through replicas: one model in any order, and the page that says so."""

from __future__ import annotations

import importlib
import re
import sys
from itertools import cycle
from pathlib import Path

import pytest

from mergealgebra.methods.in_dialect import InDialect
from mergealgebra.methods.names import TOOLS, Refused
from mergealgebra.wanted import Wanted

FOLDER = Path(__file__).parents[2] / "spec" / "conformance"
CRDT = "crdt-merge-0.11"
#: Too slow for a test; `make conformance` plays them too.
SLOW = {"evolutionary_merge", "genetic_merge"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The modules that write the page, and a team."""
    sys.path.insert(0, str(FOLDER))
    try:
        replicas, strategies = importlib.import_module("replicas"), importlib.import_module("strategies")
    finally:
        sys.path.remove(str(FOLDER))
    return replicas, strategies, replicas.Team.made(tmp_path_factory.mktemp("team"), 4)


@pytest.mark.clause("OS-7", "NA-4")
@pytest.mark.parametrize("name", [name for name in TOOLS[CRDT].names if name not in SLOW])
def test_replicas_agree_on_what_a_name_stands_for(made, tmp_path, name):
    replicas, strategies, team = made
    recipe = strategies.recipe_of(CRDT, name)
    if recipe is None:
        assert isinstance(TOOLS[CRDT].names[name], Refused)
        return
    outcome = replicas.played(team, recipe, tmp_path, replicas=5, orders=2)
    assert outcome.agrees and outcome.resolved == 10
    assert outcome.join < strategies.JOIN


def test_replicas_that_disagree_are_found_out(made, tmp_path, monkeypatch):
    replicas, _, team = made
    recipes = cycle([InDialect("slerp", CRDT), InDialect("slerp", CRDT, t="0.4")])

    class Whim(Wanted):
        @classmethod
        def visible(cls, state, recipe):
            return super().visible(state, next(recipes))

    monkeypatch.setattr(replicas, "Wanted", Whim)
    outcome = replicas.played(team, next(recipes), tmp_path, replicas=4, orders=1)
    assert (outcome.roots, outcome.agrees) == (2, False)
    assert outcome.laws == dict.fromkeys(replicas.LAWS, False)


def test_a_join_of_large_states_costs_little(made):
    _, strategies, _ = made
    assert strategies.large_join() < strategies.JOIN


def test_the_page_has_every_name():
    page = (FOLDER / "strategies.md").read_text(encoding="utf-8")
    for tool in TOOLS.values():
        section = page[page.index(f"## {tool.title}") :]
        for name, answer in tool.names.items():
            (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", section.split("\n## ")[0], re.MULTILINE)
            assert isinstance(answer, Refused) == row.startswith("refused")
            if tool.title.startswith("crdt-merge") and not isinstance(answer, Refused):
                assert row.endswith("| yes, yes, yes | 195 | 1")
