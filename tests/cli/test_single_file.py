"""A model in one file, by every verb that writes or reads one."""

from __future__ import annotations

import pytest

from mergealgebra.lock import Lock
from tests.cli.commands import call


@pytest.mark.clause("LK-9")
def test_merge_resolve_and_verify_take_such_a_name(scene):
    assert call(scene, "merge", "merge.yaml", "m.safetensors").code == 0
    assert call(scene, "verify", "m.safetensors").code == 0
    assert call(scene, "-C", "alice", "resolve", "alice.safetensors").code == 0
    assert call(scene, "verify", "alice.safetensors", "--against", "alice").code == 0
    again = call(scene, "-C", "alice", "resolve", "again.safetensors", "--lock", "alice.safetensors.lock")
    assert again.code == 0
    assert (scene / "again.safetensors").read_bytes() == (scene / "alice.safetensors").read_bytes()
    assert Lock.read(scene / "again.safetensors") == Lock.read(scene / "alice.safetensors")
