"""The calls by which bytes reach a disk."""

from __future__ import annotations

import os

import pytest

from mergealgebra.disk import folder_made, make_folder, write_all
from mergealgebra.errors import OutputError
from tests.crash import fault_points
from tests.engine.scenes import names_in


def test_write_all_goes_on_when_the_system_takes_less_than_it_was_given(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"the new")
    assert (tmp_path / "file").read_bytes() == b"the new"


class TestFolders:
    def test_are_made_with_those_above_and_may_be_there(self, tmp_path):
        for _ in range(2):
            make_folder(tmp_path / "a" / "b" / "c")
        assert (tmp_path / "a" / "b" / "c").is_dir()

    def test_may_be_made_by_someone_else_at_the_same_moment(self, tmp_path, monkeypatch):
        real = os.mkdir

        def late(path):
            real(path)
            real(path)

        monkeypatch.setattr(os, "mkdir", late)
        make_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()

    def test_are_refused_where_a_file_is(self, tmp_path):
        (tmp_path / "a").write_bytes(b"")
        for path in (tmp_path / "a", tmp_path / "a" / "b"):
            with pytest.raises(OutputError, match="a cannot be written"):
                make_folder(path)

    def test_go_again_when_one_of_them_cannot_be_made(self, tmp_path):
        (tmp_path / "top").mkdir()
        points = list(fault_points(tmp_path / "top", lambda top: make_folder(top / "a" / "b"), tmp_path / "scratch"))
        assert [isinstance(error, OutputError) for *_, error in points] == [True] * 4
        for moment, top, _ in fault_points(
            tmp_path / "top", lambda top: make_folder(top / "a" / "b"), tmp_path / "scratch"
        ):
            assert names_in(top) == set(), moment

    def test_go_again_when_the_body_raises_but_for_those_that_were_there(self, tmp_path):
        (tmp_path / "a").mkdir()
        with pytest.raises(KeyboardInterrupt), folder_made(tmp_path / "a" / "b" / "c"):
            raise KeyboardInterrupt
        assert names_in(tmp_path) == {"a"}
        assert names_in(tmp_path / "a") == set()
