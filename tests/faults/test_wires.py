"""A peer that flips one bit anywhere in what it serves changes nobody's model, and is named [PR-9, PR-11, PR-12]."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

import mergealgebra as ma
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.fsck import inspect
from mergealgebra.store.objects import Store
from mergealgebra.sync import http_peer
from tests.cli.scene import flip
from tests.faults.team import Team
from tests.faults.wires import cut_at, flipped, lost_at, wire_to
from tests.sync.servers import in_thread
from tests.workspace.replicas import moved

FLIPS, THOROUGH_FLIPS = 30, 800


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """Bob has three contributions, a retraction and a revoke that Alice lacks."""
    made = Team.made(tmp_path_factory.mktemp("wires"))
    bob = ma.Workspace.open(made.root / "bob")
    for number in (1, 2, 3):
        bob.contribute(made.root / f"ft{number}.safetensors")
    bob.retract(bob.contribute(made.root / "ft4.safetensors"))
    bob.revoke(made.root / "carol-key.pub")
    return made


@pytest.fixture
def served(team, monkeypatch):
    monkeypatch.setattr(http_peer, "IDLE_SECONDS", 0.2)
    from mergealgebra.sync.service import Service

    with in_thread(Service(Store.open(team.root / "bob", peer=True))) as address:
        yield address


def fresh(team, folder: Path) -> ma.Workspace:
    """Alice's workspace as it was, in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(team.root / "alice", folder)
    return moved(folder, team.root / "base")


def synced(workspace: ma.Workspace, address: str) -> str:
    """Sync; what was wrong, if anything."""
    try:
        workspace.sync(address)
    except MergeAlgebraError as error:
        return str(error)
    return ""


def check(workspace: ma.Workspace, before: ma.Workspace, good: ma.Workspace) -> None:
    """Nothing was let in that is not Bob's, nothing was lost, and all tensors are what their names promise."""
    assert before.state <= workspace.state <= before.state | good.state
    for root in workspace.store.blob_roots():
        workspace.store.check_blob(root)


def bytes_of_a_sync(team, served, folder: Path) -> int:
    with wire_to(served) as wire:
        assert synced(fresh(team, folder), wire.address) == ""
        return wire.sent


@pytest.mark.clause("PR-9", "PR-11", "PR-12", "SY-3")
def test_one_bit_anywhere_changes_nobodys_model_and_names_the_peer(team, served, tmp_path, request):
    nbytes, random = bytes_of_a_sync(team, served, tmp_path / "alice"), Random(7)
    alice, bob = ma.Workspace.open(team.root / "alice"), ma.Workspace.open(team.root / "bob")
    named = 0
    for number in range(THOROUGH_FLIPS if request.config.getoption("--thorough") else FLIPS):
        at, bit = random.randrange(nbytes), random.randrange(8)
        copy = fresh(team, tmp_path / "alice")
        with wire_to(served, flipped(at, bit)) as wire:
            wrong = synced(copy, wire.address)
        check(copy, alice, bob)
        if wrong:
            assert wire.address in wrong, f"flip {number}, bit {bit} of byte {at}: {wrong}"
            named += 1
        else:  # as in the name of a header that nobody reads
            assert copy.merge_id == bob.merge_id, f"flip {number}, bit {bit} of byte {at}"
            assert not copy.missing()
    assert named > FLIPS // 2
    assert synced(copy, served) == ""
    assert (copy.merge_id, copy.missing()) == (bob.merge_id, [])


@pytest.mark.clause("SY-8", "PR-12")
@pytest.mark.parametrize("make", [cut_at, lambda at: lost_at(at, 50)], ids=["cut", "lost"])
def test_what_is_cut_or_lost_is_taken_the_next_time(team, served, tmp_path, make):
    nbytes = bytes_of_a_sync(team, served, tmp_path / "alice")
    alice, bob = ma.Workspace.open(team.root / "alice"), ma.Workspace.open(team.root / "bob")
    for at in range(0, nbytes, nbytes // 4):
        copy = fresh(team, tmp_path / "alice")
        with wire_to(served, make(at)) as wire:
            assert wire.address in synced(copy, wire.address)
        check(copy, alice, bob)
        assert synced(copy, served) == ""
        assert (copy.merge_id, copy.missing()) == (bob.merge_id, [])


@pytest.mark.clause("SY-11")
def test_one_bit_anywhere_mends_nothing_wrongly(team, served, tmp_path):
    random = Random(8)
    with wire_to(served) as wire:
        whole = fresh(team, tmp_path / "alice")
        whole.sync(served)
        before = wire.sent
    assert before == 0
    for _ in range(8):
        (blob, *_) = sorted((whole.path / "blobs").iterdir())
        flip(blob, -1)
        with wire_to(served, flipped(random.randrange(4000), random.randrange(8))) as wire:
            try:
                found = inspect(whole.path, repair=wire.address)
            except MergeAlgebraError as error:
                assert wire.address in str(error)
            else:
                assert found.ok or any(wire.address in line for line in found.damaged)
        assert inspect(whole.path, repair=served).ok
