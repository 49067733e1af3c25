"""Tensors of contributions that were taken back: an old merge needs them, and a sync takes them when it is asked to."""

from __future__ import annotations

import re

import pytest

import mergealgebra as ma
from mergealgebra.errors import SyncIncomplete
from mergealgebra.lock import Lock
from tests.cli.commands import call
from tests.workspace.replicas import make_workspace

pytestmark = pytest.mark.clause("SY-4", "LK-6")


@pytest.fixture
def carol(root):
    """A workspace cloned after a contribution, which the model `old` has, was taken back; the share has its tensors."""
    alice = make_workspace(root, "alice", 0, 1)
    alice.resolve(root / "old")
    alice.sync(root / "share", create=True)
    alice.retract(next(iter(alice.visible())))
    alice.sync(root / "share")
    return ma.Workspace.clone(root / "share", root / "carol", base=root / "base")


def lost_of(workspace):
    """The tensors of what was taken back, as the share has them."""
    (id_,) = {c.id for c in Lock.read(workspace.path.parent / "old").contributions} - workspace.visible().keys()
    (root,) = (c.tensors for c in Lock.read(workspace.path.parent / "old").contributions if c.id == id_)
    return root


def test_are_taken_by_the_command_that_the_refusal_names(root, carol):
    refused = call(root, "-C", "carol", "resolve", "again", "--lock", "old/merge.lock").complaint()
    command = re.search(r"`mergealgebra (.*) PEER (--retracted)`", refused)
    call(root, *command[1].split(), "share", command[2]).lines()
    again = carol.resolve(root / "again", lock=root / "old" / "merge.lock")
    assert again.lock == Lock.read(root / "old")
    assert ma.verify(root / "old", carol.path).ok


def test_are_taken_and_not_given(root, carol):
    retracted = lost_of(carol)
    dave = ma.Workspace.clone(root / "carol", root / "dave", base=root / "base")
    assert dave.sync(root / "carol", retracted=True).lost == (retracted,)
    told = call(root, "-C", "dave", "sync", "carol", "--retracted").lines()
    assert [line.split(maxsplit=2)[2] for line in told if line.startswith("not there")] == ["1 retracted tensor set"]
    assert carol.sync(root / "share").taken_blobs == ()
    assert carol.sync(root / "share", retracted=True).taken_blobs == (retracted,)
    assert carol.sync(root / "dave", retracted=True).given_blobs == ()
    assert not dave.store.has_blob(retracted)


def test_are_checked_as_all_tensors_are(root, carol):
    path = root / "share" / "blobs" / f"{lost_of(carol)}.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SyncIncomplete, match=path.name):
        carol.sync(root / "share", retracted=True)
    assert not carol.store.has_blob(lost_of(carol))
