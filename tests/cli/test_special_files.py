"""Whatever stands in place of a file that is read: the command ends at once, and says what it is or goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
from pathlib import Path

import pytest

from tests.cli.commands import call


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)  # a long path is not an address


#: What may stand in place of a file.
KINDS = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a link to a device without an end": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a sparse file of 1 TB": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}

#: The files, and the commands that read them.
FILES = {
    "base/config.json": ["merge merge.yaml out", "-C alice resolve out"],
    "base/model.safetensors": ["merge merge.yaml out", "-C alice resolve out", "-C new init --base base"],
    "base/model.safetensors.index.json": ["merge merge.yaml out"],
    "ft0.safetensors": ["merge merge.yaml out"],
    "ft2.safetensors": ["-C alice contribute ft2.safetensors"],
    "merge.yaml": ["merge merge.yaml out"],
    "recipe.yaml": ["-C new init --base base --recipe recipe.yaml"],
    "merged/merge.lock": ["verify merged", "verify merged --against alice"],
    "merged/model.safetensors": ["verify merged"],
    "alice/genesis": ["-C alice status", "-C bob sync alice", "clone --yes alice new --base base", "fsck alice"],
    "alice/local.json": ["-C alice status", "-C alice resolve out"],
    "alice/incomplete.json": ["-C alice status", "-C alice resolve out", "-C alice sync shared"],
    "alice/key": ["-C alice resolve out --keep-aggregate=always"],
    "alice/operations/FIRST": [
        "-C alice log",
        "-C alice sync shared",
        "fsck alice",
        "clone --yes alice new --base base",
    ],
    "alice/blobs/FIRST": ["-C alice status", "-C alice resolve out", "-C alice sync shared", "fsck alice"],
    "alice/cache/thresholds/FIRST": ["-C alice resolve out", "fsck alice"],
    "alice/cache/aggregate/header": ["-C alice resolve out --keep-aggregate=always", "fsck alice"],
    "alice/cache/aggregate/BIN": ["-C alice resolve out --keep-aggregate=always", "fsck alice"],
    "alice/runs/0123456789abcdef": ["-C alice status", "-C alice resolve out", "-C alice gc"],
    ".out.0123456789abcdef.unfinished": ["merge merge.yaml out", "gc .", "gc . --delete"],
    "hub/models--a--b/refs/main": ["-C new init --base hub/models--a--b"],
}


def _place(scene: Path, name: str) -> Path:
    """Where it is; FIRST is the first file of a folder, BIN that of the pages."""
    path = scene / name
    if path.name in ("FIRST", "BIN"):
        pattern = "*" if path.name == "FIRST" else "*.bin"
        return sorted(path.parent.glob(pattern))[0]
    return path


@pytest.fixture
def arranged(scene, name):
    """The scene, with a folder of a cache and, where one is looked at, a kept aggregate."""
    if "aggregate" in name:
        call(scene, "-C", "alice", "resolve", "kept", "--keep-aggregate=always").lines()
    (scene / "hub" / "models--a--b" / "snapshots" / "1").mkdir(parents=True)
    (scene / "hub" / "models--a--b" / "refs").mkdir()
    return scene


@pytest.mark.clause("SY-10", "CL-1")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_a_command_ends_at_once(arranged, name, kind):
    path = _place(arranged, name)
    if name == "base/model.safetensors.index.json":
        (arranged / "base" / "model.safetensors").unlink()
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    KINDS[kind](path)
    for command in FILES[name]:
        done = call(arranged, *shlex.split(command))
        assert done.code in (0, 1), done
        if done.code:
            assert done.stderr.count("mergealgebra: ") == 1
            assert "Traceback" not in done.stderr
        written = arranged / "out"
        if written.exists():
            assert done.code == 0
            lock = json.loads((written / "merge.lock").read_text())
            assert lock["contributions"]
            for file in sorted(written.iterdir()):
                file.unlink()
            written.rmdir()
