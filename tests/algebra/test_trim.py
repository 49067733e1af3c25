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


def found_by_counting(tau: np.ndarray, m: int, window: trim.Window, array=np.asarray) -> tuple[int, int, int]:
    """The bits of the m-th largest magnitude, its rank among those equal to it, and how many those are.

    window: where to look first, as after a guess; the guess may have been wrong.
    """
    while True:
        counts = np.asarray(trim.window_counts(array(tau), window))
        at = trim.locate(counts, m)
        if at is None:
            window = trim.ALL
            continue
        bin_, rank = at
        if not window.shift:
            return window.low + bin_, rank, int(counts[bin_])
        window = window.inside(bin_)


def windows() -> st.SearchStrategy[trim.Window]:
    """All magnitudes, or those around one of the coarse values, one of their neighbours, or any magnitude."""
    bits = COARSE.map(lambda x: int(np.float32(abs(x)).view(np.int32)))
    near = st.tuples(bits, st.sampled_from([0, 1, 1 << 16, (1 << 16) + 1])).map(sum)
    return st.one_of(st.just(trim.ALL), st.one_of(bits, near, st.integers(0, 0x7F7FFFFF)).map(trim.around))


@pytest.mark.clause("TI-3", "TI-4", "TI-5")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("boundary", ["keep_all", "lowest_index"])
@given(tau=vectors().filter(len), numerator=st.integers(1, 20), cut=st.integers(0, 40), window=windows())
def test_counting_keeps_what_sorting_keeps(array, boundary, tau, numerator, cut, window):
    m = trim.kept_count(Fraction(numerator, 20), tau.size)
    bits, rank, equal = found_by_counting(tau, m, window, array)
    threshold = trim.Threshold(bits) if bits else trim.Threshold()
    if bits and boundary == "lowest_index" and rank < equal:
        threshold = trim.Threshold(bits, int(np.flatnonzero(trim.magnitude_bits(tau) == bits)[rank - 1]) + 1)
    cut = min(cut, tau.size)
    blocks = [(0, cut), (cut, tau.size)]
    trimmed = np.concatenate([np.asarray(trim.trim(array(tau[a:b]), *threshold.within(a, b))) for a, b in blocks])
    kept = kept_by_sorting(tau, m, boundary)
    assert np.flatnonzero(trimmed).tolist() == kept
    assert (trimmed[kept] == tau[kept]).all()
    above = int(np.count_nonzero(trim.magnitude_bits(tau) > threshold.bits))
    assert trim.holds(threshold.bits, threshold.ties is not None, boundary, m, len(kept), above)


@pytest.mark.clause("TI-3")
@given(
    values=st.lists(finite_fp32(), min_size=1, max_size=40),
    share=st.fractions(0, 1).filter(lambda share: share > 0),
)
def test_a_guess_has_the_sample_s_own_threshold_in_its_middle(values, share):
    bits = trim.magnitude_bits(np.array(values, np.float32))
    window = trim.guess(bits, share)
    rank = max(1, round(len(values) * float(share)))
    expected = sorted(bits.tolist(), reverse=True)[min(rank, len(values)) - 1]
    middle = window.low + window.bins // 2
    assert window.shift == 0
    assert 1 << 17 <= window.bins <= 1 << 20
    assert middle == max(expected, window.bins // 2)
    assert window.low <= expected < window.low + window.bins


def test_a_guess_reaches_to_the_next_values_of_a_grid_where_the_sample_is_unsure():
    """A thousand of 65,536 lie at 1.03125: four deviations from the share that takes them all, and then one in ten."""
    bits = trim.magnitude_bits(np.repeat(np.float32([1, 1.03125, 1.0625]), [50_000, 1_000, 14_536]))
    for share, reaches in ((Fraction(15_536, 1 << 16), True), (Fraction(1, 10), False)):
        window = trim.guess(bits, share)
        assert (window.low <= 0x3F800000) == reaches


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
