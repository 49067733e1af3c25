"""What models are called, and who made them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add, Operation, Remove
from mergealgebra.credits import Credit, credits_of, hub_name, titles
from tests.model_folder.test_card import rows, section
from tests.workspace.replicas import make_workspace, write_models

WORKSPACE = "ab" * 32
MANIFESTS = [Manifest("cd" * 32, "3f800000", 7, "finetuned", digit * 64) for digit in "12"]

PATHS = {
    "last parts": (["/models/maths", "/models/code"], ["maths", "code"]),
    "a file": (["/models/maths.safetensors"], ["maths.safetensors"]),
    "a file in a folder, as all are called": (["/a/maths/model.safetensors"], ["maths"]),
    "equal last parts": (["/a/last", "/b/last", "/b/best"], ["a/last", "b/last", "best"]),
    "one the end of the other": (["/last", "/b/last"], ["last", "b/last"]),
    "the same twice": (["/a/last", "/a/last"], ["last", "last"]),
    "in the hub's cache": (["/c/models--o--n/snapshots/0f/model.safetensors"], ["o/n"]),
    "two revisions in the hub's cache": (["/models--o--n/snapshots/0f", "/models--o--n/snapshots/1e"], ["o/n", "o/n"]),
    "the root": (["/"], [""]),
}

HUB = {
    "a snapshot": ("/c/models--o--n/snapshots/0f", "o/n"),
    "dashes in its name": ("/c/models--o--n--m/snapshots/0f", "o/n--m"),
    "one without an owner": ("/c/models--gpt2/snapshots/0f", ""),
    "something else": ("/c/models/snapshots/0f", ""),
    "not YAML": ("/c/models--o--n: x/snapshots/0f", ""),
}


@pytest.mark.parametrize(("paths", "expected"), PATHS.values(), ids=PATHS)
def test_checkpoints_are_called_by_what_tells_them_apart(paths, expected):
    assert titles([Path(path) for path in paths]) == expected


@pytest.mark.parametrize(("path", "name"), HUB.values(), ids=HUB)
def test_a_name_on_the_hub_is_read_off_its_cache_alone(path, name):
    assert hub_name(Path(path)) == name


@pytest.mark.clause("LK-8")
class TestCredits:
    def add(self, number, nonce, **about):
        return Operation(WORKSPACE, Add(MANIFESTS[number], bytes([nonce]) * 16), **about)

    @pytest.mark.parametrize("seed", range(4))
    def test_are_those_of_the_oldest_add_with_a_note_that_stands_whatever_the_order(self, seed):
        removed = self.add(0, 1, time=1, note="taken back")
        operations = [
            removed,
            Operation(WORKSPACE, Remove((removed.id,))),
            self.add(0, 2, time=2),
            self.add(0, 3, time=4, name="Bo", note="later"),
            self.add(0, 4, time=3, name="Ada", note=" \n maths, 3 epochs\nmore of it"),
            self.add(0, 5, note="no time"),
            self.add(1, 1, time=7),
        ]
        random.Random(seed).shuffle(operations)
        assert credits_of(operations) == {
            MANIFESTS[0].id: Credit("maths, 3 epochs", "Ada", 3),
            MANIFESTS[1].id: Credit(time=7),
        }

    def test_of_a_workspace_stand_in_the_card_of_its_model(self, tmp_path):
        write_models(tmp_path)
        workspace = make_workspace(tmp_path, "alice", 0)
        noted = workspace.contribute(tmp_path / "ft1.safetensors", note="code <b>| x")
        workspace.resolve(tmp_path / "out")
        found = rows(section((tmp_path / "out" / "README.md").read_text(), "Models"))
        (unnamed,) = workspace.visible().keys() - {noted}
        assert [row[0] for row in found[1:]] == [f"`{unnamed[:12]}`", "code &#60;b&#62;&#124; x"]
        assert found[0][1] == "date"
        again = ma.Workspace.open(tmp_path / "alice").resolve(tmp_path / "again", lock=tmp_path / "out" / "merge.lock")
        assert (again.out / "README.md").read_bytes() == (tmp_path / "out" / "README.md").read_bytes()
