"""Trim: the threshold by counting against one by sorting, both boundaries, any cut into blocks."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
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
    for _ in range(3):  # the guess, all magnitudes, one bin of those
        counts = np.asarray(trim.window_counts(array(tau), window))
        at = trim.locate(counts, m)
        if at is None:
            window = trim.ALL
            continue
        bin_, rank = at
        if not window.shift:
            return window.low + bin_, rank, int(counts[bin_])
        window = window.inside(bin_)
    raise AssertionError(f"no bin of {window} holds rank {m}")


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


#: 10,000 magnitudes, 1,000 bits apart: the share to keep, and the least, middle and greatest rank the window reaches.
REACHES = {
    "a quarter": (Fraction(1, 4), (7326, 7500, 7674)),
    "three quarters": (Fraction(3, 4), (2326, 2500, 2674)),
    "half": (Fraction(1, 2), (4800, 5000, 5200)),
    "the share is rounded to a rank": (Fraction(249_951, 1_000_000), (7326, 7500, 7674)),
    "one in a hundred": (Fraction(1, 100), (9860, 9900, 9940)),
}


@pytest.mark.clause("TI-3")
@pytest.mark.parametrize(("share", "reach"), REACHES.values(), ids=REACHES)
def test_a_guess_reaches_four_deviations_of_the_rank(share, reach):
    """Nothing less than 2^16 bits on either side, and as far on one as on the other."""
    low, middle, high = (1000 * rank for rank in reach)
    half = max(middle - low, high - middle + 1, 1 << 16)
    shuffled = np.random.default_rng(5).permutation(np.arange(10_000, dtype=np.int32) * 1000)
    assert trim.guess(shuffled, share) == trim.Window(middle - half, 0, 2 * half)


#: At the ends of a sample of four, 2^17 bits apart, and where the reach is cut.
ENDS = {
    "all": ([1, 2, 3, 4], Fraction(1), 1, 1 << 16),
    "the largest": ([1, 2, 3, 4], Fraction(1, 1000), 4, 1 << 17),
    "nearly all": ([1, 2, 3, 4], Fraction(999, 1000), 1, (1 << 17) + 1),
    "most is 2^19": ([1, 2, 3, 90], Fraction(1, 2), 3, 1 << 19),
    "one value": ([7], Fraction(1, 2), 7, 1 << 16),
    "all the same": ([7, 7, 7, 7], Fraction(1, 2), 7, 1 << 16),
}


@pytest.mark.clause("TI-3")
@pytest.mark.parametrize(("values", "share", "middle", "half"), ENDS.values(), ids=ENDS)
def test_a_guess_at_the_ends(values, share, middle, half):
    bits = np.array(values, np.int32) << 17
    assert trim.guess(bits, share) == trim.around(middle << 17, half)


def test_windows():
    assert trim.Window(0, 16, 1 << 15) == trim.ALL
    assert trim.ALL.inside(3) == trim.Window(3 << 16, 0, 1 << 16)
    assert trim.Window(5, 4, 8).inside(2) == trim.Window(5 + 32, 0, 16)
    assert trim.around(1 << 20) == trim.Window((1 << 20) - (1 << 16), 0, 1 << 17)
    assert trim.around(10, 4) == trim.Window(6, 0, 8)
    assert trim.around(3, 4) == trim.Window(0, 0, 8)
    assert trim.around(4, 4) == trim.Window(0, 0, 8)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_window_counts_its_bins_and_what_lies_above(array):
    tau = np.array([0, 7, 8, 9, 11, 12, 15, 16, 17, 200], np.int32).view(np.float32)
    tau[4] = -tau[4]
    assert trim.window_counts(array(tau), trim.Window(8, 2, 2)).tolist() == [3, 2, 3]
    assert trim.window_counts(array(tau), trim.Window(0, 0, 8)).tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 8]
    assert trim.window_counts(array(tau[:2]), trim.Window(8, 2, 2)).tolist() == [0, 0, 0]
    for window in (trim.Window(8, 2, 2), trim.Window(0, 0, 8), trim.Window(0, 0, 80), trim.ALL):  # of few and of many
        counts = np.full(window.bins + 1, 7)
        trim.add_counts(array(tau), window, counts)
        assert np.array_equal(counts, 7 + np.asarray(trim.window_counts(array(tau), window)))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_locate_finds_every_rank_from_above(counts):
    """The last count is of what lies above the window, so its ranks are not in it."""
    bins = [bin_ for bin_, count in reversed(list(enumerate(counts))) for _ in range(count)]
    for rank in range(1, sum(counts) + 3):
        found = trim.locate(np.array(counts, np.int64), rank)
        if rank > len(bins) or bins[rank - 1] == len(counts) - 1:
            assert found is None
        else:
            assert found == (bins[rank - 1], bins[:rank].count(bins[rank - 1]))


@pytest.mark.clause("TI-4", "TI-5")
@pytest.mark.parametrize(
    ("ties", "block", "expected"),
    [
        (None, (4, 10), 6),
        (None, (0, 0), 0),
        (7, (4, 10), 3),
        (4, (4, 10), 0),
        (3, (4, 10), 0),
        (10, (4, 10), 6),
        (11, (4, 10), 6),
    ],
)
def test_a_threshold_within_a_block(ties, block, expected):
    assert trim.Threshold(5, ties).within(*block) == (5, expected)


def test_the_least_threshold_keeps_all_but_zeros():
    assert trim.Threshold() == trim.Threshold(1, None)


@pytest.mark.parametrize(
    ("value", "field"), [(trim.Threshold(), "bits"), (trim.ALL, "low")], ids=["threshold", "window"]
)
def test_values_are_frozen(value, field):
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, 2)


@pytest.mark.clause("TI-3", "TI-4", "TI-5")
@pytest.mark.parametrize("boundary", ["keep_all", "lowest_index"])
@given(tau=vectors(6).filter(len), m=st.integers(1, 6), choice=st.integers(0, 7), ties=st.none() | st.integers(0, 6))
def test_a_threshold_holds_only_when_it_keeps_what_sorting_keeps(boundary, tau, m, choice, ties):
    """Any threshold at all, as a wrong guess may have it; the least one where there are too few elements."""
    m = min(m, tau.size)
    all_bits = trim.magnitude_bits(tau)
    bits = max(1, [1, *sorted(all_bits.tolist())][choice % (tau.size + 1)])
    threshold = trim.Threshold(bits, ties)
    kept = np.flatnonzero(trim.trim(tau, *threshold.within(0, tau.size))).tolist()
    above = int(np.count_nonzero(all_bits > bits))
    holds = trim.holds(bits, ties is not None, boundary, m, len(kept), above)
    right = kept == kept_by_sorting(tau, m, boundary)
    assert right or not holds
    m_th = sorted(all_bits.tolist(), reverse=True)[m - 1]
    if bits == max(1, m_th) and right and ties is None:
        assert holds


#: threshold, cut, boundary, m, kept, above; and whether it was the right one.
VERDICTS = {
    "exactly m": ((9, False, "keep_all", 3, 3, 2), True),
    "more than m": ((9, False, "keep_all", 3, 5, 2), True),
    "more than m, to be cut": ((9, False, "lowest_index", 3, 5, 2), False),
    "exactly m, uncut": ((9, False, "lowest_index", 3, 3, 2), True),
    "cut to m": ((9, True, "lowest_index", 3, 3, 2), True),
    "cut to fewer": ((9, True, "lowest_index", 3, 2, 2), False),
    "cut to more": ((9, True, "lowest_index", 3, 4, 2), False),
    "cut where nothing is cut": ((9, True, "keep_all", 3, 3, 2), False),
    "m above": ((9, False, "keep_all", 3, 5, 3), False),
    "more than m above": ((9, False, "keep_all", 3, 5, 4), False),
    "cut, and m above": ((9, True, "lowest_index", 3, 3, 3), False),
    "too few": ((9, False, "keep_all", 3, 2, 1), False),
    "too few, but there are no more": ((1, False, "keep_all", 3, 2, 1), True),
    "too few for lowest_index, but there are no more": ((1, False, "lowest_index", 3, 2, 1), True),
    "too few, and cut": ((1, True, "lowest_index", 3, 2, 1), False),
    "2 is not the least": ((2, False, "keep_all", 3, 2, 1), False),
}


@pytest.mark.clause("TI-3")
@pytest.mark.parametrize(("case", "right"), VERDICTS.values(), ids=VERDICTS)
def test_verdict_on_a_threshold(case, right):
    assert trim.holds(*case) is right


@pytest.mark.clause("TI-4", "TI-5")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_trim_keeps_ties_up_to_a_place_of_the_block(array):
    tau = np.float32([1, -2, 1, 0.5, -1, 1, -0.0])
    one = int(np.float32(1).view(np.int32))
    for ties in (-1, 0):
        assert trim.trim(array(tau), one, ties).tolist() == [0, -2, 0, 0, 0, 0, 0]
    assert trim.trim(array(tau), one, 1).tolist() == [1, -2, 0, 0, 0, 0, 0]
    assert trim.trim(array(tau), one, 5).tolist() == [1, -2, 1, 0, -1, 0, 0]
    for ties in (7, 8):
        trimmed = trim.trim(array(tau), one, ties)
        assert trimmed.tolist() == [1, -2, 1, 0, -1, 1, 0]
        assert not np.signbit(trimmed.tolist()[-1])
        assert trimmed.dtype == array(tau).dtype
    assert tau.tolist() == [1, -2, 1, 0.5, -1, 1, 0]


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(st.lists(finite_fp32(), min_size=1))
def test_magnitude_bits_have_the_order_of_magnitudes(array, values):
    tau = np.array(values, np.float32)
    assert trim.magnitude_bits(array(tau)).tolist() == np.abs(tau).view(np.int32).tolist()


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
