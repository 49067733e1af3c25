"""Removing the folder of a stranger's program, whatever it left there."""

from __future__ import annotations

import os

import pytest

from mergealgebra.children.removal import remove_folder


@pytest.fixture
def outside(tmp_path):
    """What links lead to, and what nobody may remove or open up."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("kept")
    folder.chmod(0o500)
    return folder


def _deep(folder, _outside):
    for _ in range(1500):  # deeper than Python recurses
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)


def _closed(folder, _outside):
    for name in ("a", "b"):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.mkdir("inner", 0, dir_fd=inner)
        os.fchmod(inner, 0)
        os.close(inner)
    os.fchmod(folder, 0o500)
    os.close(folder)


def _linked(folder, outside):
    os.symlink(outside, "link", dir_fd=folder)
    os.symlink(outside / "file", "link to a file", dir_fd=folder)
    os.mkdir("d", dir_fd=folder)
    os.symlink(outside, "d/link", dir_fd=folder)
    os.link(outside / "file", "d/hard", dst_dir_fd=folder)
    os.mkfifo("d/pipe", dir_fd=folder)
    os.close(folder)


@pytest.mark.parametrize("leave", [_deep, _closed, _linked])
def test_all_of_it_goes_and_nothing_else(leave, tmp_path, outside):
    path = tmp_path / "folder"
    path.mkdir()
    leave(os.open(path, os.O_RDONLY), outside)
    remove_folder(str(path))
    assert not path.exists()
    assert (outside / "file").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o500


def test_a_link_in_its_place_goes_and_not_what_it_names(tmp_path, outside):
    path = tmp_path / "folder"
    path.symlink_to(outside)
    remove_folder(str(path))
    assert not path.is_symlink()
    assert (outside / "file").read_text() == "kept"
    remove_folder(str(path))  # it is gone already
