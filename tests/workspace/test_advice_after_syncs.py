"""What is advised after a sync that was not complete, and of damaged tensors: nothing that would do harm."""

from __future__ import annotations

import json
import re
import shlex

import pytest

import mergealgebra as ma
from mergealgebra.errors import SyncIncomplete
from mergealgebra.fsck import inspect
from mergealgebra.store.incomplete import incomplete_lines, write_incomplete
from mergealgebra.store.objects import Store
from tests.cli.commands import call
from tests.cli.scene import blobs, flip
from tests.workspace.replicas import make_workspace

BACK = "take it back for everybody"


@pytest.fixture
def alice(root):
    """A workspace with two contributions, synced with a share."""
    alice = make_workspace(root, "alice", 0, 1)
    alice.sync(root / "share", create=True)
    return alice


@pytest.mark.clause("OS-13", "SY-12")
def test_nobody_is_told_to_retract_what_the_next_sync_may_bring(root, alice):
    flip(blobs(root, "share")[0], -1)
    with pytest.raises(SyncIncomplete):
        ma.Workspace.clone(root / "share", root / "bob", base=root / "base")

    def told():
        warnings = json.loads(call(root, "-C", "bob", "status", "--json").stdout)["warnings"]
        (missing,) = [line for line in warnings if "its tensors are not here" in line]
        return [missing, *inspect(root / "bob").missing]

    assert [BACK in line for line in told()] == [False, False]
    (root / "bob" / "incomplete.json").unlink()  # as after a sync that was complete
    assert [BACK in line for line in told()] == [True, True]


@pytest.mark.clause("CT-6", "SY-11")
def test_damaged_tensors_in_a_share_are_mended_as_advised(root, alice):
    flip(blobs(root, "share")[0], -1)
    (damaged,) = json.loads(call(root, "fsck", "share", "--json").stdout.splitlines()[0])["damaged"]
    assert "delete" not in damaged
    command = re.search("`mergealgebra (.*) WORKSPACE`", damaged)[1]
    assert call(root, *shlex.split(command), "alice").code == 0
    assert inspect(root / "share").ok


@pytest.mark.clause("CT-6", "SY-11")
def test_ones_own_damaged_tensors_that_nobody_has_are_contributed_again(root):
    alice = make_workspace(root, "alice", 0)
    (blob,) = blobs(root, "alice")
    flip(blob, -1)
    (damaged,) = inspect(root / "alice").damaged
    assert damaged.endswith(
        "delete it, and sync with a replica that has it; if nobody has it, contribute the checkpoint again"
    )
    blob.unlink()
    alice.contribute(root / "ft0.safetensors")
    assert inspect(root / "alice").ok


@pytest.mark.clause("SY-4")
def test_what_only_the_peer_lacks_is_said_to_be_lacking_there(root, alice, monkeypatch):
    bob = ma.Workspace.clone(root / "share", root / "bob", base=root / "base")
    bob.contribute(root / "ft2.safetensors")
    real = Store.check_room
    monkeypatch.setattr(Store, "check_room", lambda store, name, n: real(store, name, 1 << 60))
    with pytest.raises(SyncIncomplete):
        bob.sync(root / "share")
    (doubt,) = bob.doubts
    assert f"the last sync with {root}/share was incomplete, so others may lack yours: {root}/share needs" in doubt
    with pytest.raises(SyncIncomplete):
        alice.sync(root / "bob")  # who gives, so that alice lacks them
    assert "contributions may be lacking" in alice.doubts[0]


@pytest.mark.clause("SY-4")
def test_advice_that_several_refusals_share_is_given_once(alice):
    write_incomplete(alice.store, "/peer", [f"{name} needs 9 bytes; make room" for name in "abc"])
    (line,) = incomplete_lines(alice.store)
    assert "a needs 9 bytes; b needs 9 bytes; c needs 9 bytes; make room; sync again (" in line
