"""A checkpoint that is open."""

import pytest

from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import write_canonical
from tests.tensors.sharded import TENSORS


@pytest.fixture
def single(tmp_path):
    write_canonical(tmp_path / "single.safetensors", TENSORS)
    with Checkpoint.open(tmp_path / "single.safetensors") as checkpoint:
        yield checkpoint
