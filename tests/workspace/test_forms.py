"""Contributions of factors and of several forms, and the auxiliary tensors beside them, from files to models."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file

import mergealgebra as ma
from mergealgebra.errors import (
    AuxiliaryError,
    BlobDamaged,
    BlobMissing,
    MergeAlgebraWarning,
    NamesError,
    NonFinite,
    OperationError,
    RecipeError,
    ShapeError,
)
from mergealgebra.fsck import inspect
from mergealgebra.lock import Lock
from mergealgebra.methods.fisher import Fisher
from mergealgebra.store.unneeded import unneeded_blobs
from tests.cli.commands import call
from tests.models import write_file
from tests.tensors.test_forms import factors, multiplied_out

pytestmark = pytest.mark.filterwarnings("ignore::mergealgebra.errors.MergeAlgebraWarning")

SHAPE = (37, 53)


def base():
    random = np.random.default_rng(9)
    return {"w": random.standard_normal(SHAPE).astype(np.float32), "b": np.ones(4, np.float32), "n": np.arange(3)}


def tuned():
    return base() | {"b": np.float32([1, 2, 3, 4]), "w": base()["w"] + np.float32(0.25)}


@pytest.fixture
def root(tmp_path):
    write_file(tmp_path / "base.safetensors", base())
    for number in range(3):
        write_file(tmp_path / f"f{number}.safetensors", factors(seed=number))
        write_file(tmp_path / f"tau{number}.safetensors", {"w": multiplied_out(factors(seed=number))})
    write_file(tmp_path / "tuned.safetensors", tuned())
    return tmp_path


def workspace(root, name, recipe=ma.Mean()):  # noqa: B008 - it is frozen
    return ma.Workspace.init(root / name, base=root / "base.safetensors", recipe=recipe)


def model_of(space, out, **how):
    space.resolve(out, **how)
    return (out / "model.safetensors").read_bytes()


def numbers(seed=0):
    """Fisher information of the tensors of `tuned`."""
    random = np.random.default_rng(seed)
    return {"w": random.random(SHAPE).astype(np.float32), "b": np.float32([0, 1, 2, 3])}


def gram():
    rows = np.random.default_rng(3).standard_normal((9, SHAPE[1])).astype(np.float32)
    return {"w": rows.T @ rows, "w.gram_rows": np.array(9)}


METHODS = {
    "mean": ma.Mean(),
    "ties": ma.Ties(density="0.3"),
    "ties by tensor": ma.Ties(density="0.7", scope="tensor", boundary="lowest_index"),
    "task arithmetic": ma.TaskArithmetic(lambda_="0.7"),
    "breadcrumbs of rows": ma.BreadcrumbsTies(gamma="0.1", scope="row"),
}


@pytest.mark.clause("CT-1", "CT-13", "CT-14")
class TestLowRank:
    @pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS)
    @pytest.mark.parametrize("how", [{"block": 100}, {"threads": 1}, {"block": 7, "threads": 3}], ids=str)
    def test_is_merged_as_what_it_multiplies_out_to(self, root, recipe, how):
        one, other = workspace(root, "one", recipe), workspace(root, "other", recipe)
        for number in range(3):
            one.contribute(root / f"f{number}.safetensors", form="low_rank")
            other.contribute(root / f"tau{number}.safetensors", form="task_vector")
        one.contribute(root / "tuned.safetensors", "0.5")
        other.contribute(root / "tuned.safetensors", "0.5")
        assert model_of(one, root / "a", backend="numpy", **how) == model_of(other, root / "b")
        assert ma.verify(root / "a", against=one).ok

    def test_counts_the_elements_of_its_task_vector(self, root):
        space = workspace(root, "w")
        id_ = space.contribute(root / "f0.safetensors", form="low_rank")
        manifest = space.visible()[id_]
        assert (manifest.elements, manifest.form, manifest.format) == (SHAPE[0] * SHAPE[1], "low_rank", 2)
        stored = load_file(space.store.blob_path(manifest.tensors))
        assert {name: array.tobytes() for name, array in stored.items()} == {
            name: array.tobytes() for name, array in factors(seed=0).items()
        }

    def test_has_a_lock_of_format_2_and_others_have_one_of_format_1(self, root):
        space = workspace(root, "w")
        space.contribute(root / "tuned.safetensors")
        space.resolve(root / "first")
        assert json.loads((root / "first" / "merge.lock").read_text())["format"] == 1
        id_ = space.contribute(root / "f0.safetensors", form="low_rank")
        space.resolve(root / "second")
        lock = json.loads((root / "second" / "merge.lock").read_text())
        (entry,) = (entry for entry in lock["contributions"] if entry["id"] == id_)
        assert (lock["format"], entry["forms"], entry["auxiliary"]) == (2, ["low_rank"], {})
        assert Lock.read(root / "second").to_bytes() == (root / "second" / "merge.lock").read_bytes()
        assert ma.verify(root / "second", against=space).ok

    def test_of_arrays_is_that_of_its_file(self, root):
        space = workspace(root, "w")
        assert space.contribute(factors(seed=1), form="low_rank") == space.contribute(
            root / "f1.safetensors", form="low_rank"
        )

    def test_is_told_as_factors(self, root):
        workspace(root, "w")
        told = call(root, "-C", "w", "contribute", "f0.safetensors", "--low-rank").lines()
        assert any("factors" in line for line in told)
        found = call(root, "-C", "w", "status", "--json").printed()
        assert [entry["form"] for entry in found["visible"]] == ["low_rank"]
        shown = call(root, "-C", "w", "show", found["visible"][0]["contribution"]).lines()
        assert any("factors" in line for line in shown)

    @pytest.mark.parametrize("flag", [[], ["--task-vector"]], ids=["no flag", "another flag"])
    def test_given_as_another_form_leads_to_the_flag(self, root, flag):
        workspace(root, "w")
        said = call(root, "-C", "w", "contribute", "f0.safetensors", *flag).complaint()
        assert "in a workspace, `contribute --low-rank` takes it" in said

    def test_that_is_not_finite_is_refused_with_its_tensor(self, root):
        stored = factors()
        stored["w.low_rank_up"][3, 2] = np.nan
        with pytest.raises(NonFinite, match=r"tensor 'w' at index \[3, 0\] is nan; a task vector must be finite"):
            workspace(root, "w").contribute(stored, form="low_rank")

    REFUSED = {  # noqa: RUF012 - a table
        "all fine-tuned": (tuned(), "has no factors, all that it holds is finetuned: .* with form='finetuned'"),
        "all vectors": ({"w.task_vector": np.ones(SHAPE)}, "all that it holds is task_vector"),
        "another name": (factors("x"), "shares no tensor with the base"),
    }

    @pytest.mark.parametrize(("stored", "message"), REFUSED.values(), ids=REFUSED)
    def test_that_is_none_is_refused(self, root, stored, message):
        stored = {name: array for name, array in stored.items() if name != "n"}
        with pytest.raises(NamesError, match=message):
            workspace(root, "w").contribute(stored, form="low_rank")

    def test_of_another_shape_is_refused(self, root):
        with pytest.raises(ShapeError, match=r"tensor 'w' has shape \[2, 53\], the base's \[37, 53\]"):
            workspace(root, "w").contribute(factors(rows=2), form="low_rank")

    def test_is_kept_and_taken_out_of_an_aggregate(self, root):
        space, other = workspace(root, "w"), workspace(root, "other")
        ids = [space.contribute(root / f"f{number}.safetensors", form="low_rank") for number in range(3)]
        space.contribute(root / "tuned.safetensors")
        model_of(space, root / "all", keep_aggregate="always")
        space.retract(ids[0])
        left = model_of(space, root / "left", keep_aggregate="always")
        for number in (1, 2):
            other.contribute(root / f"f{number}.safetensors", form="low_rank")
        other.contribute(root / "tuned.safetensors")
        assert left == model_of(other, root / "expected")


@pytest.mark.clause("CT-2", "CT-13")
class TestMixed:
    def mixed(self):
        return {**factors(seed=2), "b.task_vector": np.float32([0, 1, 0, -1])}

    def test_forms_are_merged_as_one_task_vector(self, root):
        one, other = workspace(root, "one", ma.TaskArithmetic()), workspace(root, "other", ma.TaskArithmetic())
        one.contribute(self.mixed(), form="low_rank")
        vector = {"w": multiplied_out(factors(seed=2)), "b": self.mixed()["b.task_vector"]}
        other.contribute(vector, form="task_vector")
        assert model_of(one, root / "a", block=50) == model_of(other, root / "b")

    def test_whole_tensors_beside_factors_are_fine_tunes(self, root):
        one, other = workspace(root, "one", ma.TaskArithmetic()), workspace(root, "other", ma.TaskArithmetic())
        id_ = one.contribute({**factors(seed=2), "b": tuned()["b"]}, form="low_rank")
        assert one.visible()[id_].form == "finetuned+low_rank"
        other.contribute({"w": multiplied_out(factors(seed=2)), "b": np.float32([0, 1, 2, 3])}, form="task_vector")
        assert model_of(one, root / "a", block=50) == model_of(other, root / "b")

    def test_no_dialect_takes_both_at_once(self, root):
        recipe = ma.Ties(dialect="mergekit-0.1.4")
        space = workspace(root, "w", recipe)
        space.contribute({**factors(seed=2), "b": tuned()["b"]}, form="low_rank")
        with pytest.raises(RecipeError, match=r"holds tensors in several forms, and .* takes contributions of one"):
            space.resolve(root / "out")

    def test_a_dialect_takes_factors_as_differences(self, root):
        recipe = ma.Ties(dialect="mergekit-0.1.4")
        one, other = workspace(root, "one", recipe), workspace(root, "other", recipe)
        one.contribute(root / "f0.safetensors", form="low_rank")
        other.contribute(root / "tau0.safetensors", form="task_vector")
        assert model_of(one, root / "a") == model_of(other, root / "b")

    def test_what_patterns_leave_is_not_there(self, root):
        space = workspace(root, "w")
        id_ = space.contribute({**factors(), "b": tuned()["b"]}, form="low_rank", leave="b")
        assert id_ == space.contribute(factors(), form="low_rank")
        with pytest.raises(NamesError, match="has no factors, all that it holds is finetuned"):
            space.contribute({**factors(), "b": tuned()["b"]}, form="low_rank", leave="w")


@pytest.mark.clause("CT-15")
class TestAuxiliary:
    BAD = {  # noqa: RUF012 - a table
        "negative": ({"b": np.float32([0, -1, 2, 3])}, AuxiliaryError, r"'b' at index \[1\]: fisher is -1.0"),
        "not a number": ({"b": np.float32([0, 1, np.nan, 3])}, NonFinite, r"'b' at index \[2\]: it is not finite"),
        "beyond fp32": ({"b": np.float64([0, 1e300, 0, 3])}, NonFinite, r"'b' at index \[1\]: it is not finite"),
        "a shape": ({"b": np.ones(5, np.float32)}, ShapeError, r"'b' has shape \[5\], the parameters' \[4\]"),
        "a name too many": ({"x": np.ones(4)}, NamesError, "'x' is fisher of no tensor of the contribution"),
        "a name too few": ({"b": None}, NamesError, "'b' is missing, which the contribution holds"),
    }

    @pytest.mark.parametrize(("change", "error", "message"), BAD.values(), ids=BAD)
    def test_fisher_that_is_none_is_refused(self, root, change, error, message):
        given = {name: array for name, array in {**numbers(), **change}.items() if array is not None}
        space = workspace(root, "w")
        with pytest.raises(error, match=message):
            space.contribute(root / "tuned.safetensors", auxiliary={"fisher": given})
        assert space.store.blob_roots() == () and not space.visible()

    def asymmetric(self):
        matrix = gram()["w"].copy()
        matrix[40, 7] += 1
        return matrix

    def test_gram_that_is_not_symmetric_is_refused(self, root):
        given = gram() | {"w": self.asymmetric()}
        with pytest.raises(AuxiliaryError, match=r"'w' at index \[40, 7\]: the Gram matrix is not symmetric"):
            workspace(root, "w").contribute(root / "tuned.safetensors", auxiliary={"gram": given})

    def test_large_matrices_are_compared_band_by_band(self, monkeypatch):
        from mergealgebra.tensors import auxiliary
        from mergealgebra.tensors.array_checkpoint import ArrayCheckpoint

        monkeypatch.setattr(auxiliary, "_STEP", 100)
        auxiliary.check_values("gram", ArrayCheckpoint(gram(), "gram"))
        with pytest.raises(AuxiliaryError, match=r"index \[40, 7\]"):
            auxiliary.check_values("gram", ArrayCheckpoint(gram() | {"w": self.asymmetric()}, "gram"))

    def test_gram_of_no_linear_layer_is_refused(self, root):
        given = {"b": np.eye(4, dtype=np.float32), "b.gram_rows": np.array(1)}
        with pytest.raises(ShapeError, match=r"'b' has shape .* give one for linear layers"):
            workspace(root, "w").contribute(root / "tuned.safetensors", auxiliary={"gram": given})

    def test_of_an_unknown_kind_is_refused(self, root):
        with pytest.raises(AuxiliaryError, match="'fischer' is not a kind of auxiliary tensors; did you mean 'fisher'"):
            workspace(root, "w").contribute(root / "tuned.safetensors", auxiliary={"fischer": {}})

    def test_is_a_blob_of_its_own_in_the_id(self, root):
        space = workspace(root, "w")
        plain = space.contribute(root / "tuned.safetensors")
        both = space.contribute(root / "tuned.safetensors", auxiliary={"fisher": numbers(), "gram": gram()})
        one, other = space.visible()[plain], space.visible()[both]
        assert plain != both and one.tensors == other.tensors
        assert [entry.kind for entry in other.auxiliary] == ["fisher", "gram"]
        assert set(space.store.blob_roots()) == set(other.roots())

    def test_of_what_patterns_leave_out_is_left_out(self, root):
        space = workspace(root, "w")
        id_ = space.contribute(root / "tuned.safetensors", leave="b", auxiliary={"fisher": numbers()})
        assert space.visible()[id_].auxiliary[0].elements == SHAPE[0] * SHAPE[1]

    def test_is_given_at_the_command_line(self, root):
        write_file(root / "fisher.safetensors", numbers())
        write_file(root / "gram.safetensors", gram())
        space = workspace(root, "w", Fisher())
        told = call(root, "-C", "w", "contribute", "tuned.safetensors")
        assert told.code == 1 and "it has no fisher, which the workspace's recipe, fisher, needs of all" in told.stderr
        options = ["--fisher", "fisher.safetensors", "--gram", "gram.safetensors"]
        call(root, "-C", "w", "contribute", "tuned.safetensors", *options).lines()
        (manifest,) = space.visible().values()
        assert [entry.kind for entry in manifest.auxiliary] == ["fisher", "gram"]


@pytest.mark.clause("CT-16")
class TestFisher:
    def test_is_merged_from_a_workspace_as_in_memory(self, root):
        space = workspace(root, "w", Fisher())
        vector = {"w": multiplied_out(factors()), "b": np.float32([1, 0, 0, 2])}
        space.contribute(root / "tuned.safetensors", auxiliary={"fisher": numbers(1)})
        space.contribute(vector, form="task_vector", auxiliary={"fisher": numbers(2)})
        found = model_of(space, root / "out", backend="numpy", block=64)
        floats = {name: base()[name] for name in ("w", "b")}
        difference = dict(ma.TaskVector.between(floats, {name: tuned()[name] for name in floats}))
        minds = [{"fisher": numbers(1)}, {"fisher": numbers(2)}]
        expected = ma.merge(floats, [difference, vector], Fisher(), auxiliary=minds)
        merged = load_file(root / "out" / "model.safetensors")
        assert {name: merged[name].tobytes() for name in floats} == {n: a.tobytes() for n, a in expected.items()}
        assert ma.verify(root / "out", against=space).ok
        assert model_of(space, root / "again", backend="torch", threads=1) == found

    def test_of_factors_weighs_their_task_vector(self, root):
        one, other = workspace(root, "one", Fisher()), workspace(root, "other", Fisher())
        given = {"fisher": {"w": numbers()["w"]}}
        one.contribute(root / "f0.safetensors", form="low_rank", auxiliary=given)
        other.contribute(root / "tau0.safetensors", form="task_vector", auxiliary=given)
        assert model_of(one, root / "a", block=64) == model_of(other, root / "b")

    def test_that_a_contribution_lacks_is_named(self, root):
        space = workspace(root, "w")
        id_ = space.contribute(root / "tuned.safetensors")
        with pytest.raises(AuxiliaryError, match=f"contribution {id_[:12]} has no fisher, which the method needs"):
            space.resolve(root / "out", recipe=Fisher())
        assert not (root / "out").exists()

    def test_that_is_damaged_is_named(self, root):
        space = workspace(root, "w", Fisher())
        id_ = space.contribute(root / "tuned.safetensors", auxiliary={"fisher": numbers()})
        path = space.store.blob_path(space.visible()[id_].auxiliary[0].root)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(BlobDamaged, match=f"contribution {id_[:12]}: .* holds tensors with root"):
            space.resolve(root / "out")
        space.resolve(root / "mean", recipe=ma.Mean())  # which does not read it
        assert not inspect(space.path).ok


@pytest.mark.clause("RC-8")
class TestOneShot:
    def config(self, root, method, **kinds):
        write_file(root / "fisher.safetensors", numbers())
        model = "".join(f", {kind}: {path}" for kind, path in kinds.items())
        text = f"method: {method}\nbase: base.safetensors\nmodels:\n  - {{path: tuned.safetensors{model}}}\n"
        (root / "merge.yaml").write_text(text)

    def test_is_the_merge_of_a_workspace(self, root):
        self.config(root, "fisher", fisher="fisher.safetensors")
        call(root, "merge", "merge.yaml", "out").lines()
        space = workspace(root, "w", Fisher())
        space.contribute(root / "tuned.safetensors", auxiliary={"fisher": root / "fisher.safetensors"})
        assert space.resolve(root / "other").lock == Lock.read(root / "out")
        result = ma.merge(
            root / "base.safetensors",
            [root / "tuned.safetensors"],
            Fisher(),
            out=root / "third",
            auxiliary=[{"fisher": numbers()}],
        )
        assert result.lock == Lock.read(root / "out")

    def test_that_lacks_a_kind_is_refused(self, root):
        self.config(root, "fisher")
        told = call(root, "merge", "merge.yaml", "out")
        assert told.code == 1
        assert (
            "has no fisher, which fisher needs of all models: write `fisher: PATH` beside its path in merge.yaml"
            in (told.stderr)
        )

    def test_that_has_a_kind_too_many_is_refused(self, root):
        self.config(root, "mean", fisher="fisher.safetensors")
        told = call(root, "merge", "merge.yaml", "out")
        assert told.code == 1 and "comes with fisher, and mean does not use it: leave it out" in told.stderr

    def test_in_memory_likewise(self):
        floats = {"b": base()["b"]}
        with pytest.raises(AuxiliaryError, match="model 0 has no fisher, which fisher needs of all models"):
            ma.merge(floats, [floats], Fisher())
        with pytest.raises(AuxiliaryError, match="model 0 comes with fisher, and mean does not use it"):
            ma.merge(floats, [floats], ma.Mean(), auxiliary=[{"fisher": floats}])
        with pytest.raises(AuxiliaryError, match="2 entries of auxiliary for 1 models"):
            ma.merge(floats, [floats], Fisher(), auxiliary=[{}, {}])


@pytest.mark.clause("SY-4", "CT-16")
class TestSync:
    def shared(self, root, recipe):
        alice = workspace(root, "alice", recipe)
        alice.contribute(root / "tuned.safetensors", auxiliary={"fisher": numbers(), "gram": gram()})
        alice.sync(root / "share", create=True)
        return alice

    def roots(self, space):
        (manifest,) = space.visible().values()
        return {entry.kind: entry.root for entry in manifest.auxiliary}

    def test_gives_all_and_takes_what_the_recipe_needs(self, root):
        alice = self.shared(root, Fisher())
        kinds = self.roots(alice)
        share = {path.name for path in (root / "share" / "blobs").iterdir()}
        assert {f"{root}.safetensors" for root in kinds.values()} < share
        bob = ma.Workspace.clone(root / "share", root / "bob", base=root / "base.safetensors")
        assert bob.store.has_blob(kinds["fisher"]) and not bob.store.has_blob(kinds["gram"])
        assert model_of(bob, root / "b") == model_of(alice, root / "a")

    def test_takes_the_rest_when_it_is_asked_to(self, root):
        alice = self.shared(root, ma.Mean())
        kinds = self.roots(alice)
        bob = ma.Workspace.clone(root / "share", root / "bob", base=root / "base.safetensors")
        assert not any(map(bob.store.has_blob, kinds.values()))
        with pytest.raises(BlobMissing, match=r"its fisher .* is not here; `sync\(PEER, auxiliary=True\)` takes it"):
            bob.resolve(root / "out", recipe=Fisher())
        call(root, "-C", "bob", "sync", "share", "--auxiliary").lines()
        assert all(map(bob.store.has_blob, kinds.values()))
        assert model_of(bob, root / "b", recipe=Fisher()) == model_of(alice, root / "a", recipe=Fisher())

    def test_refuses_what_cannot_be_that_kind(self, root):
        alice = self.shared(root, Fisher())
        path = root / "share" / "blobs" / f"{self.roots(alice)['fisher']}.safetensors"
        write_file(path, {"w": np.ones((3, 3), np.float32)})
        with pytest.raises(ma.errors.SyncIncomplete, match="has 9 elements, but the fisher of contribution"):
            ma.Workspace.clone(root / "share", root / "bob", base=root / "base.safetensors")

    def test_misses_it_where_the_recipe_needs_it(self, root):
        alice = self.shared(root, Fisher())
        alice.store.blob_path(self.roots(alice)["fisher"]).unlink()
        alice.store.blob_path(self.roots(alice)["gram"]).unlink()
        assert alice.missing() == list(alice.visible())
        assert [line.split(";")[0].partition(": ")[2] for line in inspect(alice.path).missing] == [
            "its fisher are not here"
        ]
        assert inspect(alice.path, repair=root / "share").ok
        assert alice.missing() == []

    def test_nothing_that_is_visible_is_unneeded(self, root):
        alice = self.shared(root, ma.Mean())
        assert unneeded_blobs(alice.store) == []
        alice.retract(next(iter(alice.visible())))
        found = unneeded_blobs(alice.store)
        assert len(found) == 3 and all(blob.kind.endswith("retracted") for blob in found)


def test_forms_are_named(root):
    with pytest.raises(OperationError, match="'lora' is not a form of contributions; choose finetuned, low_rank or"):
        workspace(root, "w").contribute(root / "f0.safetensors", form="lora")
    with pytest.raises(OperationError, match="a TaskVector is a difference"):
        workspace(root, "v").contribute(ma.TaskVector({"b": np.ones(4)}), form="low_rank")


def test_warnings_are_those_of_contributions(root):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MergeAlgebraWarning)
        workspace(root, "w", Fisher()).contribute(root / "tuned.safetensors", force=True)
    assert any("needs of all" in str(warning.message) for warning in caught)


@pytest.mark.clause("CT-16")
def test_status_misses_what_the_recipe_needs(root):
    space = workspace(root, "w", Fisher())
    id_ = space.contribute(root / "tuned.safetensors", auxiliary={"fisher": numbers()})
    assert [entry["here"] for entry in call(root, "-C", "w", "status", "--json").printed()["visible"]] == [True]
    space.store.blob_path(space.visible()[id_].auxiliary[0].root).unlink()
    (entry,) = call(root, "-C", "w", "status", "--json").printed()["visible"]
    assert (entry["here"], entry["contribution"]) == (False, id_)
