"""Who did what, for people: `log`, `status`, `show`, and the warning of `retract`."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import mergealgebra as ma
from mergealgebra.crdt.operations import Operation
from mergealgebra.store.objects import Store
from tests.cli.commands import call
from tests.models import fine_tune, write_file

UNPROVED = "Names are what people wrote; nothing proves them yet."


@pytest.fixture
def team(scene):
    """The scene after Ada contributed ft3 with a note; bob has it too, and no name yet."""
    write_file(scene / "ft3.safetensors", fine_tune(3))
    call(scene, "-C", "alice", "set-name", "Ada").lines()
    call(scene, "-C", "alice", "contribute", "ft3.safetensors", "--coefficient", "2", "--note", "a third").lines()
    call(scene, "-C", "bob", "sync", "alice").lines()
    return scene


def ids_of(scene, who="alice"):
    return {
        entry["coefficient"]: entry["contribution"]
        for entry in call(scene, "-C", who, "status", "--json").printed()["visible"]
    }


def test_ids_are_short_for_people_and_whole_under_json(team):
    for verb in ("log", "status"):
        text = "\n".join(call(team, "-C", "alice", verb).lines())
        long = set(re.findall("[0-9a-f]{13,}", text))
        assert long == ({ma.Workspace.open(team / "alice").store.genesis.workspace_id} if verb == "status" else set())
        assert ids_of(team)["2"][:12] in text
        assert ids_of(team)["2"] in call(team, "-C", "alice", verb, "--json").stdout


@pytest.mark.clause("OS-14")
class TestLog:
    def test_tells_who_did_what_and_why(self, team):
        lines = call(team, "-C", "bob", "log").lines()
        (ours,) = (line for line in lines if "Ada" in line)
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d +Ada +contribute +{ids_of(team)['2'][:12]} +a third", ours)
        assert lines[0].split() == ["when", "(UTC)", "who", "did", "to", "note"]
        assert lines[-1] == UNPROVED

    def test_says_nothing_of_names_where_there_are_none(self, scene):
        assert UNPROVED not in call(scene, "-C", "alice", "log").lines()

    def test_gives_names_in_json(self, team):
        operations = call(team, "-C", "bob", "log", "--json").printed()["operations"]
        assert [entry["name"] for entry in operations if "name" in entry] == ["Ada"]

    def test_of_nothing_says_so(self, scene):
        call(scene, "-C", "new", "init", "--base", "base").lines()
        assert call(scene, "-C", "new", "log").lines() == ["Nothing was done yet."]

    def test_names_all_that_one_remove_took_back(self, team):
        ids = sorted(ids_of(team).values())
        assert call(team, "-C", "alice", "retract", *ids).code == 0
        (line,) = (line for line in call(team, "-C", "alice", "log").lines() if " retract " in line)
        assert ", ".join(id_[:12] for id_ in ids) in line

    def test_names_a_remove_of_what_is_unknown_here(self, team):
        bob = Store.open(team / "bob")
        gone = ids_of(team)["2"]
        call(team, "-C", "alice", "retract", gone[:6]).lines()
        add, remove = (o for o in ma.Workspace.open(team / "alice").log() if o.name == "Ada" and o.kind != "attest")
        bob.operation_path(add.id).unlink()
        bob.write_operation(remove)
        assert any("retract" in line and "unknown" in line for line in call(team, "-C", "bob", "log").lines())


@pytest.mark.clause("OS-14")
class TestStatus:
    def test_begins_with_the_workspace_and_lists_contributions(self, team):
        lines = call(team, "-C", "alice", "status").lines()
        assert lines[0].split() == ["workspace", "garden"]
        assert ["you", "Ada"] in [line.split() for line in lines]
        head = next(index for index, line in enumerate(lines) if line.split()[:2] == ["id", "who"])
        assert lines[head - 1].startswith("4 contributions:")
        assert len([line for line in lines if "fine-tune" in line]) == 4
        (ours,) = (line for line in lines if "a third" in line)
        assert "Ada" in ours
        assert "fine-tune, times 2" in ours
        assert lines[-2:-1] == [UNPROVED]

    def test_tells_the_next_step_where_nothing_is_there(self, scene):
        call(scene, "-C", "new", "init", "--base", "base").lines()
        told = call(scene, "-C", "new", "status").stdout
        assert f"`mergealgebra -C {scene / 'new'} contribute CKPT`" in told
        assert f"`mergealgebra -C {scene / 'new'} set-name NAME`" in told

    def test_of_a_shared_folder_gives_no_advice_that_fails_there(self, team):
        told = call(team, "-C", "shared", "status").stdout
        assert "contribution" in told
        assert not re.search("set-name|--measure|contribute CKPT", told)

    def test_warns_that_the_base_is_gone_with_what_to_do(self, team):
        (team / "base").rename(team / "moved")
        (warning,) = call(team, "-C", "alice", "status", "--json").printed()["warnings"]
        assert warning.startswith(f"{team / 'base'} is not there")
        assert f"`mergealgebra -C {team / 'alice'} set-base PATH` corrects that" in warning

    def test_shows_a_coefficient_as_it_was_written(self, scene):
        call(scene, "-C", "alice", "contribute", "ft2.safetensors", "--coefficient", "0.3").lines()
        assert "fine-tune, times 0.3 " in call(scene, "-C", "alice", "status").stdout
        assert "0.3" in ids_of(scene)
        assert "what          fine-tune, times 0.3" in call(scene, "-C", "alice", "show", ids_of(scene)["0.3"]).lines()

    def test_of_missing_tensors_gives_a_command_that_works(self, team):
        next((team / "alice" / "blobs").iterdir()).unlink()
        done = call(team, "-C", "alice", "status")
        assert "not here" in done.stdout
        command = done.stderr.split("take it back for everybody: `mergealgebra ")[1].split("`")[0]
        call(team, *command.split()).lines()
        assert "not here" not in call(team, "-C", "alice", "status").stdout

    def test_warns_of_a_written_name_that_is_none(self, team):
        path = team / "alice" / "local.json"
        path.write_text(path.read_text().replace('"Ada"', '"a\\tb"'))
        done = call(team, "-C", "alice", "status")
        assert done.code == 0
        assert "has a control character; `mergealgebra" in done.stderr


@pytest.mark.clause("OS-14")
class TestRetract:
    def test_warns_when_it_takes_back_anothers(self, team):
        call(team, "-C", "bob", "set-name", "Bob").lines()
        done = call(team, "-C", "bob", "retract", ids_of(team)["2"][:8])
        assert done.code == 0
        assert done.stderr == f"warning: contribution {ids_of(team)['2'][:12]} is from 'Ada', and you are 'Bob'\n"

    def test_warns_who_has_no_name_too(self, team):
        warnings = call(team, "-C", "bob", "retract", ids_of(team)["2"], "--json")
        assert "is from 'Ada', and you have set no name" in warnings.stderr
        assert '"warnings": ["contribution ' in warnings.stdout

    def test_says_nothing_of_ones_own_or_of_what_has_no_name(self, team):
        for id_ in ids_of(team).values():
            assert call(team, "-C", "alice", "retract", id_[:6]).lines()

    @pytest.mark.clause("OS-10")
    @pytest.mark.parametrize("others", [[], ["1"]], ids=["alone", "with another"])
    def test_passes_over_what_was_taken_back_already_and_says_so(self, others, team):
        gone, *rest = (ids_of(team)[coefficient] for coefficient in ["2", "0.5"][: 1 + len(others)])
        call(team, "-C", "alice", "retract", gone).lines()
        done = call(team, "-C", "alice", "retract", gone[:6], *rest)
        assert (done.code, done.stderr) == (0, f"warning: contribution {gone[:12]} was taken back already\n")
        assert [line for line in done.stdout.splitlines() if "retracted" in line] == [
            f"retracted  {id_[:12]}" for id_ in rest
        ]

    @pytest.mark.clause("OS-10")
    def test_of_what_is_unknown_takes_nothing_back_and_says_so(self, team):
        before = ids_of(team)
        complaint = call(team, "-C", "alice", "retract", before["2"], "0000").complaint()
        assert complaint.startswith("no visible contribution begins with '0000'")
        assert complaint.endswith("; nothing was taken back")
        assert ids_of(team) == before


@pytest.mark.clause("OS-14")
class TestShow:
    def test_tells_all_that_is_known(self, team):
        id_ = ids_of(team)["2"]
        found = call(team, "-C", "bob", "show", id_[:6], "--json").printed()
        assert found["contribution"] == id_
        assert [add["name"] for add in found["adds"]] == ["Ada"]
        assert (found["manifest"]["elements"], found["tensor_count"], found["coefficient"]) == (81, 5, "2")
        blob = Store.open(team / "bob").blob_path(found["manifest"]["tensors"])
        assert found["bytes"] == blob.stat().st_size
        ours = call(team, "-C", "alice", "show", id_, "--json").printed()
        assert (found["difference"], found["changed"]) == (ours["difference"], ours["changed"])
        assert found["merge_id"] == ma.Workspace.open(team / "bob").merge_id
        assert (found["models"], found["other_merges"], found["unknown"]) == ([], 1, [])

    def test_knows_that_nobody_has_made_its_merge(self, team):
        lines = call(team, "-C", "bob", "show", ids_of(team)["2"]).lines()
        merge_id = ma.Workspace.open(team / "bob").merge_id
        assert f"in the merge  {merge_id[:12]}, which nobody has made yet" in lines

    def test_knows_the_merge_it_is_in(self, team):
        root = call(team, "-C", "bob", "resolve", "out", "--json").printed()["model_root"]
        found = call(team, "-C", "bob", "show", ids_of(team)["2"], "--json").printed()
        assert (found["models"], found["other_merges"]) == ([root], 1)
        lines = call(team, "-C", "bob", "show", ids_of(team)["2"]).lines()
        assert f"in the merge  {found['merge_id'][:12]}, made: {root[:12]}" in lines
        assert "1 earlier merge is known here; whether this was in it is not recorded." in lines

    def test_lists_tensors_when_asked(self, team):
        lines = call(team, "-C", "bob", "show", ids_of(team)["2"], "--tensors").lines()
        assert ["layer.0.weight", "F32", "[3,", "4]"] in [line.split() for line in lines]
        assert not any("layer.0" in line for line in call(team, "-C", "bob", "show", ids_of(team)["2"]).lines())

    def test_tells_who_took_it_back_and_why(self, team):
        id_ = ids_of(team)["2"]
        call(team, "-C", "alice", "retract", id_, "--note", "a mistake").lines()
        lines = call(team, "-C", "alice", "show", id_[:6]).lines()
        assert ["visible", "no,", "it", "was", "taken", "back"] in [line.split() for line in lines]
        assert any(line.startswith("taken back ") and "Ada" in line and "'a mistake'" in line for line in lines)
        assert UNPROVED in lines

    def test_says_what_cannot_be_known_without_the_tensors(self, team):
        id_ = ids_of(team)["2"]
        found = ma.Workspace.open(team / "bob").show(id_)
        (team / "bob" / "blobs" / f"{found.manifest.tensors}.safetensors").unlink()
        (team / "bob" / "cache" / "figures" / id_).unlink()
        without = ma.Workspace.open(team / "bob").show(id_)
        assert without == replace(found, nbytes=None, tensors=(), figures={}, unknown=without.unknown)
        assert "sync with somebody who has them" in without.unknown[0]

    @pytest.mark.parametrize("what", ["the base moved", "the blob is damaged"])
    def test_says_why_it_cannot_measure(self, what, team):
        id_ = ids_of(team)["2"]
        bob = ma.Workspace.open(team / "bob")
        if what == "the base moved":
            (team / "base").rename(team / "moved")
        else:
            blob = bob.store.blob_path(bob.visible()[id_].tensors)
            blob.write_bytes(blob.read_bytes()[:-1] + b"\x01")
        found = bob.show(id_)
        assert found.figures == {}
        assert "how much it changes cannot be measured: " in found.unknown[0]
        assert "Not known: how much" in call(team, "-C", "bob", "show", id_).stdout

    def test_of_what_was_made_twice_tells_of_both(self, team):
        assert call(team, "-C", "bob", "contribute", "ft3.safetensors", "--coefficient", "2").code == 0
        found = ma.Workspace.open(team / "bob").show(ids_of(team)["2"])
        assert sorted(str(add.name) for add in found.adds) == ["Ada", "None"]  # of one second: in any order
        assert isinstance(found.told_by, Operation)
        shown = call(team, "-C", "bob", "show", found.contribution).lines()
        assert len([line for line in shown if re.match("also contributed by  (-|Ada), ", line)]) == 1

    def test_of_nothing_says_so(self, team):
        assert "no contribution begins with '0000'" in call(team, "-C", "bob", "show", "0000").complaint()


@pytest.mark.clause("SY-12")
def test_a_workspace_to_clone_is_named_in_full(scene):
    whole = ma.Workspace.open(scene / "alice").store.genesis.workspace_id
    done = call(scene, "clone", f"shared#{whole[:12]}", "new", "--base", "base")
    assert done.code == 2
    assert "give all of them" in done.stderr
    assert not (scene / "new").exists()
    call(scene, "clone", f"shared#{whole}", "new", "--base", "base").lines()
