"""A merge that fails or is killed leaves no output folder, and touches nobody's."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, NonFinite, OutputError
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.model_folder import output
from mergealgebra.model_folder.leftovers import unfinished_in
from tests.engine.scenes import TIES, WAYS, merged, names_in
from tests.model_folder.folders import (
    DESCRIBED,
    INPUTS,
    RACE,
    merged_again,
)
from tests.models import fine_tune, with_value


@pytest.mark.clause("LK-1")
class TestFailure:
    """Whatever goes wrong, nothing is left: no output, no temporary folder."""

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    @pytest.mark.parametrize("call", ["write", "fsync", "replace"])
    def test_of_the_system_or_the_user(self, tmp_path, monkeypatch, call, error):
        real, calls = getattr(os, call), []

        def stand(*arguments, **named):
            calls.append(arguments)
            if len(calls) == (1 if call == "replace" else 3):
                raise error
            return real(*arguments, **named)

        monkeypatch.setattr(os, call, stand)
        expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError
        with pytest.raises(expected) as raised:
            merged(tmp_path)
        assert names_in(tmp_path) == INPUTS
        if expected is OutputError:
            assert f"{tmp_path / 'out'} cannot be written: No space left on device; free some" in str(raised.value)

    def test_in_the_numbers(self, tmp_path):
        """The result at the last element of the last tensor overflows; everything before it has been written."""
        start = {"a": np.zeros(5000, np.float16), "b": np.full(5, 65504, np.float16)}
        tuned = {"a": np.ones(5000, np.float16), "b": start["b"] + np.float16([0, 0, 0, 0, -65504])}
        with pytest.raises(NonFinite, match=r"tensor 'b' at index \[4\]"):
            merged(tmp_path, [tuned], start, ma.Ties(lambda_="-1"), Execution("numpy", threads=1, block=100))
        assert names_in(tmp_path) == {"base", "ft0.safetensors"}

    def test_of_a_checkpoint_that_becomes_shorter(self, tmp_path, monkeypatch):
        real = output.write_tensors

        def shorten(folder, cut, data):
            os.truncate(tmp_path / "ft1.safetensors", 700)
            real(folder, cut, data)

        monkeypatch.setattr(output, "write_tensors", shorten)
        with pytest.raises(CheckpointError, match=r"ft1.safetensors.*: the file became shorter after it was opened"):
            merged(tmp_path, recipe=ma.Mean())
        assert names_in(tmp_path) == INPUTS

    def test_of_a_file_of_the_base_that_cannot_be_copied(self, tmp_path, monkeypatch):
        """It is told before the long work begins, and by its name."""
        real = os.open

        def open_(path, *arguments, **named):
            if path == "tokenizer.json":
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, "open", open_)
        monkeypatch.setattr(output, "write_tensors", lambda *_: pytest.fail("the tensors were written first"))
        with pytest.raises(CheckpointError, match=r"base/tokenizer.json cannot be read: Permission denied; check"):
            merged(tmp_path)
        assert names_in(tmp_path) == INPUTS

    def test_above_the_output(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match=r"file cannot be written: File exists; check the path"):
            merged(tmp_path, out="file/out")

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_leaves_no_folder_above_the_output_that_was_not_there(self, tmp_path, monkeypatch, error):
        def fail(folder, cut, data):
            raise error

        monkeypatch.setattr(output, "write_tensors", fail)
        (tmp_path / "theirs").mkdir()
        for out in ("a/b/out", "theirs/b/out"):
            with pytest.raises((OutputError, KeyboardInterrupt)):
                merged(tmp_path, out=out)
        assert names_in(tmp_path) == {*INPUTS, "theirs"}
        assert names_in(tmp_path / "theirs") == set()

    def test_leaves_folders_above_the_output_that_others_use_by_now(self, tmp_path, monkeypatch):
        def fail(folder, cut, data):
            (tmp_path / "a" / "theirs").write_bytes(b"")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(output, "write_tensors", fail)
        with pytest.raises(OutputError):
            merged(tmp_path, out="a/b/out")
        assert names_in(tmp_path / "a") == {"theirs"}

    def test_leaves_no_thread(self, tmp_path):
        before = threading.active_count()
        tuned = with_value(fine_tune(0), "layer.0.bias", (1,), np.nan)
        with pytest.raises(NonFinite):
            merged(tmp_path, [tuned], execution=WAYS["blocks of seven"])
        assert threading.active_count() == before

    def test_of_the_disk_leaves_no_thread_either(self, tmp_path, monkeypatch):
        """Even while the error, and with it all that it came through, is held."""
        real, calls, before = os.write, [], threading.active_count()

        def write(*arguments):
            calls.append(arguments)
            if len(calls) == 8:  # after the copies, the header, and a few blocks
                raise OSError(errno.EIO, "I/O error")
            return real(*arguments)

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(OutputError) as held:
            merged(tmp_path, execution=WAYS["blocks of seven"])
        assert threading.active_count() == before
        assert "I/O error" in str(held.value)

    def test_to_flush_the_finished_folder_is_told_as_it_is(self, tmp_path, monkeypatch):
        """The model is whole, and its name may yet be lost in a power cut."""
        real = output.fsync_folder

        def sync(folder):
            if folder == tmp_path:
                raise OSError(errno.EIO, "Input/output error")
            real(folder)

        monkeypatch.setattr(output, "fsync_folder", sync)
        with pytest.raises(OutputError, match="out is written and whole, but not yet safe on the disk"):
            merged(tmp_path)
        assert ma.verify(tmp_path / "out").ok

    def test_of_a_folder_that_cannot_be_flushed_is_none(self, tmp_path, monkeypatch):
        """Some network file systems flush files but not folders."""
        real = os.fsync

        def fsync(descriptor):
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        merged(tmp_path)
        assert ma.verify(tmp_path / "out").ok


_KILLED_HALFWAY = """
import os, signal, sys
from pathlib import Path
from mergealgebra.model_folder import output
from tests.engine.scenes import merged
output.write_tensors = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
merged(Path(sys.argv[1]))
"""

_HELD_HALFWAY = """
import os, socket, sys
from pathlib import Path
from mergealgebra.model_folder import output
from tests.engine.scenes import merged
os.getpid = lambda: int(sys.argv[2])
socket.gethostname = lambda: sys.argv[3]
real = output.write_tensors
def held(folder, cut, data):
    print("writing", flush=True)
    sys.stdin.read()
    real(folder, cut, data)
output.write_tensors = held
try:
    merged(Path(sys.argv[1]))
except output.OutputError:
    sys.exit(3)
"""


@pytest.mark.clause("LK-1")
class TestKilled:
    def test_folder_stays_until_somebody_asks_for_its_removal(self, tmp_path):
        root = Path(__file__).parent.parent.parent
        killed = subprocess.run([sys.executable, "-c", _KILLED_HALFWAY, tmp_path], cwd=root, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        (left,) = names_in(tmp_path) - INPUTS
        assert re.fullmatch(r"\.out\.[0-9a-f]{16}\.unfinished", left)
        (warning,) = merged(tmp_path).warnings
        assert names_in(tmp_path) == {*INPUTS, "out", left}
        nbytes = sum((tmp_path / "base" / name).stat().st_size for name in DESCRIBED)
        nbytes += len("\0".join(DESCRIBED))  # in the mark
        assert warning == (
            f"{tmp_path} holds an unfinished model of a killed merge, {nbytes:,} bytes; "
            f"`mergealgebra gc --delete {tmp_path}` removes what is left"
        )
        (found,) = unfinished_in(tmp_path)
        found.remove()
        assert merged(tmp_path, out="second").warnings == []
        assert names_in(tmp_path) == {*INPUTS, "out", "second"}

    def test_folder_of_a_living_process_stays_although_all_its_names_are_ours(self, tmp_path):
        """Two containers on one disk may have one host name, and give their processes the same numbers."""
        command = [sys.executable, "-c", _HELD_HALFWAY, tmp_path, str(os.getpid()), socket.gethostname()]
        root = Path(__file__).parent.parent.parent
        with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
            assert living.stdout.readline() == b"writing\n"
            written = {path for path in tmp_path.rglob("*") if path.parent.name.startswith(".out.")}
            assert written
            assert merged_again(tmp_path).warnings == []
            assert all(path.exists() for path in written)
            living.communicate(timeout=60)
            assert living.returncode == 3  # there is a model in its place now
        assert names_in(tmp_path) == {*INPUTS, "out"}
        assert ma.verify(tmp_path / "out").ok

    def test_what_stands_under_such_names_makes_nobody_wait(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # a socket's path is short
        names = [f".out.{number:016x}.unfinished" for number in range(4)]
        os.mkfifo(names[0])
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(names[1])
        Path(names[2]).write_bytes(b"mine")
        Path(names[3]).symlink_to("base")
        assert merged(tmp_path).warnings == []
        assert names_in(tmp_path) == {*INPUTS, "out", *names}

    def test_takes_a_name_as_long_as_the_system_does(self, tmp_path):
        merged(tmp_path, out="o" * 255)
        with pytest.raises(OutputError, match="cannot be written: File name too long"):
            merge_checkpoints(tmp_path / "nowhere", [Model(tmp_path / "x")], TIES, tmp_path / ("o" * 256))

    def test_nothing_when_two_threads_merge_to_one_place(self, tmp_path, monkeypatch):
        """The first to end stays, the other is refused."""
        merged(tmp_path, out="first")
        real = output.write_tensors

        def write(folder, cut, data):
            monkeypatch.setattr(output, "write_tensors", real)
            merged_again(tmp_path)
            real(folder, cut, data)

        monkeypatch.setattr(output, "write_tensors", write)
        with pytest.raises(OutputError, match=RACE):
            merged(tmp_path)
        assert names_in(tmp_path) == {*INPUTS, "first", "out"}
        assert ma.verify(tmp_path / "out").ok
