"""The registry of methods."""

from __future__ import annotations

from mergealgebra.algebra.methods import REDUCERS

from mergealgebra.methods.registry import METHODS


def test_every_recipe_has_its_equations_and_no_other_is_there():
    assert REDUCERS.keys() == METHODS.keys()
    for name, reducer in REDUCERS.items():
        assert reducer.__name__ == f"mergealgebra.algebra.{name}"
