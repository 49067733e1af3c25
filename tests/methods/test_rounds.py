"""Methods in several rounds: what is special to each, and whose task it is. Vectors hold them to their clauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import mergealgebra as ma
from mergealgebra.errors import DecimalError, Overflow, RecipeError
from tests.methods.merges import Case, bits, cases, ids_of

F32 = np.float32
SIZE = 3 * 4096 + 5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A base and three fine-tunes whose tensors are more than a few chunks; one has fewer tensors changed."""
    root, random = tmp_path_factory.mktemp("rounds"), np.random.default_rng(7)
    base = {name: random.normal(size=size).astype(F32) for name, size in (("a", SIZE), ("b", 70))}
    save_file(base, root / "base.safetensors")
    for name, share in (("one", 1.0), ("two", 0.6), ("three", 0.3)):
        change = {key: random.normal(size=x.size) * (random.random(x.size) < share) for key, x in base.items()}
        tuned = {key: (x + 0.01 * change[key]).astype(F32) for key, x in base.items()}
        save_file(tuned, root / f"{name}.safetensors")
    return root


NAMES = ("one", "two", "three")
METHODS = {
    "sce": ma.Sce,
    "sce, selected": lambda: ma.Sce(select_topk="0.3"),
    "ramplus_tl": ma.RamPlusTl,
    "consensus_ta": ma.ConsensusTa,
    "tall_mask": ma.TallMask,
    "emr": ma.Emr,
}


def of_somebody(recipe, workspace):
    """The recipe for the task of the least id, if it is about a task."""
    keys = {"task": min(workspace.visible())} if hasattr(recipe, "task") else {}
    return type(recipe)(**keys) if keys else recipe


@pytest.mark.clause("MG-8", "DT-4", "RC-13")
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_files_and_workspaces_give_one_model_in_any_cut(root, tmp_path, method):
    workspace = ma.Workspace.init(tmp_path / "w", base=root / "base.safetensors", recipe=ma.Mean())
    for name in reversed(NAMES):
        workspace.contribute(root / f"{name}.safetensors", "0.3")
    recipe = of_somebody(method(), workspace)
    expected = workspace.resolve(tmp_path / "out", recipe=recipe).lock
    assert ma.verify(tmp_path / "out", workspace.path).ok
    for i, how in enumerate(({"block": 1, "threads": 3}, {"block": 5000, "threads": 1}, {"backend": "torch"})):
        models = [(root / f"{name}.safetensors", "0.3") for name in (NAMES if i else NAMES[::-1])]
        found = ma.merge(root / "base.safetensors", models, recipe, out=tmp_path / str(i), **how).lock
        assert (found.model_root, found.merge_id) == (expected.model_root, expected.merge_id)


# Tasks


def vectors() -> tuple[dict, list[dict]]:
    return {"w": np.zeros(3, F32)}, [{"w": F32(row)} for row in ([4, 4, -1], [3, 0, 2])]


@pytest.mark.clause("RC-13")
@pytest.mark.parametrize("method", [ma.Emr, ma.TallMask], ids=lambda method: method.name)
def test_a_task_of_nobody_is_refused_with_the_ids_that_there_are(root, tmp_path, method):
    base, models = vectors()
    recipe = method(task="ab" * 32)
    one, other = ids_of(base, models, ["1", "1"])
    said = f"task: no contribution here has the id {recipe.task}; write the id of one that is here, in full: "
    with pytest.raises(RecipeError, match=f"^{method.name}: {said}{one} .task vector 0. and {other} .task vector 1.$"):
        ma.merge(base, models, recipe)
    workspace = ma.Workspace.init(tmp_path / "w", base=root / "base.safetensors", recipe=recipe)
    id_ = workspace.contribute(root / "one.safetensors")
    merges = (
        lambda: workspace.resolve(tmp_path / "out"),
        lambda: ma.merge(root / "base.safetensors", [root / "one.safetensors"], recipe, out=tmp_path / "out"),
    )
    for merge in merges:
        with pytest.raises(RecipeError, match=f"{said}{id_} "):
            merge()
        assert not (tmp_path / "out").exists()


@pytest.mark.clause("RC-13", "MG-12")
def test_a_task_of_two_that_are_the_same_is_refused():
    base, (one, other) = vectors()
    (id_, *_) = ids_of(base, [one], ["1"])
    with pytest.raises(
        RecipeError, match=r"task vector 0 and task vector 2 are the same contribution .* leave out all"
    ):
        ma.merge(base, [one, other, one], ma.Emr(task=id_))


BAD_KEYS = {
    "a short id": (lambda: ma.Emr(task="ab" * 6), RecipeError, "^emr: task: '(ab)+' is not the id of a contribution"),
    "an id with a letter": (
        lambda: ma.TallMask(task="g" * 64),
        RecipeError,
        "is not the id of a contribution; write all",
    ),
    "a negative r": (lambda: ma.RamPlusTl(r="-0.1"), DecimalError, "^r: -0.1 is negative; it must be 0 or more"),
    "no threshold": (lambda: ma.ConsensusTa(threshold="0"), RecipeError, "threshold: '0' is not a whole number from 1"),
    "no share": (lambda: ma.Sce(select_topk="0"), DecimalError, "^select_topk: 0 is not above 0"),
}


@pytest.mark.clause("RC-4", "RC-13", "RA-3", "CO-1", "SC-1")
@pytest.mark.parametrize(("make", "error", "message"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_what_no_key_can_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# Laws


@pytest.mark.clause("CO-2", "CO-3", "CO-4")
@settings(max_examples=40)
@given(cases(st.builds(ma.ConsensusTa, tall_lambda=st.sampled_from(["0", "0.4", "1"]))), st.integers(1, 3))
def test_a_consensus_is_where_so_many_tasks_have_a_mask(case: Case, threshold):
    zeros = {name: np.zeros(array.shape, F32) for name, array in case.base.items()}
    keys = {"tall_lambda": case.recipe.tall_lambda}
    ids = ids_of(zeros, case.task_vectors, case.coefficients)
    if len(set(ids)) < len(ids):
        return

    def merged(recipe):
        return ma.merge(zeros, case.task_vectors, recipe, case.coefficients)

    sums, tasks = merged(ma.TallMask(**keys)), [merged(ma.TallMask(**keys, task=id_)) for id_ in ids]
    consensus = merged(ma.ConsensusTa(**keys, threshold=str(threshold)))
    for name, total in sums.items():
        masks = sum((task[name] != 0).astype(int) for task in tasks)
        assert (consensus[name] == np.where(masks >= threshold, total, 0)).all()


@pytest.mark.clause("EM-3", "EM-4")
def test_the_model_of_a_task_is_as_large_as_its_own_changes(root, tmp_path):
    files = [root / f"{name}.safetensors" for name in NAMES]
    workspace = ma.Workspace.init(tmp_path / "w", base=root / "base.safetensors", recipe=ma.Mean())
    ids = [workspace.contribute(path) for path in files]
    base = load_file(root / "base.safetensors")
    for id_, path in zip(ids, files, strict=True):
        workspace.resolve(tmp_path / id_, recipe=ma.Emr(task=id_))
        made, own = load_file(tmp_path / id_ / "model.safetensors"), load_file(path)
        size = [sum(np.abs(model[name] - base[name]).mean() for name in base) for model in (made, own)]
        assert size[0] == pytest.approx(size[1], rel=1e-3)
        assert all(((made[name] - base[name]) * (own[name] - base[name]) >= 0).all() for name in base)


@pytest.mark.clause("SC-2")
@given(cases(st.builds(ma.Sce, select_topk=st.sampled_from(["0.3", "0.5", "0.9"]))))
def test_what_is_selected_differs_at_least_as_much_as_what_is_not(case: Case):
    zeros = {name: np.zeros(array.shape, F32) for name, array in case.base.items()}
    vectors = [{name: array.astype(F32) for name, array in vector.items()} for vector in case.task_vectors]
    whole, merged = (ma.merge(zeros, vectors, recipe) for recipe in (ma.Sce(), case.recipe))
    for name, array in merged.items():
        held = np.stack([v[name].reshape(-1) for v in vectors if name in v] or [zeros[name].reshape(-1)])
        variance, taken = held.astype(np.float64).var(axis=0), array.reshape(-1) != 0
        left = ~taken & (whole[name].reshape(-1) != 0)
        least = max(1, int(float(case.recipe.select_topk) * array.size))
        assert (~left).sum() >= least
        if taken.any() and left.any():
            assert variance[taken].min() >= variance[left].max() * (1 - 1e-6)


@pytest.mark.clause("SC-2")
def test_what_differs_equally_is_selected_together():
    base, rows = {"w": np.zeros(4, F32)}, ([1, 2, -1, 5], [0, 3, 0, 5])
    merged = ma.merge(base, [{"w": F32(row)} for row in rows], ma.Sce(select_topk="0.25"))
    assert (merged["w"] != 0).tolist() == [True, True, True, False]


@pytest.mark.clause("MG-8")
@settings(max_examples=20)
@given(cases(st.builds(ma.RamPlusTl, r=st.just("0"))))
def test_ram_plus_with_r_of_zero_is_ram(case: Case):
    assert bits(case.merged()) == bits(
        ma.merge(case.base, case.task_vectors, ma.Ram(lambda_=case.recipe.lambda_), case.coefficients)
    )


@pytest.mark.clause("SC-6", "MG-6")
def test_a_tensor_that_is_too_large_to_square_is_not_blamed_on_a_coefficient():
    vectors = [{"w": F32([x])} for x in (2.0**90, -(2.0**90))]
    with pytest.raises(Overflow, match=r"^task vector 0: tensor 'w' at index \[0\]: sce makes a number of it that is"):
        ma.merge({"w": F32([0])}, vectors, ma.Sce(select_topk="0.5"))
