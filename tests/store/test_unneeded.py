"""What a replica could do without: it goes when asked for, and nothing goes that a command is about to need."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import pytest

from mergealgebra.errors import OperationError, OutputError
from mergealgebra.fsck import inspect
from mergealgebra.store.blob_store import BlobStore
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.store.unneeded import SETTLING_SECONDS, unneeded_blobs
from mergealgebra.sync.folder import sync
from mergealgebra.wanted import known_manifests
from tests.crash import kill_points
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute, entry_of, names_in, write_blob

pytestmark = pytest.mark.clause("SY-13")


@pytest.fixture
def store(tmp_path):
    """A store with the contributions 0 to 2, the first of which is retracted; all files are old."""
    store = Store.create(tmp_path / "alice", GENESIS)
    ids = [contribute(store, number, tmp_path, nonce(number)) for number in range(3)]
    retract(store, ids[0])
    for root in store.blob_roots():
        make_old(store, root)
    return store


def make_old(store, root):
    os.utime(store.blob_path(root), (time.time() - SETTLING_SECONDS - 10,) * 2)


def retract(store, id_):
    for operation in store.state().remove(id_).operations:
        store.write_operation(operation)


def retracted_id(store):
    """The id of what is retracted, the only one."""
    state = store.state()
    (id_,) = known_manifests(state).keys() - state.visible().keys()
    return id_


def retracted_root(store):
    return known_manifests(store.state())[retracted_id(store)].tensors


def visible_roots(store):
    return {manifest.tensors for manifest in store.state().visible().values()}


def add_again(store):
    """The retracted contribution, visible again by an operation alone, as a sync writes it first."""
    state = store.state()
    for operation in state.add(known_manifests(state)[retracted_id(store)]).operations:
        store.write_operation(operation)


def free(store):
    for blob in unneeded_blobs(store):
        if blob.is_settled:
            blob.remove()


def test_tensors_of_what_is_retracted_go_and_no_others(store):
    root, kept = retracted_root(store), visible_roots(store)
    (blob,) = unneeded_blobs(store)
    assert (blob.root, blob.is_settled) == (root, True)
    assert blob.kind == f"tensors of {retracted_id(store)[:12]}, retracted"
    assert blob.nbytes == store.blob_path(root).stat().st_size
    free(store)
    assert set(store.blob_roots()) == kept
    assert names_in(store.path / "tmp") == set()
    assert unneeded_blobs(store) == []


def test_tensors_that_another_visible_contribution_names_stay(store):
    state = store.state()
    half = replace(known_manifests(state)[retracted_id(store)], coefficient="3f000000")
    for operation in state.add(half).operations:
        store.write_operation(operation)
    assert unneeded_blobs(store) == []


def test_tensors_that_nothing_names_are_told_and_young_ones_stay(store, tmp_path):
    root = write_blob(tmp_path / "new.safetensors", 7)
    store.import_blob(entry_of(tmp_path / "new.safetensors"), root)
    (young,) = [blob for blob in unneeded_blobs(store) if blob.root == root]
    assert (young.kind, young.is_settled) == ("tensors that nothing here names", False)
    with pytest.raises(OutputError, match="came into use again and stays"):
        young.remove()
    make_old(store, root)
    free(store)
    assert set(store.blob_roots()) == visible_roots(store)


def test_what_is_no_file_is_not_told(store, tmp_path):
    for number, make in enumerate((os.mkfifo, os.mkdir, lambda path: path.symlink_to(tmp_path / "0.safetensors"))):
        make(store.blob_path(f"{number:064x}"))
    assert [blob.root for blob in unneeded_blobs(store)] == [retracted_root(store)]


def test_a_report_of_damage_goes_along(store):
    store.report_damage(retracted_root(store))
    free(store)
    assert len(names_in(store.path / "blobs")) == 2


class TestAtTheSameMoment:
    def test_a_sync_makes_them_visible_again(self, store, monkeypatch):
        """Its operation comes before they are moved aside, or before what is visible is read."""
        real = os.replace
        for when in ("before", "after"):

            def standing_in(source, target, when=when, **folders):
                monkeypatch.setattr(os, "replace", real)
                if when == "before":
                    add_again(store)
                real(source, target, **folders)
                if when == "after":
                    add_again(store)

            root = retracted_root(store)
            (blob,) = unneeded_blobs(store)
            monkeypatch.setattr(os, "replace", standing_in)
            with pytest.raises(OutputError, match="came into use again and stays"):
                blob.remove()
            store.check_blob(root)
            retract(store, next(id_ for id_, found in store.state().visible().items() if found.tensors == root))
            make_old(store, root)

    def test_a_sync_makes_others_visible_after_some_went(self, store):
        again = min(visible_roots(store))
        id_ = next(id_ for id_, found in store.state().visible().items() if found.tensors == again)
        retract(store, id_)
        make_old(store, again)
        other, blob = sorted(unneeded_blobs(store), key=lambda blob: blob.root == again)
        other.remove()
        for operation in store.state().add(known_manifests(store.state())[id_]).operations:
            store.write_operation(operation)
        with pytest.raises(OutputError, match="came into use again and stays"):
            blob.remove()

    def test_they_are_contributed_again_which_makes_them_young(self, store, tmp_path):
        """The blob is there, so the writer leaves its own; the `add` comes later."""
        root = retracted_root(store)
        (blob,) = unneeded_blobs(store)
        assert blob.is_settled
        store.import_blob(entry_of(tmp_path / "0.safetensors"), root)
        with pytest.raises(OutputError, match="came into use again and stays"):
            blob.remove()
        assert store.has_blob(root)

    def test_they_go_after_their_writer_found_them(self, store, tmp_path, monkeypatch):
        root = retracted_root(store)
        (blob,) = unneeded_blobs(store)
        real = BlobStore.check_blob

        def check(self, *args):
            real(self, *args)
            blob.remove()

        monkeypatch.setattr(BlobStore, "check_blob", check)
        store.import_blob(entry_of(tmp_path / "0.safetensors"), root)
        monkeypatch.undo()
        store.check_blob(root)

    def test_a_damaged_operation_comes(self, store):
        """Nobody knows then what is visible: nothing goes."""
        root = retracted_root(store)
        (blob,) = unneeded_blobs(store)
        (store.path / "operations" / ("f" * 64)).write_bytes(b"damaged")
        with pytest.raises(OperationError, match="is damaged"):
            blob.remove()
        store.check_blob(root)

    @pytest.mark.clause("SY-8")
    def test_the_process_dies(self, store, tmp_path):
        visible = visible_roots(store)
        for moment, folder in kill_points(store.path, lambda at: free(Store.open(at)), tmp_path / "scratch"):
            left = Store.open(folder)
            assert visible_roots(left) == visible <= set(left.blob_roots()), moment
            assert len(names_in(folder / "tmp")) + len(left.blob_roots()) <= 3, moment

    def test_it_cannot_be_removed(self, store, monkeypatch):
        (blob,) = unneeded_blobs(store)

        def refuse(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OutputError, match=f"{blob.root}.*cannot be removed: Permission denied"):
            blob.remove()


class TestAfterwards:
    @pytest.fixture
    def freed(self, store, tmp_path):
        """The store without them, and a share and another replica that have them."""
        share, bob = (Store.create(tmp_path / name, GENESIS) for name in ("share", "bob"))
        add_again(store)
        sync(store, share.path)
        sync(bob, share.path)
        root = min(visible_roots(store))
        retract(store, next(id_ for id_, found in store.state().visible().items() if found.tensors == root))
        make_old(store, root)
        free(store)
        assert not store.has_blob(root)
        return store, share, bob, root

    def test_nobody_misses_them_and_no_sync_brings_them_back(self, freed):
        store, share, _, root = freed
        assert sync(store, share.path).taken_blobs == ()
        assert share.has_blob(root)
        assert not store.has_blob(root)
        write_local(store, share.path)  # or it would be a share, which needs an index
        assert inspect(store.path).ok
        assert inspect(store.path, repair=share.path).mended == []

    def test_a_sync_brings_them_when_they_are_visible_again(self, freed):
        store, share, bob, root = freed
        sync(store, share.path)
        sync(bob, share.path)
        add_again(bob)
        sync(bob, share.path)
        assert sync(store, share.path).taken_blobs == (root,)
        store.check_blob(root)
