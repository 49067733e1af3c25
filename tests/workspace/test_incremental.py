"""`resolve` with a kept aggregate: whatever came and went, the bits and the lock of a merge in full [EX-5, SY-9]."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

import mergealgebra as ma
from mergealgebra import algebra
from mergealgebra.errors import BackendError, BlobDamaged, BlobMissing, MergeAlgebraError, OutputError
from mergealgebra.incremental import keeper, pages
from mergealgebra.incremental.folder import HEADER
from mergealgebra.kernels.fused_methods import is_fused
from mergealgebra.methods.registry import unregister
from mergealgebra.model_folder import output, tensor_files
from mergealgebra.resolution import aggregate_home
from mergealgebra.store import private
from mergealgebra.tensors.descriptors import File
from tests.cli.commands import call, tree
from tests.crash import kill_points
from tests.methods import plugins
from tests.models import DTYPES, base, write_file, write_folder
from tests.workspace.replicas import write_models

KERNELS = ["numba", "numpy"]
RECIPES = {"ties": ma.Ties(density="0.5"), "mean": ma.Mean(), "task_arithmetic": ma.TaskArithmetic()}


def folder_of(workspace):
    """Where a workspace keeps its aggregate."""
    return workspace.path / "cache" / "aggregate"


def header_of(workspace):
    """The header of the aggregate that a workspace keeps."""
    with aggregate_home(workspace.store).opened(1 << 20) as folder:
        return folder.header


def pages_of(workspace):
    """The file of the pages that the header names."""
    return folder_of(workspace) / f"{header_of(workspace).token}.bin"


def outcome(workspace, out, **how):
    """What a resolve leaves behind, or how it fails; the model is gone afterwards."""
    try:
        result = workspace.resolve(out, **how)
    except MergeAlgebraError as error:
        return type(error), str(error)
    found = tree(out)
    shutil.rmtree(out)
    return found, result.aggregate


def check_kept(workspace, backend="numba"):
    """Resolve with the aggregate gives what resolve in full gives; returns what became of the aggregate."""
    out = workspace.path.parent / f"out-{os.getpid()}"
    in_full, _ = outcome(workspace, out, backend=backend, block=3)
    found, aggregate = outcome(workspace, out, backend=backend, keep_aggregate="always")
    assert found == in_full
    return aggregate


@pytest.fixture(scope="module", autouse=True)
def _registered():
    for method in plugins.ALL:
        ma.register(method)
    yield
    for method in plugins.ALL:
        unregister(method.name)


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of eight elements, so that small tensors have several."""
    for module in (pages, keeper):
        monkeypatch.setattr(module, "PAGE", 8)


@pytest.fixture
def alice(tmp_path):
    """A workspace with four contributions, whose aggregate is kept."""
    write_models(tmp_path, 6)
    workspace = ma.Workspace.init(tmp_path / "alice", base=tmp_path / "base", recipe=RECIPES["ties"])
    for number in range(4):
        contribute(workspace, number)
    assert check_kept(workspace).changes is None
    return workspace


def contribute(workspace, number, coefficient="1"):
    """Contribute one of the fine-tunes beside a workspace."""
    return workspace.contribute(workspace.path.parent / f"ft{number}.safetensors", coefficient)


def of_task_vectors(root, recipe, vectors, coefficients=None, weights=None):
    """A workspace whose base is 0, with one contribution for each task vector, a list of numbers.

    weights: for each a list of numbers, auxiliary tensors of the kind fisher.
    """
    write_file(root / "base.safetensors", {"w": np.zeros(len(vectors[0]), np.float32)})
    workspace = ma.Workspace.init(root / "workspace", base=root / "base.safetensors", recipe=recipe)
    ids = []
    for number, vector in enumerate(vectors):
        path = write_file(root / f"tv{number}.safetensors", {"w": np.asarray(vector, np.float32)})
        coefficient = coefficients[number] if coefficients else "1"
        auxiliary = {"fisher": {"w": np.float32(weights[number])}} if weights else {}
        ids.append(workspace.contribute(path, coefficient, form="task_vector", auxiliary=auxiliary))
    return workspace, ids


class TestExactness:
    """What fp64 cannot hold is taken out again without a trace."""

    @pytest.mark.clause("EX-2", "EX-3", "EX-5", "LK-3")
    @pytest.mark.parametrize("backend", KERNELS)
    @pytest.mark.parametrize("method", RECIPES)
    @pytest.mark.parametrize("gone", range(3), ids=["2^60", "1", "-2^60"])
    def test_of_2_to_60_and_1_and_its_negative_one_goes(self, tmp_path, gone, method, backend):
        recipe = ma.Ties(density="1") if method == "ties" else RECIPES[method]
        vectors = [[2.0**60, 1, 0, 4], [1, 2.0**60, 2, 5], [-(2.0**60), 3, 0, 6]]
        workspace, ids = of_task_vectors(tmp_path, recipe, vectors)
        before = workspace.resolve(tmp_path / "before", backend=backend, keep_aggregate="always")
        assert before.lock.uncertified == 2
        workspace.retract(ids[gone])
        assert check_kept(workspace, backend).changes == 1
        after = workspace.resolve(tmp_path / "after", backend=backend, keep_aggregate="always")
        assert after.aggregate.changes == 0
        assert after.lock.uncertified == {0: 2, 1: 0, 2: 2}[gone]

    @pytest.mark.clause("EX-3", "EX-5")
    def test_a_coordinate_is_certified_again_when_what_spoilt_it_is_gone(self, tmp_path, monkeypatch):
        vectors = [[1, 1], [2, 2], [3, 3], [2.0**60, 4]]
        workspace, ids = of_task_vectors(tmp_path, ma.Mean(), vectors)
        assert workspace.resolve(tmp_path / "spoilt", keep_aggregate="always").lock.uncertified == 1
        workspace.retract(ids[3])
        assert check_kept(workspace).changes == 1
        read = reads(monkeypatch)
        workspace.retract(ids[2])
        assert workspace.resolve(tmp_path / "healed", keep_aggregate="always").lock.uncertified == 0
        assert {ids[0], ids[1]}.isdisjoint(contributions_of(workspace, read))

    @pytest.mark.clause("EX-2", "EX-3", "EX-5")
    def test_what_a_sum_went_through_does_not_count(self, tmp_path):
        """2^20 fits in with 1, 2 and 3 and not with 2^-20, which was there before it; 2^-20 once more does not."""
        vectors = [[1, 1], [2, 1], [3, 1], [2.0**-20, 2.0**-20], [2.0**20, 5]]
        workspace, ids = of_task_vectors(tmp_path, ma.Mean(), vectors)
        workspace.retract(ids[4])
        check_kept(workspace)
        workspace.retract(ids[3])
        workspace.contribute(tmp_path / "tv4.safetensors", form="task_vector")
        assert check_kept(workspace).changes == 2
        assert workspace.resolve(tmp_path / "fits", keep_aggregate="always").lock.uncertified == 0
        workspace.contribute(tmp_path / "tv3.safetensors", form="task_vector")
        assert check_kept(workspace).changes == 1
        assert workspace.resolve(tmp_path / "does not", keep_aggregate="always").lock.uncertified == 1

    @pytest.mark.clause("EX-3", "EX-5")
    def test_what_the_coefficients_went_through_counts(self, tmp_path):
        small, large = "0.000000003725290298461914", "1024"  # 2^-28
        coefficients = ["1", "1", "1", small, large]
        workspace, ids = of_task_vectors(tmp_path, ma.Ties(), [[1, 2], [1, 3], [1, 4], [1, 5], [1, 6]], coefficients)
        workspace.retract(ids[4])
        check_kept(workspace)
        workspace.retract(ids[3])
        assert check_kept(workspace).changes == 1
        workspace.contribute(tmp_path / "tv4.safetensors", large, form="task_vector")
        assert check_kept(workspace).changes is None
        workspace.retract(ids[0])
        assert check_kept(workspace).changes == 1

    @pytest.mark.clause("EX-3", "EX-5", "TI-4")
    @pytest.mark.parametrize("backend", KERNELS)
    def test_what_trim_left_out_is_left_out_where_all_are_read_again(self, tmp_path, backend):
        """Density 1/2 leaves out the first element of the second to fourth; only the first has 2^60 there."""
        vectors = [[2.0**60, 5, 0, 0], [1, 2, 3, 0], [1, 3, 4, 0], [1, 4, 5, 0], [1, 1, 0, 0]]
        vectors += [[3, 2, 0, 0], [5, 2, 0, 0]]
        workspace, ids = of_task_vectors(tmp_path, ma.Ties(density="0.5"), vectors)
        check_kept(workspace, backend)
        for gone in (6, 5):
            workspace.retract(ids[gone])
            assert check_kept(workspace, backend).changes == 1
        assert workspace.resolve(tmp_path / "out", keep_aggregate="always").lock.uncertified == 1

    @pytest.mark.clause("EX-3", "EX-5", "EX-7", "EX-8", "FM-2")
    def test_each_of_several_sums_is_read_again_where_one_has_no_certificate(self, tmp_path):
        """In the first element the weights spoil it, in the second the products; where nothing weighs, 0 / 0 is not."""
        vectors = [[1, 2.0**60, 3, 4], [2, 1, 5, 7], [3, 3, 1, 2], [1, 4, 2, 2], [2, 2, 2, 3]]
        weights = [[2.0**60, 1, 0, 1], [1, 2, 0, 3], [1, 1, 0, 0], [2, 1, 0, 1], [1, 3, 0, 5]]
        workspace, ids = of_task_vectors(tmp_path, ma.Fisher(), vectors, weights=weights)
        assert check_kept(workspace, "numpy").problem == ""
        for gone in (4, 3):
            workspace.retract(ids[gone])
            assert check_kept(workspace, "numpy").changes == 1
        assert workspace.resolve(tmp_path / "out", keep_aggregate="always").lock.uncertified == 2

    @pytest.mark.clause("EX-3", "EX-5", "EX-8", "DT-4", "SY-9")
    def test_what_a_statistic_without_a_proof_found_is_kept_and_used_where_all_are_read_again(self, tmp_path):
        vectors = [[2.0**60, 2.0**61, 3, 9], [5, 9, 3, 4], [7, 2, 3, 1], [2, 5, 1, 3], [4, 8, 2, 2], [3, 1, 1, 6]]
        workspace, ids = of_task_vectors(tmp_path, plugins.Divided(), vectors)
        assert check_kept(workspace, "numpy").problem == ""
        for gone in (5, 4):
            workspace.retract(ids[gone])
            assert check_kept(workspace, "numpy").changes == 1
        assert workspace.resolve(tmp_path / "out", keep_aggregate="always").lock.uncertified >= 1

    @pytest.mark.clause("EX-8", "SY-9")
    def test_an_answer_that_is_no_data_keeps_nothing(self, tmp_path, monkeypatch):
        strange = algebra.Tally(300, plugins.exponents, lambda counts, size: {1.0}, ("strange",))
        lift = algebra.Round(plugins.weighed, plugins.total, stages=(algebra.Look(strange),))
        monkeypatch.setattr(plugins.MeanCut, "rounds", property(lambda self: (lift,)))
        workspace, _ = of_task_vectors(tmp_path, plugins.MeanCut(), [[1, 2], [3, 5]])
        assert "what is found by ['strange'] is no short list" in check_kept(workspace, "numpy").problem

    @pytest.mark.clause("EX-3", "EX-5", "EX-8", "DE-2", "BC-3")
    @pytest.mark.parametrize(
        "recipe",
        [ma.DellaLinear(density="0.9", epsilon="0.1", seed="1"), ma.Breadcrumbs(density="0.5", scope="row")],
        ids=["ranks", "thresholds"],
    )
    def test_a_row_is_read_again_whole(self, tmp_path, recipe):
        vectors = [[2.0**60, 2.0**61, 3, 9], [5, 9, 3, 4], [7, 2, 3, 1], [2, 5, 1, 3], [4, 8, 2, 2], [3, 1, 1, 6]]
        workspace, ids = of_task_vectors(tmp_path, recipe, vectors)
        assert check_kept(workspace, "numpy").problem == ""
        for gone in (5, 4):
            workspace.retract(ids[gone])
            assert check_kept(workspace, "numpy").changes == 1
        assert workspace.resolve(tmp_path / "out", keep_aggregate="always").lock.uncertified >= 1

    @pytest.mark.clause("EX-3", "EX-5", "BC-2", "BC-3")
    def test_what_each_of_two_thresholds_left_out_is_left_out_where_all_are_read_again(self, tmp_path):
        """The first element of the second is too small, that of the third is cut; those of the first and last count."""
        vectors = [[2.0**60, 2.0**61, 0, 1], [1, 9, 3, 4], [7, 2, 3, 1], [2, 5, 1, 0], [1, 8, 2, 2], [3, 1, 1, 0]]
        recipe = ma.Breadcrumbs(density="0.5", gamma="0.25")
        workspace, ids = of_task_vectors(tmp_path, recipe, vectors)
        check_kept(workspace, "numpy")
        for gone in (5, 4):
            workspace.retract(ids[gone])
            assert check_kept(workspace, "numpy").changes == 1
        assert workspace.resolve(tmp_path / "out", keep_aggregate="always").lock.uncertified == 1

    @pytest.mark.clause("EX-5", "EX-8")
    @pytest.mark.parametrize("recipe", [ma.Fisher(), ma.Linear()], ids=lambda recipe: recipe.name)
    def test_a_tensor_that_nobody_holds_any_more_is_the_base_s(self, tmp_path, recipe):
        """Not 0 / 0, the mean of nothing, which no kept sums would outlive."""
        write_file(tmp_path / "base.safetensors", {"v": np.float32([-0.0, 1]), "w": np.float32([1, 2])})
        workspace, ids = (
            ma.Workspace.init(tmp_path / "workspace", base=tmp_path / "base.safetensors", recipe=recipe),
            [],
        )
        for number in range(4):
            tensors = {"w": np.float32([number, 3])} | ({"v": np.float32([5, 6])} if number == 3 else {})
            path = write_file(tmp_path / f"model{number}.safetensors", tensors)
            auxiliary = {kind: {name: abs(array) for name, array in tensors.items()} for kind in recipe.needs.auxiliary}
            ids.append(workspace.contribute(path, leave=["v"] if number < 3 else [], auxiliary=auxiliary))
        check_kept(workspace, "numpy")
        workspace.retract(ids[3])
        assert check_kept(workspace, "numpy") == keeper.Outcome("", 1)
        assert header_of(workspace).layout.tensors[0].name == "w"

    @pytest.mark.clause("EX-5", "EX-8", "LI-2", "MG-14")
    def test_bits_that_all_models_have_are_copied_whoever_comes_and_goes(self, tmp_path):
        """No mean is 0.1, as it is an fp32 number. In each element but the last another model differs."""
        usual, coefficients = np.array([0.1, 0.1, 0.1, 0.1, -0.0]), ["0.3", "0.7", "0.1", "0.9"]
        write_file(tmp_path / "base.safetensors", {"w": np.full(5, 3.0)})
        workspace = ma.Workspace.init(tmp_path / "workspace", base=tmp_path / "base.safetensors", recipe=ma.Linear())
        paths = []
        for number in range(4):
            model = np.where(np.arange(5) == number, number + 0.7, usual)
            paths.append(write_file(tmp_path / f"model{number}.safetensors", {"w": model}))
        ids = [workspace.contribute(path, c) for path, c in zip(paths, coefficients, strict=True)]
        assert check_kept(workspace, "numpy").problem == ""
        for gone in range(4):
            for back in (False, True):
                if back:
                    workspace.contribute(paths[gone], coefficients[gone])
                else:
                    workspace.retract(ids[gone])
                assert check_kept(workspace, "numpy").changes == 1
                merged = workspace.resolve(tmp_path / f"out{gone}{back}", keep_aggregate="always").out
                alike = load_file(merged / "model.safetensors")["w"].view(np.uint64) == usual.view(np.uint64)
                assert np.flatnonzero(alike).tolist() == ([4] if back else [gone, 4])

    @pytest.mark.clause("EX-5", "TI-8")
    @pytest.mark.parametrize("backend", KERNELS)
    def test_a_fraction_of_a_vote_is_taken_out_in_full(self, tmp_path, backend):
        coefficients = ["1", "1", "1", "1", "0.5"]
        workspace, ids = of_task_vectors(tmp_path, ma.Ties(), [[i, 1] for i in (1, 2, 3, 4, 5)], coefficients)
        workspace.retract(ids[4])
        check_kept(workspace, backend)
        assert header_of(workspace).layout.element.votes == "int16"
        workspace.contribute(tmp_path / "tv4.safetensors", "0.5", form="task_vector")
        assert check_kept(workspace, backend).changes == 1
        assert header_of(workspace).layout.element.votes == "float64"
        workspace.retract(ids[4])
        assert check_kept(workspace, backend).changes == 1

    @pytest.mark.clause("EX-3", "EX-5")
    def test_coefficients_without_a_certificate_keep_nothing(self, tmp_path):
        coefficients = ["1", "1", "0.00000000000000000001"]
        workspace, ids = of_task_vectors(tmp_path, ma.Ties(), [[1, 2], [1, 3], [1, 4]], coefficients)
        assert check_kept(workspace).problem == "the coefficients together have no certificate"
        workspace.retract(ids[2])
        assert check_kept(workspace) == keeper.Outcome("", None)


# Histories

#: Values that every dtype has; values that certificates fail for; and values that overflow now and then.
VALUES = [0.0, 1.0, -1.0, 0.5, -3.0, 100.0, 2.0**-24, 1.5 * 2.0**-14]
WIDE = [2.0**60, -(2.0**60), 2.0**-149, -(2.0**-100), 2.0**24 + 2]
EXTREME = [3e38, -3e38]
SHAPES = {"a": (3, 5), "b": (17,), "c": (), "d": (0, 2), "e": (9,)}


@st.composite
def models(draw, dtype, values):
    """Some of the tensors, with values of a list."""
    seed = draw(st.integers(0, 1 << 32))
    random = np.random.default_rng(seed)
    names = draw(st.sets(st.sampled_from(sorted(SHAPES)), min_size=1))
    return {name: random.choice(values, SHAPES[name]).astype(DTYPES[dtype]) for name in sorted(names)}


#: By element, by row, with masks, with several thresholds, with sums of their own weights, with unproved statistics.
OTHERS = [
    ma.Mean,
    ma.TaskArithmetic,
    ma.NegMerge,
    ma.Ram,
    ma.Fisher,
    partial(ma.Breadcrumbs, density="0.4", gamma="0.3"),
    partial(ma.BreadcrumbsTies, density="0.4", gamma="0.3"),
    partial(ma.Breadcrumbs, density="0.4", gamma="0.3", scope="row"),
    partial(ma.BreadcrumbsTies, density="0.4", gamma="0.3", scope="row"),
    partial(ma.DareLinear, density="0.5"),
    partial(ma.Della, epsilon="0.25"),
    partial(ma.DellaLinear, epsilon="0.25"),
    plugins.MeanCut,
    plugins.Divided,
    lambda lambda_: ma.Linear(),
    lambda lambda_: ma.Linear(),
    lambda lambda_: plugins.Soup(),
]


@st.composite
def recipes(draw):
    """Recipes of every method, scope and boundary."""
    lambda_ = draw(st.sampled_from(["1", "0.5", "-2", "0"]))
    if draw(st.integers(0, 2)):
        return draw(st.sampled_from(OTHERS))(lambda_=lambda_)
    scope, boundary = draw(st.sampled_from(["model", "tensor"])), draw(st.sampled_from(["keep_all", "lowest_index"]))
    density = draw(st.sampled_from(["0.3", "0.7", "1"]))
    return ma.Ties(density=density, lambda_=lambda_, scope=scope, boundary=boundary)


@dataclass(frozen=True)
class Model:
    """What may be contributed. weights: auxiliary tensors of the kind fisher, where the recipe needs some."""

    tensors: dict[str, np.ndarray]
    form: str
    coefficient: str
    weights: dict[str, np.ndarray]

    def contribute(self, workspace, path):
        """Contribute it, where it lies in a file."""
        leave = [name for name in SHAPES if name not in self.tensors] if self.form == "finetuned" else []
        auxiliary = {"fisher": self.weights} if self.weights else {}
        return workspace.contribute(path, self.coefficient, form=self.form, leave=leave, auxiliary=auxiliary)


@st.composite
def histories(draw):
    """A base, a recipe, contributions with their forms and coefficients, and which of them come and go, in turns."""
    dtype, recipe = draw(st.sampled_from(sorted(DTYPES))), draw(recipes())
    start = {name: array for name in SHAPES for array in [draw(models(dtype, VALUES)).get(name)]}
    start = {
        name: np.zeros(shape, DTYPES[dtype]) if start[name] is None else start[name] for name, shape in SHAPES.items()
    }
    coefficients = ["1", "1", "0.5", "3", "0.1"] + (["-2"] if recipe.needs.negative else [])
    wide = [] if dtype == "F16" else WIDE + EXTREME * draw(st.sampled_from([0, 0, 1]))
    pool = []
    for _ in range(draw(st.integers(4, 7))):
        form = draw(st.sampled_from(["finetuned", "task_vector"]))
        stored = dtype if form == "finetuned" else draw(st.sampled_from(["F32", dtype]))
        values = VALUES + (wide if form == "task_vector" else [])
        tensors = draw(models(stored, values))
        random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
        sizes = [0, 0, 1, 3, 2.0**-149, 2.0**54]
        weights = {name: np.float32(random.choice(sizes, array.shape)) for name, array in tensors.items()}
        needed = weights if recipe.needs.auxiliary else {}
        pool.append(Model(tensors, form, draw(st.sampled_from(coefficients)), needed))
    turns = draw(st.lists(st.sets(st.integers(0, len(pool) - 1), min_size=1, max_size=2), min_size=2, max_size=6))
    return start, recipe, pool, turns


@pytest.mark.clause("EX-3", "EX-5", "EX-8", "MG-6", "MG-8", "LK-3", "SY-9")
@settings(max_examples=40)
@given(history=histories(), backend=st.sampled_from(KERNELS))
def test_any_history_gives_what_a_merge_in_full_gives(tmp_path_factory, history, backend):
    start, recipe, pool, turns = history
    backend = backend if is_fused(recipe, "numba") else "numpy"
    root = tmp_path_factory.mktemp("history")
    with pytest.MonkeyPatch.context() as patch:
        for module in (pages, keeper):
            patch.setattr(module, "PAGE", 8)
        write_file(root / "base.safetensors", start)
        workspace = ma.Workspace.init(root / "workspace", base=root / "base.safetensors", recipe=recipe)
        for number, model in enumerate(pool):
            path = write_file(root / f"model{number}.safetensors", model.tensors)
            try:
                model.contribute(workspace, path)
            except MergeAlgebraError:  # a difference that no fp32 number is
                path.unlink()
        for turn in [set(), *turns]:
            _take_turn(workspace, root, pool, turn)
            if workspace.visible():
                _check_turn(workspace, backend)
    shutil.rmtree(root)


def _take_turn(workspace, root, pool, turn):
    """Retract each contribution of a turn that is visible, and bring back each that is not."""
    for number in turn:
        path = root / f"model{number}.safetensors"
        if not path.exists():
            continue
        seen = set(workspace.visible())
        id_ = pool[number].contribute(workspace, path)
        if id_ in seen:
            workspace.retract(id_)


def _check_turn(workspace, backend):
    out = workspace.path.parent / "out"
    in_full = outcome(workspace, out, backend=backend)
    kept = outcome(workspace, out, backend=backend, keep_aggregate="always")
    assert kept[0] == in_full[0]
    if isinstance(kept[0], dict):
        event(f"changes: {kept[1].changes}")
        assert not kept[1].problem or "certificate" in kept[1].problem
    else:
        event("an error")
        assert kept == in_full


@pytest.mark.clause("MG-8")
@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("method", RECIPES)
def test_both_kernels_keep_the_same_bytes(tmp_path, method):
    write_models(tmp_path, 6)
    made = {backend: _pages_over_time(tmp_path, backend, RECIPES[method]) for backend in KERNELS}
    assert made["numba"] == made["numpy"]


def _pages_over_time(root, backend, recipe):
    """The bytes of the pages, and what the header says of contributions, after each of some changes."""
    workspace = ma.Workspace.init(root / backend, base=root / "base", recipe=recipe)
    ids, found = [], []
    for step in (0, 1, 2, 3, (4, "0.5"), None, 5):
        if step is None:
            workspace.retract(ids[1])
        else:
            ids.append(contribute(workspace, *(step if isinstance(step, tuple) else (step,))))
        check_kept(workspace, backend)
        found.append((pages_of(workspace).read_bytes(), header_of(workspace).entries))
    return found


# What is read


def reads(monkeypatch):
    """Counts the bytes read of each file from now on, by name."""
    found = Counter()
    real = File.read_into

    def counted(self, buffer, offset):
        found[self.path.stem] += len(buffer)
        return real(self, buffer, offset)

    monkeypatch.setattr(File, "read_into", counted)
    return found


def contributions_of(workspace, read):
    """The contributions whose blobs were read."""
    adds = [item.payload.manifest for item in workspace.state.operations if hasattr(item.payload, "manifest")]
    return {manifest.id for manifest in adds if manifest.tensors in read}


class TestReading:
    """One pass over what changed, whatever the number of others."""

    @pytest.mark.clause("EX-5", "SY-9")
    @pytest.mark.parametrize("backend", KERNELS)
    def test_nothing_but_what_changed_is_read(self, alice, monkeypatch, backend):
        before = set(alice.visible())
        added = contribute(alice, 4)
        alice.retract(sorted(before)[0])
        alice.resolve(alice.path.parent / "first")  # finds the thresholds
        read = reads(monkeypatch)
        result = alice.resolve(alice.path.parent / "out", backend=backend, keep_aggregate="always")
        assert result.aggregate == keeper.Outcome("", 2)
        assert result.kept_aggregate
        assert contributions_of(alice, read) == {added, sorted(before)[0]}
        sizes = {manifest.tensors: manifest.elements * 4 for manifest in alice.visible().values()}
        assert read[alice.visible()[added].tensors] == sizes[alice.visible()[added].tensors]

    @pytest.mark.clause("SY-9")
    def test_nothing_changed_nothing_is_read_or_written(self, alice, monkeypatch):
        before, read = tree(folder_of(alice)), reads(monkeypatch)
        assert alice.resolve(alice.path.parent / "out", keep_aggregate="always").aggregate == keeper.Outcome("", 0)
        assert contributions_of(alice, read) == set()
        assert tree(folder_of(alice)) == before

    @pytest.mark.clause("SY-9")
    def test_as_many_changes_as_contributions_are_merged_in_full(self, alice):
        ids = list(alice.visible())
        alice.retract(ids[0])
        alice.retract(ids[1])
        assert check_kept(alice).changes is None
        alice.retract(ids[2])
        assert check_kept(alice).changes is None

    @pytest.mark.clause("SY-9")
    def test_without_being_asked_for_it_is_neither_used_nor_touched(self, alice, monkeypatch):
        before, read = tree(folder_of(alice)), reads(monkeypatch)
        assert alice.resolve(alice.path.parent / "out").aggregate is None
        assert contributions_of(alice, read) == set(alice.visible())
        assert tree(folder_of(alice)) == before


# What may have happened to it


def _flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def _replaced_by_pipe(path):
    path.unlink()
    os.mkfifo(path)


def _replaced_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "first byte of the pages": lambda w: _flip(pages_of(w), 0),
    "last byte of the pages": lambda w: _flip(pages_of(w), -1),
    "pages cut short": lambda w: os.truncate(pages_of(w), pages_of(w).stat().st_size - 1),
    "pages grown": lambda w: os.truncate(pages_of(w), pages_of(w).stat().st_size + 1),
    "pages gone": lambda w: pages_of(w).unlink(),
    "pages a pipe": lambda w: _replaced_by_pipe(pages_of(w)),
    "pages a folder": lambda w: _replaced_by_folder(pages_of(w)),
    "header flipped": lambda w: _flip(folder_of(w) / HEADER, 100),
    "header cut short": lambda w: os.truncate(folder_of(w) / HEADER, 40),
    "header empty": lambda w: os.truncate(folder_of(w) / HEADER, 0),
    "header gone": lambda w: (folder_of(w) / HEADER).unlink(),
    "folder gone": lambda w: shutil.rmtree(folder_of(w)),
}


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_aggregate_is_made_anew(alice, damage):
    DAMAGES[damage](alice)
    alice.retract(next(iter(alice.visible())))
    assert check_kept(alice) == keeper.Outcome("", None)
    assert check_kept(alice) == keeper.Outcome("", 0)


FOREIGN = {
    "recipe": lambda root: ma.Workspace.init(root / "bob", base=root / "base", recipe=ma.Ties(density="0.25")),
    "base": lambda root: ma.Workspace.init(root / "bob", base=root / "half", recipe=RECIPES["ties"]),
}


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("what", FOREIGN)
def test_an_aggregate_of_another_merge_is_not_used(alice, what):
    root = alice.path.parent
    write_folder(root / "half", {**base(), "layer.0.bias": np.ones(4, np.float32)})
    bob = FOREIGN[what](root)
    for number in range(4):
        contribute(bob, number)
    check_kept(bob)
    shutil.rmtree(folder_of(alice))
    shutil.copytree(folder_of(bob), folder_of(alice))
    assert check_kept(alice) == keeper.Outcome("", None)


@pytest.mark.clause("SY-9")
def test_an_aggregate_of_another_replica_is_not_used_however_good_it_is(alice):
    root = alice.path.parent
    bob = ma.Workspace.init(root / "bob", base=root / "base", recipe=RECIPES["ties"])
    for number in (0, 1, 2, 3, 5):
        contribute(bob, number)
    check_kept(bob)
    contribute(alice, 5)
    shutil.rmtree(folder_of(alice))
    shutil.copytree(folder_of(bob), folder_of(alice))
    assert check_kept(alice) == keeper.Outcome("", None)


@pytest.mark.clause("SY-8", "SY-9")
def test_what_dead_processes_left_goes(alice):
    for name in ("0123456789abcdef.bin", "0123456789abcdef.new", "fedcba9876543210.new"):
        (folder_of(alice) / name).write_bytes(b"x")
    (folder_of(alice) / "mine.txt").write_bytes(b"x")
    alice.resolve(alice.path.parent / "out", keep_aggregate="always")
    assert sorted(path.name for path in folder_of(alice).iterdir()) == sorted(
        [pages_of(alice).name, HEADER, "mine.txt"]
    )


# Blobs


def blob_of(workspace, id_):
    """Where a contribution's tensors are."""
    (manifest,) = {
        item.payload.manifest
        for item in workspace.state.operations
        if hasattr(item.payload, "manifest") and item.payload.manifest.id == id_
    }
    return workspace.store.blob_path(manifest.tensors)


@pytest.mark.clause("EX-5", "SY-6", "SY-9")
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: _flip(path, -1)], ids=["gone", "damaged"])
def test_a_retracted_blob_that_is_not_good_means_a_merge_in_full(alice, damage):
    first = next(iter(alice.visible()))
    alice.retract(first)
    damage(blob_of(alice, first))
    assert check_kept(alice) == keeper.Outcome("", None)


@pytest.mark.clause("EX-5", "SY-9")
@pytest.mark.parametrize("backend", KERNELS)
def test_what_is_taken_out_is_what_was_put_in(tmp_path, backend):
    """Without thresholds nothing is proved by counting: only its root tells that the blob has changed."""
    workspace, ids = of_task_vectors(tmp_path, ma.Mean(), [[1, 1], [2, 1], [3, 1]])
    check_kept(workspace, backend)
    workspace.retract(ids[0])
    _flip(blob_of(workspace, ids[0]), -2)
    assert check_kept(workspace, backend) == keeper.Outcome("", None)


@pytest.mark.clause("EX-5", "EX-8", "SY-9")
@pytest.mark.parametrize("wanted", [True, False], ids=["read again for want of a certificate", "retracted"])
def test_auxiliary_tensors_are_what_was_put_in(tmp_path, wanted):
    vectors, weights = [[2.0**60 if wanted else 2, 1], [1, 1], [3, 1], [4, 1]], [[5, 1], [6, 1], [7, 1], [8, 1]]
    workspace, ids = of_task_vectors(tmp_path, ma.Fisher(), vectors, weights=weights)
    check_kept(workspace, "numpy")
    (entry,) = workspace.visible()[ids[1 if wanted else 0]].auxiliary
    workspace.retract(ids[0])
    _flip(workspace.store.blob_path(entry.root), -6)  # in the first element
    if not wanted:
        assert check_kept(workspace, "numpy") == keeper.Outcome("", None)
        return
    with pytest.raises(BlobDamaged):
        workspace.resolve(tmp_path / "out", keep_aggregate="always")


@pytest.mark.clause("EX-5", "SY-9")
def test_a_retracted_blob_that_cannot_be_read_means_a_merge_in_full(alice, monkeypatch):
    first = next(iter(alice.visible()))
    alice.retract(first)
    path, real = blob_of(alice, first), File.read_into

    def failing(self, buffer, offset):
        if self.path == path:
            raise OSError(5, "Input/output error")
        return real(self, buffer, offset)

    monkeypatch.setattr(File, "read_into", failing)
    assert check_kept(alice) == keeper.Outcome("", None)


@pytest.mark.clause("SY-6")
def test_a_blob_that_is_not_here_stops_it(alice):
    contribute(alice, 4)
    blob_of(alice, next(iter(alice.visible()))).unlink()
    with pytest.raises(BlobMissing, match="sync with a peer"):
        alice.resolve(alice.path.parent / "out", keep_aggregate="always")


@pytest.mark.clause("SY-6")
def test_an_added_blob_that_is_damaged_stops_it_and_poisons_nothing(alice):
    before = tree(folder_of(alice))
    path = blob_of(alice, contribute(alice, 4))
    good = path.read_bytes()
    _flip(path, -2)
    with pytest.raises(BlobDamaged, match="delete the file and sync again"):
        alice.resolve(alice.path.parent / "out", keep_aggregate="always")
    assert not (alice.path.parent / "out").exists()
    assert tree(folder_of(alice)) == before
    path.write_bytes(good)
    assert check_kept(alice).changes == 1


@pytest.mark.clause("EX-3", "SY-6")
def test_a_blob_that_is_read_again_for_want_of_a_certificate_is_checked(tmp_path):
    vectors = [[2.0**60, 1], [1, 1], [3, 1], [4, 1]]
    workspace, ids = of_task_vectors(tmp_path, ma.Mean(), vectors)
    check_kept(workspace)
    workspace.retract(ids[3])
    _flip(blob_of(workspace, ids[1]), -6)  # in the first element
    with pytest.raises(BlobDamaged):
        workspace.resolve(tmp_path / "out", keep_aggregate="always")


@pytest.mark.clause("SY-9", "TI-3")
def test_a_wrong_threshold_in_the_cache_is_found_out(alice):
    contribute(alice, 4)
    cache = alice.path / "cache" / "thresholds"
    known = {path.name: path.read_bytes() for path in cache.iterdir()}
    alice.resolve(alice.path.parent / "first")
    (new,) = [path for path in cache.iterdir() if path.name not in known]
    right = new.read_bytes()
    wrong = next(data for data in known.values() if data != right)
    new.write_bytes(wrong)
    first = alice.path.parent / "first" / "model.safetensors"
    result = alice.resolve(alice.path.parent / "second", keep_aggregate="always")
    assert (alice.path.parent / "second" / "model.safetensors").read_bytes() == first.read_bytes()
    assert result.aggregate is not None
    assert result.aggregate.changes is None


# Disks and memory


@pytest.mark.clause("CL-1", "SY-9")
def test_a_disk_without_room_keeps_nothing(alice, monkeypatch):
    contribute(alice, 4)
    before = tree(folder_of(alice))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 1 << 30, 5_000))
    monkeypatch.setattr(output, "_check_space", lambda *_: None)
    aggregate = check_kept(alice)
    assert aggregate.changes == 1
    assert "its disk has 5,000 free" in aggregate.problem
    assert tree(folder_of(alice)) == before


@pytest.mark.clause("CL-1", "SY-9")
@pytest.mark.parametrize("call_", ["pwrite", "replace"])
def test_a_disk_that_fills_up_keeps_nothing_and_the_merge_goes_on(alice, monkeypatch, call_):
    contribute(alice, 4)
    before, real = tree(folder_of(alice)), getattr(os, call_)

    def full(*arguments, **named):
        if call_ == "replace" and Path(arguments[1]).name != HEADER:
            return real(*arguments, **named)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call_, full)
    aggregate = check_kept(alice)
    assert aggregate == keeper.Outcome("it cannot be written: No space left on device", 1)
    assert tree(folder_of(alice)) == before
    monkeypatch.undo()
    assert check_kept(alice) == keeper.Outcome("", 1)


@pytest.mark.clause("CL-1", "LK-1", "SY-9")
def test_a_small_disk_keeps_nothing(alice, monkeypatch):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    folder = folder_of(alice)
    shutil.rmtree(folder)
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    try:
        free = shutil.disk_usage(alice.path)._replace(free=1 << 40)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: free)  # as if others filled it after we had looked
        (folder / "theirs").write_bytes(bytes(4096))
        assert check_kept(alice) == keeper.Outcome("it cannot be written: No space left on device", None)
        assert [path.name for path in folder.iterdir()] == ["theirs"]
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.clause("CL-1", "LK-1", "SY-9")
def test_a_model_that_no_longer_fits_beside_the_aggregate_is_written_without_it(alice, monkeypatch):
    contribute(alice, 4)
    out, real, failed = alice.path.parent / "out", tensor_files.write_all, []

    def full_once(descriptor, data):
        if not failed:
            failed.append(True)
            raise OSError(28, "No space left on device")
        real(descriptor, data)

    monkeypatch.setattr(tensor_files, "write_all", full_once)
    result = alice.resolve(out, keep_aggregate="always")
    assert result.aggregate == keeper.Outcome("its disk is full", None)
    assert tree(out) == outcome(alice, alice.path.parent / "again")[0]
    assert failed


@pytest.mark.clause("CL-1", "LK-1")
def test_a_model_that_cannot_be_written_at_all_is_an_error(alice, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensor_files, "write_all", full)
    with pytest.raises(OutputError, match="No space left on device"):
        alice.resolve(alice.path.parent / "out", keep_aggregate="always")


@pytest.mark.clause("MG-8")
def test_too_little_memory_keeps_nothing(alice):
    shutil.rmtree(folder_of(alice))
    in_full, _ = outcome(alice, alice.path.parent / "out", memory=2_000_000, threads=1)
    found, aggregate = outcome(alice, alice.path.parent / "out", memory=2_000_000, threads=1, keep_aggregate="always")
    assert found == in_full
    assert aggregate.problem == "there is too little memory; raise memory="


@pytest.mark.clause("MG-8")
def test_a_backend_that_cannot_keep_it_says_so(alice):
    with pytest.raises(BackendError, match="with backend numba or numpy, not 'torch'"):
        alice.resolve(alice.path.parent / "out", backend="torch", keep_aggregate="always")


# Several processes, and their deaths


@pytest.mark.clause("SY-8", "SY-9")
def test_two_processes_at_once(alice):
    contribute(alice, 4)
    script = (
        "import contextlib, sys, mergealgebra as ma\n"
        "workspace = ma.Workspace.open(sys.argv[1])\n"
        "for i in range(8):\n"
        "    if i == 4:\n"  # the other may take the same back after we saw it: then ours is refused, as it should be
        "        with contextlib.suppress(ma.errors.UnknownContribution):\n"
        "            workspace.retract(next(iter(workspace.visible())))\n"
        "    result = workspace.resolve(f'{sys.argv[2]}{i}', keep_aggregate='always', backend='numpy', threads=2)\n"
        "    print(result.merge_id, result.model_root)\n"
    )
    outs = [alice.path.parent / name for name in ("left", "right")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", script, alice.path, out], **pipes) for out in outs]
    found = set()
    for process in processes:
        said, errors = process.communicate(timeout=100)
        assert (errors, process.returncode) == ("", 0)
        found.update(tuple(line.split()) for line in said.splitlines())
    merge_ids = [merge_id for merge_id, _ in found]  # of one state or another, as the processes came to see them
    assert 2 <= len(merge_ids) == len(set(merge_ids))
    check_kept(alice)
    assert check_kept(alice) == keeper.Outcome("", 0)
    assert sorted(path.name for path in folder_of(alice).iterdir()) == sorted([pages_of(alice).name, HEADER])


@pytest.mark.clause("SY-8", "SY-9")
def test_a_process_that_dies_leaves_an_aggregate_that_serves_or_none(alice, tmp_path, monkeypatch):
    monkeypatch.setattr(private, "_bound", lambda secret, told: secret)  # each moment gets a copy of the workspace
    shutil.rmtree(folder_of(alice))
    alice.resolve(tmp_path / "again", keep_aggregate="always")
    alice.retract(next(iter(alice.visible())))
    out = tmp_path / "out"
    expected, _ = outcome(alice, out)

    def action(folder):
        ma.Workspace.open(folder).resolve(folder / "model", keep_aggregate="always", backend="numpy", threads=1)

    for moment, folder in kill_points(alice.path, action, tmp_path / "scratch"):
        survivor = ma.Workspace.open(folder)
        found, aggregate = outcome(survivor, out, keep_aggregate="always", backend="numpy")
        assert found["model.safetensors"] == expected["model.safetensors"], moment
        assert aggregate.changes in (0, 1), moment
        assert len(list(folder_of(survivor).iterdir())) == 2, moment


# The command line


@pytest.mark.clause("CL-1", "CL-2")
def test_the_report_says_whether_it_was_kept(alice):
    root = alice.path.parent
    contribute(alice, 4)
    printed = call(root, "-C", "alice", "resolve", "first", "--keep-aggregate=always", "--json").printed()
    assert (printed["aggregate"].split(":")[0], printed["changes"]) == ("kept", 1)
    assert printed["aggregate_bytes"] == pages_of(alice).stat().st_size
    lines = call(root, "-C", "alice", "resolve", "second", "--keep-aggregate=always", "--memory", "2M").lines()
    assert any("not kept: there is too little" in line for line in lines)
    assert "aggregate" not in call(root, "-C", "alice", "resolve", "third", "--json").printed()
