"""Arcee fusion: what it keeps, the sums of rows, and methods that look at the base. Vectors hold it to its clauses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra import algebra
from mergealgebra.algebra.dots import dot, row_sums
from mergealgebra.errors import RecipeError
from mergealgebra.methods.registry import unregister
from mergealgebra.methods.task_arithmetic import total
from tests.methods.merges import Case, bits, cases

F32 = np.float32


@pytest.mark.clause("MG-8", "AF-2", "AF-5")
@given(cases(st.just(ma.ArceeFusion())), st.integers(1, 8), st.integers(1, 4))
def test_blocks_threads_and_libraries_change_no_bit(case: Case, block, threads):
    one = Case(case.base, case.task_vectors[:1], case.coefficients[:1], case.recipe)
    merged, torchs = one.merged(), one.merged(backend="torch")
    assert bits(merged) == bits(torchs) == bits(one.merged(block=block, threads=threads))
    assert merged.kept == torchs.kept


@pytest.mark.clause("AF-2", "AF-3", "DT-3")
@pytest.mark.parametrize("columns", [1, 2, 3, 63, 64, 65, 4095, 4096, 4097, 12_289, 20_481])
def test_a_row_is_added_up_as_a_tensor_is(columns):
    """Of fp64 numbers, so that every addition rounds."""
    rows = np.random.default_rng(columns).standard_normal((3, columns))
    wanted = [dot(row, np.ones_like(row)) for row in rows]
    assert row_sums(rows).tolist() == row_sums(torch.from_numpy(rows)).tolist() == wanted


@pytest.mark.clause("AF-2", "AF-3", "AF-4", "AF-5")
@pytest.mark.parametrize("shape", [(64, 100), (5000,), (4, 6, 9, 3)])
def test_it_keeps_what_the_equations_keep_in_fp64(shape):
    """But for a few whose importance is as near to the threshold as fp32 numbers are to each other."""
    random = np.random.default_rng(len(shape))
    base, tau = (random.standard_normal(shape).astype(F32) * F32(scale) for scale in (0.1, 0.01))
    old, new = base.astype(np.float64), (base + tau).astype(np.float64)
    q, p = (np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True) + 1e-8 for x in (old, new))
    importance = abs(tau) * (p * np.log(p / q)).sum(axis=-1, keepdims=True)
    ascending, d = np.sort(importance, axis=None), tau.size
    q1, median, q3 = (ascending[k * (d - 1) // 4] for k in (1, 2, 3))
    merged = ma.merge({"w": base}, [{"w": tau}], ma.ArceeFusion())
    wrong = (merged["w"] != base) != (importance >= median + 1.5 * (q3 - q1))
    assert wrong.sum() <= d // 2000
    assert 0 < merged.kept[0] < d // 4


class Pull(ma.Method):
    """Away from the base: the base once more, and no change."""

    name, distribution, version = "pull", "tests", "1"

    @property
    def rounds(self):
        def lift(view):
            xp = algebra.array_namespace(view.tau)
            return algebra.Terms((xp.astype(view.base, xp.float32) + 0.0,))

        return (algebra.Round(lift, total),)

    @property
    def needs(self):
        return algebra.Needs(base=True)


@pytest.fixture
def _registered():
    ma.register(Pull)
    yield
    unregister("pull")


@pytest.mark.clause("RC-11", "EX-4")
@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_method_sees_the_base_and_has_then_no_aggregate(backend):
    base = {"w": np.array([1, -2, 0.5], np.float16)}
    assert ma.merge(base, [{"w": F32([7, 7, 7])}], Pull(), backend=backend)["w"].tolist() == [2, -4, 1]
    with pytest.raises(RecipeError, match=r"^pull looks at the base, which an aggregate has not, so it has no"):
        ma.Aggregate.lift(Pull(), "one", base)
