"""The disk of the simulation forgets what was not flushed, and nothing else."""

from __future__ import annotations

import os

import pytest

from tests.simulation.disk import PowerDisk

#: What is done with a file, and whether it survives a power cut.
SURVIVALS = {
    "flushed, renamed, folder flushed": (("fsync", "replace", "folder"), b"content"),
    "flushed, renamed": (("fsync", "replace"), None),
    "renamed, folder flushed": (("replace", "folder"), b""),
    "flushed, linked, folder flushed": (("fsync", "link", "folder"), b"content"),
    "flushed, linked": (("fsync", "link"), None),
    "linked, folder flushed": (("link", "folder"), b""),
}


@pytest.fixture
def disk(tmp_path):
    return PowerDisk(tmp_path)


def written(folder, steps):
    """Write `part`, and do with it what the steps say; it is to become `whole`."""
    descriptor = os.open(folder / "part", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"content")
    for step in steps:
        match step:
            case "fsync":
                os.fsync(descriptor)
            case "folder":
                handle = os.open(folder, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)
            case _:
                getattr(os, step)(folder / "part", folder / "whole")
    os.close(descriptor)


@pytest.mark.clause("SY-2")
@pytest.mark.parametrize(("steps", "content"), SURVIVALS.values(), ids=SURVIVALS.keys())
def test_what_a_power_cut_leaves(disk, tmp_path, steps, content):
    assert disk.run(lambda: written(tmp_path, steps), None)
    assert (tmp_path / "whole").read_bytes() == b"content"
    disk.cut(0)
    found = (tmp_path / "whole").read_bytes() if (tmp_path / "whole").exists() else None
    assert found == content


def test_luck_spares_what_was_not_flushed(disk, tmp_path):
    disk.run(lambda: written(tmp_path, ("replace",)), None)
    disk.cut(0xFFFF)
    assert (tmp_path / "whole").read_bytes() == b"content"


def test_what_was_replaced_comes_back(disk, tmp_path):
    (tmp_path / "whole").write_bytes(b"before")
    disk.run(lambda: written(tmp_path, ("fsync", "replace")), None)
    disk.cut(0)
    assert (tmp_path / "whole").read_bytes() == b"before"


def test_a_folder_that_was_not_flushed_goes_with_what_is_in_it(disk, tmp_path):
    disk.run(lambda: os.mkdir(tmp_path / "new"), None)  # noqa: PTH102 - the call that is looked at
    (tmp_path / "new" / "file").write_bytes(b"content")
    disk.cut(0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("calls", "content"), [(0, b"con"), (1, b"content"), (2, b"content")])
def test_who_dies_writes_half_and_tidies_nothing(disk, tmp_path, calls, content):
    """Calls of the command: write, fsync, replace."""

    def command():
        try:
            written(tmp_path, ("fsync", "replace"))
        finally:
            os.unlink(tmp_path / "part")  # noqa: PTH108 - the call that is looked at

    assert not disk.run(command, calls)
    assert (tmp_path / "part").read_bytes() == content
    assert not (tmp_path / "whole").exists()


def test_the_calls_of_os_are_real_again(disk, tmp_path):
    before = (os.write, os.fsync, os.replace, os.link, os.mkdir, os.open, os.close, os.unlink)
    disk.run(lambda: written(tmp_path, ("fsync", "replace")), 1)
    assert before == (os.write, os.fsync, os.replace, os.link, os.mkdir, os.open, os.close, os.unlink)
