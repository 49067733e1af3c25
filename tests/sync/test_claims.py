"""What a peer only claims, in operations that are valid, in names and in sizes, costs nobody time and hides nothing."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.errors import BlobDamaged
from mergealgebra.fsck import inspect
from mergealgebra.store import blobs, entries
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from mergealgebra.tensors.safetensors_file import canonical_header
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute, files_of, manifest_of

#: A sparse file of so many bytes costs its maker nothing, and whoever reads it more than a second.
CLAIMED = 1 << 30


@pytest.fixture
def alice(tmp_path):
    """A store with the contributions 0 to 3."""
    store = Store.create(tmp_path / "alice", GENESIS)
    for number in range(4):
        contribute(store, number, tmp_path, nonce(number))
    return store


@pytest.fixture
def shared(alice, tmp_path):
    """The folder that it is synced with."""
    shared = Store.create(tmp_path / "shared", GENESIS)
    sync(alice, shared.path)
    return shared


@pytest.fixture
def read(monkeypatch):
    """How many bytes of tensors were read and hashed."""
    found, real = [], blobs._pieces

    def pieces(file, path, nbytes):
        assert nbytes < CLAIMED, "what was only claimed is read"
        found.append(nbytes)
        return real(file, path, nbytes)

    monkeypatch.setattr(blobs, "_pieces", pieces)
    return found


def claim(path):
    """A sound blob that claims much, in place of a file."""
    path.unlink(missing_ok=True)
    path.write_bytes(canonical_header([("w", "F32", (CLAIMED // 4,), CLAIMED)]))
    os.truncate(path, path.stat().st_size + CLAIMED)


def report_of(store, root):
    return store.path / "blobs" / f"{root}.safetensors.damaged"


# Reports of damage

REPORTS = {"a file without a byte": lambda path: path.touch(), "a pipe": os.mkfifo, "a folder": os.mkdir}


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize("make", REPORTS.values(), ids=REPORTS)
def test_odd_reports_are_not_waited_for(alice, shared, tmp_path, make):
    for root in shared.blob_roots():
        shared.blob_path(root).write_bytes(b"damaged")
        make(report_of(shared, root))
    start = time.monotonic()
    carol = Store.create(tmp_path / "carol", GENESIS)
    assert len(sync(carol, shared.path).refused) == 4
    assert time.monotonic() - start < 1.5
    assert sync(alice, shared.path).refused == ()
    assert all(make is os.mkdir or not report_of(shared, root).exists() for root in shared.blob_roots())


@pytest.mark.clause("SY-4")
def test_what_cannot_be_taken_back_reports_nothing(alice, shared, read):
    for root in shared.blob_roots():
        report_of(shared, root).mkdir()
    assert sync(alice, shared.path).refused == ()
    assert read == []


# Claims of size


@pytest.mark.clause("SY-4")
def test_what_claims_more_than_its_contribution_is_replaced_unread(alice, shared, read):
    root = alice.blob_roots()[0]
    claim(shared.blob_path(root))
    assert sync(alice, shared.path).mended == (str(shared.blob_path(root)),)
    assert files_of(shared.path / "blobs") == files_of(alice.path / "blobs")


@pytest.mark.clause("SY-4")
def test_what_appears_in_the_place_of_a_new_blob_is_replaced_unread(alice, tmp_path, read, monkeypatch):
    store = Store.create(tmp_path / "new", GENESIS)
    root, real = alice.blob_roots()[0], blobs._root_of

    def root_of(file, path, *rest):
        found = real(file, path, *rest)
        claim(store.blob_path(root)) if path != store.blob_path(root) else None
        return found

    monkeypatch.setattr(blobs, "_root_of", root_of)
    store.import_blob(alice.blob(root), root)
    assert store.blob_bytes(root) == alice.blob_bytes(root)


@pytest.mark.clause("SY-11")
def test_fsck_reads_and_takes_nothing_that_claims_more_than_its_contribution(alice, shared, read):
    root = alice.blob_roots()[0]
    claim(shared.blob_path(root))
    good = files_of(alice.path)
    alice.blob_path(root).unlink()
    found = inspect(alice.path, repair=shared.path)
    assert (found.ok, len(found.missing)) == (False, 1)
    (line,) = inspect(shared.path).damaged
    assert "has 268,435,456 elements, but contribution" in line
    (alice.path / "blobs" / f"{root}.safetensors").write_bytes(good[f"blobs/{root}.safetensors"])
    assert inspect(shared.path, repair=alice.path).mended == [str(shared.blob_path(root))]


@pytest.mark.clause("SY-11")
def test_fsck_reads_no_claim_that_no_contribution_makes(shared, read):
    claim(shared.blob_path("ab" * 32))
    found = inspect(shared.path)
    assert (found.ok, found.unnamed) == (True, [str(shared.blob_path("ab" * 32))])


@pytest.mark.clause("SY-1", "SY-11")
@pytest.mark.parametrize("name", ["notes.safetensors", ".safetensors", f"{'AB' * 32}.safetensors"])
def test_files_with_other_names_are_no_part_of_a_store(shared, name):
    (shared.path / "blobs" / name).write_bytes(b"mine")
    assert inspect(shared.path).ok
    assert f"blobs/{name}" in shared.ignored()


# Claims in operations


@pytest.mark.clause("SY-4")
def test_one_header_is_judged_once_however_many_contributions_name_it(alice, shared):
    contribute(shared, 9, shared.path.parent, nonce(9))
    (root,) = set(shared.blob_roots()) - set(alice.blob_roots())
    for number in range(1, 100):
        bits = int(np.float32(1 + number / 1000).view(np.uint32))
        manifest = replace(manifest_of(root), coefficient=f"{bits:08x}")
        shared.write_operation(Operation(GENESIS.workspace_id, Add(manifest, nonce(number))))
    judged = []
    assert sync(alice, shared.path, lambda *what: judged.append(what)).taken_blobs == (root,)
    assert len(judged) == 1


@pytest.mark.clause("SY-4")
def test_whole_numbers_are_refused_by_the_header_alone(alice, shared):
    manifest = manifest_of("cd" * 32, elements=6)
    shared.write_operation(Operation(GENESIS.workspace_id, Add(manifest, nonce(9))))
    header = canonical_header([("a", "F32", (2,), 8), ("b", "I64", (4,), 32)])
    shared.blob_path(manifest.tensors).write_bytes(header + bytes(40))
    (error,) = sync(alice, shared.path, lambda *_: pytest.fail("it is judged by the base")).refused
    assert "tensor 'b' is I64, but contributions hold floats alone" in str(error)


@pytest.mark.clause("SY-4")
def test_a_blob_that_neither_side_has_in_good_order_is_not_passed_over(alice, shared):
    root = alice.blob_roots()[0]
    for store in (alice, shared):
        store.blob_path(root).unlink()
        store.blob_path(root).symlink_to("nowhere")
    assert len(sync(alice, shared.path).refused) == 2


@pytest.mark.clause("SY-4")
def test_an_entry_that_only_its_owner_may_replace_stops_nothing_else(alice, tmp_path, monkeypatch):
    """As in a folder with the sticky bit, where somebody else's damaged file cannot be mended."""
    shared, real = Store.create(tmp_path / "shared", GENESIS), os.replace
    theirs = alice.operation_ids()[0]
    shared.operation_path(theirs).write_bytes(b"damaged")

    def replace(old, new, **folders):
        if new == theirs:
            raise PermissionError(1, "Operation not permitted")
        real(old, new, **folders)

    monkeypatch.setattr(os, "replace", replace)
    result = sync(alice, shared.path)
    assert (len(result.refused), len(result.given_operations), len(result.given_blobs)) == (1, 3, 4)


@pytest.mark.clause("SY-3")
def test_nobody_is_told_to_delete_a_file_that_may_be_good(alice, monkeypatch):
    def opened(*what, **how):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(entries, "open_file", opened)
    with pytest.raises(BlobDamaged, match="Too many open files; check the disk, and its permissions"):
        alice.check_blob("ab" * 32)
