"""Every law holds in every history of the first seeds; `make simulate` plays as many more as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import draw_folders, draw_sets, draw_stores, draw_teams
from tests.simulation.bucket import HARMLESS, OBJECT_MISHAPS
from tests.simulation.campaign import drawn, failure_of, first_failure, minimal, stage
from tests.simulation.damage import DAMAGES, OUTER
from tests.simulation.files import FOLDER_DAMAGES
from tests.simulation.folders import Folders
from tests.simulation.history import History
from tests.simulation.people import FORGERIES, PEOPLE
from tests.simulation.scenery import RECIPES
from tests.simulation.sets import Sets
from tests.simulation.stores import Stores
from tests.simulation.team import COMMANDS
from tests.simulation.team_model import ANOTHER_BASE
from tests.simulation.teams import Teams
from tests.simulation.wire import MISHAPS

CASES = Path(__file__).parent / "cases"

#: How many histories of each level are played here, and by the tests of planted faults at most.
HISTORIES = {"sets": 2_400, "teams": 200, "stores": 120, "folders": 80}

CLAUSES = {
    "sets": ("CT-3", "CT-9", "OS-2", "OS-6", "OS-7", "OS-8", "OS-9", "OS-10", "OS-11", "OS-12", "SY-3"),
    "teams": ("SG-1", "SG-2", "SG-4", "SG-6", "SG-7", "SG-8", "SG-9", "SG-10", "SG-11", "SG-12"),
    "stores": (
        *("PK-1", "PK-2", "PK-3", "PK-4", "PK-5", "PK-6", "PK-7", "PK-8", "PK-9", "PK-10", "PK-11"),
        *("PR-10", "PR-11", "PR-12", "PR-17", "PR-18", "BL-7", "SG-16"),
        *("SG-7", "SG-8", "SG-10", "SY-2", "SY-4", "SY-8"),
    ),
    "folders": (
        *("CT-2", "CT-6", "LK-3", "OS-1", "OS-4", "OS-9", "OS-10", "OS-12"),
        *("SY-1", "SY-2", "SY-3", "SY-4", "SY-5", "SY-6", "SY-7", "SY-8", "SY-9"),
    ),
}


@pytest.mark.parametrize(
    "level", [pytest.param(level, marks=pytest.mark.clause(*clauses)) for level, clauses in CLAUSES.items()]
)
def test_every_law_holds(level):
    with stage(level) as play:
        failure = first_failure(play, level, range(HISTORIES[level]))
        assert failure is None, "\n" + minimal(play, failure).to_text()


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda case: case.stem)
def test_what_once_failed_or_nearly_did_holds(case):
    history = History.from_text(case.read_text())
    with stage(history.level) as play:
        assert failure_of(play, history) is None


def test_histories_have_everything_in_them():
    """Each event and each damage happens among the histories that the suite plays."""
    sets = " ".join(" ".join(draw_sets.draw_events(seed)) for seed in range(HISTORIES["sets"])).split()
    assert Sets.EVENTS.keys() | set(DAMAGES) <= set(sets)
    assert {f"r{number}" for number in range(4)} | {f"c{number}" for number in range(7)} <= set(sets)
    teams = " ".join(" ".join(draw_teams.draw_events(seed)) for seed in range(HISTORIES["teams"])).split()
    assert {*COMMANDS, *Teams.EVENTS, *FORGERIES, *PEOPLE, ANOTHER_BASE, "later"} <= set(teams)
    stores = " ".join(" ".join(draw_stores.draw_events(seed)) for seed in range(HISTORIES["stores"])).split()
    assert {
        *COMMANDS,
        *Stores.EVENTS,
        *FORGERIES,
        *OUTER,
        *MISHAPS,
        *OBJECT_MISHAPS,
        HARMLESS,
        "dies",
        "meets",
        "falls",
        "-1",
    } <= set(stores)
    folders = " ".join(" ".join(draw_folders.draw_events(seed)) for seed in range(10 * HISTORIES["folders"])).split()
    assert Folders.EVENTS.keys() | set(FOLDER_DAMAGES) <= set(folders)
    assert {drawn("folders", seed).recipe for seed in range(HISTORIES["folders"])} == set(RECIPES)
