"""Thresholds: found by counting, by a guess and a window or by two passes, they keep what sorting keeps.

Groups are large from 2^22 elements on; here that is made a few, so that small vectors take the ways of large ones.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import thresholds
from mergealgebra.algebra.thresholds import Thresholds
from mergealgebra.engine import guess, sources, statistics
from tests.algebra.numbers import finite_fp32
from tests.engine.sources import Arrays, merged, plan_of, trimmed_by_sorting

NAMES = ("a", "b", "c.weight")


def guessed(patch, *, pieces=4, piece=8, span=64):
    """From now on every group is large: guessed from so many pieces of so many elements, and counted by all workers."""
    patch.setattr(statistics, "_LARGE", 1)
    patch.setattr(guess, "_PIECES", pieces)
    patch.setattr(guess, "_PIECE", piece)
    patch.setattr(sources, "SPAN", span)
    patch.setattr(thresholds, "_SPAN", span)


@st.composite
def vectors(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Task vectors of up to three tensors, some without elements: few values, so with ties; many; all zeros."""
    coarse = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 2.0**-149, -(2.0**-149), 2.0**-126, 2.0**127])
    values = draw(st.sampled_from([coarse, finite_fp32(), st.sampled_from([0.0, -0.0]), st.sampled_from([1.0, -1.0])]))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return {name: np.array(draw(st.lists(values, max_size=40)), np.float32) for name in names}


def recipes() -> st.SearchStrategy[ma.Ties]:
    return st.builds(
        ma.Ties,
        density=st.sampled_from(["0.2", "0.5", "0.9", "0.01", "0.999", "1"]),
        scope=st.sampled_from(["model", "tensor"]),
        boundary=st.sampled_from(["keep_all", "lowest_index"]),
    )


@pytest.mark.clause("TI-2", "TI-3", "TI-4", "TI-5", "MG-8")
@pytest.mark.parametrize("ways", ["alone", "together"])
@pytest.mark.parametrize("name", ["numpy", "numba"])
@settings(max_examples=150)
@given(
    vector=vectors(),
    recipe=recipes(),
    threads=st.sampled_from([1, 3]),
    span=st.sampled_from([1, 5, 64]),
    block=st.sampled_from([1, 3, 64]),
    pieces=st.sampled_from([1, 3]),
    piece=st.sampled_from([1, 7]),
)
def test_keep_what_sorting_keeps(name, ways, vector, recipe, threads, span, block, pieces, piece):
    with pytest.MonkeyPatch.context() as patch:
        guessed(patch, pieces=pieces, piece=piece, span=span)
        if ways == "alone":
            patch.setattr(statistics, "_LARGE", 1 << 22)
        kept: dict[str, bytes] = {}
        plan = plan_of([vector], recipe, name=name, threads=threads, block=block)
        found, totals = merged(plan, kept)
        again, other = merged(plan, kept)
    expected = trimmed_by_sorting(vector, recipe)
    for tensor, trimmed in expected.items():
        assert np.array_equal(found[tensor], trimmed), tensor
        assert np.array_equal(again[tensor], trimmed), tensor
    count = sum(int(np.count_nonzero(trimmed)) for trimmed in expected.values())
    assert totals.kept_by(0) == other.kept_by(0) == count


@pytest.mark.clause("TI-3")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("boundary", ["keep_all", "lowest_index"])
def test_of_several_contributions_are_found_in_the_same_passes(monkeypatch, threads, boundary):
    """Large groups and small ones, of tensors that overlap in part; in rounds, too, where memory is small."""
    monkeypatch.setattr(statistics, "_LARGE", 500)
    monkeypatch.setattr(guess, "_PIECES", 5)
    monkeypatch.setattr(guess, "_PIECE", 20)
    monkeypatch.setattr(sources, "SPAN", 256)
    rng = np.random.default_rng(0)
    sizes = {"a": 300, "b": 700, "c": 40}
    held = [("a", "b"), ("b",), ("c",), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    given_ = [{n: rng.normal(size=sizes[n]).astype(np.float32) for n in names} for names in held]
    given_[1]["b"] = rng.choice(np.float32([1, -1, 0]), 700)  # most are ties
    recipe = ma.Ties(density="0.3", boundary=boundary)
    alone = [trimmed_by_sorting(vector, recipe) for vector in given_]
    for nbytes in (1 << 30, 8):
        monkeypatch.setattr(Thresholds, "nbytes", lambda *_, nbytes=nbytes: nbytes)
        source = Arrays({name: np.zeros(size, np.float32) for name, size in sizes.items()})
        _, totals = merged(plan_of(given_, recipe, source, threads=threads, block=100))
        for i, trimmed in enumerate(alone):
            assert totals.kept_by(i) == sum(map(np.count_nonzero, trimmed.values()))
            assert {n: k for (place, n), k in totals.kept.items() if place == i} == {
                n: np.count_nonzero(x) for n, x in trimmed.items()
            }


# Passes


SIZE = 1 << 20
#: What the guess reads: evenly spread, 1% of the vector.
SAMPLE = 4 * 2048


def passes(vector, recipe, kept=None, **how) -> float:
    """How often a vector is read while it is merged, the sample apart."""
    source = Arrays({"w": vector})
    merged(plan_of([source], recipe, threads=1, **how), kept)
    sample = sum(stop - start for _, start, stop in source.reads if stop - start == 2048)
    assert sample in (0, SAMPLE)
    return (source.elements_read - sample) / SIZE


@pytest.fixture
def sampled(monkeypatch):
    """A vector of a million elements is a large one."""
    guessed(monkeypatch, pieces=4, piece=2048, span=1 << 17)


NORMAL = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
#: What is sampled lies elsewhere than the rest, by more than a window.
MISLED = np.where(np.arange(SIZE) % (SIZE // 4) < 2048, np.float32(1000), NORMAL)
#: 1.265625 and its neighbours are 2^17 magnitudes apart.
GRID = np.round(NORMAL * 64) / np.float32(64)
TIED = np.where(np.arange(SIZE) % 2, np.float32(1), NORMAL / 4)


@pytest.mark.clause("TI-3")
class TestPasses:
    """The merge itself reads everything once; what comes on top is the price of the thresholds."""

    def test_one_where_the_guess_is_near(self, sampled):
        assert passes(NORMAL, ma.Ties(density="0.2")) == 2

    def test_one_where_it_is_the_next_value_of_a_grid(self, sampled):
        """The threshold lies between what the sample has from some value on, and what the vector has."""
        sample = np.concatenate([GRID[at : at + 2048] for at in range(0, SIZE, SIZE // 4)])
        shares = [np.count_nonzero(np.abs(x) >= 1.265625) / x.size for x in (sample, GRID)]
        assert passes(GRID, ma.Ties(density=f"{sum(shares) / 2:.6f}")) == 2

    def test_three_where_it_is_not(self, sampled):
        assert passes(MISLED, ma.Ties(density="0.2")) == 4

    def test_two_for_small_vectors(self):
        assert passes(NORMAL, ma.Ties(density="0.2")) == 3

    def test_none_for_what_was_kept(self, sampled):
        kept: dict[str, bytes] = {}
        assert passes(NORMAL, ma.Ties(density="0.2"), kept) == 2
        assert passes(NORMAL, ma.Ties(density="0.2"), kept) == 1
        assert passes(NORMAL, ma.Ties(density="0.3"), kept) == 2  # another recipe has others

    def test_none_without_trim(self, sampled):
        assert passes(NORMAL, ma.Ties(density="1")) == 1
        assert passes(NORMAL, ma.Mean()) == 1

    def test_one_for_ties_that_are_all_kept(self, sampled):
        assert passes(TIED, ma.Ties(density="0.25")) == 2

    def test_one_where_no_tie_has_to_be_cut(self, sampled):
        magnitudes = np.sort(np.abs(NORMAL))
        at = SIZE - int(0.2 * SIZE)
        assert magnitudes[at - 1] < magnitudes[at] < magnitudes[at + 1]
        assert passes(NORMAL, ma.Ties(density="0.2", boundary="lowest_index")) == 2

    def test_one_more_counts_ties_and_then_one_span_is_read(self, sampled):
        """A quarter is kept, of a half that is equal: in which of eight spans the last one lies, and where in that."""
        assert passes(TIED, ma.Ties(density="0.25", boundary="lowest_index")) == 3 + 1 / 8

    def test_base_and_every_vector_are_read_in_the_same_pass(self, sampled):
        base, sources = Arrays({"w": np.zeros(SIZE, np.float32)}), [Arrays({"w": NORMAL * s}) for s in (1, 2, 4)]
        merged(plan_of(sources, ma.Ties(density="0.2"), base, threads=1))
        blocks = [(start, stop) for _, start, stop in base.reads if stop - start != 2048]
        assert sum(stop - start for start, stop in blocks) == 2 * SIZE
        for source in sources:
            assert source.elements_read == 2 * SIZE + SAMPLE

    def test_a_fine_tune_is_guessed_by_what_it_changed(self, sampled):
        base, source = Arrays({"w": NORMAL * 8}), Arrays({"w": NORMAL * 9})
        merged(plan_of([source], ma.Ties(density="0.2"), base, threads=1, form="finetuned"))
        assert source.elements_read == 2 * SIZE + SAMPLE


@pytest.mark.clause("MG-8")
def test_progress_counts_every_element_of_a_pass(sampled):
    steps: list[tuple[str, int, int]] = []
    merged(plan_of([{"w": NORMAL}], ma.Ties(density="0.2"), threads=3), progress=lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "thresholds"] == [
        ("thresholds", done, SIZE) for done in range(1 << 17, SIZE + 1, 1 << 17)
    ]
    assert steps[-1] == ("merge", SIZE, SIZE)
