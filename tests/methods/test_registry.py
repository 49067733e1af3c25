"""The registry of methods."""

from __future__ import annotations

from mergealgebra.methods.registry import METHODS


def test_every_method_is_registered_under_its_name():
    assert [method.name for method in METHODS.values()] == list(METHODS)
