"""The methods of crdt-merge 0.11.0: its recorded answers, and what a merge with them keeps to."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects import scalars, singular
from mergealgebra.dialects.crdt_merge import EQUATIONS
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.dialects.strategy_round import round_of
from mergealgebra.errors import BackendError, MethodError, NamesError, NonFinite
from mergealgebra.methods.in_dialect import InDialect
from tests.workspace.replicas import make_workspace, write_models

CRDT = "crdt-merge-0.11"
RECORDED = json.loads(
    (Path(__file__).parents[2] / "spec" / "conformance" / f"{CRDT}.answers.json").read_text(encoding="utf-8")
)
#: As NA-6 has them; nothing here is not equal.
BOUNDS = dict.fromkeys(("slerp", "weight_scope_alignment", "dam", "star", "adarank"), 2.0**-40) | {
    "ada_merging": 2.0**-30
}


def merged(method: str, base, models, weights=None, **settings):
    given = {key: str(settings.get(key, s.default)) for key, s in STRATEGIES[CRDT][method].settings.items()}
    texts = ["1"] * len(models) if weights is None else [repr(weight) for weight in weights]
    whole = [WholeModel(f"model {i}", {"w": m}, t) for i, (m, t) in enumerate(zip(models, texts, strict=True))]
    return round_of(method, CRDT, given).merge({"w": base}, whole)[0]["w"]


def numbers(texts, case) -> np.ndarray:
    return np.array([float.fromhex(text) for text in texts]).reshape(case["shape"])


@pytest.mark.clause("NA-5", "NA-6", "NA-7", "NA-8", "NA-9", "NA-10")
@pytest.mark.parametrize("method", STRATEGIES[CRDT])
def test_its_recorded_answers(method):
    cases = [case for case in RECORDED if case["method"] == method]
    assert len(cases) >= 3
    for case in cases:
        base, *models = (numbers(texts, case).astype(case["dtype"]) for texts in (case["base"], *case["models"]))
        found = merged(method, base, models, map(float.fromhex, case["weights"]), **case["settings"])
        wanted = numbers(case["answer"], case)
        if method in BOUNDS:
            assert np.abs(found - wanted).max() <= BOUNDS[method] * np.abs(models).max()
        else:
            assert np.array_equal(found, wanted)


@pytest.mark.clause("NA-5")
def test_every_method_has_an_equation():
    assert EQUATIONS.keys() == STRATEGIES[CRDT].keys()


@pytest.mark.clause("NA-4", "NA-8")
def test_vectors_of_no_length():
    zero, one = np.zeros(2), np.array([3.0, 4.0])
    assert merged("slerp", zero, [zero, one], t="0.25").tolist() == [0.75, 1]
    assert merged("slerp", zero, [one, zero], t="0.25").tolist() == [2.25, 3]
    assert merged("slerp", zero, [zero, zero]).tolist() == [0, 0]
    assert merged("weight_scope_alignment", zero, [zero, zero + 2]).tolist() == [1, 1]


@pytest.mark.clause("NA-4")
@pytest.mark.parametrize("method", STRATEGIES[CRDT])
def test_one_contribution_no_elements_and_equal_ones(method):
    base, model = np.float32([[1, 2], [3, 4]]), np.float32([[1, 3], [3, 0]])
    assert merged(method, base, [model]).tolist() == model.tolist()
    assert merged(method, base[:, :0], [model[:, :0]] * 2).shape == (2, 0)
    assert np.isfinite(merged(method, base, [base, base])).all()


@pytest.mark.clause("NA-4")
def test_a_difference_stands_for_base_plus_it_and_what_differs_is_counted():
    base, model = np.float32([1, 2, 3]), np.float32([1, 4, 0])
    forms = [WholeModel("a", {"w": model}), WholeModel("b", {"w": model - base}, form="task_vector")]
    other = WholeModel("c", {"w": base})
    (one, kept), (two, same) = (
        round_of("linear", CRDT, {"t": "0.5"}).merge({"w": base}, [form, other]) for form in forms
    )
    assert one["w"].tolist() == two["w"].tolist() == [1, 3, 1.5]
    assert kept == same == [{"w": 2}, {"w": 0}]


@pytest.mark.clause("NA-4", "MG-8")
def test_a_merge_in_memory_and_what_it_refuses():
    base = {"a": np.float32([1, 2]), "b": np.float16([1, 2]), "n": np.int64([3])}
    vectors = [{"a": np.float32([1, 0]), "b": np.float32([0, i])} for i in (2, 4)]
    result = ma.merge(base, vectors, InDialect("led_merge", CRDT))
    assert {name: array.tolist() for name, array in result.items()} == {"a": [2, 2], "b": [1, 4], "n": [3]}
    assert result["b"].dtype == np.float16
    with pytest.raises(NamesError, match=r"task vector 1 lacks tensor 'b': dialect crdt-merge-0.11 wants the same"):
        ma.merge(base, [vectors[0], {"a": vectors[1]["a"]}], InDialect("emr", CRDT))
    with pytest.raises(NonFinite, match="task vector 0: tensor 'a': element 1 is nan"):
        ma.merge(base, [{"a": np.float32([1, np.nan])}], InDialect("emr", CRDT))
    with pytest.raises(BackendError, match=r"'torch' has no emr in dialect crdt-merge-0.11"):
        ma.merge(base, vectors, InDialect("emr", CRDT), backend="torch")


@pytest.mark.clause("NA-10")
def test_large_matrices_are_refused():
    large = np.zeros((1024, 257))
    with pytest.raises(MethodError, match="a matrix of 263,168 elements is too large"):
        merged("star", large, [large, large])


@pytest.mark.clause("NA-3", "NA-4", "RC-9")
def test_a_workspace_with_such_a_recipe(tmp_path):
    """Replicas that heard in another order agree, the model verifies, and its card says whose method it is."""
    write_models(tmp_path)
    recipe = InDialect("slerp", CRDT, t="0.3")
    alice, bob = (make_workspace(tmp_path, n, *o, recipe=recipe) for n, o in (("a", (0, 1, 2)), ("b", (2, 0, 1))))
    one, two = alice.resolve(tmp_path / "one"), bob.resolve(tmp_path / "two")
    assert one.model_root == two.model_root
    assert ma.verify(tmp_path / "one", against=alice).ok
    assert "slerp, as crdt-merge-0.11 computes it" in (tmp_path / "one" / "README.md").read_text()
    assert ma.Workspace.open(tmp_path / "a").recipe == recipe
    kept = alice.resolve(tmp_path / "three", keep_aggregate="always")
    assert "no exact sums" in kept.aggregate.problem


@pytest.mark.clause("NA-6")
def test_numbers_that_cross_elements():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(1e-12, 1, 999), 2.0 ** rng.integers(-60, 60, 99), [0.5, 1.0, math.sqrt(0.5)]])
    exact = np.array([math.log(value) for value in x])
    assert np.abs(scalars.log(x) - exact).max() <= 2 * np.spacing(np.abs(exact)).max()
    assert scalars.log(np.ones(1)) == 0
    assert scalars.total(np.array([1e300, 1.0, -1e300])) == 1
    assert scalars.total(np.array([np.inf, 1.0])) == math.inf
    shuffled = rng.permutation(x)
    assert (scalars.norm(x), scalars.deviation(x)) == (scalars.norm(shuffled), scalars.deviation(shuffled))


@pytest.mark.clause("NA-6")
@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (4, 7), (5, 5), (2, 9)])
def test_singular_values(shape):
    matrix = np.random.default_rng(1).standard_normal(shape)
    matrix[:, -1] = matrix[:, 0]
    turned, values, right = singular.rotated(matrix)
    assert np.allclose(values, np.linalg.svd(matrix)[1], atol=1e-13)
    assert np.allclose(singular.product(turned, right), matrix, atol=1e-13)
    assert (np.diff(values) <= 0).all()


@pytest.mark.clause("NA-4")
@pytest.mark.parametrize("method", sorted(STRATEGIES[CRDT].keys() - {"evolutionary_merge", "genetic_merge"}))
@pytest.mark.parametrize("models", [2, 6])
def test_memory_is_bounded_by_what_is_told(method, models):
    """star and adarank on a vector: of matrices they take more time than memory."""
    rng, d = np.random.default_rng(0), 1 << 15
    base = rng.standard_normal(d).astype(np.float16)
    whole = [WholeModel(str(i), {"w": base + rng.standard_normal(d).astype(np.float16)}) for i in range(models)]
    round_ = InDialect(method, CRDT).rounds[0]
    round_.merge({"w": base[:8]}, [WholeModel(m.label, {"w": m.tensors["w"][:8]}) for m in whole])
    tracemalloc.start()
    round_.merge({"w": base}, whole)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= round_.nbytes(["F16"], d, 2 * d * (models + 1), models)
