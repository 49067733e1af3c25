"""A typo in a path, and a path beside the one that is meant: what is wrong is said, and what to type."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from mergealgebra.errors import MergeAlgebraError
from tests.cli.commands import call
from tests.cli.scene import build
from tests.store.test_group_shares import ALICE, BOB, as_user

NOT_THERE = "is not there: check the path; if a share is mounted there, mount it"

#: Command lines with a typo, and what is said of it.
TYPOS = {
    "a peer to clone": ("clone --yes shar new --base base", f"shar {NOT_THERE}"),
    "a store to check": ("fsck shar", f"shar {NOT_THERE}"),
    "a peer to mend from": ("fsck shared --repair alic", f"alic {NOT_THERE}"),
    "a workspace": ("-C bo status", "there is no folder bo: check the path"),
    "a workspace to verify against": ("verify merged --against bo", "there is no folder bo: check the path"),
    "a model to verify": ("verify merge", "merge is not there; check the path"),
    "a lock": ("-C alice resolve out --lock merged/merge.lok", "merged/merge.lok is not there; check the path"),
    "a model without a lock": ("verify base", "base/merge.lock is not there; name a model that a merge wrote"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("command", "complaint"), TYPOS.values(), ids=TYPOS)
def test_a_path_with_a_typo_is_not_there(command, complaint, scene):
    assert call(scene, *command.split()).complaint().endswith(complaint)


@pytest.mark.clause("LK-5")
@pytest.mark.parametrize("name", ["model.safetensors", "merge.lock", "README.md"])
def test_a_file_of_a_model_leads_to_its_folder(name, scene):
    complaint = call(scene, "verify", f"merged/{name}").complaint()
    assert f"merged/{name} is a file of a merged model: name its folder, `mergealgebra verify merged`" in complaint
    assert call(scene, *shlex.split(re.search("`mergealgebra (.*)`", complaint)[1])).code == 0


@pytest.mark.clause("LK-6", "LK-9")
def test_a_model_stands_for_its_lock(scene):
    for out, lock in (("one.safetensors", "merged"), ("two", "one.safetensors")):
        assert call(scene, "-C", "alice", "resolve", out, "--lock", lock).code == 0
    assert (scene / "two" / "merge.lock").read_bytes() == (scene / "merged" / "merge.lock").read_bytes()


#: What is closed, its mode, the command that meets it, and what opens it.
CLOSED = {
    "a share": ("shared", 0o700, "clone --yes shared mine/new --base base", "chgrp -R GROUP .*/shared; chmod -R g"),
    "a base": ("base", 0o700, "clone --yes shared mine/new --base base", "chmod -R o[+]rX .*base"),
    "a file of the base": (
        "base/model.safetensors",
        0o600,
        "clone --yes shared mine/new --base base",
        "chmod o[+]rX .*base/model.safetensors",
    ),
    "a recipe": ("recipe.yaml", 0o600, "-C mine/new init --base base --recipe recipe.yaml", "chmod o[+]rX recipe"),
    "a lock": ("merged/merge.lock", 0o600, "verify merged", "chmod o[+]rX merged/merge.lock"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
class TestWhatIsClosed:
    """Whose it is, its mode and the command that opens it are said, with exit status 1 [SY-16]."""

    @pytest.fixture
    def scene(self):
        top = Path(tempfile.mkdtemp())
        top.chmod(0o755)
        (top / "mine").mkdir()
        os.chown(top / "mine", BOB, BOB)
        yield build(top)
        shutil.rmtree(top)

    @pytest.mark.clause("SY-16", "CL-1")
    @pytest.mark.parametrize(("path", "mode", "command", "opens"), CLOSED.values(), ids=CLOSED)
    def test_is_told_with_the_command_that_opens_it(self, path, mode, command, opens, scene):
        for part in (scene / path, *(scene / path).rglob("*")):
            os.chown(part, ALICE, ALICE)
        (scene / path).chmod(mode)

        def do():
            raise MergeAlgebraError(call(scene, *command.split()).complaint())

        with pytest.raises(MergeAlgebraError, match=rf"has the mode .* and is user {ALICE}'s.*`{opens}"):
            as_user(BOB, do, BOB)
