"""Rows, statistics without a proof, several rounds, models, maxima: equal bits however they are computed."""

from __future__ import annotations

import sys
from itertools import permutations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mergealgebra as ma
from mergealgebra.errors import BackendError, CheckpointError, MethodError, Overflow
from mergealgebra.kernels.result import merged_models
from mergealgebra.methods.registry import unregister
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.methods import plugins

SHAPES = {"a": (7, 6), "b": (5,), "c": (), "d": (2, 3, 4)}


@pytest.fixture(autouse=True)
def _registered():
    for method in plugins.ALL:
        ma.register(method)
    yield
    for method in plugins.ALL:
        unregister(method.name)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A base and three fine-tunes, among them zeros of both signs and rows with ties."""
    root, random = tmp_path_factory.mktemp("kinds"), np.random.default_rng(0)
    for name in ("base", "one", "two", "three"):
        model = {key: np.asarray(random.normal(size=shape), np.float32) for key, shape in SHAPES.items()}
        model["a"][0], model["a"][1] = [0, -0.0, 0, -0.0, 0, -0.0], [1, -1, 1, -1, 1, -1]
        save_file(model, root / f"{name}.safetensors")
    return root


#: Methods of which no sums are kept, and why.
NOT_KEPT = {
    "two_rounds": "has 2 rounds",
    "mag_max": "takes maxima",
    "inverse": "follow from all contributions",
    "majority": "has 2 rounds",
}


def merged(root, out, method, order=("one", "two", "three"), **how):
    result = ma.merge(
        root / "base.safetensors", [(root / f"{name}.safetensors", "0.3") for name in order], method, out=out, **how
    )
    return result.model_root


@pytest.mark.clause("RC-11", "MG-8", "MG-13", "DT-4", "DT-5")
@pytest.mark.parametrize("method", plugins.ALL, ids=lambda method: method.name)
def test_bits_are_equal(root, tmp_path, method):
    how = [{"order": order} for order in permutations(("one", "two", "three"))]
    how += [{"block": block, "threads": threads} for block in (1, 7, 64) for threads in (1, 3)]
    how += [{"backend": backend, "block": block} for backend in ("numpy", "torch", "auto") for block in (5, None)]
    roots = {merged(root, tmp_path / str(i), method(), **each) for i, each in enumerate(how)}
    assert len(roots) == 1
    with pytest.raises(BackendError, match=f"'numba' does not compute {method.name}"):
        merged(root, tmp_path / "fused", method(), backend="numba")


@pytest.mark.clause("RC-11")
@pytest.mark.parametrize("method", plugins.ALL, ids=lambda method: method.name)
def test_a_workspace_gives_what_a_merge_of_files_gives(root, tmp_path, method):
    workspace = ma.Workspace.init(tmp_path / "w", base=root / "base.safetensors", recipe=method())
    for name in ("two", "three", "one"):
        workspace.contribute(root / f"{name}.safetensors", "0.3")
    result = workspace.resolve(tmp_path / "out")
    assert result.model_root == merged(root, tmp_path / "once", method())
    kept = workspace.resolve(tmp_path / "again", keep_aggregate="always").aggregate.problem
    assert (NOT_KEPT.get(method.name, "") in kept) and bool(kept) == (method.name in NOT_KEPT)
    assert ma.verify(tmp_path / "out", workspace.path).ok


def task_vectors(*rows):
    return {"w": np.zeros((2, 3), np.float32)}, [{"w": np.float32(row).reshape(2, 3)} for row in rows]


VALUES = {
    "the largest of a row": (plugins.RowMax, [[1, -3, 2, 4, 4, 0], [1, 1, 5, 0, 0, 0]], [0, -3, 5, 4, 4, 0]),
    "above the mean": (plugins.MeanCut, [[8, -8, 1, 1, 1, 8], [0, 0, 0, 0, 0, 1]], [8, -8, 0, 0, 0, 9]),
    "those that agree": (plugins.TwoRounds, [[4, 4, 4, 4, 4, 4], [4, 4, 4, -7, -7, -7]], [4, 4, 4, -7, -7, -7]),
    "rounds begin anew": (plugins.TwoRounds, [[8, 1, 1, 1, 1, 1], [0, 4, 0, 0, 0, 0]], [8, 4, 0, 0, 0, 0]),
    "divided by its square": (plugins.Inverse, [[2, 0, 0, 0, 0, 0], [0, 0, 2, -2, 0, 0]], [0.5, 0, 0.25, -0.25, 0, 0]),
    "mostly positive": (plugins.Majority, [[1, 1, 1, 1, -1, 0], [0, 0, 0, 0, -1, -1]], [1, 1, 1, 1, -2, -1]),
    "mostly not positive": (plugins.Majority, [[1, 1, 1, -1, -1, 0], [0, 0, 0, 0, -1, -1]], [0] * 6),
    "the largest change": (plugins.MagMax, [[1, -3, 2, 0, -2, 5], [-2, 3, 1, 0, -1, 9]], [-2, 3, 2, 0, -2, 9]),
}


@pytest.mark.parametrize(("method", "rows", "wanted"), VALUES.values(), ids=VALUES)
def test_values_are_those_of_the_equations(method, rows, wanted):
    assert ma.merge(*task_vectors(*rows), method())["w"].reshape(-1).tolist() == wanted


@pytest.mark.clause("MG-13")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_one_model_is_copied_but_for_the_sign_of_zeros(root, tmp_path, backend):
    out = tmp_path / "out.safetensors"
    ma.merge(root / "base.safetensors", [root / "one.safetensors"], plugins.Soup(), out=out, backend=backend)
    model, found = load_file(root / "one.safetensors"), load_file(out)
    assert all(found[name].tobytes() == (model[name] + np.float32(0)).tobytes() for name in SHAPES)


@pytest.mark.clause("EX-1", "MG-8")
def test_votes_that_fp64_cannot_add_are_added_exactly(monkeypatch):
    """Weights of 2^53, 1, 1, 1 and 1, whatever the coefficients: fp64 gives 2^53 in one order, 4 more in another."""
    round_ = ma.algebra.Round(
        lambda view: ma.algebra.Terms((view.tau,), votes=view.coefficient),
        lambda sums, _: ma.algebra.quotient(sums.rounded(2) - 2.0**53, 1.0),
        ma.algebra.Columns(votes=True),
        weigh=lambda gram, _: [2.0**53 if row[i] > 2 else 1.0 for i, row in enumerate(gram)],
    )
    monkeypatch.setattr(plugins.Inverse, "rounds", property(lambda self: (round_,)))
    vectors = [{"w": np.float32([x])} for x in (2, 1, 1, 1, 1)]
    for order in (vectors, vectors[::-1]):
        assert ma.merge({"w": np.float32([0])}, order, plugins.Inverse())["w"].tolist() == [4]


@pytest.mark.clause("EX-1", "EX-8")
def test_votes_without_a_certificate_are_refused(monkeypatch):
    round_ = ma.algebra.Round(
        lambda view: ma.algebra.Terms((view.tau,), votes=0.1), plugins.total, ma.algebra.Columns(votes=True)
    )
    monkeypatch.setattr(plugins.RowMax, "rounds", property(lambda self: (round_,)))
    with pytest.raises(MethodError, match=r"gave votes=0\.1; give 0, 1 or the view's coefficient, 1"):
        ma.merge(*task_vectors([1] * 6), plugins.RowMax())


@pytest.mark.clause("MG-13")
def test_the_zeros_of_a_model_are_positive():
    found = merged_models(np.zeros(2, np.float32), np.float32([-0.0, -1]))
    assert np.signbit(found).tolist() == [False, True]


@pytest.mark.clause("MG-6")
@pytest.mark.parametrize("block", [None, 3])
def test_an_overflow_is_named_where_rows_are_looked_at_together(block):
    base, vectors = task_vectors([1, 2, 3, 1, 3e38, 0])
    with pytest.raises(Overflow, match=r"task vector 0: tensor 'w' at index \[1, 1\]"):
        ma.merge(base, vectors, plugins.RowMax(), ["2"], block=block)


@pytest.fixture
def changing(monkeypatch):
    """A function: from which reading on a tensor of one file has another element, though one as small."""
    read = Checkpoint.read

    def change(at):
        reads = []

        def changed(self, name, *span, **into):
            found = read(self, name, *span, **into)
            if name == "a" and self.path.name == "two.safetensors":
                reads.append(name)
                if len(reads) >= at:
                    found = found.copy()
                    found[20] += np.float32(2**-20)
            return found

        monkeypatch.setattr(Checkpoint, "read", changed)
        monkeypatch.setattr("mergealgebra.first_look.doubts", lambda *_: [])  # it reads a sample
        return reads

    return change


@pytest.mark.clause("DT-5")
def test_a_weight_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setattr(
        plugins.Inverse,
        "rounds",
        property(
            lambda self: (
                ma.algebra.Round(plugins.weighed, plugins.total, weigh=lambda gram, coefficients: [gram[0][0] * 1e300]),
            )
        ),
    )
    with pytest.raises(MethodError, match=r"<lambda> gave \[inf\], expected a finite fp32 number for each of 1"):
        ma.merge(*task_vectors([1e20] * 6), plugins.Inverse())


#: Methods that look at more than one contribution, or at what a round gave, before they merge.
#: How often they read a file: once to merge, once for each statistic and for weights, once more for a threshold.
LATER = {
    plugins.Inverse(): 3,
    plugins.Majority(): 2,
    ma.Sce(): 2,
    ma.Sce(select_topk="0.5"): 4,
    ma.RamPlusTl(): 2,
}


@pytest.mark.clause("TI-3")
class TestAStatisticWithoutAProof:
    def test_is_found_from_what_is_merged(self, root, tmp_path, changing):
        changing(at=2)
        with pytest.raises(CheckpointError, match="changed while it was read"):
            merged(root, tmp_path / "out", plugins.MeanCut(), threads=1)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("recipe", "at"), [(recipe, at) for recipe, passes in LATER.items() for at in range(2, passes + 1)], ids=repr
    )
    def test_is_found_in_dot_products_and_later_rounds_too(self, root, tmp_path, changing, recipe, at):
        changing(at)
        with pytest.raises(CheckpointError, match="changed while it was read"):
            merged(root, tmp_path / "out", recipe, threads=1)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(("recipe", "passes"), LATER.items(), ids=repr)
    def test_is_read_no_more_often_than_needed(self, root, tmp_path, changing, recipe, passes):
        reads = changing(at=100)
        merged(root, tmp_path / "out", recipe, threads=1)
        assert len(reads) == passes

    def test_takes_two_passes(self, root, tmp_path, changing):
        honest = merged(root, tmp_path / "honest", plugins.MeanCut())
        reads = changing(at=3)
        assert merged(root, tmp_path / "out", plugins.MeanCut(), threads=1) == honest
        assert len(reads) == 2


WRONG = {
    "no terms": (lambda view: view.tau, "gave a numpy.ndarray; a lift returns algebra.Terms"),
    "no tuple": (lambda view: ma.algebra.Terms(view.tau), "as sums; write a tuple"),
    "another dtype": (lambda view: ma.algebra.Terms((view.tau * np.ones(1),)), "float64 of shape .6., expected"),
    "another shape": (lambda view: ma.algebra.Terms((view.tau[:2],)), "of shape .2., expected"),
    "two sums": (lambda view: ma.algebra.Terms((view.tau,) * 2), r"columns=algebra.Columns\(sums=2\)"),
    "an exception": (lambda view: view.theta, "raised AttributeError: .* equations use the array API"),
    "an exit": (lambda view: sys.exit(0), "raised SystemExit: .*; equations use the array API"),
}


@pytest.mark.parametrize(("lift", "message"), WRONG.values(), ids=WRONG)
def test_an_equation_that_is_wrong_is_named(monkeypatch, lift, message):
    rounds = property(lambda self: (ma.algebra.Round(lift, plugins.total),))
    monkeypatch.setattr(plugins.RowMax, "rounds", rounds)
    with pytest.raises(MethodError, match=r"tests\.methods\.test_kinds\.<lambda> .*" + message):
        ma.merge(*task_vectors([1] * 6), plugins.RowMax())


def failing(self):
    raise RuntimeError("not today")


MISSAID = {
    "rounds that fail": (
        "rounds",
        failing,
        "row_max: `rounds` raised RuntimeError: 'not today'; mend it in tests.methods",
    ),
    "needs that fail": ("needs", failing, "row_max: `needs` raised RuntimeError"),
    "words that fail": ("in_words", failing, "row_max: `in_words` raised RuntimeError"),
    "no rounds": ("rounds", lambda self: (), r"row_max: `rounds` gives \(\); it returns a tuple"),
    "a round alone": ("rounds", lambda self: ma.algebra.Round(plugins.weighed, plugins.total), "it returns a tuple"),
}


@pytest.mark.parametrize(("what", "say", "message"), MISSAID.values(), ids=MISSAID)
@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_a_method_that_says_nothing_of_use_is_named(monkeypatch, root, tmp_path, what, say, message, backend):
    monkeypatch.setattr(plugins.RowMax, what, property(say))
    with pytest.raises(MethodError, match=message):
        merged(root, tmp_path / "out", plugins.RowMax(), backend=backend)
    assert not (tmp_path / "out").exists()


NO_NUMBER = {
    "lifted": (
        lambda view: ma.algebra.Terms((view.tau * np.float32(np.nan),)),
        plugins.total,
        "lifts this to a number",
    ),
    "given": (plugins.weighed, lambda sums, _: plugins.total(sums, _) * np.float32(np.inf), "gives a number here"),
}


@pytest.mark.clause("TI-6", "MG-6")
@pytest.mark.parametrize(("lift", "finalize", "message"), NO_NUMBER.values(), ids=NO_NUMBER)
def test_numbers_of_a_method_that_are_none_are_its_own(monkeypatch, lift, finalize, message):
    monkeypatch.setattr(plugins.RowMax, "rounds", property(lambda self: (ma.algebra.Round(lift, finalize),)))
    with pytest.raises(Overflow, match=f"method row_max of tests 1 {message}"):
        ma.merge(*task_vectors([1] * 6), plugins.RowMax())
