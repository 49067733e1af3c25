"""Ctrl-C while a sync goes on: what stands is said, with the command that completes it [CL-3, SY-12]."""

from __future__ import annotations

import re
import shlex

import pytest

import mergealgebra as ma
from mergealgebra.sync import replica
from tests.cli.commands import call
from tests.workspace.replicas import make_workspace

#: What is typed, and what an interrupt leaves of it.
INTERRUPTED = {
    "clone": ("clone --yes share bob --base base", "bob is a workspace now"),
    "sync --create": ("-C alice sync new --create", "new is shared now"),
    "sync": ("-C alice sync share", "what was exchanged so far stays"),
}


@pytest.fixture
def interrupted(root, monkeypatch):
    """Type a command, press Ctrl-C as its sync begins; returns what it says."""
    make_workspace(root, "alice", 0).sync(root / "share", create=True)

    def interrupt(command):
        def press(store, peer, fits, closed, *args, **options):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(replica, "sync", press)
            return call(root, *command.split()).complaint()

    return interrupt


def advised(complaint):
    """The command that a complaint tells to type."""
    return shlex.split(re.search("`mergealgebra (.*?)` completes it", complaint)[1])


@pytest.mark.clause("CL-3", "SY-12")
@pytest.mark.parametrize(("command", "standing"), INTERRUPTED.values(), ids=INTERRUPTED)
def test_what_stands_is_said_and_completed_as_advised(command, standing, root, interrupted):
    complaint = interrupted(command)
    assert complaint.startswith(f"interrupted; {standing}; `")
    assert call(root, *advised(complaint)).code == 0
    for workspace in root.glob("*/local.json"):
        assert call(root, "-C", workspace.parent, "status").stderr == ""


@pytest.mark.clause("SY-12")
def test_a_clone_again_tells_how_to_complete_the_first(root, interrupted):
    interrupted("clone --yes share bob --base base")
    complaint = call(root, "clone", "--yes", "share", "bob", "--base", "base").complaint()
    assert "bob is a workspace already, and its last sync with" in complaint
    assert call(root, *advised(complaint)).code == 0
    assert ma.Workspace.open(root / "bob").visible()
    again = call(root, "clone", "--yes", "share", "bob", "--base", "base").complaint()
    assert again == "bob is a workspace already; choose another folder"
