"""A workspace whose base moved, or whose user went to another folder."""

from __future__ import annotations

import re

import pytest

import mergealgebra as ma
from mergealgebra.errors import BaseMismatch, WorkspaceError
from tests.cli.commands import call, tree
from tests.models import base, fine_tune, with_value, write_folder
from tests.workspace.replicas import make_workspace


@pytest.fixture
def alice(root):
    """A workspace with one contribution, whose base was moved to `moved`."""
    workspace = make_workspace(root, "alice", 0)
    (root / "base").rename(root / "moved")
    return workspace


#: What `local.json` may say instead of where the base is.
SPOILT = {"elsewhere": None, "nothing": "{}", "a number": '{"base": 3}', "half of it": '{"base": "'}


@pytest.mark.clause("SY-1")
class TestSetBase:
    @pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
    def test_is_what_the_error_advises(self, root, alice, content):
        if content is not None:
            (alice.path / "local.json").write_text(content)
        complaint = call(root, "-C", "alice", "resolve", "out").complaint()
        command = complaint.split("`")[1].replace("PATH", "moved").split()
        assert command[0] == "mergealgebra"
        assert call(root, *command[1:], "--json").printed()["path"] == str(root / "moved")
        call(root, "-C", "alice", "resolve", "out").lines()

    def test_takes_the_same_model_alone(self, root, alice):
        write_folder(root / "other", with_value(base(), "norm.scale", (), 99))
        before = tree(root)
        with pytest.raises(BaseMismatch, match="other is not the base"):
            alice.set_base(root / "other")
        assert "nowhere" in call(root, "-C", "alice", "set-base", "nowhere").complaint()
        assert tree(root) == before

    def test_is_for_workspaces(self, root, alice):
        alice.sync(root / "share", create=True)
        with pytest.raises(WorkspaceError, match="share is a shared folder: name your workspace instead"):
            ma.Workspace.open(root / "share").set_base(root / "moved")


def test_a_workspace_opened_by_a_relative_path_survives_a_chdir(root, monkeypatch):
    monkeypatch.chdir(root)
    alice = ma.Workspace.init("alice", base="base", recipe=ma.Mean())
    opened = ma.Workspace.open("alice")
    alice.sync("share", create=True)
    bob = ma.Workspace.clone("share", "bob", base="base")
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    alice.contribute(root / "ft0.safetensors")
    assert len(opened.visible()) == 1
    opened.sync(root / "share")
    bob.sync(root / "share")
    bob.resolve("merged")
    assert (root / "elsewhere" / "merged" / "merge.lock").exists()


@pytest.mark.clause("SY-6")
@pytest.mark.parametrize(
    "command", ["-C alice resolve new", "-C alice contribute ft1.safetensors", "verify out --against alice"]
)
def test_another_model_in_place_of_the_base_leads_to_set_base(root, command):
    make_workspace(root, "alice", 0).resolve(root / "out")
    (root / "base").rename(root / "moved")
    write_folder(root / "base", fine_tune(2))
    complaint = call(root, *command.split()).complaint()
    assert "is not the base: its root is" in complaint
    advised = re.search("`mergealgebra (.*) PATH`", complaint)[1]
    assert call(root, *advised.split(), "moved").code == 0
    assert call(root, *command.split()).code == 0
