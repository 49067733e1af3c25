"""A peer folder that others may write to: nothing in it leads elsewhere, costs much, waits, or stops the rest."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.errors import BlobDamaged, MergeAlgebraError, OutputError, WorkspaceError
from mergealgebra.store.atomic import staged
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from mergealgebra.tensors.safetensors_file import canonical_header
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute, files_of, manifest_of


@pytest.fixture
def alice(tmp_path):
    """A store with the contributions 1 and 2."""
    store = Store.create(tmp_path / "alice", GENESIS)
    for number in (1, 2):
        contribute(store, number, tmp_path, nonce(number))
    return store


@pytest.fixture
def shared(alice, tmp_path):
    """A folder with contribution 3 and its blob, and an older contribution 4."""
    store = Store.create(tmp_path / "shared", GENESIS)
    for number in (3, 4):
        contribute(store, number, tmp_path, nonce(number))
    return store


@pytest.fixture
def outside(tmp_path):
    """Somebody's folder, which has nothing to do with it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "thesis.part").write_bytes(b"years of work")
    os.utime(folder / "thesis.part", (0, 0))
    return folder


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)  # a long path is no address


#: What may stand in place of a file.
SPECIAL = {
    "pipe": os.mkfifo,
    "socket": _socket,
    "folder": Path.mkdir,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
    "loop of links": lambda path: path.symlink_to(path.name),
    "dangling link": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.clause("SY-10")
@pytest.mark.parametrize("part", ["tmp", "operations", "blobs"])
def test_a_linked_folder_leads_nowhere(alice, shared, outside, part):
    folder = shared.path / part
    folder.rename(shared.path / "away")
    folder.symlink_to(outside)
    before = files_of(outside)
    refused = sync(alice, shared.path).refused
    assert any("it is a link, not a folder" in str(error) for error in refused)
    assert files_of(outside) == before
    with pytest.raises(MergeAlgebraError, match="it is a link, not a folder"):
        sync(Store.create(alice.path.with_name("carol"), GENESIS), shared.path)
        Store.open(shared.path).ignored()
        with staged(shared.path):
            pass
    assert files_of(outside) == before


@pytest.mark.clause("SY-10")
def test_the_folder_of_a_store_may_be_a_link(alice, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "share").symlink_to(tmp_path / "disk")
    Store.create(tmp_path / "share", GENESIS)
    assert sync(alice, tmp_path / "share").refused == ()
    assert Store.open(tmp_path / "disk").state() == alice.state()


@pytest.mark.clause("SY-4", "SY-10")
@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("kind", ["operation", "blob"])
def test_what_is_no_file_is_refused_at_once_and_stops_nothing(alice, shared, kind, make):
    root = manifest_of(sorted(shared.blob_roots())[0]).tensors
    path = shared.blob_path(root) if kind == "blob" else shared.operation_path(shared.operation_ids()[0])
    path.unlink()
    make(path)
    result = sync(alice, shared.path)
    assert len(result.refused) == 1
    assert str(path) in str(result.refused[0])
    assert len(result.taken_operations) == (2 if kind == "blob" else 1)
    assert len(result.given_operations) == len(result.given_blobs) == 2


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize("make", [make for name, make in SPECIAL.items() if name != "folder"])
@pytest.mark.parametrize("kind", ["operation", "blob"])
def test_what_is_no_file_is_replaced_by_whoever_has_the_file(alice, tmp_path, kind, make):
    store = Store.create(tmp_path / "share", GENESIS)
    sync(alice, store.path)
    name = {"blob": store.blob_roots()[0], "operation": store.operation_ids()[0]}[kind]
    path = store.blob_path(name) if kind == "blob" else store.operation_path(name)
    path.unlink()
    make(path)
    result = sync(alice, store.path)
    assert (result.refused, result.mended) == ((), (str(path),))
    assert files_of(store.path / f"{kind}s") == files_of(alice.path / f"{kind}s")


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize("part", ["operations", "blobs", "tmp"])
def test_a_file_in_place_of_a_folder_stops_nothing_else(alice, shared, part):
    (shared.path / part).rename(shared.path / "away")
    (shared.path / part).write_bytes(b"")
    result = sync(alice, shared.path)
    assert result.refused
    assert all("it is a file, not a folder" in str(error) for error in result.refused)
    assert len(result.taken_operations) == (0 if part == "operations" else 2)
    assert len(result.given_operations) == (2 if part == "blobs" else 0)


class TestCosts:
    """What is small to make is small to refuse [SY-4]."""

    @pytest.fixture
    def lie(self, alice, shared):
        """A contribution of 4 elements whose blob is a sparse file that claims 2 GB."""
        manifest = replace(manifest_of("a" * 64), elements=4)
        shared.write_operation(Operation(GENESIS.workspace_id, Add(manifest, nonce(9))))
        path = shared.blob_path(manifest.tensors)
        path.write_bytes(canonical_header([("w", "F32", (1 << 29,), 4 << 29)]))
        os.truncate(path, path.stat().st_size + (4 << 29))
        return path

    @pytest.mark.clause("SY-4")
    def test_a_header_that_claims_more_is_refused_before_a_byte_is_written(self, alice, shared, lie, monkeypatch):
        written = []
        real = os.write
        monkeypatch.setattr(os, "write", lambda at, data: (written.append(len(data)), real(at, data))[1])
        for _ in range(2):
            (error,) = sync(alice, shared.path).refused
            assert isinstance(error, BlobDamaged)
            assert f"{lie} has 536,870,912 elements, but contribution" in str(error)
            assert "has 4;" in str(error)
        assert sum(written) < 1 << 16

    @pytest.mark.clause("SY-4")
    def test_a_blob_larger_than_the_disk_is_refused_and_the_rest_is_taken(self, alice, shared, monkeypatch):
        real = Store.check_room
        largest = max(shared.blob_roots(), key=shared.blob_bytes)
        monkeypatch.setattr(
            Store, "check_room", lambda self, name, n: real(self, name, 1 << 60 if largest in name else n)
        )
        result = sync(alice, shared.path)
        (error,) = result.refused
        assert isinstance(error, OutputError)
        assert str(error).endswith("free; make room")
        assert (len(result.taken_operations), len(result.taken_blobs)) == (2, 1)
        assert (len(result.given_operations), len(result.given_blobs)) == (2, 2)

    @pytest.mark.clause("SY-4")
    def test_a_disk_that_fills_while_a_blob_is_taken_stops_nothing_else(self, alice, shared, monkeypatch):
        real, full = os.write, [alice.path]

        def write(descriptor, data):
            if len(data) > 100 and Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(full[0]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, data)

        operations = {name: shared.read_operation(name) for name in shared.operation_ids()}
        for operation in operations.values():  # so that only blobs meet the full disk
            alice.write_operation(operation)
        monkeypatch.setattr(os, "write", write)
        result = sync(alice, shared.path)
        assert len(result.refused) == 2
        assert all("No space left on device" in str(error) for error in result.refused)
        assert (len(result.given_operations), len(result.given_blobs)) == (2, 2)


@pytest.mark.clause("SY-7")
class TestWithoutLinks:
    @pytest.fixture(autouse=True)
    def _no_links(self, monkeypatch):
        def link(*arguments, **named):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", link)

    def test_an_empty_genesis_is_one_that_somebody_died_over(self, alice, tmp_path, monkeypatch):
        monkeypatch.setattr("mergealgebra.store.atomic.CLAIM_SECONDS", 0.05)
        Store.create(tmp_path / "share", GENESIS)
        (tmp_path / "share" / "genesis").write_bytes(b"")
        with pytest.raises(WorkspaceError, match="share is empty"):
            sync(alice, tmp_path / "share")
        assert _first_sync(alice, tmp_path / "share").refused == ()
        assert Store.open(tmp_path / "share").state() == alice.state()

    def test_first_syncs_at_once_all_succeed(self, alice, tmp_path):
        context = get_context("fork")
        children = [context.Process(target=_first_sync, args=(alice, tmp_path / "share")) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 4
        assert Store.open(tmp_path / "share").state() == alice.state()


def _first_sync(store, path):
    """As `sync --create` does it."""
    Store.create(path, store.genesis)
    return sync(store, path)
