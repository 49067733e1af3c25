"""What every method's recipe keeps to, whoever wrote the method."""

from __future__ import annotations

import pickle
from functools import cached_property

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra import algebra
from mergealgebra.engine.memory import as_contribution
from mergealgebra.engine.plan import make_plan
from mergealgebra.errors import DecimalError, MethodError, RecipeError
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.methods import ties
from mergealgebra.methods.registry import METHODS, unregister
from tests.models import task_vector
from tests.workspace.replicas import make_workspace, write_models

ONE = {"w": np.float32([1, -2, 3])}


class Outside(ma.Method):
    """A method that is nobody's; each test names its own."""

    name = "outside"
    distribution = "tests"
    version = "1"


@pytest.mark.clause("RC-5")
def test_what_a_recipe_remembers_is_not_in_its_id():
    class Remembering(Outside):
        @cached_property
        def found(self) -> str:
            return "x"

    recipe = Remembering()
    before = recipe.id
    assert recipe.found == "x"
    assert (recipe.id, recipe.to_map().keys()) == (before, {"method", "distribution", "version"})


@pytest.mark.clause("RC-4")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ma.DareTies(trim_density="2"), DecimalError, "^trim_density: 2 is not above 0"),
        (lambda: ma.DareTies(seed="1" * 5000), RecipeError, "seed: .* is not a whole number"),
        (lambda: ma.DareTies(seed="18446744073709551616"), RecipeError, "seed: 18446744073709551616 is 2.64 or more"),
        (lambda: ma.Ties(**{"lambda": "1", "lambda_": "2"}), RecipeError, "lambda and lambda_ are one key"),
        (
            lambda: ma.Linear(**{"lambda": "1"}),
            RecipeError,
            "^linear: unknown key 'lambda'; its only keys are settings and out_dtype",
        ),
    ],
    ids=["another density", "a long seed", "a large seed", "a key in two spellings", "a lambda that is none"],
)
def test_a_key_is_named_as_it_was_written(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.clause("MG-8", "RC-6")
def test_votes_of_negative_coefficients_are_refused():
    class Forgetting(Outside):
        @property
        def rounds(self):
            return (algebra.Round(ties.lift, ties.merge, algebra.Columns(votes=True)),)

        @property
        def needs(self):
            return algebra.Needs(negative=True)

    ma.register(Forgetting)
    for backend in ("numpy", "auto"):
        with pytest.raises(MethodError, match="votes, which must be positive"):
            ma.merge(ONE, [ONE], Forgetting(), ["-1"], backend)
    unregister(Forgetting.name)


@pytest.mark.clause("CT-15", "CT-16")
def test_a_kind_of_auxiliary_tensors_that_nobody_can_bring_is_refused_at_once(tmp_path):
    @ma.register
    class Curved(Outside):
        @property
        def rounds(self):
            return (algebra.Round(ties.lift, ties.merge),)

        @property
        def needs(self):
            return algebra.Needs(auxiliary=frozenset({"curvature"}))

    write_models(tmp_path)
    with pytest.raises(MethodError, match="of the kind 'curvature'; contributions bring fisher, a number"):
        ma.Workspace.init(tmp_path / "w", base=tmp_path / "base", recipe=Curved())
    unregister(Curved.name)


@pytest.mark.clause("MG-8")
def test_a_plan_travels_after_it_was_used_as_before():
    """What was computed from it stays here: it may hold functions that no other process can find."""

    contribution = as_contribution("one", ONE, "1")
    plan = make_plan(contribution.source, [contribution], ma.Ties(density="0.5"), on_numpy(), threads=1)
    assert plan.stages and plan.reduction("w") and plan.holders("w")
    assert plan.__getstate__().keys() == {*plan.__dataclass_fields__}
    with pytest.raises(ma.errors.BackendError, match="in this process"):
        pickle.dumps(plan)  # its arrays are in memory


#: Methods of which no sums are kept, and why.
NOT_KEPT = {
    "emr": "emr takes maxima, and no contribution can be taken out of those",
    "magmax": "magmax takes maxima",
    "nearswap": "nearswap takes exactly 1, and none comes or goes",
    "passthrough": "passthrough takes exactly 1",
    "sce": "sce has 2 rounds",
    "ramplus_tl": "ramplus_tl has 2 rounds: all but the first need all contributions again",
    "consensus_ta": "consensus_ta has 2 rounds",
    "slerp": "slerp takes exactly 2",
    "nuslerp": "nuslerp takes exactly 2",
    "multislerp": "the coefficients of multislerp follow from all contributions",
    "model_stock": "the coefficients of model_stock follow from all contributions",
    "karcher": "the coefficients of karcher follow from all contributions",
    "pcb": "pcb has 3 rounds",
    "arcee_fusion": "arcee_fusion takes exactly 1",
}


def weights(number):
    """A number from 0 on for each parameter of a fine-tune."""
    return {name: np.asarray(abs(array) % 3, np.float32) for name, array in task_vector(number).items()}


@pytest.mark.clause("EX-4", "EX-5")
@pytest.mark.parametrize("name", METHODS)
def test_sums_are_kept_and_updated_or_refused_with_the_reason(tmp_path, name):
    """A second merge after a contribution went gives the bits of a merge in full."""
    method = METHODS[name]
    write_models(tmp_path)
    alice = make_workspace(tmp_path, "alice", recipe=method())
    for number in range(method().needs.arity or 3):
        given = {kind: weights(number) for kind in method().needs.auxiliary}
        alice.contribute(tmp_path / f"ft{number}.safetensors", auxiliary=given)
    first = alice.resolve(tmp_path / "one", keep_aggregate="always")
    assert NOT_KEPT.get(name, "") in first.aggregate.problem
    assert bool(first.aggregate.problem) == (name in NOT_KEPT)
    if name in NOT_KEPT:
        return
    alice.retract(next(iter(alice.visible())))
    kept, full = (alice.resolve(tmp_path / out, keep_aggregate=keep) for out, keep in (("k", "always"), ("f", False)))
    assert (kept.aggregate.problem, kept.aggregate.changes) == ("", 1)
    assert kept.model_root == full.model_root
