"""Under which name somebody contributes: theirs to choose, and nobody's proof."""

from __future__ import annotations

import getpass
import json

import pytest

import mergealgebra as ma
from mergealgebra.crdt.operations import Operation
from tests.cli.commands import call
from tests.workspace.replicas import RECIPE


def names_by_kind(workspace: ma.Workspace) -> dict[str, set[str | None]]:
    """The names that the operations of each kind carry."""
    found: dict[str, set[str | None]] = {}
    for operation in workspace.log():
        found.setdefault(operation.kind, set()).add(operation.name)
    return found


@pytest.fixture
def ada(root):
    """A workspace whose owner goes by a name."""
    return ma.Workspace.init(root / "ada", base=root / "base", recipe=RECIPE, as_name="Ada")


@pytest.mark.clause("OS-3")
class TestName:
    def test_goes_along_with_all_that_one_does(self, root, ada):
        ada.contribute(root / "ft0.safetensors")
        ada.retract(ada.contribute(root / "ft1.safetensors"))
        ada.resolve(root / "out")
        assert names_by_kind(ada) == {"add": {"Ada"}, "remove": {"Ada"}, "attest": {"Ada"}}

    def test_is_none_unless_it_was_given(self, root):
        nobody = ma.Workspace.init(root / "nobody", base=root / "base", recipe=RECIPE)
        nobody.contribute(root / "ft0.safetensors")
        assert nobody.as_name is None
        assert names_by_kind(nobody) == {"add": {None}}
        written = b"".join(path.read_bytes() for path in nobody.path.rglob("*") if path.is_file())
        assert json.dumps(getpass.getuser()).encode() not in written

    def test_is_no_part_of_the_workspace_or_of_a_contribution(self, root, ada):
        nobody = ma.Workspace.init(root / "nobody", base=root / "base", recipe=RECIPE)
        made = [workspace.contribute(root / "ft0.safetensors") for workspace in (ada, nobody)]
        assert made[0] == made[1]
        assert made[0].operation != made[1].operation
        assert (ada.store.genesis, ada.merge_id) == (nobody.store.genesis, nobody.merge_id)

    def test_changes_for_what_comes_later_alone(self, root, ada):
        ada.contribute(root / "ft0.safetensors")
        ada.set_name("Countess")
        ada.contribute(root / "ft1.safetensors")
        ada.set_name(None)
        ada.contribute(root / "ft2.safetensors")
        assert [operation.name for operation in ada.log()].count("Ada") == 1
        assert names_by_kind(ada) == {"add": {"Ada", "Countess", None}}

    def test_survives_a_move_of_the_base_and_comes_with_a_clone(self, root, ada):
        ada.set_base(root / "base")
        assert ma.Workspace.open(ada.path).as_name == "Ada"
        bob = ma.Workspace.clone(root / "ada", root / "bob", base=root / "base", as_name="Bob")
        assert (bob.as_name, ada.as_name) == ("Bob", "Ada")

    def test_never_leaves_with_a_sync_but_in_operations(self, root, ada):
        ada.sync(root / "share", create=True)
        written = b"".join(path.read_bytes() for path in (root / "share").rglob("*") if path.is_file())
        assert b"Ada" not in written

    def test_reaches_others_with_the_operations(self, root, ada):
        ada.contribute(root / "ft0.safetensors")
        ada.sync(root / "share", create=True)
        bob = ma.Workspace.clone(root / "share", root / "bob", base=root / "base")
        (add,) = bob.log()
        assert isinstance(add, Operation)
        assert add.name == "Ada"


def test_set_name_and_as_are_what_people_type(root):
    call(root, "-C", "ada", "init", "--base", "base", "--as", "Ada").lines()
    call(root, "clone", "--yes", "ada", "bob", "--base", "base", "--as", "Bob").lines()
    assert [ma.Workspace.open(root / who).as_name for who in ("ada", "bob")] == ["Ada", "Bob"]
    assert call(root, "-C", "bob", "set-name", "Robert").lines()[0].split() == ["you", "Robert"]
    assert ma.Workspace.open(root / "bob").as_name == "Robert"
    assert call(root, "-C", "bob", "set-name", "--none", "--json").printed()["name"] is None
    assert ma.Workspace.open(root / "bob").as_name is None
    for wrong in (["set-name"], ["set-name", "Ada", "--none"], ["init", "--base", "base", "--share", "--as", "Ada"]):
        assert call(root, "-C", "bob", *wrong).code == 2
