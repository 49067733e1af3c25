"""What all tests of workspaces begin with."""

from __future__ import annotations

import pytest

from tests.workspace.replicas import write_models


@pytest.fixture
def root(tmp_path):
    """A folder with a base and three fine-tunes."""
    write_models(tmp_path)
    return tmp_path
