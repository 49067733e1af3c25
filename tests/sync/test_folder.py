"""Syncing with a folder: both sides get the union, and what is damaged is named and stops nothing else."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from types import SimpleNamespace

import pytest

from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.errors import BlobDamaged, OperationError, OutputError, WorkspaceError, WrongWorkspace
from mergealgebra.store.atomic import StagedFile
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from tests.crash import kill_points
from tests.crdt.strategies import GENESIS, OTHER_GENESIS, nonce
from tests.store.stores import contribute, files_of, names_in

FOREIGN = Operation(OTHER_GENESIS.workspace_id, Attest("1" * 64, "2" * 64))


@pytest.fixture
def exchange(tmp_path):
    """A share in which nothing is yet."""
    return Store.create(tmp_path / "exchange", GENESIS).path


@pytest.fixture
def alice(tmp_path):
    """A store with the contributions 1 and 2."""
    return _store(tmp_path, "alice", 1, 2)


@pytest.fixture
def bob(tmp_path):
    """A store with the contribution 3."""
    return _store(tmp_path, "bob", 3)


def _store(tmp_path, name, *numbers):
    store = Store.create(tmp_path / name, GENESIS)
    for number in numbers:
        contribute(store, number, tmp_path, nonce(number))
    return store


def _roots(store):
    return sorted(manifest.tensors for manifest in store.state().visible().values())


def _operation_file(store, number):
    """The file of the add whose nonce is `number`."""
    for name, operation in store.state().by_id().items():
        if operation.kind == "add" and operation.payload.nonce == nonce(number):
            return store.path / "operations" / name
    raise LookupError(number)


def _blob_file(store, number):
    """The blob of the add whose nonce is `number`."""
    return store.blob_path(store.read_operation(_operation_file(store, number).name).payload.manifest.tensors)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.clause("SY-4")
class TestSync:
    def test_brings_everyone_everything(self, alice, bob, exchange):
        for store in (alice, bob, alice):
            assert sync(store, exchange).refused == ()
        shared = Store.open(exchange)
        assert alice.state() == bob.state() == shared.state()
        assert len(alice.state().visible()) == 3
        for store in (alice, bob, shared):
            for root in _roots(store):
                store.check_blob(root)

    def test_says_what_it_moved(self, alice, bob):
        ours, theirs = alice.operation_ids(), bob.operation_ids()
        our_roots, their_roots = _roots(alice), _roots(bob)
        result = sync(alice, bob.path)
        assert (result.taken_operations, result.given_operations) == (theirs, ours)
        assert (list(result.taken_blobs), list(result.given_blobs)) == (their_roots, our_roots)
        assert result.refused == result.ignored == ()

    def test_again_moves_nothing(self, alice, bob):
        sync(alice, bob.path)
        before = files_of(alice.path), files_of(bob.path)
        result = sync(alice, bob.path)
        assert result.taken_operations == result.given_operations == result.taken_blobs == result.given_blobs == ()
        assert (files_of(alice.path), files_of(bob.path)) == before

    def test_with_itself_moves_nothing(self, alice):
        before = held_in(alice.path)
        assert sync(alice, alice.path).refused == ()
        assert held_in(alice.path) == before

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
    def test_reaches_one_state_in_any_order(self, tmp_path, exchange, order):
        stores = [_store(tmp_path, f"replica {number}", number) for number in range(3)]
        for index in (*order, *order):
            sync(stores[index], exchange)
        assert len({store.state().merge_id for store in stores}) == 1
        assert held_in(stores[0].path) == held_in(stores[1].path) == held_in(stores[2].path) == held_in(exchange)

    def test_carries_only_the_blobs_of_what_is_visible(self, alice, exchange):
        gone = next(iter(alice.state().visible()))
        (operation,) = alice.state().remove(gone).operations
        alice.write_operation(operation)
        result = sync(alice, exchange)
        assert len(result.given_operations) == 3
        assert list(result.given_blobs) == _roots(alice)
        assert len(result.given_blobs) == 1

    def test_lists_files_whose_names_promise_nothing(self, alice, exchange):
        sync(alice, exchange)
        (exchange / "operations" / "notes.txt").write_bytes(b"")
        (exchange / "blobs" / "a (conflicted copy).safetensors").write_bytes(b"")
        result = sync(alice, exchange)
        assert result.ignored == ("blobs/a (conflicted copy).safetensors", "operations/notes.txt")
        assert result.refused == ()


@pytest.mark.clause("SY-7")
class TestPeer:
    def test_that_is_missing_or_empty_becomes_no_store(self, alice, tmp_path):
        """An unmounted share looks like either."""
        (tmp_path / "empty").mkdir()
        for name, found in {"missing": "is not there", "empty": "is empty"}.items():
            with pytest.raises(WorkspaceError, match=f"/{name} {found}: if a share is mounted there, .*create=True"):
                sync(alice, tmp_path / name)
        assert not (tmp_path / "missing").exists()
        assert names_in(tmp_path / "empty") == set()

    def test_that_holds_something_else_is_refused_untouched(self, alice, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "photo.jpg").write_bytes(b"")
        with pytest.raises(WorkspaceError, match="something other"):
            sync(alice, tmp_path / "photos")
        assert names_in(tmp_path / "photos") == {"photo.jpg"}

    def test_of_another_workspace_is_refused_untouched(self, alice, tmp_path):
        other = Store.create(tmp_path / "other", OTHER_GENESIS).path
        before = files_of(alice.path), files_of(other)
        with pytest.raises(WrongWorkspace, match=str(other)):
            sync(alice, other)
        assert (files_of(alice.path), files_of(other)) == before


@pytest.mark.clause("SY-3", "SY-4", "SY-5")
class TestDamage:
    """The peer is `alice`'s; `bob` syncs with it and must get the good rest."""

    @pytest.mark.parametrize("damage", [_truncate, lambda path: path.write_bytes(b"")], ids=["truncated", "empty"])
    def test_of_an_operation_is_named_and_the_rest_is_taken(self, alice, bob, damage):
        path = _operation_file(alice, 1)
        damage(path)
        result = sync(bob, alice.path)
        (error,) = result.refused
        assert isinstance(error, OperationError)
        assert str(path) in str(error)
        assert len(result.taken_operations) == 1
        assert len(result.given_operations) == 1
        assert path.name not in bob.operation_ids()
        assert len(bob.state().visible()) == 2

    @pytest.mark.parametrize("side", ["alice", "bob"])
    def test_of_an_operation_that_both_have_is_mended(self, alice, bob, side):
        sync(bob, alice.path)
        before = files_of(alice.path), files_of(bob.path)
        _truncate(path := {"alice": alice, "bob": bob}[side].path / "operations" / _operation_file(alice, 1).name)
        result = sync(bob, alice.path)
        assert (result.refused, result.mended) == ((), (str(path),))
        assert (files_of(alice.path), files_of(bob.path)) == before

    def test_of_an_operation_heals_once_it_is_deleted(self, alice, bob):
        sync(bob, alice.path)
        path = _operation_file(alice, 1)
        _truncate(path)
        path.unlink()
        assert sync(bob, alice.path).refused == ()
        assert alice.state() == bob.state()

    def test_of_a_blob_is_named_and_its_operation_is_taken(self, alice, bob):
        path = _blob_file(alice, 1)
        _truncate(path)
        result = sync(bob, alice.path)
        (error,) = result.refused
        assert isinstance(error, BlobDamaged)
        assert str(path) in str(error)
        assert len(result.taken_operations) == 2
        assert len(result.taken_blobs) == 1
        assert len(bob.state().visible()) == 3
        assert not (bob.path / "blobs" / path.name).exists()

    def test_of_our_own_blob_is_named_and_it_is_not_given(self, alice, bob):
        path = _blob_file(alice, 1)
        _truncate(path)
        result = sync(alice, bob.path)
        (error,) = result.refused
        assert str(path) in str(error)
        assert len(result.given_operations) == 2
        assert len(result.given_blobs) == 1
        assert not (bob.path / "blobs" / path.name).exists()

    def test_of_our_own_operation_is_named_and_it_is_not_given(self, alice, bob):
        path = _operation_file(alice, 1)
        _truncate(path)
        result = sync(alice, bob.path)
        (error,) = result.refused
        assert str(path) in str(error)
        assert path.name not in bob.operation_ids()
        assert len(result.given_operations) == 1

    @pytest.mark.parametrize("side", ["alice", "bob"])
    def test_of_a_blob_that_both_have_in_two_sizes_is_mended(self, alice, bob, side):
        sync(bob, alice.path)
        before = files_of(alice.path), files_of(bob.path)
        path = {"alice": alice, "bob": bob}[side].path / "blobs" / _blob_file(alice, 1).name
        _truncate(path)
        result = sync(bob, alice.path)
        assert (result.refused, result.mended) == ((), (str(path),))
        assert (files_of(alice.path), files_of(bob.path)) == before

    def test_of_a_blob_that_a_newcomer_finds_is_mended_by_whoever_holds_it(self, alice, bob, exchange, tmp_path):
        """A flipped bit changes no size: nobody who has the blob would look."""
        sync(alice, exchange)
        path = exchange / "blobs" / _blob_file(alice, 1).name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert sync(alice, exchange).mended == ()
        for _ in range(2):
            (error,) = sync(bob, exchange).refused
            assert isinstance(error, BlobDamaged)
            assert str(path) in str(error)
        assert sync(alice, exchange).mended == (str(path),)
        assert path.read_bytes() == good
        assert sync(bob, exchange).refused == ()
        assert held_in(alice.path) == held_in(exchange)

    def test_that_is_reported_and_is_none_is_forgotten(self, alice, exchange):
        sync(alice, exchange)
        before = files_of(exchange)
        Store.open(exchange).report_damage(_roots(alice)[0])
        assert files_of(exchange) != before
        assert sync(alice, exchange).mended == ()
        assert files_of(exchange) == before

    def test_is_all_named_in_one_order(self, alice, bob):
        damaged = [_operation_file(alice, 1), _blob_file(alice, 2)]
        foreign = alice.path / "operations" / FOREIGN.id
        foreign.write_bytes(FOREIGN.encode())
        for path in damaged:
            _truncate(path)
        results = [sync(bob, alice.path), sync(bob, alice.path)]
        assert [str(error) for error in results[0].refused] == [str(error) for error in results[1].refused]
        assert len(results[0].refused) == 3
        for path in (*damaged, foreign):
            assert sum(str(path) in str(error) for error in results[0].refused) == 1

    @pytest.mark.clause("OS-6")
    def test_an_operation_of_another_workspace_is_refused(self, alice, bob):
        (alice.path / "operations" / FOREIGN.id).write_bytes(FOREIGN.encode())
        (error,) = sync(bob, alice.path).refused
        assert isinstance(error, WrongWorkspace)
        assert FOREIGN.id not in bob.operation_ids()

    def test_a_missing_blob_is_brought_by_a_later_sync(self, alice, bob, tmp_path):
        path = _blob_file(alice, 1)
        path.rename(tmp_path / "kept")
        assert sync(bob, alice.path).refused == ()
        assert len(bob.state().visible()) == 3
        (tmp_path / "kept").rename(path)
        assert [f"{root}.safetensors" for root in sync(bob, alice.path).taken_blobs] == [path.name]


@pytest.mark.clause("SY-4", "PR-11")
def test_a_disk_without_room_takes_no_operation(alice, bob, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    result = sync(bob, alice.path)
    assert "bytes for operations and its disk has 1,048,576 free; make room" in str(result.refused[0])
    assert result.taken_operations == ()


class TestReadOnlyPeer:
    @pytest.fixture(autouse=True)
    def read_only(self, alice, monkeypatch):
        """Nothing can be written below `alice`'s folder."""
        real = StagedFile.__init__

        def refuse(file, folder, path, *mode):
            if path.is_relative_to(alice.path):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            real(file, folder, path, *mode)

        monkeypatch.setattr(StagedFile, "__init__", refuse)

    def test_still_gives_and_is_named_once(self, alice, bob):
        result = sync(bob, alice.path)
        (error,) = result.refused
        assert isinstance(error, OutputError)
        assert f"{alice.path}/tmp cannot be written: Read-only file system" in str(error)
        assert len(result.taken_operations) == len(result.taken_blobs) == 2
        assert result.given_operations == result.given_blobs == ()
        assert len(bob.state().visible()) == 3

    def test_that_lacks_nothing_is_no_error(self, alice, tmp_path):
        carol = Store.create(tmp_path / "carol", GENESIS)
        assert sync(carol, alice.path).refused == ()
        assert carol.state() == alice.state()


@pytest.mark.clause("SY-2", "SY-8")
class TestCrash:
    def test_leaves_both_sides_between_before_and_after(self, alice, bob, tmp_path):
        ours, theirs = alice.state(), bob.state()
        everything = ours.join(theirs)
        for moment, folder in kill_points(
            tmp_path, lambda at: sync(Store.open(at / "alice"), at / "bob"), _away(tmp_path)
        ):
            for name, before in (("alice", ours), ("bob", theirs)):
                died = Store.open(folder / name)
                assert before <= died.state() <= everything, moment
                for root in died.blob_roots():
                    died.check_blob(root)
            assert sync(Store.open(folder / "alice"), folder / "bob").refused == ()
            assert Store.open(folder / "alice").state() == Store.open(folder / "bob").state() == everything, moment


def held_in(folder):
    """The files of a store but for the index, which says what its last writer saw."""
    return {name: data for name, data in files_of(folder).items() if name != "packs/index"}


def _away(tmp_path):
    """A scratch folder that is not below the one that is copied."""
    return tmp_path.with_name(f"{tmp_path.name}-scratch")
