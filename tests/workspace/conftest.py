"""What all tests of workspaces begin with."""

from __future__ import annotations

import pytest

from tests.workspace.replicas import make_workspace, write_models


@pytest.fixture
def root(tmp_path):
    """A folder with a base and three fine-tunes."""
    write_models(tmp_path)
    return tmp_path


@pytest.fixture
def alice(root):
    """A workspace with two contributions."""
    return make_workspace(root, "alice", 0, 1)
