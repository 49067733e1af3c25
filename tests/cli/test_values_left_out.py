"""Options whose value may be left out: what follows them is never taken for it."""

from __future__ import annotations

import stat

import pytest

from tests.cli.commands import call


@pytest.mark.clause("CL-1", "SY-15")
def test_keep_aggregate(scene):
    def told(*args):
        (line,) = [
            line for line in call(scene, "-C", "alice", "resolve", *args).lines() if line.startswith("kept sums")
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


@pytest.mark.clause("SY-7", "SY-16")
def test_share_and_create(scene):
    call(scene, "-C", "team", "init", "--base", "base", "--share=group").lines()
    call(scene, "-C", "alice", "sync", "--create=group", "ours").lines()
    call(scene, "-C", "bob", "sync", "ours").lines()
    for share in ("team", "ours"):
        assert stat.S_IMODE((scene / share).stat().st_mode) & 0o2070 == 0o2070
        assert stat.S_IMODE((scene / share / "genesis").stat().st_mode) & 0o060 == 0o060
    call(scene, "-C", "mine", "init", "--share", "--base", "base").lines()
    call(scene, "-C", "alice", "sync", "--create", "plain").lines()
    for share in ("mine", "plain"):
        assert not (scene / share).stat().st_mode & stat.S_ISGID
    assert "`chmod -R g+rwX" in call(scene, "-C", "alice", "sync", "shared", "--create=group").complaint()


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize("command", ["-C team init --base base --share=grp", "-C alice sync new --create=grp"])
def test_another_kind_of_share_is_wrong_usage(command, scene):
    outcome = call(scene, *command.split())
    assert outcome.code == 2
    assert outcome.stderr.endswith(": 'grp' is not 'group', and nothing else can stand there\n")
