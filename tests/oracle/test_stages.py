"""Methods that drop and then sum give the oracle's bits for what they left of each task vector [DA-2, BC-4, DE-5].

The oracle knows sums, means and TIES, and no random masks. What a stage leaves of a task vector is the merge of it
alone, over a base of zeros, which the vectors of `spec/vectors` judge; all behind it is judged here: the exact sum or
the election, lambda, the base's dtype.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import decimals
from mergealgebra.methods.method import Method, field_of
from mergealgebra.tensors.dtypes import DTYPES
from tests.kernels.blocks import FLOATS, numbers
from tests.oracle.merges import Case, Entry, written

#: Drops and adds: what the stage is asked with, and what the oracle is asked behind it. TIES has its trim left out.
METHODS: dict[str, tuple[type[Method], dict[str, str]]] = {
    "dare_linear": (ma.DareLinear, {"density": "0.5", "seed": "3"}),
    "breadcrumbs": (ma.Breadcrumbs, {"density": "0.5", "gamma": "0.2"}),
    "breadcrumbs by row": (ma.Breadcrumbs, {"density": "0.5", "gamma": "0.2", "scope": "row"}),
    "della_linear": (ma.DellaLinear, {"density": "0.5", "epsilon": "0.25", "seed": "3"}),
}
#: The same before TIES.
BEFORE_TIES = {ma.DareLinear: ma.DareTies, ma.Breadcrumbs: ma.BreadcrumbsTies, ma.DellaLinear: ma.Della}
#: Numba computes DARE alone of these.
ASKED = [*((title, backend) for title in METHODS for backend in ("numpy", "torch")), ("dare_linear", "numba")]
SHAPES = {"a": (3, 5), "b": (17,), "c": ()}


@st.composite
def models(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]], list[str]]:
    """A base in any dtypes, up to five task vectors in fp32 that hold some tensors, their coefficients."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    kind = draw(st.sampled_from(["near 1", "coarse"]))

    def tensor(name: str, dtype: str) -> np.ndarray:
        return numbers(rng, int(np.prod(SHAPES[name])), dtype, kind).reshape(SHAPES[name])

    base = {name: tensor(name, draw(st.sampled_from(FLOATS))) for name in SHAPES}
    held = draw(st.lists(st.lists(st.sampled_from([*SHAPES]), unique=True, min_size=1), min_size=1, max_size=5))
    vectors = [{name: tensor(name, "F32") for name in names} for names in held]
    return base, vectors, [draw(st.sampled_from(["1", "0.5", "0.3", "3"])) for _ in vectors]


def left_of(vector: dict[str, np.ndarray], recipe: Method) -> dict[str, np.ndarray]:
    """What the stage of a method that then sums leaves of a task vector."""
    return dict(ma.merge({name: np.zeros_like(array) for name, array in vector.items()}, [vector], recipe))


@pytest.mark.clause("DA-2", "DA-3", "BC-4", "DE-5", "MG-8")
@pytest.mark.parametrize(("title", "backend"), ASKED)
def test_what_is_left_is_merged_as_the_oracle_merges_it(oracle, title, backend):
    method, keys = METHODS[title]
    options = {field_of(key): text for key, text in keys.items()}

    @settings(max_examples=25, database=None)
    @given(models(), st.sampled_from(["1", "0.7", "-2"]), st.booleans())
    def agree(models, lambda_: str, elect: bool) -> None:
        base, vectors, coefficients = models
        kind = BEFORE_TIES[method] if elect else method
        found = ma.merge(base, vectors, kind(**options, lambda_=lambda_), coefficients, backend=backend)
        behind = ma.Ties(lambda_=lambda_) if elect else ma.TaskArithmetic(lambda_=lambda_)
        left = [left_of(vector, method(**options)) for vector in vectors]
        entries = (
            Entry("task_vector", decimals.rounded(c), tensors) for c, tensors in zip(coefficients, left, strict=True)
        )
        answer = oracle.ask(Case(base, tuple(entries), behind).request())
        assert written(found) == answer["tensors"]

    agree()


def test_the_stages_leave_something_and_drop_something():
    rng = np.random.default_rng(0)
    vector = {"a": rng.standard_normal((3, 5)).astype(DTYPES["F32"].numpy)}
    for method, keys in METHODS.values():
        left = left_of(vector, method(**{field_of(key): text for key, text in keys.items()}))["a"]
        assert 0 < np.count_nonzero(left) < left.size
