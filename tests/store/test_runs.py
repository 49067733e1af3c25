"""The records of where a workspace's merges are writing: they say where to look, and are trusted with nothing."""

from __future__ import annotations

import os
import stat
import time

import pytest

from mergealgebra.model_folder.leftovers import STALE_SECONDS
from mergealgebra.store.runs import Runs
from tests.engine.scenes import names_in

pytestmark = pytest.mark.clause("LK-7")

TOKEN = "0123456789abcdef"


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "store").mkdir()
    return Runs(tmp_path / "store")


@pytest.fixture
def records(tmp_path):
    """The folder of the records."""
    return tmp_path / "store" / "runs"


@pytest.fixture
def folder(tmp_path):
    """Where a merge writes."""
    return tmp_path / f".out.{TOKEN}.unfinished"


def test_a_run_is_on_record_from_before_its_folder_is_made_until_it_is_gone(runs, records, folder):
    with runs.noted(folder):
        assert runs.folders() == [folder]
        assert stat.S_IMODE((records / TOKEN).stat().st_mode) == 0o600
        folder.mkdir()
        folder.rename(folder.with_name("out"))
        assert runs.folders() == [folder]
    assert runs.folders() == []
    assert names_in(records) == set()


def test_a_run_whose_folder_could_not_be_removed_stays_on_record(runs, folder):
    with pytest.raises(KeyboardInterrupt), runs.noted(folder):
        folder.mkdir()
        raise KeyboardInterrupt
    assert runs.folders() == [folder]


def test_a_merge_goes_on_where_nothing_can_be_recorded(runs, tmp_path, folder):
    (tmp_path / "store" / "runs").write_bytes(b"in the way")
    with runs.noted(folder):
        assert runs.folders() == []


def test_no_record_is_written_or_read_through_a_link(runs, tmp_path, folder):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / TOKEN).write_bytes(os.fsencode(folder))
    (tmp_path / "store" / "runs").symlink_to(tmp_path / "theirs")
    with runs.noted(tmp_path / f".out.{TOKEN[::-1]}.unfinished"):
        assert runs.folders() == []
    assert names_in(tmp_path / "theirs") == {TOKEN}


DAMAGED = {
    "empty": b"",
    "relative": f"a/.out.{TOKEN}.unfinished".encode(),
    "another name": b"/home/me",
    "another run's": f"/a/.out.{TOKEN[::-1]}.unfinished".encode(),
    "more than a path": f"/a/.out.{TOKEN}.unfinished\n".encode(),
    "a NUL": f"/a\0/.out.{TOKEN}.unfinished".encode(),
    "too long": b"/" * (1 << 16) + f".out.{TOKEN}.unfinished".encode(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_names_nothing_and_goes_after_a_day(runs, records, folder, data):
    records.mkdir(parents=True)
    (records / TOKEN).write_bytes(data)
    assert runs.folders() == []
    other = folder.with_name(f".out.{TOKEN[::-1]}.unfinished")
    with runs.noted(other):
        assert names_in(records) == {TOKEN, TOKEN[::-1]}
    os.utime(records / TOKEN, (time.time() - STALE_SECONDS - 10,) * 2)
    with runs.noted(other):
        assert names_in(records) == {TOKEN[::-1]}


STRANGE = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a link to a good one": lambda path: (path.with_name("good").write_text(f"/{TOKEN}"), path.symlink_to("good")),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a sparse file of a terabyte": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_what_is_not_a_record_makes_nobody_wait(runs, records, make):
    records.mkdir(parents=True)
    make(records / TOKEN)
    assert runs.folders() == []


def test_a_record_of_a_folder_that_is_gone_stays_a_day(runs, records, folder):
    """A merge may be about to make it; or its disk is not mounted just now."""
    records.mkdir(parents=True)
    (records / TOKEN).write_bytes(os.fsencode(folder))
    other = folder.with_name(f".out.{TOKEN[::-1]}.unfinished")
    with runs.noted(other):
        assert runs.folders() == [folder, other]
    os.utime(records / TOKEN, (time.time() - STALE_SECONDS - 10,) * 2)
    with runs.noted(other):
        assert runs.folders() == [other]
