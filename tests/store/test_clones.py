"""Blobs that are copied by sharing blocks, where the file system can: what was taken is checked before it appears."""

from __future__ import annotations

import errno
import os

import pytest

from mergealgebra.errors import BlobDamaged
from mergealgebra.store.atomic import clone_file
from mergealgebra.store.blob_store import BlobWriter
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from tests.crdt.strategies import GENESIS
from tests.store.stores import contribute, entry_of, names_in, write_blob

fcntl = pytest.importorskip("fcntl", reason="this system has no ioctl")

pytestmark = pytest.mark.clause("SY-14")


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store", GENESIS)


@pytest.fixture
def blob(tmp_path):
    """A good blob outside any store, and its root."""
    path = tmp_path / "source.safetensors"
    return path, write_blob(path, 1)


def file_system(monkeypatch, taken=lambda data: data):
    """Stand in for a file system that shares blocks. taken: what a file has when it is cloned, of what it had."""
    asked = []

    def ioctl(target, request, source):
        asked.append(request)
        os.pwrite(target, taken(os.pread(source, 1 << 20, 0)), 0)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return asked


def test_takes_no_byte_by_itself(store, blob, monkeypatch):
    path, root = blob
    asked = file_system(monkeypatch)
    monkeypatch.setattr(os, "write", lambda *_: pytest.fail("it is copied"))
    store.import_blob(entry_of(path), root)
    assert asked == [0x40049409]
    assert store.blob_path(root).read_bytes() == path.read_bytes()
    store.import_blob(entry_of(path), root)  # a good one that is there stays


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSPC])
def test_copies_where_that_cannot_be_done(code, store, blob, monkeypatch):
    def ioctl(*_):
        raise OSError(code, os.strerror(code))

    path, root = blob
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    judged = []
    store.import_blob(entry_of(path), root, lambda *what: judged.append(what))
    assert store.blob_path(root).read_bytes() == path.read_bytes()
    assert len(judged) == 1


CHANGES = {
    "a byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "its end": lambda data: data[:-1],
    "more": lambda data: data + b"x",
    "its header": lambda data: data[:8] + data[8:].replace(b"a.weight", b"b.weight"),
    "no blob": lambda data: b"<html>",
}


@pytest.mark.parametrize("taken", CHANGES.values(), ids=CHANGES)
def test_what_changed_at_that_moment_does_not_appear(taken, store, blob, monkeypatch):
    path, root = blob
    file_system(monkeypatch, taken)
    with pytest.raises(BlobDamaged, match=r"source\.safetensors"):
        store.import_blob(entry_of(path), root)
    assert names_in(store.path / "blobs") == names_in(store.path / "tmp") == set()


def test_a_header_is_judged_before_and_again_if_another_was_taken(store, blob, tmp_path, monkeypatch):
    path, root = blob
    write_blob(tmp_path / "large.safetensors", 1, elements=500)
    large = (tmp_path / "large.safetensors").read_bytes()

    def admit(path, records):
        if sum(record.size for record in records.values()) != 6:
            raise BlobDamaged("too large")

    asked = file_system(monkeypatch, lambda _: large)
    with pytest.raises(BlobDamaged, match="too large"):
        store.import_blob(entry_of(path), root, admit)
    assert len(asked) == 1
    with pytest.raises(BlobDamaged, match="too large"):
        store.import_blob(entry_of(tmp_path / "large.safetensors"), root, admit)
    assert len(asked) == 1


def test_who_writes_into_a_share_in_place_changes_no_replica(store, tmp_path, monkeypatch):
    """On this very file system; run it with --basetemp on XFS or btrfs."""
    (tmp_path / "a").write_bytes(b"x")
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("wb") as target:
        if not clone_file(source.fileno(), target.fileno()):
            pytest.skip(f"the file system of {tmp_path} shares no blocks")
    contribute(store, 1, tmp_path)
    share = Store.create(tmp_path / "share", GENESIS)
    monkeypatch.setattr(BlobWriter, "write", lambda *_: pytest.fail("it is copied"))
    sync(store, share.path)
    (root,) = store.blob_roots()
    with share.blob_path(root).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    store.check_blob(root)
    with pytest.raises(BlobDamaged):
        share.check_blob(root)
