"""PCB-Merging, and the order statistics that it is made of. Vectors hold it to its clauses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.method import Group, View
from mergealgebra.algebra.ranked import Ranked
from mergealgebra.errors import DecimalError
from tests.algebra.numbers import finite_fp32

F32 = np.float32


def every_rank(elements: int) -> list[int]:
    return [*range(1, elements + 1)]


@pytest.mark.clause("PC-2", "PC-5", "MG-8")
@given(st.lists(finite_fp32() | st.sampled_from([0.0, 1.0, -1.0]), min_size=1, max_size=12), st.integers(0, 12))
def test_ranks_are_those_of_a_sorted_list_in_any_blocks(numbers, cut):
    ordered, group = sorted(map(float, F32(numbers)), reverse=True), Group(0, ("w",), len(numbers))
    for array in (F32(numbers) + F32(0), torch.tensor(numbers, dtype=torch.float32) + 0.0):
        statistic = Ranked(every_rank, "every")
        look, done = statistic.first(group, None), False
        while not done:
            parts = [statistic.observe(look, View(x, 1.0), statistic.nothing(look)) for x in (array[:cut], array[cut:])]
            done, look = statistic.settle(look, group, statistic.combine(look, *parts))
        assert look == tuple(ordered)
    with pytest.raises(LookupError, match="fewer elements"):
        statistic.settle((), group, statistic.nothing(()))


def published(taus: np.ndarray, ratio: float) -> np.ndarray:
    """The equations in fp64, of the paper's code, with exp(n (m^2 - 1)). taus: (n, d), d a multiple of 10,000."""
    n, d = taus.shape
    ends = np.sort(np.abs(taus), axis=1)
    low, high = ends[:, d // 10_000, None], ends[:, d - d // 10_000 - 1, None]
    a = np.clip(np.abs(taus), low, high)
    score = np.exp(n * (((a - low) / (high - low)) ** 2 - 1)) * np.tanh(taus * taus.sum(axis=0))
    ascending = np.sort(score, axis=1)
    least, top = ascending[:, round(d * (1 - ratio)), None], ascending[:, -1:]
    s = (np.clip(score, least, top) - least) / (top - least)
    return (np.sign(taus) * a * s).sum(axis=0) / np.maximum(s.sum(axis=0), 1e-12)


@pytest.mark.clause("PC-2", "PC-3", "PC-4", "PC-5", "PC-6")
def test_it_is_what_the_paper_says_to_fp32():
    """20,000 elements in two tensors, of which two at either end are clamped."""
    taus = np.random.default_rng(0).standard_normal((3, 20_000)).astype(F32)
    vectors = [{"a": tau[:7], "b": tau[7:]} for tau in taus]
    zeros = {name: np.zeros_like(array) for name, array in vectors[0].items()}
    merged = ma.merge(zeros, vectors, ma.Pcb(ratio="0.25"))
    wanted = published(taus.astype(np.float64), 0.25)
    assert np.allclose(np.concatenate([merged["a"], merged["b"]]), wanted, rtol=1e-5, atol=1e-7)
    assert merged.kept == (4999,) * 3


@pytest.mark.clause("RC-4", "PC-1")
@pytest.mark.parametrize("ratio", ["0", "1.1", "a tenth"])
def test_what_is_no_ratio_is_refused(ratio):
    with pytest.raises(DecimalError, match=r"^ratio: "):
        ma.Pcb(ratio=ratio)
