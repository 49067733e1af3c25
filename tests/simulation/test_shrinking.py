"""A failure is told as a shortest history, and the text of it is the history: it runs again to the same failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import failure_of, first_failure, minimal, stage
from tests.simulation.faults import FAULTS
from tests.simulation.history import History
from tests.simulation.shrink import shrunk

ROOT = Path(__file__).parents[2]

#: Fault -> the most events that a shortest history of it has.
SHORTEST = {
    "join-loses-removals": 2,
    "remove-deletes-unobserved-adds": 2,
    "clocks-decide": 2,
    "nonce-is-reused": 2,
    "operation-is-written-in-place": 4,  # without the retract, the call at which it dies writes no operation
    "blob-is-accepted-unchecked": 4,
}


@pytest.mark.parametrize("name", SHORTEST)
def test_planted_fault_gives_a_shortest_history_that_replays(name):
    fault = FAULTS[name]
    with fault.planted():
        with stage(fault.level) as play:
            failure = minimal(play, first_failure(play, fault.level, range(200)))
        again = History.from_text(failure.to_text())
        assert again == failure.history
        assert 0 < len(again.events) <= SHORTEST[name], failure.to_text()
        with stage(fault.level) as play:
            assert str(failure_of(play, again)) == str(failure.broken)
            for number in range(len(again.events)):
                shorter = again.with_events(again.events[:number] + again.events[number + 1 :])
                found = failure_of(play, shorter)
                assert found is None or found.law != failure.broken.law, f"event {number} is not needed"
    with stage(fault.level) as play:
        assert failure_of(play, again) is None, "the fault is gone, and the history fails"


def test_the_command_prints_and_replays_a_shortest_history(tmp_path):
    fault = ("--fault", "join-loses-removals")
    printed = _run("--level", "sets", "--histories", "50", *fault)
    assert printed.returncode == 1
    assert "# breaks the law held: " in printed.stdout
    assert "# with --fault join-loses-removals" in printed.stdout
    file = tmp_path / "history.txt"
    file.write_text(printed.stdout)
    replayed = _run("--replay", str(file), *fault)
    assert (replayed.returncode, replayed.stdout[:22]) == (1, "breaks the law held: r")
    assert _run("--replay", str(file)).stdout.startswith("all laws hold in 2 events")


def test_what_is_needed_stays_and_nothing_else():
    """Of twenty events the third and the seventeenth matter, and only together."""
    history = History("sets", tuple(f"event {number}" for number in range(20)))

    def fails(candidate):
        return {"event 3", "event 17"} <= set(candidate.events)

    assert shrunk(history, fails).events == ("event 3", "event 17")


def test_needless_deaths_and_damage_go():
    history = History("folders", ("contribute r0 c0 t1 m0 dies 3 0", "sync r0 x0 dies 9 1"))
    assert shrunk(history, lambda candidate: "sync r0 x0 dies 9 1" in candidate.events).events == (
        "sync r0 x0 dies 9 1",
    )
    both = shrunk(history, lambda candidate: len(candidate.events) == 2)
    assert both.events == ("contribute r0 c0 t1 m0", "sync r0 x0")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
