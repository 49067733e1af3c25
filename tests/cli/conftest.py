"""The scene, built once and copied for each test."""

from __future__ import annotations

import shutil

import pytest

from tests.cli import scene as scenes


@pytest.fixture(scope="session")
def original_scene(tmp_path_factory):
    """The scene that copies are made of; nobody changes it."""
    return scenes.build(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(original_scene, tmp_path):
    """A copy of the scene, free to be spoilt."""
    root = shutil.copytree(original_scene, tmp_path / "scene", symlinks=True)
    scenes.move_in(root)
    return root
