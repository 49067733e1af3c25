"""The methods by element: what is special to each, and what they refuse. Vectors hold them to their clauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.needs import Needs
from mergealgebra.engine.checks import check_arity
from mergealgebra.errors import CoefficientError, DecimalError, RecipeError
from mergealgebra.methods.method import Method
from mergealgebra.methods.registry import METHODS
from tests.methods.merges import Case, bits, cases

F32 = np.float32
BASE, ONE, OTHER = ({"w": F32(w)} for w in ([0, 0], [1, -2], [3, 4]))


def as_floats(model: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float64) for name, array in model.items()}


@pytest.mark.clause("LI-2", "MG-14")
@given(cases(st.just(ma.Linear())))
def test_what_no_model_changes_keeps_its_bits(case: Case):
    """Whatever the coefficients, -0 and F64 included; and where some model does, the mean stays among the models."""
    zeros = [{name: np.zeros_like(array) for name, array in v.items()} for v in case.task_vectors]
    assert bits(ma.merge(case.base, zeros, case.recipe, case.coefficients)) == bits(case.base)


@pytest.mark.clause("EM-2", "MM-2")
@pytest.mark.parametrize("method", [ma.Emr, ma.MagMax])
@given(st.data())
def test_what_is_elected_is_the_change_of_somebody(method: type[Method], data: st.DataObject):
    case = data.draw(cases(st.just(method())))
    zeros = {name: np.zeros(array.shape, F32) for name, array in case.base.items()}
    merged = ma.merge(zeros, case.task_vectors, case.recipe)
    for name, array in merged.items():
        held = [np.asarray(v[name], np.float64) for v in case.task_vectors if name in v] or [np.zeros(array.shape)]
        assert (array == np.stack(held)).any(axis=0).all()
        if method is ma.MagMax:
            assert (abs(array) == abs(np.stack(held)).max(axis=0)).all()


@pytest.mark.clause("NS-2")
@given(cases(), st.sampled_from(["0", "0.0001", "0.3", "2"]))
def test_nearswap_moves_nothing_farther_than_t(case: Case, t: str):
    zeros = {name: np.zeros(array.shape, F32) for name, array in case.base.items()}
    (vector, *_), recipe = case.task_vectors, ma.NearSwap(t=t)
    merged, bound = ma.merge(zeros, [vector], recipe), F32(t)
    for name, tau in vector.items():
        assert (merged[name] == np.clip(tau.astype(F32), -bound, bound)).all()


@pytest.mark.clause("NS-1", "PT-1")
@pytest.mark.parametrize("recipe", [ma.NearSwap(), ma.Passthrough()], ids=lambda recipe: recipe.name)
def test_of_two_contributions_one_must_go(recipe: Method):
    message = (
        f"^{recipe.name} merges exactly 1 contribution, and there are 2; take 1 out, in a workspace by "
        "`mergealgebra retract ID`, or merge by another method, such as mean$"
    )
    with pytest.raises(RecipeError, match=message):
        ma.merge(BASE, [ONE, OTHER], recipe)
    with pytest.raises(RecipeError, match=f"^{recipe.name} takes exactly 1 at a time, so it has no aggregate; use"):
        ma.Aggregate.lift(recipe, "one", ONE)


class Pair(ma.Method):
    """A method of two."""

    name = "pair"

    @property
    def needs(self) -> Needs:
        return Needs(arity=2)


@pytest.mark.clause("RC-11")
@pytest.mark.parametrize(
    ("count", "message"),
    [(1, "^pair merges exactly 2 contributions, and there are 1; add 1, or merge by"), (4, "there are 4; take 2 out")],
)
def test_of_two_there_must_be_two(count: int, message: str):
    check_arity(Pair(), 2)
    with pytest.raises(RecipeError, match=message):
        check_arity(Pair(), count)


@pytest.mark.clause("EX-4")
def test_an_aggregate_of_models_is_refused():
    with pytest.raises(RecipeError, match=r"^linear merges models, which are more than"):
        ma.Aggregate.lift(ma.Linear(), "one", ONE)


@pytest.mark.clause("EX-5")
@pytest.mark.parametrize("recipe", [ma.Emr(), ma.MagMax()], ids=lambda recipe: recipe.name)
def test_nothing_is_taken_out_of_maxima(recipe: Method):
    one, other = (ma.Aggregate.lift(recipe, name, vector) for name, vector in (("one", ONE), ("other", OTHER)))
    both = one.combine(other)
    assert both.finalize()["w"].tolist() == [3, 4]
    with pytest.raises(ma.errors.AggregateError, match="takes maxima, and no contribution can be taken out"):
        both.retract(other)


BAD_T = {"negative": ("-0.1", "^t: -0.1 is negative; it is how far"), "no decimal": ("1e-4", "^t: '1e-4' is not a dec")}


@pytest.mark.clause("NS-1")
@pytest.mark.parametrize(("t", "message"), BAD_T.values(), ids=BAD_T)
def test_what_is_no_bound_is_refused(t: str, message: str):
    with pytest.raises(DecimalError, match=message):
        ma.NearSwap(t=t)


@pytest.mark.clause("RC-6")
@pytest.mark.parametrize("name", METHODS)
def test_a_coefficient_of_zero_is_refused_by_every_method(name: str):
    method = METHODS[name]()
    models = [ONE, *[OTHER] * ((method.needs.arity or 1) - 1)]
    auxiliary = [dict.fromkeys(method.needs.auxiliary, OTHER) for _ in models]
    with pytest.raises(
        CoefficientError, match=r"^task vector 0: the coefficient is 0\.0 as an fp32 number; it must be"
    ):
        ma.merge(BASE, models, method, ["0", "1"][: len(models)], auxiliary=auxiliary)
