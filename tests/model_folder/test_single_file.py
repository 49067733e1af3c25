"""A model in one file, with its lock beside it: both there, or nothing that could be taken for a model."""

from __future__ import annotations

import errno
import os
import shutil

import pytest
from safetensors.numpy import load_file

import mergealgebra as ma
from mergealgebra.errors import LockError, OutputError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.model_folder import output
from mergealgebra.model_folder.leftovers import unfinished_in
from mergealgebra.tensors import safetensors_file
from tests.cli.commands import tree
from tests.crash import kill_points
from tests.engine.scenes import TIES, WAYS, merged, names_in, tensors_of
from tests.models import base, write_canonical

pytestmark = pytest.mark.clause("LK-9")

FILE = "m.safetensors"
LOCK = f"{FILE}.lock"
INPUTS = {"base", "ft0.safetensors", "ft1.safetensors", "ft2.safetensors"}


class TestWritten:
    @pytest.mark.parametrize("limit", [64, 1 << 30])
    def test_in_one_piece_with_the_lock_of_the_folder_beside_it(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
        folder = merged(tmp_path)
        result = merged(tmp_path, out=FILE, execution=WAYS["one thread"])
        assert names_in(tmp_path) == {*INPUTS, "out", FILE, LOCK}
        assert result.model_root == folder.model_root
        assert (tmp_path / LOCK).read_bytes() == (tmp_path / "out" / "merge.lock").read_bytes()
        write_canonical(tmp_path / "expected", tensors_of(tmp_path / "out"))
        assert (tmp_path / FILE).read_bytes() == (tmp_path / "expected").read_bytes()
        assert load_file(tmp_path / FILE).keys() == base().keys()

    def test_says_what_of_the_base_is_not_beside_it(self, tmp_path):
        (warning,) = merged(tmp_path, out=FILE).warnings
        assert warning.startswith("one file holds the tensors alone: LICENSE, config.json and tokenizer.json of the")

    def test_verifies_by_its_own_lock(self, tmp_path):
        merged(tmp_path, out=FILE)
        assert ma.verify(tmp_path / FILE).ok
        data = bytearray((tmp_path / FILE).read_bytes())
        data[-1] ^= 1
        (tmp_path / FILE).write_bytes(data)
        assert f"{tmp_path / FILE}: tensor " in ma.verify(tmp_path / FILE).problem
        assert ma.verify(tmp_path / FILE).problem.endswith(f" of {LOCK}")
        (tmp_path / LOCK).unlink()
        with pytest.raises(LockError, match=f"{LOCK} is not there; name a model that a"):
            ma.verify(tmp_path / FILE)

    def test_makes_the_folders_above_it(self, tmp_path):
        merged(tmp_path, out=f"a/b/{FILE}")
        assert names_in(tmp_path / "a" / "b") == {FILE, LOCK}

    def test_needs_the_room_of_its_tensors_alone(self, tmp_path, monkeypatch):
        """What is copied beside a folder's counts there."""
        merged(tmp_path)
        copied = sum((tmp_path / "base" / name).stat().st_size for name in ("LICENSE", "config.json", "tokenizer.json"))
        free = sum(array.nbytes for array in base().values()) + output._SPARE_BYTES
        usage = shutil.disk_usage(tmp_path)
        for more, outs in ((0, {FILE}), (copied - 1, set()), (copied, {"other"})):
            monkeypatch.setattr(shutil, "disk_usage", lambda _, more=more: usage._replace(free=free + more))
            for name in {FILE, "other"} - names_in(tmp_path):
                if name in outs:
                    merged(tmp_path, out=name)
                else:
                    with pytest.raises(OutputError, match="make room"):
                        merged(tmp_path, out=name)


class TestTaken:
    TAKEN = {  # noqa: RUF012 - a table
        "a file": (FILE, lambda path: path.write_bytes(b"mine"), f"{FILE} exists; remove it or"),
        "an empty folder": (FILE, lambda path: path.mkdir(), f"{FILE} is a folder, and a name that ends in"),
        "a link to nothing": (FILE, lambda path: path.symlink_to("nowhere"), f"{FILE} exists; remove it or"),
        "a lock": (LOCK, lambda path: path.write_bytes(b"mine"), f"{LOCK} exists, where the lock of .*{FILE} would be"),
        "a folder for a lock": (LOCK, lambda path: path.mkdir(), f"{LOCK} exists, where the lock"),
    }

    @pytest.mark.parametrize(("name", "take", "message"), TAKEN.values(), ids=TAKEN)
    def test_names_are_refused_before_the_work(self, tmp_path, monkeypatch, name, take, message):
        take(tmp_path / name)
        monkeypatch.setattr(output, "write_tensors", lambda *_: pytest.fail("it merges"))
        with pytest.raises(OutputError, match=message):
            merged(tmp_path, out=FILE)
        assert names_in(tmp_path) == {*INPUTS, name}

    @pytest.mark.parametrize("name", [FILE, LOCK])
    @pytest.mark.parametrize("links", [True, False])
    def test_names_that_others_took_meanwhile_stay_theirs(self, tmp_path, monkeypatch, name, links):
        real = output.write_tensors

        def write(*arguments):
            (tmp_path / name).write_bytes(b"mine")
            real(*arguments)

        monkeypatch.setattr(output, "write_tensors", write)
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        with pytest.raises(OutputError, match=f"{FILE} exists now: another merge, or somebody else, wrote it"):
            merged(tmp_path, out=FILE)
        assert names_in(tmp_path) == {*INPUTS, name}
        assert (tmp_path / name).read_bytes() == b"mine"

    def test_a_lock_may_have_too_long_a_name(self, tmp_path):
        with pytest.raises(OutputError, match="cannot be written: File name too long"):
            merged(tmp_path, out="o" * 240 + ".safetensors")


def merge_to_file(root):
    models = [Model(root / f"ft{number}.safetensors") for number in range(3)]
    merge_checkpoints(root / "base", models, TIES, root / FILE, WAYS["one thread"])


def no_links(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")


class TestKilled:
    @pytest.mark.parametrize("links", [True, False])
    def test_at_any_moment_leaves_both_files_or_no_model(self, tmp_path, monkeypatch, links):
        """And `gc` then removes the rest: where files have no second name, all but a lock or a claim that is empty."""
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        seen, before = set(), tmp_path / "before"
        merged(before)
        shutil.rmtree(before / "out")
        for moment, folder in kill_points(before, merge_to_file, tmp_path / "scratch"):
            whole = (folder / FILE).exists() and (folder / FILE).stat().st_size > 0
            assert not whole or ma.verify(folder / FILE).ok, moment
            for left in unfinished_in(folder):
                left.remove()
            left = names_in(folder) - INPUTS
            starting = {name for name in left if name.endswith(".unfinished") and not any((folder / name).iterdir())}
            left -= starting  # for a minute it may be that of a living merge
            seen.add(frozenset(left))
            assert not whole or ma.verify(folder / FILE).ok, moment
        assert seen == {frozenset(), frozenset({FILE, LOCK})} | (set() if links else {frozenset({LOCK})})

    def test_leaves_a_lock_that_is_not_its_own(self, tmp_path, monkeypatch):
        monkeypatch.setattr(output, "write_tensors", lambda *_: None)
        folder = tmp_path / f".{FILE}.0123456789abcdef.unfinished"
        folder.mkdir()
        for name, data in (("model.safetensors", b"x"), ("merge.lock", b"y"), (".unfinished", FILE.encode())):
            (folder / name).write_bytes(data)
        (tmp_path / LOCK).write_bytes(b"y")
        (found,) = unfinished_in(tmp_path)
        found.remove()
        assert set(tree(tmp_path)) == {LOCK}

    def test_by_an_interrupt_between_both_names_leaves_nothing(self, tmp_path, monkeypatch):
        real, calls = os.link, []

        def link(*names, **folders):
            if calls:
                raise KeyboardInterrupt
            calls.append(names)
            real(*names, **folders)

        monkeypatch.setattr(os, "link", link)
        with pytest.raises(KeyboardInterrupt):
            merged(tmp_path, out=FILE)
        assert names_in(tmp_path) == INPUTS

    def test_by_an_interrupt_after_both_names_leaves_the_model(self, tmp_path, monkeypatch):
        real = os.link

        def link(*names, **folders):
            real(*names, **folders)
            if names[1] == FILE:
                raise KeyboardInterrupt

        monkeypatch.setattr(os, "link", link)
        with pytest.raises(KeyboardInterrupt):
            merged(tmp_path, out=FILE)
        assert names_in(tmp_path) == {*INPUTS, FILE, LOCK}
        assert ma.verify(tmp_path / FILE).ok
