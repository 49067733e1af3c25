"""A live sync that dies, or whose disk fails, at any moment: nothing is lost, and the next one completes it."""

from __future__ import annotations

import os

import pytest

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.objects import Store
from mergealgebra.sync.live import sync_live
from tests.crash import fault_points, kill_points
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute
from tests.sync.live_peers import wire_to


def sync_both(folder):
    """Alice syncs with Bob, whose service is in the same process: it dies with her."""
    return sync_live(Store.open(folder / "alice"), wire_to(Store.open(folder / "bob")).peer)


@pytest.fixture
def before(tmp_path):
    """Two stores with a contribution each, one of them taken back and added again."""
    folder = tmp_path / "before"
    for number, name in enumerate(("alice", "bob")):
        store = Store.create(folder / name, GENESIS)
        contribute(store, number, tmp_path, nonce(number))
    (contribution,) = store.state().visible()
    manifest = store.state().visible()[contribution]
    store.write_delta(store.state().remove(contribution))
    store.write_delta(store.state().add(manifest, nonce(9)))
    return folder


def check_nothing_is_lost(folder, before):
    whole = Store.open(before / "alice").state() | Store.open(before / "bob").state()
    for name in ("alice", "bob"):
        store = Store.open(folder / name)
        assert Store.open(before / name).state() <= store.state() <= whole
        assert set(store.blob_roots()) >= set(Store.open(before / name).blob_roots())
        for root in store.blob_roots():
            store.check_blob(root)
    assert not sync_both(folder).refused
    for name in ("alice", "bob"):
        assert Store.open(folder / name).state() == whole
        assert len(Store.open(folder / name).blob_roots()) == 2


@pytest.mark.clause("SY-8", "PR-11", "PR-12")
def test_a_sync_that_dies_at_any_moment(before, tmp_path):
    moments = 0
    for _, folder in kill_points(before, sync_both, tmp_path / "scratch"):
        check_nothing_is_lost(folder, before)
        moments += 1
    assert moments > 40


@pytest.mark.clause("BL-7", "BL-8", "SY-8")
def test_leaves_that_came_before_a_death_are_hashed_and_the_rest_comes(tmp_path):
    """The process dies at each of its calls; no leaf that was written has to come again."""
    before = tmp_path / "before"
    alice, bob = (Store.create(before / name, GENESIS) for name in ("alice", "bob"))
    contribute(bob, 1, tmp_path, nonce(1))
    for operation in bob.state().operations:
        alice.write_operation(operation)
    (root,) = bob.blob_roots()
    resumed = 0
    for _, folder in kill_points(before, sync_both, tmp_path / "scratch"):
        taker = Store.open(folder / "alice")
        if taker.has_blob(root):
            taker.check_blob(root)
        resumed += (taker.path / "partial" / f"{root}.part").exists()
        assert not sync_both(folder).refused
        taker.check_blob(root)
    assert resumed > 5


@pytest.mark.clause("PR-11", "PR-12")
def test_a_sync_whose_disk_fails_at_any_moment_says_so(before, tmp_path):
    for _, folder, raised in fault_points(before, told, tmp_path / "scratch"):
        assert isinstance(raised, MergeAlgebraError)
        assert os.strerror(28) in str(raised)
        check_nothing_is_lost(folder, before)


def told(folder):
    """Sync, and raise what was refused, as a command does."""
    if refused := sync_both(folder).refused:
        raise refused[0]
