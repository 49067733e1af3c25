"""Partial aggregates: what the laws of tests/methods do not reach."""

from __future__ import annotations

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.engine.measure import Measure
from mergealgebra.engine.sources import SPAN
from mergealgebra.errors import AggregateError, NonFinite, Overflow, RecipeError


@pytest.mark.clause("EX-4")
@pytest.mark.parametrize(("density", "kept"), [("0.0000125", 13), ("0.9999", 1049481)])
def test_ties_are_cut_alike_in_tensors_of_many_blocks(density, kept):
    """In the first span of the second tensor, and in its second one."""
    sizes = {"a": 10, "b": SPAN + 1000}
    vector = {name: np.ones(size, np.float32) for name, size in sizes.items()}
    base = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    recipe = ma.Ties(density=density, boundary="lowest_index")
    merged = ma.merge(base, [vector], recipe)
    tau_m = ma.Aggregate.lift(recipe, "it", vector).finalize()
    assert merged.kept == (kept,)
    for name, array in merged.items():
        assert np.array_equal(tau_m[name], array)


@pytest.mark.clause("EX-4")
def test_what_is_finalized_is_applied_with_the_lambda_of_the_recipe():
    base, vector = {"w": np.float32([1])}, {"w": np.float32([2])}
    tau_m = ma.Aggregate.lift(ma.Ties(lambda_="0.5"), "it", vector).finalize()
    assert tau_m.apply(base)["w"].tolist() == [2]
    assert tau_m.apply(base, lambda_="2")["w"].tolist() == [5]


@pytest.mark.clause("EX-6")
def test_only_what_was_combined_can_be_retracted():
    def lift(value: float, coefficient: str = "1", name: str = "w") -> ma.Aggregate:
        return ma.Aggregate.lift(ma.Ties(), "it", {name: np.float32([value])}, coefficient)

    whole = lift(1).combine(ma.Aggregate.lift(ma.Ties(), "other", {"w": np.float32([2])}))
    for impostor in (lift(2), lift(1, "2"), lift(1, name="v")):
        with pytest.raises(AggregateError, match="not in the aggregate as it is here"):
            whole.retract(impostor)
    assert whole.retract(lift(1)).finalize()["w"].tolist() == [2]


@pytest.mark.clause("EX-5")
def test_what_nobody_holds_any_more_is_zero_for_a_mean_over_the_holders_too():
    def lift(id_: str, vector: dict[str, np.ndarray]) -> ma.Aggregate:
        return ma.Aggregate.lift(ma.Fisher(), id_, vector, auxiliary={"fisher": vector})

    first, second = lift("first", {"w": np.float32([[1, 2]])}), lift("second", {"v": np.float32([3])})
    tau_m = first.combine(second).retract(first).finalize()
    assert {name: array.tolist() for name, array in tau_m.items()} == {"v": [3], "w": [[0, 0]]}


@pytest.mark.clause("EX-4")
def test_a_lift_refuses_what_a_merge_refuses():
    with pytest.raises(NonFinite, match=r"it: tensor 'w' at index \[1\]"):
        ma.Aggregate.lift(ma.Ties(), "it", {"w": np.float32([1, np.inf])})
    with pytest.raises(Overflow, match=r"it: tensor 'w' at index \[0\]"):
        ma.Aggregate.lift(ma.Ties(), "it", {"w": np.float32([3e38])}, "2")


def test_arguments_of_other_kinds_are_named():
    lifted = ma.Aggregate.lift(ma.Ties(), "it", {"w": np.float32([1])})
    with pytest.raises(AggregateError, match=r"'it' is a str, not an Aggregate.*lift its task vector again"):
        lifted.retract("it")
    with pytest.raises(AggregateError, match=r"the id is a dict, not text; the order is lift\(recipe, id, task_vector"):
        ma.Aggregate.lift(ma.Ties(), {"w": np.float32([1])}, "it")
    with pytest.raises(RecipeError, match="is not a recipe"):
        ma.Aggregate.lift("it", ma.Ties(), {"w": np.float32([1])})


def test_the_id_of_a_published_contribution_will_do():
    id_ = ma.ContributionId("a" * 64, "b" * 64, Measure("finetuned", 1, 1, 1.0, 1.0, 1.0))
    assert ma.Aggregate.lift(ma.Ties(), id_, {"w": np.float32([1])}).ids == {"a" * 64}
