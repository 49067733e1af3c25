"""Unfinished models: what counts as one, so that nobody else's folder is ever named or removed."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from mergealgebra.disk import opened_folder
from mergealgebra.errors import OutputError
from mergealgebra.model_folder import leftovers
from mergealgebra.model_folder.leftovers import (
    STALE_SECONDS,
    STARTING_SECONDS,
    unfinished_at,
    unfinished_in,
    warnings_beside,
)
from mergealgebra.model_folder.unfinished import MARK, lock, token_of
from tests.cli.commands import tree

pytestmark = pytest.mark.clause("LK-7")

NAME = ".out.0123456789abcdef.unfinished"
#: As a merge writes into the mark what it is going to copy.
COPIED = b"LICENSE\0config.json\0helpers.py\0modeling_x.py"


@pytest.fixture
def left(tmp_path):
    """A folder as a killed merge leaves it."""
    folder = tmp_path / NAME
    folder.mkdir()
    for name in ("config.json", "LICENSE", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (folder / name).write_bytes(bytes(10))
    for name in ("model.safetensors.index.json", "model.safetensors", "README.md", "merge.lock"):
        (folder / name).write_bytes(bytes(100))
    (folder / "helpers.py").touch()
    (folder / MARK).write_bytes(COPIED)
    return folder


def test_is_found_with_its_size_and_age_and_removed(left, tmp_path):
    for path in (*left.iterdir(), left):
        os.utime(path, (time.time() - 7200,) * 2)
    (tmp_path / "other").mkdir()
    (found,) = unfinished_in(tmp_path)
    assert (found.path, found.nbytes) == (left, 440 + len(COPIED))
    assert 7200 <= found.age < 7260
    assert left.exists()
    found.remove()
    assert set(tree(tmp_path)) == {"other"}
    found.remove()  # somebody else was quicker


NAMES = {
    True: (NAME, ".a\nb.0123456789abcdef.unfinished", "..0123456789abcdef.0123456789abcdef.unfinished"),
    False: (
        *(
            NAME[1:],
            NAME + "0",
            NAME + "\n",
            NAME.replace("f.", "."),
            NAME.replace("f.", "F."),
            NAME.replace("f.", "ff."),
        ),
        *(".0123456789abcdef.unfinished", "..0123456789abcdef.unfinished", ".out.0123456789abcdef", ".out.unfinished"),
    ),
}


@pytest.mark.parametrize(("name", "ours"), [(name, ours) for ours, names in NAMES.items() for name in names])
def test_has_a_name_that_only_a_merge_gives(tmp_path, name, ours):
    (tmp_path / name).mkdir()
    (tmp_path / name / MARK).touch()
    assert (token_of(name) is not None) == ours
    assert bool(unfinished_in(tmp_path)) == ours


def _marked(path, copied=b"config.json"):
    path.mkdir()
    (path / MARK).write_bytes(copied)


#: What stands under such a name, or in such a folder, and is not a killed merge's.
STRANGERS = {
    "a pipe": os.mkfifo,
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
    "a file": lambda path: path.write_bytes(b"mine"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a folder like ours": lambda path: path.symlink_to("moved"),
    "a folder with a folder": lambda path: (_marked(path), (path / "config.json").mkdir()),
    "a folder with a link": lambda path: (_marked(path), (path / "config.json").symlink_to("../thesis")),
    "a folder with a pipe": lambda path: (_marked(path), os.mkfifo(path / "config.json")),
    "a folder with another file": lambda path: (_marked(path), (path / "thesis.txt").write_bytes(b"mine")),
    "a folder with a file that is not announced": lambda path: (
        _marked(path, b"LICENSE"),
        (path / "config.json").write_bytes(b"mine"),
    ),
    "a folder with announced weights": lambda path: (
        _marked(path, b"thesis.bin"),
        (path / "thesis.bin").write_bytes(b"mine"),
    ),
    "a folder whose mark is endless": lambda path: (
        _marked(path),
        os.truncate(path / MARK, 1 << 40),
        (path / "config.json").write_bytes(b"mine"),
    ),
    "a folder with other weights": lambda path: (_marked(path), (path / "pytorch_model.bin").write_bytes(b"mine")),
    "a folder whose mark is a link": lambda path: (path.mkdir(), (path / MARK).symlink_to("../thesis")),
    "a model that somebody renamed": lambda path: (path.mkdir(), (path / "model.safetensors").write_bytes(b"mine")),
    "a folder with a nearly right name": lambda path: (_marked(path), (path / "model.safetensors\n").touch()),
}


@pytest.mark.parametrize("make", STRANGERS.values(), ids=STRANGERS)
def test_is_a_folder_with_what_a_merge_writes_and_nothing_else(tmp_path, monkeypatch, left, make):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    (tmp_path / "thesis").write_bytes(b"mine")
    (found,) = unfinished_in(tmp_path)
    left.rename(tmp_path / "moved")
    make(Path(NAME))
    before = _names_and_kinds(tmp_path)
    assert unfinished_in(tmp_path) == []
    assert warnings_beside(tmp_path / "out") == []
    found.remove()  # what had the name when it was found has been exchanged
    assert _names_and_kinds(tmp_path) == before


def _names_and_kinds(folder):
    return {path: stat.S_IFMT(path.lstat().st_mode) for path in folder.rglob("*")}


def test_of_another_user_is_not_ours(left, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
    assert unfinished_in(tmp_path) == []


def test_of_a_living_writer_is_not_left(left, tmp_path):
    (found,) = unfinished_in(tmp_path)
    with opened_folder(left) as descriptor:
        assert lock(descriptor)
        assert unfinished_in(tmp_path) == []
        found.remove()
    assert len(unfinished_in(tmp_path)) == 1
    assert len(list(left.iterdir())) == 10


@pytest.mark.parametrize("again", [False, True])
def test_that_is_finished_while_it_is_looked_at_is_a_model(left, tmp_path, monkeypatch, again):
    (found,) = unfinished_in(tmp_path)

    def finished(descriptor):
        left.rename(tmp_path / "out")
        if again:
            left.mkdir()
        return lock(descriptor)

    monkeypatch.setattr(leftovers, "lock", finished)
    found.remove()
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_that_is_empty_may_be_one_that_its_writer_is_about_to_lock(tmp_path):
    (tmp_path / NAME).mkdir()
    assert unfinished_in(tmp_path) == []
    os.utime(tmp_path / NAME, (time.time() - STARTING_SECONDS - 1,) * 2)
    assert len(unfinished_in(tmp_path)) == 1


def test_is_told_by_its_age_where_there_are_no_locks(left, tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert unfinished_in(tmp_path) == []
    for path in (*left.iterdir(), left):
        os.utime(path, (time.time() - STALE_SECONDS - 10,) * 2)
    assert unfinished_in(tmp_path)
    os.utime(left / "config.json")
    assert unfinished_in(tmp_path) == []


def test_says_how_to_remove_it_whatever_the_folder_is_called(tmp_path):
    folder = tmp_path / "a b"
    for number in range(2):
        (folder / f".out.{number:016x}.unfinished").mkdir(parents=True)
        (folder / f".out.{number:016x}.unfinished" / MARK).touch()
    (warning,) = warnings_beside(folder / "out")
    assert (
        f"{folder} holds 2 unfinished models of killed merges, 0 bytes; `mergealgebra gc --delete '{folder}'`"
        in warning
    )
    assert warnings_beside(tmp_path / "nowhere" / "out") == []


def test_that_cannot_be_removed_is_named(left, tmp_path, monkeypatch):
    def rmdir(path, *, dir_fd):
        raise PermissionError(13, "Permission denied")

    (found,) = unfinished_in(tmp_path)
    monkeypatch.setattr(os, "rmdir", rmdir)
    with pytest.raises(
        OutputError, match=r"unfinished cannot be removed: Permission denied; check its permissions, and"
    ):
        found.remove()


@pytest.mark.parametrize("path", ["", ".", "/", "a\0b", NAME + "/.", f"\0/{NAME}"])
def test_is_not_at_a_path_that_no_merge_has(tmp_path, monkeypatch, left, path):
    monkeypatch.chdir(tmp_path)
    assert (unfinished_at(Path(path)) is None) == (path != NAME + "/.")
