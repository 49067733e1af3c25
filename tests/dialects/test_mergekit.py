"""The methods of mergekit 0.1.5 that compute something else than ours of that name, worked by hand."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.mergekit import EQUATIONS
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.dialects.strategy_round import FAMILIES
from mergealgebra.errors import RecipeError
from mergealgebra.methods.in_dialect import InDialect
from mergealgebra.recipe import recipe_from_map

KIT = "mergekit-0.1.5"


def merged(base, *models, coefficients=None, **settings):
    texts = coefficients or ["1"] * len(models)
    whole = [WholeModel(f"model {i}", {"w": m}, t) for i, (m, t) in enumerate(zip(models, texts, strict=True))]
    return InDialect("breadcrumbs_ties", KIT, **settings).rounds[0].merge({"w": base}, whole)[0]["w"].tolist()


@pytest.mark.clause("NA-11")
def test_what_agrees_is_added():
    zero = np.zeros(4, np.float32)
    one, other = np.float32([1, 2, -3, 1]), np.float32([2, -1, -2, -1])
    assert merged(zero, one, other) == [3, 2, -5, 1]  # an even vote is +
    assert merged(zero, one, other, coefficients=["1", "4"]) == [9, -4, -11, -4]
    assert merged(zero, one, other, **{"lambda": "0.5"}) == [1.5, 1, -2.5, 0.5]
    assert merged(zero, one) == [1, 2, -3, 1]
    theirs = ma.merge({"w": zero}, [{"w": one}, {"w": other}], recipe_from_map({"method": "breadcrumbs_ties"}))
    assert theirs["w"].tolist() != [3, 2, -5, 1]  # ours averages, and cuts by default


@pytest.mark.clause("NA-11")
def test_the_largest_and_the_smallest_are_cut():
    zero, one = np.zeros(5, np.float32), np.float32([5, -1, 3, -4, 2])
    assert merged(zero, one, density="0.4", gamma="0.2") == [0, 0, 3, -4, 0]
    assert merged(zero, one, density="0.4", gamma="0") == [5, 0, 0, -4, 0]
    assert merged(zero, one, density="0.9", gamma="0.9") == [0, -1, 3, -4, 2]  # what there is, from below


@pytest.mark.clause("NA-11")
def test_numbers_are_rounded_to_the_base_dtype():
    base = np.array([256, 256], ml_dtypes.bfloat16)
    assert merged(base, *[np.array([256 + 2 * i, 256], ml_dtypes.bfloat16) for i in (1, 2)]) == [262, 256]


@pytest.mark.clause("NA-12")
def test_tiny_changes_are_weighed_alike():
    base = np.zeros(4, np.float32)
    for size, wanted in ((1, [2.8, 2.8]), (1e-4, [2, 2])):  # by squares, 1 to 9, and alike
        models = [np.float32([size, size, 0, -size]), np.float32([3 * size, 3 * size, 0, size])]
        whole = [WholeModel(str(i), {"w": model}) for i, model in enumerate(models)]
        found = InDialect("sce", KIT).rounds[0].merge({"w": base}, whole)[0]["w"] / size
        assert np.allclose(found, [*wanted, 0, 1], atol=0.1)
        chosen = InDialect("sce", KIT, select_topk="0.5").rounds[0].merge({"w": base}, whole)[0]["w"]
        assert np.count_nonzero(chosen) == 1


@pytest.mark.clause("NA-3")
def test_every_method_has_an_equation():
    computed = {dialect: family.equations.keys() for dialect, family in FAMILIES.items()} | {KIT: EQUATIONS.keys()}
    assert computed == {dialect: methods.keys() for dialect, methods in STRATEGIES.items()}


class TestLayers:
    """Settings for some layers, and gradients over them."""

    @pytest.mark.clause("NA-13", "ST-9")
    def test_of_one_model(self):
        base = {f"h.{i}.w": np.zeros(1, np.float32) for i in range(6)}
        model = {name: np.ones(1, np.float32) for name in base}
        own = [{"layers": "1 4", "coefficient": ["0.3", "1"]}, {"layers": "5 6", "coefficient": ["2", "4"]}]
        found = ma.merge(base, [model], InDialect("task_arithmetic", KIT), settings=[own])
        middle = np.float32(0.5 * 0.3 + 0.5 * 1.0)
        assert [found[name].item() for name in base] == [1, np.float32(0.3), middle, 1, 1, 4]

    @pytest.mark.clause("NA-13")
    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"layers": "4 4", "density": "1"}, "layers: '4 4' is not the first layer and the one after the last"),
            ({"layers": "04 5", "density": "1"}, "layers: '04 5' is not"),
            ({"layers": "0 4", "density": []}, "density is a list"),
            ({"layers": "0 4", "density": ["0.5", "2"]}, r"density\[1\]: density: '2' is not a decimal from"),
            ({"layers": "0 4"}, "sets nothing"),
        ],
    )
    def test_what_is_no_range_or_gradient_is_refused(self, entry, words):
        with pytest.raises(RecipeError, match=words):
            InDialect("ties", KIT, settings=[entry])
