"""Ctrl-C at any moment of long work: exit status 1, one line, nothing half-written, everything as before [CL-3]."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import Outcome, call, console_script, without_python_path
from tests.models import write_file, write_folder, write_raw

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only /proc tells what a process is doing")

#: Bytes of a model that takes a while to hash; its file is sparse and takes no room on the disk.
LARGE = 1 << 29
#: Elements of a model that takes a while to merge, in blocks of 16.
WIDE = 1 << 20


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Workspaces of a large and of a wide model, and a folder whose lock fits the large one."""
    root = tmp_path_factory.mktemp("interrupt")
    for name in ("large", "tuned"):
        _write_zeros(root / f"{name}.safetensors")
    write_folder(root / "wide-base", {"w": np.zeros(WIDE, np.float32)})
    write_file(root / "ft.safetensors", {"w": np.ones(WIDE, np.float32)})
    (root / "merge.yaml").write_text("method: ties\nbase: wide-base\nmodels: [path: ft.safetensors]\n")
    for line in (
        "-C large init --base large.safetensors",
        "-C wide init --base wide-base",
        "-C wide contribute ft.safetensors",
        "-C wide resolve merged",
    ):
        call(root, *line.split()).lines()
    _lock_large(root)
    return root


def _write_zeros(path):
    part = LARGE // 4
    entries = [
        f'"{name}":{{"dtype":"F32","shape":[{part // 4}],"data_offsets":[{i * part},{(i + 1) * part}]}}'
        for i, name in enumerate("abcd")
    ]
    write_raw(path, "{" + ",".join(entries) + "}", b"")
    os.truncate(path, path.stat().st_size + LARGE)


def _lock_large(root):
    """A folder `locked` with the large model and a lock that fits it."""
    folder = root / "locked"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to("../large.safetensors")
    lock = json.loads((root / "merged" / "merge.lock").read_text())
    with Checkpoint.open(folder) as model:
        (root_of_each,) = set(model.roots(2).values())
        lock["tensors"] = {
            name: {"dtype": "F32", "shape": [LARGE // 16], "root": root_of_each} for name in model.records
        }
        lock["model_root"] = model.root(2)
    (folder / "merge.lock").write_text(json.dumps(lock))


def _interrupt(folder, command, moment, signals=(signal.SIGINT,), ignored=()):
    """Type a command, wait for the moment, and press Ctrl-C, or send other signals."""

    def begin():  # whoever runs the tests may have made their children deaf to it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-m", "mergealgebra", *command.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=begin,  # noqa: PLW1509
    )
    try:
        while not moment(process.pid):
            assert process.poll() is None, f"over before it could be interrupted: {process.communicate()}"
            time.sleep(0.002)
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return Outcome(process.returncode, out, err)


def _reading(path):
    """The moment at which a process has opened a file of this name."""
    return lambda pid: any(path in _target(entry) for entry in _open_files(pid))


def _writing(part):
    """The moment at which a process has opened a file with this in its path and has written to it."""
    return lambda pid: any(part in _target(entry) and _size(entry) for entry in _open_files(pid))


def _open_files(pid):
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def _target(entry):
    try:
        return str(entry.readlink())
    except OSError:
        return ""


def _size(entry):
    try:
        return entry.stat().st_size
    except OSError:
        return 0


RESOLVE = "-C wide resolve out --block 16"
CONTRIBUTE = "-C large contribute tuned.safetensors --force --threads 2"

#: Long work, and the moment of it at which Ctrl-C is pressed.
MOMENTS = {
    "resolve, while it writes": (f"{RESOLVE} --threads 4", _writing(".out.")),
    "resolve, while it writes, alone": (f"{RESOLVE} --threads 1", _writing(".out.")),
    "resolve, while it writes, with torch": (f"{RESOLVE} --threads 2 --backend torch", _writing(".out.")),
    "resolve, while it reads": (f"{RESOLVE} --threads 4", _reading("wide-base/model.safetensors")),
    "merge, while it writes": ("merge merge.yaml out --block 16 --threads 4", _writing(".out.")),
    "merge, while it reads": ("merge merge.yaml out --block 16 --threads 4", _reading("ft.safetensors")),
    "contribute, while it reads the base": (CONTRIBUTE, _reading("large.safetensors")),
    "contribute, while it reads the checkpoint": (CONTRIBUTE, _reading("tuned.safetensors")),
    "contribute, while it writes": (CONTRIBUTE, _writing("/large/tmp/")),
    "init, while it reads": ("-C new init --base large.safetensors", _reading("large.safetensors")),
    "verify, while it reads": ("verify locked --threads 2", _reading("large.safetensors")),
}


@pytest.mark.clause("CL-1", "CL-3", "LK-1", "SY-8")
@pytest.mark.parametrize(("command", "moment"), MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_leaves_everything_as_it_was(command, moment, scene):
    before = _names_and_times(scene)
    assert _interrupt(scene, command, moment).complaint() == "interrupted; nothing was left half-written"
    assert _names_and_times(scene) == before


def _names_and_times(folder):
    """Every file with the time at which it was last written; some are too large to be read again and again."""
    return {path: 0 if path.is_dir() else path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.clause("CL-1")
def test_the_same_commands_end_well_when_nobody_interrupts_them(scene):
    assert call(scene, "verify", "locked").lines()
    assert call(scene, *RESOLVE.split()[:-2]).lines()


@pytest.mark.clause("CL-1", "CL-3")
def test_a_terminal_that_is_closed_leaves_everything_as_it_was(scene):
    """It sends more than one signal; only the first counts, and what is half-made is removed in peace."""
    before = _names_and_times(scene)
    signals = (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    done = _interrupt(scene, "-C wide resolve closed --block 16", _writing(".closed."), signals)
    assert done.complaint() == "interrupted; nothing was left half-written"
    assert _names_and_times(scene) == before


@pytest.mark.clause("CL-3")
def test_a_command_goes_on_that_was_told_to_ignore_the_terminal(scene):
    command, moment = MOMENTS["verify, while it reads"]
    done = _interrupt(scene, command, moment, (signal.SIGHUP,), ignored=(signal.SIGHUP,))
    assert done.lines()


@pytest.mark.clause("CL-1", "CL-3")
@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_an_interrupt_while_modules_are_imported_is_one_line(name, tmp_path):
    """From the first line of ours on; Python's own start, before it, ends in a traceback of Python's."""
    number = getattr(signal, name)
    command = [*console_script(tmp_path / "mergealgebra", "import os; os.write(1, b'x')"), "laws", "ties"]
    for milliseconds in (5, 30, 80, 150):
        process = subprocess.Popen(
            command,
            env=without_python_path(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        assert process.stdout.read(1) == b"x"
        time.sleep(milliseconds / 1000)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        told = (process.returncode, said) == (1, b"mergealgebra: interrupted; nothing was left half-written\n")
        ended = process.returncode == -number and b"__main__.py" not in said
        assert told or ended, (milliseconds, process.returncode, said.decode())
