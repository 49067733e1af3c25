"""What came and what went: what `sync` and `resolve` list below their counts."""

from __future__ import annotations

import pytest

from tests.cli.commands import call
from tests.models import fine_tune, write_file

UNPROVED = "Names are what people wrote; nothing proves them yet."


@pytest.fixture
def pair(scene):
    """The scene with a name for alice and for bob, who have seen all of each other's."""
    for who, name in (("alice", "Ada"), ("bob", "Carol")):
        call(scene, "-C", who, "set-name", name).lines()
    call(scene, "-C", "bob", "sync", "alice").lines()
    return scene


def contribute(scene, who, number, note):
    write_file(scene / f"ft{number}.safetensors", fine_tune(number))
    done = call(scene, "-C", who, "contribute", f"ft{number}.safetensors", "--note", note, "--json")
    assert done.code == 0
    return done.stdout.split('"contribution": "')[1][:64]


def listed(lines):
    """The lines below the counts, up to what is said of names."""
    return [line.removeprefix("  ") for line in lines if line.startswith("  ")]


@pytest.mark.clause("OS-14")
class TestSync:
    def test_names_what_became_visible_and_what_was_taken_back(self, pair):
        new, old = contribute(pair, "bob", 7, "speaks Welsh"), contribute(pair, "alice", 0, "a try")
        call(pair, "-C", "bob", "sync", "alice", "--json").printed()
        call(pair, "-C", "bob", "retract", old, new, "--note", "it forgets French")
        contribute(pair, "bob", 8, "speaks Irish")
        lines = call(pair, "-C", "alice", "sync", "bob").lines()
        assert [line.split("  ")[1] for line in listed(lines)] == [
            "new, from Carol: speaks Irish",
            "taken back by Carol: it forgets French",
            "taken back by Carol: it forgets French",
        ]
        assert {line[:12] for line in listed(lines)[1:]} == {old[:12], new[:12]}
        assert lines[-1] == UNPROVED

    def test_names_what_is_visible_again(self, pair):
        id_ = contribute(pair, "bob", 7, "once")
        call(pair, "-C", "bob", "retract", id_).lines()
        call(pair, "-C", "alice", "sync", "bob").lines()
        contribute(pair, "bob", 7, "twice")
        assert listed(call(pair, "-C", "alice", "sync", "bob").lines()) == [
            f"{id_[:12]}  visible again, from Carol: twice"
        ]

    def test_gives_ids_in_json(self, pair):
        gone = contribute(pair, "bob", 7, "a try")
        call(pair, "-C", "bob", "sync", "alice").lines()
        call(pair, "-C", "bob", "retract", gone).lines()
        came = contribute(pair, "bob", 8, "a try")
        found = call(pair, "-C", "alice", "sync", "bob", "--json").printed()
        assert (found["appeared"], found["disappeared"]) == ([came], [gone])

    def test_lists_ten_at_most(self, pair):
        for number in range(10, 22):
            contribute(pair, "bob", number, "a try")
        lines = listed(call(pair, "-C", "alice", "sync", "bob").lines())
        assert (len(lines), lines[-1]) == (11, "and 2 more")

    def test_says_that_it_made_a_folder_where_nobody_is_yet(self, pair):
        said = "made a new share at elsewhere; nobody else is there yet"
        assert said in call(pair, "-C", "alice", "sync", "elsewhere", "--create").lines()
        assert said not in call(pair, "-C", "alice", "sync", "elsewhere", "--create").lines()


class TestResolve:
    def test_lists_what_went_in(self, pair):
        id_ = contribute(pair, "alice", 7, "speaks Welsh")
        lines = listed(call(pair, "-C", "alice", "resolve", "out").lines())
        assert len(lines) == 4
        assert f"{id_[:12]}  from Ada: speaks Welsh" in lines

    @pytest.mark.clause("OS-13")
    def test_warns_of_tensors_that_are_in_twice_as_status_does(self, pair):
        assert call(pair, "-C", "alice", "contribute", "ft0.safetensors", "--coefficient", "3").code == 0
        (warning,) = call(pair, "-C", "alice", "status", "--json").printed()["warnings"]
        done = call(pair, "-C", "alice", "resolve", "out")
        assert (done.code, done.stderr) == (0, f"warning: {warning}\n")
        assert "hold the same tensors" in warning
