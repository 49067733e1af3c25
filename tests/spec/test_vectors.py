"""Every conformance vector on this implementation; every merge on every backend and in several cuts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.kernels import reference
from mergealgebra.kernels.fused_methods import is_fused
from mergealgebra.methods.registry import METHODS
from tests.spec.checks import CHECKS, function_with
from tests.spec.reductions import label, merge_in_workspace, merge_with, task_vector_with, trim_with
from tests.spec.vectors import Json, Vector, is_the_error, vectors

#: What the package warns of is no matter here, and thousands of warnings take their time.
pytestmark = pytest.mark.filterwarnings("ignore::mergealgebra.errors.MergeAlgebraWarning")

VECTORS = list(vectors())
MERGES = [vector for vector in VECTORS if vector.check == "merge"]
#: Ways to compute a merge, none of which may change a bit or an error [MG-6, MG-8].
WAYS = {
    "numpy with numba": merge_with("numpy+numba"),
    "numpy with numba in blocks of 3, 3 threads": merge_with("numpy+numba", block=3, threads=3),
    "torch": merge_with("torch", threads=1),
    "numba": merge_with("numba"),
    "numpy in blocks of 1, 3 threads": merge_with("numpy", block=1, threads=3),
    "torch in blocks of 2": merge_with("torch", block=2, threads=1),
    "numba in blocks of 1": merge_with("numba", block=1, threads=1),
    "numba in blocks of 3, 3 threads": merge_with("numba", block=3, threads=3),
}
#: Methods that no kernel computes but the equations, on NumPy or torch.
EQUATIONS_ALONE = [name for name, method in METHODS.items() if not is_fused(method(), "numba")]
#: Task vectors and trim on the other backends, by check; `CHECKS` has NumPy's.
OTHERS = {
    "task-vector": {backend: task_vector_with(backend) for backend in ("numba", "torch")},
    "stored-task-vector": {backend: task_vector_with(backend, stored=True) for backend in ("numba", "torch")},
    "trim": {
        "numba": trim_with("numba", threads=1),
        "numba in blocks of 3": trim_with("numba", threads=2, block=3),
        "torch": trim_with("torch", threads=1),
    },
    "function": {"torch": function_with(torch.from_numpy)},
}


@pytest.fixture(autouse=True)
def _no_subnormals_flushed(monkeypatch):
    """Each worker looks first whether subnormals are flushed, which takes longer on torch than the merge of a case."""
    monkeypatch.setattr(reference, "refuse_flushed_subnormals", lambda *_: None)


def parameters(cases: list[Vector]) -> list[object]:
    return [pytest.param(v, id=v.id, marks=pytest.mark.clause(*v.clauses)) for v in cases]


def hold(vector: Vector, check: object, folder: Path) -> Json:
    """Run a check and compare; returns the answer."""
    labels = [label(i) for i in range(len(vector.input.get("contributions", [])))]
    try:
        answer = check(vector.input, folder)
    except MergeAlgebraError as error:
        assert vector.error, f"refused: {error}"
        assert is_the_error(error, vector.error, labels), f"{vector.error}, not {error!r}"
        return None
    assert vector.expected is not None, f"accepted, {vector.error} was expected"
    assert {key: answer[key] for key in vector.expected} == vector.expected
    return answer


@pytest.mark.parametrize("vector", parameters(VECTORS))
def test_vector(vector: Vector, tmp_path: Path, count_fallbacks):
    answer = hold(vector, CHECKS[vector.check], tmp_path)
    if vector.check == "merge" and answer:
        count_fallbacks(answer["uncertified"])


def takes(way: str, vector: Vector) -> bool:
    """Whether a backend has the method; that others refuse it is what kernels/test_methods_apart.py checks."""
    recipe = vector.input["recipe"]
    own = [entry for entry in recipe.get("settings", ()) if "contribution" in entry]
    dropped = recipe["method"].startswith("dare") and any({"density", "trim_density"} & entry.keys() for entry in own)
    alone = (
        dropped or recipe["method"] in EQUATIONS_ALONE or recipe.get("task", "") != "" or recipe.get("scope") == "row"
    )
    return way.startswith(("numpy", "torch")) or not alone


def hold_by_all(vector: Vector, ways: Mapping[str, object], folder: Path) -> None:
    """Run a check in several ways; a failure says which one it was."""
    for name, way in ways.items():
        try:
            hold(vector, way, folder)
        except BaseException as error:
            error.add_note(f"computed by {name}")
            raise


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("vector", parameters(MERGES))
def test_merge(vector: Vector, tmp_path: Path):
    hold_by_all(vector, {name: way for name, way in WAYS.items() if takes(name, vector)}, tmp_path)


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("vector", parameters([v for v in VECTORS if v.check in OTHERS]))
def test_equations_on_other_backends(vector: Vector, tmp_path: Path):
    hold_by_all(vector, OTHERS[vector.check], tmp_path)


#: Merges that a set of contributions can be: no list in memory, no contribution twice.
OF_SETS = [v for v in MERGES if not v.input.get("in_memory") and (v.error or {}).get("rule") != "DuplicateContribution"]


@pytest.mark.clause("SY-6", "MG-8")
@pytest.mark.parametrize("vector", parameters(OF_SETS))
def test_merge_in_a_workspace(vector: Vector, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nothing here has to survive a power cut
    if vector.error:  # what is published alone is refused alone, so another place may be named
        vector = replace(vector, error={"rule": vector.error["rule"]})
    hold(vector, merge_in_workspace, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("vector", parameters(MERGES if torch.cuda.is_available() else MERGES[:1]))
def test_merge_on_cuda(vector: Vector, tmp_path: Path):
    hold(vector, merge_with("torch-cuda"), tmp_path)
