"""What is said of a contribution beside what is there already: its size, whether it is a merge, whether it was here."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import Implausible
from tests.cli.commands import call
from tests.models import base, task_vector, write_file
from tests.workspace.replicas import make_workspace, write_models


def moved(number, share):
    """The model that is `share` of the number-th task vector away from the base."""
    tuned = base()
    for name, move in task_vector(number).items():
        tuned[name] = np.asarray(tuned[name] + share * move, np.float32)
    return tuned


@pytest.fixture
def team(root):
    """Three usual contributions of Ada's, and the file of one that is 32 times as large."""
    write_models(root, 4)
    alice = ma.Workspace.init(root / "alice", base=root / "base", recipe=ma.Mean(), as_name="Ada")
    for number in range(3):
        alice.contribute(write_file(root / f"usual{number}.safetensors", moved(number, 1 / 32)))
    return alice


def unlike(text):
    """What a text says of the two sizes, if it does."""
    return re.findall(r"has 0\.\d+ times the base's norm, \d+\.\d+ times the 0\.00\d+ of the others", text)


@pytest.mark.clause("CT-11")
class TestAnotherBase:
    def test_is_told_by_contribute_with_both_numbers(self, root, team):
        (warning,) = team.contribute(root / "ft3.safetensors").warnings
        assert len(unlike(warning)) == 1
        assert warning.endswith("as if it came from another base; if so, `retract` it")

    def test_is_told_by_status_wherever_it_was_measured(self, root, team):
        made = team.contribute(root / "ft3.safetensors")
        (warning,) = call(root, "-C", "alice", "status", "--json").printed()["warnings"]
        assert unlike(warning)
        command = warning.split("`mergealgebra ")[1].split("`")[0]
        call(root, *command.split()).lines()
        assert made not in team.visible()

    def test_near_the_bases_own_size_is_told_by_status_where_nothing_else_is_known(self, root):
        alice = make_workspace(root, "alice")
        alice.contribute(write_file(root / "far.safetensors", moved(0, 4)))
        (warning,) = call(root, "-C", "alice", "status", "--json").printed()["warnings"]
        assert re.search(r"has 0\.\d+ times the base's norm, as if it came from another base; if so, `merge", warning)

    def test_that_came_from_others_is_told_once_it_is_measured(self, root, team):
        team.contribute(root / "ft3.safetensors")
        ma.Workspace.clone(root / "alice", root / "bob", base=root / "base")
        before = call(root, "-C", "bob", "status")
        assert (before.stderr, "status --measure` fills in what is not measured here yet" in before.stdout) == (
            "",
            True,
        )
        after = call(root, "-C", "bob", "status", "--measure")
        assert len(unlike(after.stderr)) == 1
        assert "--measure" not in after.stdout
        assert call(root, "-C", "bob", "status", "--json").printed()["warnings"]

    def test_what_cannot_be_measured_is_named_and_stops_nothing(self, root, team):
        bob = ma.Workspace.clone(root / "alice", root / "bob", base=root / "base")
        blob = bob.store.blob_path(next(iter(bob.visible().values())).tensors)
        blob.write_bytes(blob.read_bytes()[:-1] + b"\x01")
        found = call(root, "-C", "bob", "status", "--measure", "--json").printed()
        assert [f"contribution {min(bob.visible())[:12]} cannot be measured" in line for line in found["warnings"]] == [
            True
        ]
        assert [entry["difference"] is None for entry in found["visible"]] == [True, False, False]


@pytest.mark.clause("CT-12")
class TestMerge:
    @pytest.mark.parametrize("out", ["merged", "merged.safetensors"])
    def test_of_what_is_visible_is_refused_unless_forced(self, out, root, team):
        team.resolve(root / out)
        said = "is the merge of 3 contributions that are visible here, which would count twice"
        with pytest.raises(Implausible, match=said):
            team.contribute(root / out)
        assert said in team.contribute(root / out, force=True).warnings[0]

    def test_is_known_by_the_weights_in_its_folder_too(self, root, team):
        team.resolve(root / "merged")
        with pytest.raises(Implausible, match="count twice"):
            team.contribute(root / "merged" / "model.safetensors")

    @pytest.mark.parametrize("what", ["nothing of it is visible", "its lock is damaged"])
    def test_goes_in_where(self, what, root, team):
        team.resolve(root / "merged")
        if what == "its lock is damaged":
            (root / "merged" / "merge.lock").write_text("{")
        else:
            team.retract_all(team.visible())
        assert not any("count twice" in line and "lock" in line for line in team.contribute(root / "merged").warnings)


@pytest.mark.clause("OS-16")
class TestSeenBefore:
    def test_what_is_visible_already_counts_once(self, root, team):
        (warning,) = team.contribute(root / "usual0.safetensors").warnings
        assert re.fullmatch(r"it is visible already, since \d{4}-\d\d-\d\d by 'Ada'; it counts once", warning)

    def test_what_was_taken_back_is_told_with_who_and_why(self, root, team):
        bob = ma.Workspace.clone(root / "alice", root / "bob", base=root / "base", as_name="Carol")
        made = bob.contribute(root / "usual0.safetensors")
        bob.retract(made, note="it forgets French")
        (warning,) = bob.contribute(root / "usual0.safetensors").warnings
        told = r"'Carol' took it back on \d{4}-\d\d-\d\d: 'it forgets French'; it is visible again now"
        assert re.fullmatch(told, warning)
        assert made in bob.visible()
