"""Killed commands: the next merge and `status` name what they left, and `gc` alone removes it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mergealgebra.model_folder.leftovers import STALE_SECONDS
from mergealgebra.model_folder.unfinished import MARK
from mergealgebra.store.garbage import stale_files
from tests.cli.commands import call, tree

pytestmark = pytest.mark.clause("LK-7")

FREE = ("--delete", "--retracted")
#: The name of a file that a killed command of this kind leaves.
OLD_PART = f"7-{'a' * 16}.part"
#: Bytes of alice's thresholds: she has resolved once.
KEPT = 10

_KILLED = """
import os, signal, sys
from mergealgebra.cli import main
from mergealgebra.model_folder import output
output.write_tensors = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[0] = "mergealgebra"
main()
"""


def kill(scene, *args):
    """Kill a command while it writes a model; the folder that it leaves."""
    done = subprocess.run([sys.executable, "-c", _KILLED, *args], cwd=scene, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (left,) = scene.glob(".out.*.unfinished")
    return left


@pytest.fixture
def stopped_clock(scene, monkeypatch):
    """The clock shows when the last of alice's thresholds was written, and stands still, however slow the machine."""
    written = max(kept.stat().st_mtime for kept in (scene / "alice" / "cache" / "thresholds").iterdir())
    monkeypatch.setattr(time, "time", lambda: written)


def listed(scene, *args):
    entries = call(scene, *args, "--json").printed()["leftovers"]
    return [entry["path"] for entry in entries if entry["options"] == ["--delete"]]


@pytest.mark.clause("CL-2")
@pytest.mark.usefixtures("stopped_clock")
def test_a_killed_resolve_is_named_by_the_next_and_by_status_and_removed_by_gc(scene):
    left = kill(scene, "-C", "alice", "resolve", "out")
    nbytes = sum(path.stat().st_size for path in left.iterdir())
    assert nbytes > 0

    outcome = call(scene, "-C", "alice", "resolve", "out")
    assert outcome.code == 0
    assert outcome.stderr == (
        f"warning: {scene} holds an unfinished model of a killed merge, {nbytes:,} bytes; "
        f"`mergealgebra gc --delete {scene}` removes what is left\n"
    )
    for verb in ("-C alice resolve out2", "merge merge.yaml out3"):
        outcome = call(scene, *verb.split(), "--json")
        assert f'"warnings": ["{scene} holds an unfinished model of a killed merge' in outcome.stdout
        assert outcome.stderr.startswith(f"warning: {scene} holds")

    (warning,) = call(scene, "-C", "alice", "status", "--json").printed()["warnings"]
    assert warning == (
        f"{left} is an unfinished model of a command that was killed, {nbytes:,} bytes, "
        f"less than a minute old; `mergealgebra -C {scene / 'alice'} gc --delete` removes it"
    )
    assert call(scene, "-C", "bob", "status", "--json").printed()["warnings"] == []

    before = tree(scene)
    lines = call(scene, "-C", "alice", "gc").lines()
    assert lines == [
        "removed         0 bytes",
        f"could be freed  {nbytes + KEPT:,} bytes",
        f"  {left}  unfinished model, {nbytes:,} bytes, less than a minute old; --delete removes it",
        f"  {scene}/alice/cache/thresholds  thresholds, which the next merge finds again, {KEPT} bytes, "
        "less than a minute old; --delete --cache removes it",
    ]
    assert tree(scene) == before
    assert listed(scene, "-C", "bob", "gc", "--delete") == []
    assert left.exists()
    removed = call(scene, "-C", "alice", "gc", "--delete", "--json").printed()
    assert (removed["removed_bytes"], removed["left_bytes"]) == (nbytes, KEPT)
    assert removed["leftovers"][0] == {
        "path": str(left),
        "kind": "unfinished model",
        "bytes": nbytes,
        "seconds": 0,
        "options": ["--delete"],
        "removed": True,
    }
    assert not left.exists()
    assert call(scene, "-C", "alice", "status", "--json").printed()["warnings"] == []
    assert call(scene, "-C", "alice", "gc", "--delete").lines()[0] == "removed         0 bytes"


def test_the_command_that_a_merge_names_works(scene):
    left = kill(scene, "merge", "merge.yaml", "out")
    warning = call(scene, "merge", "merge.yaml", "out").stderr
    command = warning.split("`")[1].split()
    assert command[:3] == ["mergealgebra", "gc", "--delete"]
    assert listed(scene, *command[1:]) == [str(left)]
    assert not left.exists()


def test_folders_need_no_workspace(scene, tmp_path):
    left = kill(scene, "merge", "merge.yaml", "out")
    assert listed(tmp_path, "gc", "scene", "scene", ".") == [f"scene/{left.name}"]
    assert "cannot be read: No such file or directory; check the path" in call(scene, "gc", "nowhere").complaint()


def test_the_folder_of_a_living_merge_stays(scene):
    command = [
        sys.executable,
        "-c",
        _KILLED.replace("signal.SIGKILL", "signal.SIGSTOP"),
        "-C",
        "alice",
        "resolve",
        "out",
    ]
    with subprocess.Popen(command, cwd=scene) as living:
        try:
            os.waitid(os.P_PID, living.pid, os.WSTOPPED)
            (folder,) = scene.glob(".out.*.unfinished")
            assert call(scene, "merge", "merge.yaml", "out").stderr == ""
            for verb in ("gc --delete .", "-C alice gc --delete"):
                assert listed(scene, *verb.split()) == []
            assert call(scene, "-C", "alice", "status", "--json").printed()["warnings"] == []
            assert len(list(folder.iterdir())) == 4
        finally:
            living.kill()
    assert listed(scene, "-C", "alice", "gc", "--delete") == [str(folder)]


def test_what_cannot_be_removed_is_named_and_the_rest_goes(scene, monkeypatch):
    for number in range(2):
        (scene / f".out.{number:016x}.unfinished").mkdir()
        (scene / f".out.{number:016x}.unfinished" / MARK).touch()
    real = os.rmdir

    def rmdir(path, **named):
        if path.startswith(".out.0000000000000000."):
            raise PermissionError(13, "Permission denied")
        real(path, **named)

    monkeypatch.setattr(os, "rmdir", rmdir)
    outcome = call(scene, "gc", "--delete", ".")
    assert outcome.code == 1
    assert outcome.stderr.startswith(
        "mergealgebra: .out.0000000000000000.unfinished cannot be removed: Permission denied"
    )
    assert ".out.0000000000000001.unfinished" in outcome.stdout
    assert [path.name for path in scene.glob(".out.*")] == [".out.0000000000000000.unfinished"]


def test_a_record_that_a_stranger_wrote_removes_nothing_of_anybody(scene, tmp_path):
    token = "0123456789abcdef"
    theirs = tmp_path / f".x.{token}.unfinished"
    (theirs / "photos").mkdir(parents=True)
    (scene / "alice" / "runs").mkdir(parents=True, exist_ok=True)
    (scene / "alice" / "runs" / token).write_text(str(theirs))
    assert listed(scene, "-C", "alice", "gc", "--delete") == []
    assert (theirs / "photos").exists()


class TestTemporaryFiles:
    NAME = "123-0123456789abcdef.part"

    @staticmethod
    def age(path, seconds=STALE_SECONDS + 10):
        os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)

    def test_that_are_stale_are_listed_and_removed(self, scene):
        tmp = scene / "alice" / "tmp"
        for name in (self.NAME, "1" + self.NAME, "thesis.part", self.NAME + "x"):
            (tmp / name).write_bytes(bytes(10))
            self.age(tmp / name)
        (tmp / ("2" + self.NAME)).write_bytes(b"being written")
        (tmp / ("3" + self.NAME)).symlink_to("../genesis")
        self.age(tmp / ("3" + self.NAME))
        os.mkfifo(tmp / ("4" + self.NAME))
        self.age(tmp / ("4" + self.NAME))
        found = stale_files(scene / "alice")
        assert {(file.name, file.nbytes) for file in found} == {(self.NAME, 10), ("1" + self.NAME, 10)}
        for file in found:
            file.remove()
            file.remove()
        assert stale_files(scene / "alice") == []
        assert len(list(tmp.iterdir())) == 5

    def test_behind_a_link_stay(self, scene, tmp_path):
        shutil.rmtree(scene / "alice" / "tmp")
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / self.NAME).touch()
        self.age(tmp_path / "theirs" / self.NAME)
        (scene / "alice" / "tmp").symlink_to(tmp_path / "theirs")
        assert stale_files(scene / "alice") == []

    def test_of_a_shared_folder_are_not_ours(self, scene):
        assert (
            "shared is a shared folder: name your workspace instead"
            in call(scene, "-C", "shared", "gc", "--delete").complaint()
        )


@pytest.mark.clause("SY-13")
class TestWhatAWorkspaceCouldDoWithout:
    @pytest.fixture
    def retracted(self, scene):
        """The scene after alice took ft0 back, two hours ago; its blob, and its contribution's id."""
        call(scene, "-C", "alice", "resolve", "kept", "--keep-aggregate=always").lines()
        before = call(scene, "-C", "alice", "status", "--json").printed()["visible"]
        entry = next(entry for entry in before if entry["coefficient"] == "1")
        call(scene, "-C", "alice", "retract", entry["contribution"]).lines()
        blob = scene / "alice" / "blobs" / f"{entry['tensors']}.safetensors"
        os.utime(blob, (time.time() - 7200,) * 2)
        return blob, entry["contribution"]

    def test_is_listed_with_the_options_that_free_it(self, scene, retracted):
        blob, id_ = retracted
        before = tree(scene)
        lines = call(scene, "-C", "alice", "gc").lines()
        nbytes = blob.stat().st_size
        what = f"tensors of {id_[:12]}, retracted, {nbytes:,} bytes, 2 hours old"
        assert lines[2] == f"  {blob}  {what}; --delete --retracted removes it"
        assert [line.split("; ")[1] for line in lines[3:]] == ["--delete --cache removes it"] * 2
        assert tree(scene) == before
        os.utime(blob)
        assert "kept until it is an hour old" in call(scene, "-C", "alice", "gc", "--delete").lines()[2]
        assert blob.exists()

    def test_goes_only_by_its_own_option(self, scene, retracted):
        blob, _ = retracted
        cache = scene / "alice" / "cache"
        call(scene, "-C", "alice", "gc", "--delete").lines()
        assert len(list(cache.rglob("*.bin"))) == blob.exists() == 1
        found = call(scene, "-C", "alice", "gc", "--delete", "--retracted", "--json").printed()
        assert [entry["path"] for entry in found["leftovers"] if entry["removed"]] == [str(blob)]
        assert len(list(cache.rglob("*.bin"))) == 1
        assert not blob.exists()
        call(scene, "-C", "alice", "gc", "--delete", "--cache").lines()
        left = {path.parent.name for path in cache.rglob("*") if path.is_file()}
        assert left == {"figures"}  # which take little, and are not found again by themselves
        assert call(scene, "-C", "alice", "gc").lines() == ["removed         0 bytes", "could be freed  0 bytes"]
        assert call(scene, "fsck", "alice").code == 0

    def test_is_needed_by_an_old_merge(self, scene, retracted):
        blob, id_ = retracted
        call(scene, "-C", "alice", "gc", "--delete", "--retracted").lines()
        command = "-C alice resolve again --lock merged/merge.lock"
        assert f"contribution {id_[:12]} was retracted" in call(scene, *command.split()).complaint()
        call(scene, "-C", "alice", "sync", "shared").lines()
        assert not blob.exists()
        assert "it is visible again now" in call(scene, "-C", "alice", "contribute", "ft0.safetensors").stderr
        assert call(scene, *command.split()).code == 0

    def test_of_a_share_stays(self, scene, retracted):
        call(scene, "-C", "alice", "sync", "shared").lines()
        assert "is a shared folder" in call(scene, "-C", "shared", "gc", *FREE).complaint()
        assert (scene / "shared" / "blobs" / retracted[0].name).exists()

    def test_is_unknown_while_an_operation_is_damaged(self, scene, retracted):
        (scene / "alice" / "operations" / ("f" * 64)).write_bytes(b"damaged")
        outcome = call(scene, "-C", "alice", "gc", "--delete")
        assert outcome.code == 0
        assert "nobody knows which tensors were retracted: " in outcome.stderr
        assert "is damaged" in call(scene, "-C", "alice", "gc", *FREE).complaint()
        assert retracted[0].exists()

    @pytest.mark.parametrize("words", ["--retracted", "--cache", "--delete --cache ."])
    def test_is_not_freed_by_half_a_command(self, words, scene):
        outcome = call(scene, "-C", "alice", "gc", *words.split())
        assert outcome.code == 2
        assert "--delete" in outcome.stderr or "no FOLDER" in outcome.stderr


@pytest.mark.clause("SY-13", "SY-10")
def test_a_share_is_rid_of_ones_own_old_temporary_files(scene):
    old, young, strange = (scene / "shared" / "tmp" / name for name in (OLD_PART, f"8-{'b' * 16}.part", "notes"))
    for path in (old, young, strange):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - (STALE_SECONDS + 10 if path != young else 10),) * 2)
    assert listed(scene, "gc", "shared") == [f"shared/tmp/{OLD_PART}"]
    before = tree(scene)
    lines = call(scene, "gc", "--delete", "shared").lines()
    assert lines[:2] == ["removed         4 bytes", "could be freed  0 bytes"]
    assert tree(scene) == {path: content for path, content in before.items() if path != f"shared/tmp/{OLD_PART}"}


@pytest.mark.clause("SY-13")
def test_what_is_too_new_does_not_count_as_what_could_be_freed(scene):
    visible = call(scene, "-C", "bob", "status", "--json").printed()["visible"]
    call(scene, "-C", "bob", "retract", visible[0]["contribution"]).lines()
    found = call(scene, "-C", "bob", "gc", "--json").printed()
    assert (found["left_bytes"], [entry["options"] for entry in found["leftovers"]]) == (0, [[]])
