"""DELLA: ranks in rows, and probabilities that make up for what they drop.

That order, blocks, threads, libraries and trees of aggregates change no bit is in `test_laws.py`, for all methods.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.method import View
from mergealgebra.errors import DecimalError, Overflow, RecipeError
from mergealgebra.methods.della import DropByRank
from tests.algebra.numbers import finite_fp32

F32 = np.float32


def merged(tau: np.ndarray, recipe: ma.Method) -> np.ndarray:
    return ma.merge({"w": np.zeros_like(tau)}, [{"w": tau}], recipe)["w"]


@pytest.mark.clause("DE-2", "MG-8")
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_ranks_are_those_of_a_stable_sort_on_numpy_and_torch(rows, columns, data):
    numbers = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0]) | finite_fp32()
    tau = np.array(data.draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns)), F32)
    order = np.argsort(np.abs(tau).reshape(rows, columns), axis=1, kind="stable")
    wanted = np.argsort(order, axis=1).reshape(-1).tolist()
    for array in (tau, torch.from_numpy(tau.copy())):
        view = View(array, 1.0, shape=(rows, columns))
        assert ma.algebra.by_rank(view, np.arange(columns)).tolist() == wanted


@pytest.mark.clause("DE-3", "DE-4")
@given(st.lists(finite_fp32(), min_size=1, max_size=30), st.sampled_from(["0.5", "0.125"]), st.integers(0, 2**64 - 1))
def test_without_epsilon_it_is_dare(numbers, density, seed):
    """Densities that are fp64 numbers, so that DARE's bound, which is of the exact density, is the same."""
    tau, keys = np.array(numbers, F32) / 16, {"density": density, "seed": str(seed)}
    found = merged(tau, ma.DellaLinear(epsilon="0", **keys))
    assert found.tobytes() == merged(tau, ma.DareLinear(**keys)).tobytes()


@pytest.mark.clause("DE-1", "DE-3")
@given(st.integers(2, 500), st.sampled_from([("0.5", "0.15"), ("0.55", "0.45"), ("0.9", "0.1"), ("0.3", "0.299")]))
def test_probabilities_ascend_from_end_to_end_and_never_leave_the_range(columns, keys):
    density, epsilon = map(Fraction, keys)
    p = DropByRank(density, epsilon, "0").probabilities(columns)
    assert (np.diff(p) > 0).all()
    assert p[0] == float(density - epsilon)
    assert float(density + epsilon) * (1 - 2**-51) <= p[-1] <= float(density + epsilon)


@pytest.mark.clause("DE-4")
def test_what_is_kept_makes_up_for_what_is_dropped():
    """Of 20,000 equal rows the means are the row, within five deviations; the largest is dropped least."""
    row = F32([1, -2, 3, -4, 5])
    left = merged(np.tile(row, (20_000, 1)), ma.DellaLinear(density="0.5", epsilon="0.3", seed="8"))
    p = np.linspace(0.2, 0.8, 5)
    deviation = np.abs(row) * np.sqrt((1 / p - 1) / 20_000)
    assert (np.abs(left.mean(axis=0, dtype=np.float64) - row) < 5 * deviation).all()
    assert (np.abs((left != 0).mean(axis=0) - p) < 5 * np.sqrt(p * (1 - p) / 20_000)).all()


@pytest.mark.clause("DE-4", "TI-6", "MG-6")
@pytest.mark.parametrize("method", [ma.Della, ma.DellaLinear])
@pytest.mark.parametrize("block", [None, 1])
def test_what_is_beyond_fp32_once_rescaled_is_named(method, block):
    vector = {"w": np.full((4, 16), 2.0**127, F32)}
    with pytest.raises(Overflow, match=r"task vector 0: tensor 'w' at index \[\d, \d+\]"):
        ma.merge({"w": np.zeros((4, 16), F32)}, [vector], method(density="0.3", epsilon="0.1"), block=block)


REFUSED = {
    "density alone": ({"density": "1"}, RecipeError, "epsilon: 0.15 does not fit density 1: .* at most 1; lower"),
    "a probability of 0": ({"epsilon": "0.5"}, RecipeError, "epsilon: 0.5 does not fit density 0.5"),
    "above 1": ({"density": "0.8", "epsilon": "0.2001"}, RecipeError, "epsilon: 0.2001 does not fit"),
    "below 0": ({"epsilon": "-0.1"}, DecimalError, "^epsilon: -0.1 is not at least 0 and below 1"),
    "no decimal": ({"epsilon": "1e-1"}, DecimalError, "^epsilon: '1e-1' is not a decimal"),
    "density 0": ({"density": "0"}, DecimalError, "^density: 0 is not above 0"),
    "no seed": ({"seed": "1.5"}, RecipeError, "seed: '1.5' is not a whole number in decimal digits"),
}


@pytest.mark.clause("DE-1", "RC-4")
@pytest.mark.parametrize("method", [ma.Della, ma.DellaLinear])
@pytest.mark.parametrize(("keys", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(method, keys, error, message):
    with pytest.raises(error, match=message):
        method(**keys)
