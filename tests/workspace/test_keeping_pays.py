"""A kept aggregate says what it costs, and is not kept where it saves nothing, unless somebody insists."""

from __future__ import annotations

import pytest

import mergealgebra as ma
from mergealgebra.errors import RecipeError
from tests.models import base, fine_tune, write_file, write_folder

pytestmark = pytest.mark.clause("SY-15")

#: (recipe, dtype, coefficient, bytes an element, from how many contributions on it pays).
COSTS = {
    "TIES, F32": (ma.Ties(), "F32", "1", 21, 11),
    "TIES, F16": (ma.Ties(), "F16", "1", 21, 21),
    "TIES of fractions": (ma.Ties(), "F32", "0.5", 33, 17),
    "mean": (ma.Mean(), "F32", "1", 17, 9),
}


def workspace(root, recipe, dtype="F32"):
    write_folder(root / "base", base(dtype))
    return ma.Workspace.init(root / "alice", base=root / "base", recipe=recipe)


def contribute(made, numbers, dtype="F32", coefficient="1"):
    for number in numbers:
        path = made.path.parent / f"ft{number}.safetensors"
        write_file(path, fine_tune(number, dtype))
        made.contribute(path, coefficient, force=True)


@pytest.mark.parametrize(("recipe", "dtype", "coefficient", "nbytes", "pays_from"), COSTS.values(), ids=COSTS)
def test_the_cost_is_told_and_from_where_it_pays(recipe, dtype, coefficient, nbytes, pays_from, tmp_path):
    made = workspace(tmp_path, recipe, dtype)
    contribute(made, range(2), dtype, coefficient)
    elements = sum(array.size for array in base(dtype).values() if array.dtype.kind == "f")
    told = f"{nbytes * elements:,} bytes in the workspace's cache, "
    few = made.resolve(tmp_path / "few", keep_aggregate=True)
    assert not few.kept_aggregate
    assert f"take {told}" in few.aggregate.problem
    assert f"it pays from {pays_from} on, and --keep-aggregate=always insists" in few.aggregate.problem
    kept = made.resolve(tmp_path / "kept", keep_aggregate="always")
    assert kept.kept_aggregate
    assert kept.aggregate.in_words().startswith(f"kept: {told}")
    assert kept.model_root == few.model_root


def test_it_is_kept_from_there_on(tmp_path):
    made = workspace(tmp_path, ma.Mean())
    contribute(made, range(8))
    assert not made.resolve(tmp_path / "eight", keep_aggregate=True).kept_aggregate
    contribute(made, [8])
    assert made.resolve(tmp_path / "nine", keep_aggregate=True).kept_aggregate


@pytest.mark.parametrize("value", ["", "yes", 2, None])
def test_other_values_are_refused(value, tmp_path):
    made = workspace(tmp_path, ma.Mean())
    contribute(made, range(2))
    with pytest.raises(RecipeError, match="expected True, False or 'always'"):
        made.resolve(tmp_path / "out", keep_aggregate=value)
