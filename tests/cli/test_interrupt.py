"""Ctrl-C at any moment of long work: exit status 1, one line, nothing half-written, everything as before [CL-3]."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import Outcome, call, tree
from tests.cli.scene import build
from tests.models import write_raw

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="only /proc tells what a process is doing"
)

#: Bytes of a tensor that takes a while to hash; its file is sparse and takes no room on the disk.
LARGE = 1 << 29


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The scene, with a large model of zeros and a workspace for it: `big`."""
    root = build(tmp_path_factory.mktemp("interrupt"))
    header = ",".join(
        f'"{name}":{{"dtype":"F32","shape":[{LARGE // 16}],"data_offsets":[{i * LARGE // 4},{(i + 1) * LARGE // 4}]}}'
        for i, name in enumerate("abcd")
    )
    for name in ("big.safetensors", "tuned.safetensors"):
        os.truncate(write_raw(root / name, f"{{{header}}}", b""), 8 + len(header) + 2 + LARGE)
    call(root, "-C", "big", "init", "--base", "big.safetensors").lines()
    return root


def _interrupt(folder, command, moment):
    """Type a command, wait for the moment, and press Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mergealgebra", *command.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # whoever runs the tests may have made their children deaf to it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        while not moment(process.pid):
            assert process.poll() is None, f"over before it could be interrupted: {process.communicate()}"
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
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


#: Long work, and the moment of it at which Ctrl-C is pressed.
MOMENTS = {
    "resolve, while it writes": ("-C alice resolve out --block 1 --threads 4", _writing(".out.")),
    "resolve, while it writes, alone": ("-C alice resolve out --block 1 --threads 1", _writing(".out.")),
    "resolve, with torch": ("-C alice resolve out --block 1 --threads 2 --backend torch", _writing(".out.")),
    "resolve, while it reads": ("-C alice resolve out --block 1 --threads 4", _reading("base/model.safetensors")),
    "merge, while it writes": ("merge merge.yaml out --block 1 --threads 4", _writing(".out.")),
    "contribute, while it reads the base": ("-C big contribute tuned.safetensors --threads 2", _reading("big.safe")),
    "contribute, while it reads the checkpoint": (
        "-C big contribute tuned.safetensors --threads 2",
        _reading("tuned.safetensors"),
    ),
    "contribute, while it writes": ("-C big contribute tuned.safetensors --threads 2", _writing("/big/tmp/")),
    "init": ("-C bigger init --base big.safetensors", _reading("big.safetensors")),
    "verify": ("verify merged --against alice --threads 2", _reading("merged/model.safetensors")),
}


@pytest.mark.clause("CL-1", "CL-3", "LK-1", "SY-8")
@pytest.mark.parametrize(("command", "moment"), MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_leaves_everything_as_it_was(command, moment, scene):
    before = _small(tree_of(scene))
    outcome = _interrupt(scene, command, moment)
    assert outcome.complaint() == "interrupted; nothing was left half-written"
    assert _small(tree_of(scene)) == before


def tree_of(scene):
    """The names in the scene, and the content of what may change."""
    return {str(path.relative_to(scene)): None for path in scene.rglob("*")} | tree(scene / "alice")


def _small(files):
    return files
