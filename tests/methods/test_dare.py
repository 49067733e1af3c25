"""DARE: masks of a contribution are the same wherever and however it is merged.

That order, blocks, threads, libraries and trees of aggregates change no bit is in `test_laws.py`, for all methods.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.method import View
from mergealgebra.errors import CoefficientError, Overflow, RecipeError
from mergealgebra.methods.dare import Drop
from tests.algebra.numbers import finite_fp32, rn32, rn64

F32 = np.float32
ROOT = "ab" * 32
HALF = Drop(Fraction(1, 2), "7")


def view(tau: np.ndarray, start: int = 0) -> View:
    return View(tau, 1.0, "w", (1 << 40,), start, root=ROOT)


@pytest.mark.clause("DA-1", "RM-2")
@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@given(st.lists(finite_fp32(), min_size=1, max_size=30), st.integers(0, 2**35), st.data())
def test_what_is_left_of_a_part_is_the_part_of_what_is_left(array, numbers, start, data):
    tau = np.array(numbers, F32)
    with np.errstate(over="ignore"):
        whole = np.asarray(HALF(view(tau, start), None))
        cut = data.draw(st.integers(0, tau.size))
        rest = HALF(view(array(tau[cut:].copy()), start + cut), None)
        at = np.array(sorted(data.draw(st.sets(st.integers(0, tau.size - 1)))), np.int64)
        some = HALF(replace(view(array(tau[at].copy()), start), at=at), None)
    assert np.asarray(rest).tobytes() == whole[cut:].tobytes()
    assert np.asarray(some).tobytes() == whole[at].tobytes()


@pytest.mark.clause("DA-1")
@given(st.lists(finite_fp32(), min_size=1, max_size=30), st.sampled_from(["0.5", "0.3", "0.999", "0.1"]))
def test_each_element_is_dropped_or_divided_by_the_density(numbers, density):
    tau = np.array(numbers, F32)
    with np.errstate(over="ignore"):
        left = Drop(Fraction(density), "0")(view(tau), None)
    for before, after in zip(tau.tolist(), left.tolist(), strict=True):
        divided = Fraction(rn64(Fraction(before) / Fraction(float(density))))
        assert after == 0 or after == (rn32(divided) if abs(divided) < 2**128 - 2**103 else np.copysign(np.inf, before))
    assert not np.signbit(left[left == 0]).any()


@pytest.mark.clause("RM-1", "DA-2")
def test_a_coefficient_changes_no_mask_and_what_is_beside_in_the_list_none_either():
    vector, other = {"w": np.arange(1, 65, dtype=F32)}, {"w": -np.arange(1, 65, dtype=F32)}
    base, recipe = {"w": np.zeros(64, F32)}, ma.DareLinear(density="0.5", seed="3")
    alone = ma.merge(base, [vector], recipe)
    assert not ma.merge(base, [vector, vector], recipe, ["1", "-1"])["w"].any()
    both = ma.merge(base, [other, vector], recipe)["w"] - ma.merge(base, [other], recipe)["w"]
    assert both.tolist() == alone["w"].tolist()
    assert 0 < alone.kept[0] < 64
    assert (ma.merge(base, [vector], recipe, ["4"])["w"] == 4 * alone["w"]).all()


@pytest.mark.clause("DA-3", "TI-2")
def test_trim_counts_what_was_dropped():
    """Of 100 elements about half are left; a fifth of 100 is kept, not of what is left."""
    base, vector = {"w": np.zeros(100, F32)}, {"w": np.arange(1, 101, dtype=F32)}
    recipe = ma.DareTies(density="0.5", trim_density="0.2", seed="1")
    assert ma.merge(base, [vector], recipe).kept == (20,)


@pytest.mark.clause("DA-1", "TI-6")
@pytest.mark.parametrize("recipe", [ma.DareLinear, ma.DareTies])
def test_what_is_beyond_fp32_once_rescaled_is_named(recipe):
    base, vector = {"w": np.zeros((4, 16), F32)}, {"w": np.full((4, 16), 2.0**127, F32)}
    with pytest.raises(Overflow, match=r"task vector 0: tensor 'w' at index \[\d, \d+\]"):
        ma.merge(base, [vector], recipe(density="0.5"))


@pytest.mark.clause("RC-6", "DA-3")
def test_negative_coefficients_forget_alone_and_are_refused_before_ties():
    base, vector = {"w": np.zeros(2, F32)}, {"w": F32([1, 2])}
    assert ma.merge(base, [vector], ma.DareLinear(), ["-1"])["w"].tolist() == [-1, -2]
    with pytest.raises(CoefficientError, match="negative"):
        ma.merge(base, [vector], ma.DareTies(), ["-1"])


@pytest.mark.clause("RM-1")
@pytest.mark.parametrize("seed", ["01", "", "-1", "1.0", str(2**64), "\u0663", "\u00b2", 7])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(RecipeError, match="seed"):
        ma.DareLinear(seed=seed)
