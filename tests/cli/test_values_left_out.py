"""Options whose value may be left out: what follows them is never taken for it."""

from __future__ import annotations

import pytest

from tests.cli.commands import call


@pytest.mark.clause("CL-1", "SY-15")
def test_keep_aggregate(scene):
    def told(*args):
        (line,) = [
            line for line in call(scene, "-C", "alice", "resolve", *args).lines() if line.startswith("aggregate")
        ]
        return line

    assert "not kept: of 2 contributions it would save no time, and take" in told("--keep-aggregate", "few")
    assert "kept: 2,673 bytes in the workspace's cache, 5.9 times the model" in told("--keep-aggregate=always", "kept")
    found = call(scene, "-C", "alice", "resolve", "--keep-aggregate=always", "again", "--json").printed()
    assert found["aggregate_bytes"] == 2673
    outcome = call(scene, "-C", "alice", "resolve", "--keep-aggregate=never", "out")
    assert (outcome.code, "'never' is not one of" in outcome.stderr) == (2, True)
    call(scene, "-C", "alice", "resolve", "--", "--keep-aggregate").lines()
    assert (scene / "--keep-aggregate" / "merge.lock").exists()
