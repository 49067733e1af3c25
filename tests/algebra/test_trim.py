"""Trim: the threshold by counting against one by sorting, both boundaries, any cut into blocks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import trim
from tests.algebra.numbers import finite_fp32

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
#: Few values, so that ties at the threshold are common.
COARSE = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 2.0**-149, -(2.0**-140)])


def vectors(max_size: int = 40) -> st.SearchStrategy[np.ndarray]:
    """Task vectors, with ties and without."""
    values = st.one_of(st.lists(COARSE, max_size=max_size), st.lists(finite_fp32(), max_size=max_size))
    return values.map(lambda x: np.array(x, np.float32))


def kept_by_sorting(tau: np.ndarray, m: int, boundary: str) -> list[int]:
    """The clauses TI-4 and TI-5, word by word."""
    magnitudes = np.abs(tau)
    t = sorted(magnitudes, reverse=True)[m - 1]
    if boundary == "keep_all":
        return [i for i, x in enumerate(magnitudes) if x != 0 and x >= t]
    above = [i for i, x in enumerate(magnitudes) if x != 0 and x > t]
    equal = [i for i, x in enumerate(magnitudes) if x != 0 and x == t]
    return sorted(above + equal[: m - len(above)])


def found_by_counting(tau: np.ndarray, m: int, boundary: str, array=np.asarray) -> trim.Threshold:
    high, rank = trim.locate(np.asarray(trim.high_counts(array(tau))), m)
    low_counts = np.asarray(trim.low_counts(array(tau), high))
    low, rank = trim.locate(low_counts, rank)
    return trim.threshold(high, low, rank, int(low_counts[low]), boundary)


@pytest.mark.clause("TI-3", "TI-4", "TI-5")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("boundary", ["keep_all", "lowest_index"])
@given(tau=vectors().filter(len), numerator=st.integers(1, 20), cut=st.integers(0, 40))
def test_counting_keeps_what_sorting_keeps(array, boundary, tau, numerator, cut):
    m = trim.kept_count(Fraction(numerator, 20), tau.size)
    threshold = found_by_counting(tau, m, boundary, array)
    head, tail = tau[:cut], tau[cut:]
    before = trim.tie_count(array(head), threshold)
    trimmed = np.concatenate(
        [np.asarray(trim.trim(array(head), threshold)), np.asarray(trim.trim(array(tail), threshold, before))]
    )
    kept = kept_by_sorting(tau, m, boundary)
    assert np.flatnonzero(trimmed).tolist() == kept
    assert (trimmed[kept] == tau[kept]).all()


@pytest.mark.clause("TI-3")
def test_the_number_kept_is_exact_where_floats_are_not():
    assert int(0.29 * 100) == 28
    assert trim.kept_count(Fraction("0.29"), 100) == 29
    assert trim.kept_count(Fraction("0.2"), 3) == 1
    assert trim.kept_count(Fraction("1"), 7) == 7
    assert trim.kept_count(Fraction("0.000001"), 1) == 1


@pytest.mark.clause("TI-3", "TI-4")
def test_the_paper():
    """Yadav et al., figure 1: at 20% only the largest of [1, -2, 2, 1, 3] stays."""
    base, tau = {"w": np.zeros(5, np.float32)}, {"w": np.float32([1, -2, 2, 1, 3])}
    assert ma.merge(base, [tau], ma.Ties(density="0.2"))["w"].tolist() == [0, 0, 0, 0, 3]
    assert ma.merge(base, [tau], ma.Ties(density="0.4"))["w"].tolist() == [0, -2, 2, 0, 3]
    lowest = ma.Ties(density="0.4", boundary="lowest_index")
    assert ma.merge(base, [tau], lowest)["w"].tolist() == [0, -2, 0, 0, 3]


@pytest.mark.clause("TI-2")
def test_scopes():
    """One large tensor takes all of the density of a model, and none of another tensor's."""
    base = {"a": np.zeros(2, np.float32), "b": np.zeros(2, np.float32)}
    tau = {"a": np.float32([10, 11]), "b": np.float32([1, 2])}
    whole = ma.merge(base, [tau], ma.Ties(density="0.5"))
    each = ma.merge(base, [tau], ma.Ties(density="0.5", scope="tensor"))
    assert (whole["a"].tolist(), whole["b"].tolist()) == ([10, 11], [0, 0])
    assert (each["a"].tolist(), each["b"].tolist()) == ([0, 11], [0, 2])


@pytest.mark.clause("TI-2")
def test_ties_are_cut_across_tensors_in_name_order():
    base = {"b": np.zeros(2, np.float32), "a": np.zeros(2, np.float32)}
    tau = {"b": np.float32([1, 1]), "a": np.float32([1, -1])}
    merged = ma.merge(base, [tau], ma.Ties(density="0.75", boundary="lowest_index"), block=1)
    assert (merged["a"].tolist(), merged["b"].tolist()) == ([1, -1], [1, 0])
    assert merged.kept == (3,)


@pytest.mark.clause("TI-2")
def test_empty_and_zero_tensors_keep_nothing():
    base = {"a": np.zeros(0, np.float32), "b": np.zeros(3, np.float32)}
    tau = {"a": np.zeros(0, np.float32), "b": np.zeros(3, np.float32)}
    assert ma.merge(base, [tau], ma.Ties(density="0.5", scope="tensor")).kept == (0,)
