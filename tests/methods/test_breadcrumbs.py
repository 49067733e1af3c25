"""Breadcrumbs: where a change stands does not matter, and what is found while streaming is what sorting finds.

That order, blocks, threads, libraries and trees of aggregates change no bit is in `test_laws.py`, for all methods.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.encoding import decode, encode
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.merged_spans import Stale
from mergealgebra.errors import DecimalError, RecipeError
from tests.algebra.numbers import finite_fp32
from tests.engine.sources import merged, plan_of
from tests.engine.test_thresholds import guessed

F32 = np.float32
TINY = 2.0**-149


def vectors() -> st.SearchStrategy[np.ndarray]:
    """Few values, so with ties; or many."""
    coarse = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 3.0, TINY, -TINY])
    return st.lists(coarse | finite_fp32(), min_size=1, max_size=40).map(lambda x: np.array(x, F32))


def recipes(**keys: str) -> st.SearchStrategy[ma.Breadcrumbs]:
    both = st.sampled_from([("0.9", "0.01"), ("0.5", "0.3"), ("0.34", "0.34"), ("0.02", "0.9"), ("1", "0")])
    return both.map(lambda both: ma.Breadcrumbs(density=both[0], gamma=both[1], **keys))


def left_of(tau: np.ndarray, recipe: ma.Breadcrumbs) -> np.ndarray:
    return ma.merge({"w": np.zeros_like(tau)}, [{"w": tau}], recipe)["w"]


@pytest.mark.clause("BC-2", "BC-3")
@given(vectors(), recipes(), st.randoms())
def test_where_a_change_stands_does_not_matter(tau, recipe, random):
    order = list(range(tau.size))
    random.shuffle(order)
    assert left_of(tau[order], recipe).tobytes() == left_of(tau, recipe)[order].tobytes()


@pytest.mark.clause("BC-1", "BC-2", "BC-3", "MG-8")
@pytest.mark.parametrize("large", [False, True])
@settings(max_examples=200)
@given(vectors(), recipes(), st.sampled_from([1, 5, 64]), st.sampled_from([1, 3]))
def test_a_vector_is_one_row(large, tau, recipe, span, threads):
    """Counted while streaming, from a guess or without one, and sorted."""
    row = ma.Breadcrumbs(density=recipe.density, gamma=recipe.gamma, scope="row")
    with pytest.MonkeyPatch.context() as patch:
        if large:
            guessed(patch, span=span)
        found, totals = merged(plan_of([{"w": tau}], recipe, threads=threads, block=span), {})
    assert found["w"].tobytes() == left_of(tau, row).tobytes()
    assert totals.kept_by(0) == np.count_nonzero(found["w"])


WRONG = [0, 1, 2, 0x3F800000, 0x40000000, 0x40400000, 0x7F7FFFFF]


@pytest.mark.clause("BC-2", "MG-8")
@settings(max_examples=200)
@given(vectors(), recipes(), st.sampled_from(WRONG))
def test_a_kept_threshold_that_is_wrong_is_found_out(tau, recipe, bits):
    kept: dict[str, bytes] = {}
    right, _ = merged(plan_of([{"w": tau}], recipe), kept)
    for name in list(kept):
        assert len(decode(kept[name])) == 1
        try:
            found, _ = merged(plan_of([{"w": tau}], recipe), kept | {name: encode([[bits]])})
        except (Stale, Faulty):
            continue
        assert found["w"].tobytes() == right["w"].tobytes()


REFUSED = {
    "density alone": ({"density": "1"}, RecipeError, "gamma: 0.01 and density 1 are more than 1 together"),
    "just above 1": ({"density": "0.5", "gamma": "0.500001"}, RecipeError, "0.500001 and .* lower one of them"),
    "gamma 1": ({"gamma": "1"}, DecimalError, "^gamma: 1 is not at least 0 and below 1"),
    "gamma below 0": ({"gamma": "-0.1"}, DecimalError, "^gamma: -0.1 is not at least 0"),
    "no decimal": ({"gamma": "1%"}, DecimalError, "^gamma: '1%' is not a decimal"),
    "density 0": ({"density": "0"}, DecimalError, "^density: 0 is not above 0"),
    "another scope": ({"scope": "model"}, RecipeError, "scope: 'model' is unknown; expected one of tensor, row"),
}


@pytest.mark.clause("BC-1", "RC-4")
@pytest.mark.parametrize("method", [ma.Breadcrumbs, ma.BreadcrumbsTies])
@pytest.mark.parametrize(("keys", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_cut_or_kept_is_refused(method, keys, error, message):
    with pytest.raises(error, match=message):
        method(**keys)
