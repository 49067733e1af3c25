"""Recipe and merge files: what is wrong with one is told on one line."""

from __future__ import annotations

import pytest

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.recipe_file import read_merge_file

WRONG = {
    "missing": None,
    "no YAML": "{",
    "nested too deeply": "[" * 5000,
    "no mapping": "ties",
    "no recipe": "base: x\nmodels: [{path: y}]\nmethod: none",
    "no base": "method: mean",
    "no models": "method: mean\nbase: x",
    "a model without a path": "method: mean\nbase: x\nmodels: [{}]",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_path_of_two_lines_is_named_on_one(text, tmp_path):
    path = tmp_path / "a\nb.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MergeAlgebraError, match=r"^[^\n]*a\\nb\.yaml[^\n]*$"):
        read_merge_file(path)
