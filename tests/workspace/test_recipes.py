"""One workspace, many merges: by other recipes than its own, and those of before, made and verified once more."""

from __future__ import annotations

import json

import pytest

import mergealgebra as ma
from mergealgebra.crdt.genesis import merge_id
from mergealgebra.errors import (
    BaseMismatch,
    BlobMissing,
    LockError,
    RecipeError,
    UnknownContribution,
    VerificationFailed,
)
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.lock import Lock
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import call, tree
from tests.engine.scenes import tensors_of
from tests.models import with_value, write_file
from tests.workspace.replicas import RECIPE, make_workspace

#: Recipes beside the workspace's own: each of its keys, and each method.
OTHERS = {
    "another density": ma.Ties(density="0.25"),
    "another lambda": ma.Ties(density="0.5", lambda_="2"),
    "another scope": ma.Ties(density="0.5", scope="tensor"),
    "another boundary": ma.Ties(density="0.5", boundary="lowest_index"),
    "a dialect": ma.Ties(dialect="mergekit-0.1.5", density="0.5"),
    "mean": ma.Mean(),
    "task arithmetic": ma.TaskArithmetic(),
}


@pytest.mark.clause("OS-11", "OS-12", "LK-6")
class TestAnotherRecipe:
    @pytest.mark.parametrize("recipe", OTHERS.values(), ids=OTHERS)
    def test_gives_what_a_workspace_of_it_gives(self, root, alice, recipe):
        own = alice.resolve(root / "own")  # what it left in the cache must do no harm
        found = alice.resolve(root / "out", recipe=recipe)
        models = [Model(root / f"ft{number}.safetensors") for number in (0, 1)]
        once = merge_checkpoints(root / "base", models, recipe, root / "once")
        assert found.lock == once.lock
        assert found.merge_id == merge_id(alice.store.genesis.base, recipe.id, alice.visible()) != own.merge_id
        assert (root / "out" / "model.safetensors").read_bytes() == (root / "once" / "model.safetensors").read_bytes()
        assert alice.state.attestations(found.merge_id) == {found.model_root}
        assert alice.merge_id == own.merge_id
        verified = ma.verify(root / "out", alice.path)
        assert verified.ok
        (remark,) = verified.remarks
        assert "the model's recipe is not the default one" in remark
        assert alice.resolve(root / "again", recipe=recipe).lock == found.lock

    def test_may_be_the_default(self, root, alice):
        assert alice.resolve(root / "one", recipe=RECIPE).lock == alice.resolve(root / "two").lock
        assert ma.verify(root / "one", alice.path).remarks == ()
        assert alice.resolve(root / "three", recipe=RECIPE, keep_aggregate="always").kept_aggregate

    NOT_KEPT = {  # noqa: RUF012 - a table
        "sums": (ma.Mean(), "not kept: sums are kept of what is visible by the workspace's own recipe alone"),
        "maxima": (ma.Emr(), "not kept: emr takes maxima, and no contribution can be taken out of those"),
    }

    @pytest.mark.clause("SY-15")
    @pytest.mark.parametrize(("recipe", "said"), NOT_KEPT.values(), ids=NOT_KEPT)
    def test_is_not_one_of_which_sums_are_kept(self, root, alice, recipe, said):
        result = alice.resolve(root / "out", recipe=recipe, keep_aggregate="always")
        assert (result.kept_aggregate, result.aggregate.in_words()) == (False, said)
        assert not alice.resolve(root / "again", lock=root / "out" / "merge.lock", keep_aggregate=True).kept_aggregate

    def test_is_a_recipe(self, root, alice):
        with pytest.raises(RecipeError, match="'ties' is not a recipe"):
            alice.resolve(root / "out", recipe="ties")

    def test_is_named_on_the_command_line(self, root, alice):
        (root / "mean.yaml").write_text("method: mean\n")
        made = call(root, "-C", "alice", "resolve", "out", "--recipe", "mean.yaml", "--json").printed()
        assert json.loads((root / "out" / "merge.lock").read_text())["recipe"] == {"method": "mean", "lambda": "1"}
        status = call(root, "-C", "alice", "status", "--json").printed()
        assert status["default_recipe"]["method"] == "ties"
        assert status["merge_id"] != made["merge_id"]
        told = [line for line in call(root, "-C", "alice", "status").lines() if line.startswith("recipe ")]
        assert told[0].split(maxsplit=1)[1] == "method ties, density 0.5, lambda 1, scope model, boundary keep_all"
        verified = call(root, "verify", "out", "--against", "alice")
        assert verified.code == 0
        assert "warning: the model's recipe is not the default one of alice: method mean, lambda 1" in verified.stderr

    def test_whose_results_differ_are_told_by_status_and_resolve(self, root, alice):
        made = alice.resolve(root / "out", recipe=ma.Mean())
        alice.store.write_operation(*alice.state.attest(made.merge_id, "0" * 64).operations)
        (warning,) = call(root, "-C", "alice", "status", "--json").printed()["warnings"]
        assert f"2 unsigned roots differ for merge id {made.merge_id}; anybody can write one: {'0' * 64}" in warning
        (root / "mean.yaml").write_text("method: mean\n")
        assert warning in call(root, "-C", "alice", "resolve", "again", "--recipe", "mean.yaml").stderr
        assert call(root, "-C", "alice", "resolve", "own").stderr == ""


@pytest.mark.clause("RC-6", "CT-11")
class TestWhatIsContributed:
    def test_needs_no_roots_yet(self, root):
        """Masks are made from the root of what is contributed, which is known when it is stored."""
        dare = ma.DareLinear(density="0.5", seed="7")
        workspace = ma.Workspace.init(root / "dare", base=root / "base", recipe=dare)
        workspace.contribute(root / "ft0.safetensors")
        result = workspace.resolve(root / "out")
        once = merge_checkpoints(root / "base", [Model(root / "ft0.safetensors")], dare, root / "once")
        assert result.lock == once.lock

    def test_may_forget_and_is_shown(self, root):
        workspace = ma.Workspace.init(root / "forgets", base=root / "base", recipe=ma.TaskArithmetic())
        id_ = workspace.contribute(root / "ft0.safetensors", "-1")
        assert call(root, "-C", "forgets", "show", id_, "--json").printed()


@pytest.fixture
def old(root, alice):
    """The lock of a merge, since which one contribution came and one was taken back."""
    alice.resolve(root / "old", recipe=ma.Ties(density="0.25"))
    alice.retract(min(alice.visible()))
    alice.contribute(root / "ft2.safetensors")
    return root / "old" / "merge.lock"


@pytest.mark.clause("LK-6")
class TestAnOldMerge:
    def test_verifies_and_what_changed_since_is_a_remark(self, root, alice, old):
        found = ma.verify(root / "old", alice.path)
        assert (found.ok, found.problem) == (True, "")
        later, retracted, recipe = found.remarks
        ids = {contribution.id for contribution in Lock.read_file(old).contributions}
        assert later.startswith(f"later contributions are visible in {alice.path}")
        assert later.endswith(f": {(alice.visible().keys() - ids).pop()[:12]}")
        assert "were retracted" in retracted
        assert retracted.endswith(f"since: {(ids - alice.visible().keys()).pop()[:12]}")
        assert "density 0.25" in recipe
        told = call(root, "verify", "old", "--against", "alice")
        assert (told.code, told.stderr.count("warning: ")) == (0, 3)
        assert len(json.loads(call(root, "verify", "old", "--against", "alice", "--json").stdout)["warnings"]) == 3

    def test_is_made_again(self, root, alice, old):
        made = alice.resolve(root / "again", lock=old)
        assert made.lock == Lock.read_file(old)
        assert (root / "again" / "model.safetensors").read_bytes() == (root / "old" / "model.safetensors").read_bytes()
        assert call(root, "-C", "alice", "resolve", "third", "--lock", old, "--json").printed()["merge_id"] == (
            made.merge_id
        )

    def test_that_was_forged_is_told_and_not_made(self, root, alice, old):
        """Lock and model agree with each other: only computing them again tells."""
        write_file(root / "old" / "model.safetensors", with_value(tensors_of(root / "old"), "layer.0.bias", (1,), 77))
        lock = json.loads(old.read_text())
        with Checkpoint.open(root / "old") as model:
            lock["tensors"]["layer.0.bias"]["root"] = model.tensor_root("layer.0.bias")
            lock["model_root"] = model.root()
        old.write_text(json.dumps(lock))
        assert ma.verify(root / "old").ok
        assert "computes another model: tensor 'layer.0.bias' has root" in ma.verify(root / "old", alice.path).problem
        before = tree(root)
        with pytest.raises(
            VerificationFailed, match=r"gives another model here: tensor 'layer.0.bias' .* nothing is written"
        ):
            alice.resolve(root / "again", lock=old)
        assert tree(root) == before

    def test_whose_tensors_are_gone_is_refused(self, root, alice, old):
        gone = ({c.id: c for c in Lock.read_file(old).contributions}.keys() - alice.visible().keys()).pop()
        manifest = next(c for c in Lock.read_file(old).contributions if c.id == gone)
        alice.store.blob_path(manifest.tensors).unlink()
        for again in (lambda: alice.resolve(root / "again", lock=old), lambda: ma.verify(root / "old", alice.path)):
            with pytest.raises(BlobMissing, match=f"{gone[:12]} was retracted, and its tensors are not here; "):
                again()

    def test_of_contributions_that_are_unknown_fails(self, root, alice, old):
        bob = make_workspace(root, "bob", 1)
        found = ma.verify(root / "old", bob.path)
        assert "is unknown to the workspace; sync with a replica that has it" in found.problem
        with pytest.raises(UnknownContribution, match="is unknown to the workspace"):
            bob.resolve(root / "again", lock=old)

    def test_of_another_base_fails(self, root, alice, old):
        write_file(root / "other.safetensors", with_value(tensors_of(root / "base"), "norm.scale", (), 9))
        other = ma.Workspace.init(root / "other", base=root / "other.safetensors", recipe=RECIPE)
        assert "its base is" in ma.verify(root / "old", other.path).problem
        with pytest.raises(BaseMismatch, match="name the workspace that it was made in"):
            other.resolve(root / "again", lock=old)

    def test_is_named_by_a_lock_and_nothing_else(self, root, alice, old):
        with pytest.raises(RecipeError, match="a lock has a recipe of its own"):
            alice.resolve(root / "again", lock=old, recipe=ma.Mean())
        (root / "mean.yaml").write_text("method: mean\n")
        done = call(root, "-C", "alice", "resolve", "again", "--lock", old, "--recipe", "mean.yaml")
        assert (done.code, "--lock has a recipe of its own" in done.stderr) == (2, True)
        with pytest.raises(LockError, match="is not there; check the path"):
            alice.resolve(root / "again", lock=root / "nowhere")


@pytest.mark.clause("RC-13", "NS-1")
class TestWhatCannotMergeWhatIsVisible:
    def test_is_a_task_that_nobody_contributed(self, root):
        (root / "task.yaml").write_text(f"method: emr\ntask: {'ab' * 32}\n")
        made = call(root, "-C", "w", "init", "--base", "base", "--recipe", "task.yaml")
        assert (made.code, "task, abababababab, is a contribution that is not here yet" in made.stderr) == (0, True)
        (line,) = call(root, "-C", "w", "status", "--json").printed()["warnings"]
        assert "the task of contribution abababababab, which is not visible here, so it cannot merge" in line

    def test_is_another_number(self, root):
        make_workspace(root, "w", 0, 1, recipe=ma.NearSwap())
        (line,) = call(root, "-C", "w", "status", "--json").printed()["warnings"]
        assert "nearswap, merges exactly 1, and 2 are visible, so it cannot merge: `retract` or contribute" in line
        call(root, "-C", "w", "retract", min(ma.Workspace.open(root / "w").visible())).lines()
        assert call(root, "-C", "w", "status", "--json").printed()["warnings"] == []
