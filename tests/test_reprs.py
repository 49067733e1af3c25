"""What a notebook shows of our objects: one short line, without tensors and without whole ids."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import base, fine_tune, write_file, write_folder


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The objects of a short story, by name."""
    root = tmp_path_factory.mktemp("story")
    recipe = ma.Ties(density="0.2", dialect="canonical")
    workspace = ma.Workspace.init(root / "w", base=write_folder(root / "base", base()), recipe=recipe, name="team")
    vector = ma.TaskVector.between({"w": np.zeros(3, np.float32)}, {"w": np.ones(3, np.float32)})
    contribution = workspace.contribute(write_file(root / "ft.safetensors", fine_tune(0)))
    result = workspace.resolve(root / "out")
    with Checkpoint.open(root / "base") as checkpoint:
        return {
            "Ties": recipe,
            "Mean": ma.Mean(),
            "TaskArithmetic": ma.TaskArithmetic(lambda_="-0.5"),
            "TaskVector": vector,
            "Merged": ma.merge({"w": np.zeros(3, np.float32)}, [vector], recipe),
            "Aggregate": ma.Aggregate.lift(recipe, "a", vector),
            "Workspace": workspace,
            "Store": workspace.store,
            "Checkpoint": checkpoint,
            "ContributionId": contribution,
            "MergeResult": result,
            "Lock": result.lock,
            "Verification": ma.verify(root / "out"),
        }


EXPECTED = {
    "Ties": r"Ties\(density='0\.2'\)",
    "Mean": r"Mean\(\)",
    "TaskArithmetic": r"TaskArithmetic\(lambda_='-0\.5'\)",
    "TaskVector": r"TaskVector\(tensors=1, elements=3\)",
    "Merged": r"Merged\(tensors=1, backend='numpy'\)",
    "Aggregate": r"Aggregate\(Ties\(density='0\.2'\), contributions=1, tensors=1\)",
    "Workspace": r"Workspace\('.*/w', name='team', id=[0-9a-f]{12}\.\.\.\)",
    "Store": r"Store\('.*/w', id=[0-9a-f]{12}\.\.\.\)",
    "Checkpoint": r"Checkpoint\('.*/base', tensors=7\)",
    "ContributionId": r"ContributionId\('[0-9a-f]{12}\.\.\.'\)",
    "MergeResult": r"MergeResult\('.*/out', contributions=1, model_root=[0-9a-f]{12}\.\.\.\)",
    "Lock": r"Lock\(contributions=1, tensors=7, model_root=[0-9a-f]{12}\.\.\.\)",
    "Verification": r"Verification\(ok, model_root=[0-9a-f]{12}\.\.\.\)",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_one_short_line(shown, name):
    assert re.fullmatch(EXPECTED[name], repr(shown[name]))


@pytest.mark.parametrize(
    "recipe", [ma.Ties(density="0.2"), ma.Mean(), ma.Ties(dialect="mergekit-0.1.5", density="0.5")]
)
def test_that_of_a_recipe_makes_it_again(recipe):
    assert eval(repr(recipe), {"Ties": ma.Ties, "Mean": ma.Mean}) == recipe
