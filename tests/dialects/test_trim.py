"""How many elements of a group a dialect keeps, and which."""

from __future__ import annotations

import numpy as np
import pytest

from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import POINTS
from tests.dialects.cases import REFUSED, TEN, canonical_but, merged, top


@pytest.mark.clause("DI-2")
@pytest.mark.parametrize(("option", "count"), [("decimal", 29), ("double", 28), ("percent", 28), ("drop_rate", 29)])
def test_density(option, count):
    """0.29 times 100 is 28.999999999999996 in binary64, 1 - 0.71 times 100 is 29.000000000000004."""
    hundred = list(range(1, 101))
    assert merged(canonical_but(density=option), [hundred], density="0.29") == top(count, hundred)


@pytest.mark.clause("DI-2")
@pytest.mark.parametrize(("option", "wanted"), [("drop_rate", [1, 2, 3, 4, 5]), ("double", REFUSED)])
def test_a_drop_rate_is_a_decimal_too(option, wanted):
    """0.2 times 5 is 1 in binary64, and 1 - 0.8 times 5 is less."""
    dialect = canonical_but(density=option, kept="complement")
    assert merged(dialect, [[1, 2, 3, 4, 5]], density="0.8") == wanted


@pytest.mark.clause("DI-2")
def test_a_density_above_1_may_be_percent():
    assert merged(canonical_but(density="percent"), [TEN], density="20") == top(2)


#: What is kept of ten elements, for densities 0.04, 0.25, 0.26 and 1.
KEPT = {
    "floor_min_1": (1, 2, 2, 10),
    "floor": (0, 2, 2, 10),
    "floor_not_0": (REFUSED, 2, 2, 10),
    "floor_plus_1": (1, 3, 3, REFUSED),
    "complement": (2, 4, 4, REFUSED),
    "complement_min_1": (2, 4, 4, 10),
    "ceil": (1, 3, 3, 10),
    "round_min_1": (1, 2, 3, 10),
    "percentile_nonzero": (1, 3, 3, 10),
}


@pytest.mark.clause("DI-3")
@pytest.mark.parametrize("option", POINTS["kept"])
def test_kept(option):
    for density, count in zip(("0.04", "0.25", "0.26", "1"), KEPT[option], strict=True):
        wanted = count if count == REFUSED else top(count)
        assert merged(canonical_but(kept=option), [TEN], density=density) == wanted, density


@pytest.mark.clause("DI-4")
@pytest.mark.parametrize(("option", "wanted"), [("model", ([0, 0], [3, 4])), ("tensor", ([0, 2], [0, 4]))])
def test_scope(option, wanted):
    base = {"a": np.zeros(2, np.float32), "b": np.zeros(2, np.float32)}
    model = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}
    result = merge_in_dialect(canonical_but(scope=option), base, [model], density="0.5")
    assert tuple(result[name].tolist() for name in "ab") == wanted


@pytest.mark.clause("DI-5", "DI-18")
@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("keep_all", [1, 1, -1, 2]),
        ("lowest_index", [1, 0, 0, 2]),
        ("highest_index", [0, 0, -1, 2]),
        ("any", [1, 0, 0, 2]),
        ("none", [0, 0, 0, 2]),
    ],
)
def test_boundary(option, wanted):
    assert merged(canonical_but(boundary=option), [[1, 1, -1, 2]], density="0.5") == wanted


@pytest.mark.clause("DI-3", "DI-5")
@pytest.mark.parametrize(("option", "count"), [("keep_all", 3), ("any", 3), ("none", 2)])
def test_boundary_of_a_quantile(option, count):
    dialect = canonical_but(kept="percentile_nonzero", boundary=option)
    assert merged(dialect, [[1, 2, 3, 4, 5]], density="0.5") == top(count, [1, 2, 3, 4, 5])


@pytest.mark.clause("DI-6")
@pytest.mark.parametrize(("option", "kept"), [("fp32", 2), ("working", 1)])
def test_key(option, kept):
    """Two fp64 numbers that are one fp32 number."""
    model = {"w": np.array([1.0, 1 + 2.0**-40])}
    dialect = canonical_but(key=option, arithmetic="fp64")
    result = merge_in_dialect(dialect, {"w": np.zeros(2)}, [model], density="0.5")
    assert np.count_nonzero(result["w"]) == kept


@pytest.mark.clause("DI-4", "DI-17")
def test_a_tensor_that_a_model_lacks_is_no_part_of_its_trim():
    base = {"a": np.zeros(2, np.float32), "b": np.zeros(2, np.float32)}
    models = [{"b": np.float32([1, 2])}, {"a": np.float32([3, 4]), "b": np.float32([1, 2])}]
    result = merge_in_dialect(canonical_but(), base, models, density="0.5")
    assert [result[name].tolist() for name in "ab"] == [[3, 4], [0, 2]]
