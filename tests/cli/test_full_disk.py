"""Disks that are full, and folders that nobody may write to: one clear line, and everything as it was [CL-1]."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

from tests.cli.commands import call, tree
from tests.models import write_file, write_folder


@contextmanager
def _disk(at, options):
    """A small disk of its own, mounted at a folder; only root may do that."""
    at.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.fixture
def mount():
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk, or one that cannot be written to")
    return _disk


@pytest.mark.clause("CL-1", "LK-1")
@pytest.mark.parametrize("verb", ["merge merge.yaml", "-C alice resolve"], ids=["merge", "resolve"])
def test_a_model_that_does_not_fit_is_not_begun(verb, scene, mount):
    with mount(scene / "disk", "size=1m"):
        before = tree(scene)
        complaint = call(scene, *verb.split(), "disk/out").complaint()
        assert "disk/out needs" in complaint
        assert "make room, or write elsewhere" in complaint
        assert tree(scene) == before


@pytest.mark.clause("CL-1", "LK-1")
@pytest.mark.parametrize("verb", ["merge merge.yaml", "-C alice resolve"], ids=["merge", "resolve"])
def test_a_disk_that_fills_up_on_the_way_keeps_nothing(verb, scene, mount, monkeypatch):
    free = shutil.disk_usage(scene)._replace(free=1 << 40)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)  # as if others filled it after we had looked
    with mount(scene / "disk", "size=8k"):
        (scene / "disk" / "theirs").write_bytes(bytes(4096))
        before = tree(scene)
        complaint = call(scene, *verb.split(), "disk/out").complaint()
        assert "No space left on device" in complaint
        assert "free some space and run it again" in complaint
        assert tree(scene) == before


@pytest.mark.clause("CL-1", "SY-2")
def test_a_contribution_that_does_not_fit_leaves_the_workspace_as_it_was(scene, mount):
    tensors = {"weight": np.zeros(1 << 19, np.float32)}
    write_folder(scene / "large", tensors)
    write_file(scene / "tuned.safetensors", {"weight": tensors["weight"] + 1})
    with mount(scene / "disk", "size=1m"):
        call(scene, "-C", "disk/carol", "init", "--base", "large").lines()
        before = tree(scene)
        complaint = call(scene, "-C", "disk/carol", "contribute", "tuned.safetensors").complaint()
        assert "disk/carol/tmp" in complaint
        assert "No space left on device" in complaint
        assert "free some space" in complaint
        assert tree(scene) == before


@pytest.mark.clause("CL-1", "SY-4")
def test_a_full_exchange_folder_still_gives(scene, mount):
    call(scene, "-C", "bob", "sync", "shared").lines()
    with mount(scene / "disk", "size=200k"):
        shutil.copytree(scene / "shared", scene / "disk" / "shared")
        with pytest.raises(OSError, match="No space left"):
            (scene / "disk" / "filling").write_bytes(bytes(1 << 20))
        complaint = call(scene, "-C", "alice", "sync", "disk/shared").complaint()
        assert "bytes for operations and its disk has 0 free; make room" in complaint
    status = call(scene, "-C", "alice", "status", "--json").printed()
    assert [entry["here"] for entry in status["visible"]] == [True] * 3


@pytest.mark.clause("CL-1", "LK-1", "OS-12")
def test_a_model_whose_attest_cannot_be_written_is_whole_and_a_warning_says_so(scene, mount):
    with mount(scene / "disk", "size=200k"):
        shutil.copytree(scene / "bob", scene / "disk" / "bob")
        with pytest.raises(OSError, match="No space left"):
            (scene / "disk" / "filling").write_bytes(bytes(1 << 20))
        done = call(scene, "-C", "disk/bob", "resolve", "out", "--json")
        (warning,) = json.loads(done.stdout)["warnings"]
        assert re.fullmatch(
            "the model is whole; that you made it could not be written down: .*/tmp/.* cannot be written: "
            "No space left on device",
            warning,
        )
        assert (done.code, done.stderr) == (0, f"warning: {warning}\n")
        assert call(scene, "verify", "out", "--against", "disk/bob", "--json").printed()["ok"]


@pytest.mark.clause("CL-1", "LK-1")
@pytest.mark.parametrize(
    "command",
    [
        "merge merge.yaml disk/out",
        "-C alice resolve disk/out",
        "-C alice resolve disk/deep/out",
        "-C disk/new init --base base",
        "-C alice sync disk/shared --create",
        "clone --yes shared disk/new --base base",
    ],
)
def test_a_disk_that_is_read_only(command, scene, mount):
    with mount(scene / "disk", "ro"):
        before = tree(scene)
        complaint = call(scene, *command.split()).complaint()
        assert "disk" in complaint
        assert "cannot be written: Read-only file system" in complaint
        assert tree(scene) == before


@pytest.mark.clause("CL-1", "LK-1")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_a_folder_without_permission(scene):
    (scene / "theirs").mkdir(mode=0o555)
    assert "Permission denied" in call(scene, "-C", "alice", "resolve", "theirs/out").complaint()
    assert not list((scene / "theirs").iterdir())
