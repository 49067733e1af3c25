"""Bytes reach the disk whole or not at all, and what the disk refuses is one clear line."""

from __future__ import annotations

import ast
import errno
import os
import stat
from pathlib import Path

import pytest

from mergealgebra import disk, store, sync
from mergealgebra.disk import make_folder
from mergealgebra.errors import OutputError
from mergealgebra.store.atomic import create_atomically, staged, write_atomically
from mergealgebra.store.entries import ROOT, Entry
from tests.crash import fault_points, kill_points

FAULTS = {
    "full disk": (errno.ENOSPC, "No space left on device; free some space"),
    "quota": (errno.EDQUOT, "free some space"),
    "read-only medium": (errno.EROFS, "Read-only file system; choose a folder that can be written to"),
    "no permission": (errno.EACCES, "Permission denied; get write permission"),
    "worn disk": (errno.EIO, "Input/output error; check the path and the disk"),
}

WRITERS = {"write_bytes", "write_text", "mkdir", "makedirs", "touch", "rename", "link", "symlink_to", "fsync", "unlink"}


@pytest.fixture
def folder(tmp_path):
    """A folder with one file, `named`, that holds `old`."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "named").write_bytes(b"old")
    return tmp_path / "store"


def rewrite(folder):
    write_atomically(Entry(folder, ROOT, "named"), b"the new")


@pytest.mark.clause("SY-2")
class TestWriteAtomically:
    @pytest.mark.parametrize("data", [b"", b"x", bytes(3 << 20)], ids=["empty", "small", "three pieces"])
    def test_writes_the_bytes_and_leaves_nothing_else(self, folder, data):
        write_atomically(Entry(folder, ROOT, "named"), data)
        assert (folder / "named").read_bytes() == data
        assert list((folder / "tmp").iterdir()) == []

    def test_writes_on_when_the_system_takes_less_than_it_was_given(self, folder, monkeypatch):
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
        rewrite(folder)
        assert (folder / "named").read_bytes() == b"the new"

    def test_flushes_before_it_renames_and_flushes_the_folder_after(self, folder, monkeypatch):
        calls = []
        for name in ("write", "fsync", "replace"):
            real = getattr(os, name)

            def noted(*args, name=name, real=real, **named):
                calls.append(name)
                return real(*args, **named)

            monkeypatch.setattr(os, name, noted)
        make_folder(folder / "tmp")
        calls.clear()
        rewrite(folder)
        assert calls == ["write", "fsync", "replace", "fsync"]

    def test_gives_the_file_the_permissions_of_any_new_file(self, folder):
        (folder / "plain").write_bytes(b"")
        rewrite(folder)
        assert (folder / "named").stat().st_mode == (folder / "plain").stat().st_mode

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_leaves_the_old_file_when_the_body_raises(self, folder, error):
        with pytest.raises(error), staged(folder) as file:
            file.write(b"the new")
            raise error
        assert (folder / "named").read_bytes() == b"old"
        assert list((folder / "tmp").iterdir()) == []

    def test_takes_nothing_after_it_has_been_placed(self, folder):
        with pytest.raises(OutputError, match="takes no more bytes"), staged(folder) as file:
            file.commit(Entry(folder, ROOT, "named"))
            file.write(b"more")

    @pytest.mark.clause("SY-8")
    def test_leaves_the_old_file_or_the_new_one_when_it_dies(self, folder, tmp_path):
        seen = set()
        for moment, died in kill_points(folder, rewrite, tmp_path / "scratch"):
            seen.add((died / "named").read_bytes())
            assert seen <= {b"old", b"the new"}, moment
        assert seen == {b"old", b"the new"}


@pytest.mark.clause("SY-2", "SY-7")
@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
class TestCreateAtomically:
    @pytest.fixture(autouse=True)
    def _links(self, links, monkeypatch):
        def link(*arguments, **named):
            raise OSError(errno.EPERM, "Operation not permitted")

        if not links:
            monkeypatch.setattr(os, "link", link)

    def test_writes_the_bytes_and_leaves_nothing_else(self, folder):
        create_atomically(Entry(folder, ROOT, "first"), b"the new")
        assert (folder / "first").read_bytes() == b"the new"
        assert list((folder / "tmp").iterdir()) == []

    def test_leaves_what_is_there(self, folder):
        create_atomically(Entry(folder, ROOT, "named"), b"the new")
        assert (folder / "named").read_bytes() == b"old"
        assert list((folder / "tmp").iterdir()) == []


@pytest.mark.clause("SY-2", "SY-8")
def test_create_leaves_the_whole_file_or_none_when_it_dies(folder, tmp_path):
    def create(folder):
        create_atomically(Entry(folder, ROOT, "first"), b"the new")

    seen = set()
    for _, died in kill_points(folder, create, tmp_path / "scratch"):
        first = died / "first"
        seen.add(first.read_bytes() if first.exists() else None)
    assert seen == {None, b"the new"}


class TestRefusals:
    @pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)
    def test_of_any_call_is_one_line_and_leaves_no_temporary_file(self, folder, tmp_path, fault, message):
        points = list(fault_points(folder, rewrite, tmp_path / "scratch", fault))
        assert len(points) == 6
        for _, _, error in points:
            assert isinstance(error, OutputError)
            assert message in str(error)
            assert "\n" not in str(error)

    def test_leaves_the_old_file_or_the_new_one(self, folder, tmp_path):
        for moment, failed, _ in fault_points(folder, rewrite, tmp_path / "scratch"):
            assert (failed / "named").read_bytes() in (b"old", b"the new"), moment
            assert not (failed / "tmp").exists() or list((failed / "tmp").iterdir()) == []

    def test_of_a_temporary_folder_that_is_a_file(self, folder):
        (folder / "tmp").write_bytes(b"")
        with pytest.raises(OutputError, match=f"{folder}/tmp cannot be written"):
            rewrite(folder)

    def test_is_not_made_of_a_file_system_that_cannot_flush_folders(self, folder, monkeypatch):
        real = os.fsync
        make_folder(folder / "tmp")

        def fsync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        rewrite(folder)
        assert (folder / "named").read_bytes() == b"the new"


@pytest.mark.clause("SY-2")
@pytest.mark.parametrize("package", [store, sync], ids=lambda package: package.__name__)
def test_nothing_else_writes(package):
    """Whatever writes past the five calls would escape the tests that kill them.

    Only the cache makes its own folders, and removes from them: what it loses is computed again. Two others remove
    their own records, and what `gc` was asked to remove. Blobs in the making flush their own file.
    """
    may = {name: {"mkdir", "unlink"} for name in ("cache.py", "entries.py")} | {"runs.py": {"unlink"}}
    may["partial_blob.py"] = {"fsync"}
    for source in Path(package.__file__).parent.glob("*.py"):
        if source.name != "atomic.py":
            calls = (node.func for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call))
            called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
            assert called & WRITERS <= may.get(source.name, set()), source


def test_pieces_are_bounded(tmp_path, monkeypatch):
    sizes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: (sizes.append(len(data)), real(descriptor, data))[1])
    write_atomically(Entry(tmp_path, ROOT, "named"), bytes((5 << 20) + 1))
    assert max(sizes) <= disk.PIECE_BYTES
