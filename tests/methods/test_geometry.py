"""The methods of angles: laws of theirs, and tensors of many chunks. Vectors hold them to their clauses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.errors import DecimalError, RecipeError
from mergealgebra.methods.geometry import Vectors
from mergealgebra.methods.method import Method

F32 = np.float32
ALL = [ma.Slerp(), ma.NuSlerp(), ma.MultiSlerp(), ma.ModelStock(), ma.Karcher()]
by_name = pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)

#: Rows whose products neither underflow nor overflow, so that scaling by powers of two is exact.
numbers = st.floats(2.0**-10, 2.0**10, width=32)
rows = st.lists(st.one_of(numbers, numbers.map(lambda x: -x), st.just(0.0)), min_size=4, max_size=4)


def merged(recipe: Method, xs: list[np.ndarray], cs: list[str], **how: object) -> np.ndarray:
    """Over a base of zeros, so that vectors and models are the same."""
    count = recipe.needs.arity or len(xs)
    return ma.merge({"w": np.zeros_like(xs[0])}, [{"w": x} for x in xs[:count]], recipe, cs[:count], **how)["w"]


@by_name
@pytest.mark.clause("DT-6", "DT-7")
@given(st.lists(rows, min_size=2, max_size=4), st.integers(-8, 8), st.lists(st.booleans(), min_size=4, max_size=4))
def test_powers_of_two_and_reflections_pass_through(recipe: Method, xs, exponent, flipped):
    """Scaling all vectors scales the result, and mirroring them mirrors it, to the last bit."""
    vectors, cs = [F32(x) for x in xs], ["1", "3", "0.3", "1"]
    factor = F32(np.where(flipped, -1, 1)) * F32(2.0**exponent)
    plain, there = merged(recipe, vectors, cs), merged(recipe, [x * factor for x in vectors], cs)
    assert (plain * factor).tolist() == there.tolist()


@by_name
@pytest.mark.clause("SL-2", "SL-3", "MU-1", "MS-1", "KA-3")
@given(rows, st.lists(st.sampled_from(["1", "0.5", "2", "4"]), min_size=1, max_size=4))
def test_a_vector_with_itself_is_itself(recipe: Method, x, cs):
    """But for the rounding of coefficients."""
    assume(any(x))
    cs = cs if recipe.needs.arity is None else [cs[0], cs[-1]]
    found = merged(recipe, [F32(x)] * len(cs), cs)
    np.testing.assert_allclose(found, F32(x), rtol=1e-6)


@pytest.mark.clause("MU-1", "KA-4")
@pytest.mark.parametrize("recipe", [ma.MultiSlerp(), ma.Karcher()], ids=lambda recipe: recipe.name)
@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=5))
def test_the_result_has_the_mean_norm(recipe: Method, xs):
    """Of vectors that are not nearly opposite, as large coefficients would round more."""
    norms = [np.linalg.norm(x) for x in xs]
    found = merged(recipe, [F32(x) for x in xs], ["1"] * len(xs))
    assert math.isclose(np.linalg.norm(found.astype(float)), np.mean(norms), rel_tol=1e-5)


@pytest.mark.clause("KA-3")
def test_the_karcher_mean_is_where_the_ways_to_the_models_cancel_out():
    models = [F32(x) for x in ([3, 1, 0], [0, 4, 1], [1, 0, 5], [-2, 1, 1])]
    found = merged(ma.Karcher(max_iter="200", tol="0"), models, ["1", "2", "1", "1"]).astype(float)
    m = found / np.linalg.norm(found)
    ways = []
    for x, c in zip(models, (1, 2, 1, 1), strict=True):
        u = x.astype(float) / np.linalg.norm(x.astype(float))
        angle = math.acos(u @ m)
        ways.append(c * angle / math.sin(angle) * (u - (u @ m) * m))
    assert np.linalg.norm(sum(ways)) < 1e-6


@pytest.mark.clause("SL-2", "SL-3")
@pytest.mark.parametrize("recipe", [ma.Slerp(), ma.NuSlerp()], ids=lambda recipe: recipe.name)
def test_the_arc_is_walked_at_an_even_pace(recipe: Method):
    one, other = F32([2, 0, 0]), F32([-1, math.sqrt(3), 0])  # 120 degrees
    for share in (1, 2, 3):
        x, y, _ = merged(recipe, [one, other], [str(4 - share), str(share)])
        assert math.isclose(math.degrees(math.atan2(y, x)), 30 * share, rel_tol=1e-6)


@by_name
@pytest.mark.clause("DT-2", "DT-3", "DT-4", "MG-8")
def test_many_chunks_in_any_blocks_give_the_same_bits(recipe: Method):
    """What is not a multiple of 4,096, and odd numbers of chunks."""
    random = np.random.default_rng(5)
    for size in (4095, 3 * 4096 + 1, 7 * 4096):
        xs = [random.standard_normal(size).astype(F32) for _ in range(3)]
        whole = merged(recipe, xs, ["1", "0.3", "2"], threads=1).tobytes()
        assert whole == merged(recipe, xs, ["1", "0.3", "2"], threads=2, block=4096).tobytes()
        assert whole == merged(recipe, xs, ["1", "0.3", "2"], backend="torch", block=8192).tobytes()
        assert whole == merged(recipe, xs[1::-1] + xs[2:], ["0.3", "1", "2"]).tobytes()


@pytest.mark.clause("DT-6")
def test_cosines_are_clamped():
    """Rounding may lead them out of -1 to 1, where there is no angle."""
    assert 0.2 / (math.sqrt(0.2) * math.sqrt(0.2)) > 1
    assert Vectors([[0.2, 0.2], [0.2, 0.2]], [1, 1]).cosines == [[1, 1], [1, 1]]
    assert Vectors([[0.2, -0.2], [-0.2, 0.2]], [1, 1]).cosines == [[1, -1], [-1, 1]]


BAD = {
    "no number": ({"max_iter": "ten"}, RecipeError, "^karcher: max_iter: 'ten' is not a whole number from 0 to 1000"),
    "too many": ({"max_iter": "1001"}, RecipeError, "max_iter: '1001' is not a whole number"),
    "tol of 1": ({"tol": "1"}, DecimalError, "^tol: "),
}


@pytest.mark.clause("KA-1")
@pytest.mark.parametrize(("keys", "error", "message"), BAD.values(), ids=BAD)
def test_what_is_no_number_of_steps_or_tolerance_is_refused(keys, error, message):
    with pytest.raises(error, match=message):
        ma.Karcher(**keys)


@pytest.mark.clause("SL-1", "SL-3", "MS-2", "KA-1")
@pytest.mark.parametrize(
    ("method", "key"),
    [(ma.Slerp, "t"), (ma.NuSlerp, "nuslerp_row_wise"), (ma.ModelStock, "filter_wise"), (ma.Karcher, "alphas")],
)
def test_options_that_are_not_here_are_unknown_keys(method: type[Method], key: str):
    with pytest.raises(RecipeError, match=f"unknown key '{key}'"):
        method(**{key: "1"})
