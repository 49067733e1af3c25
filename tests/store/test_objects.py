"""A store gives back what was put in, and names every file that is not what its name promises."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import (
    BlobDamaged,
    BlobMissing,
    MergeAlgebraError,
    OperationError,
    OutputError,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store import objects
from mergealgebra.store.objects import Store
from tests.crash import fault_points, kill_points
from tests.crdt.strategies import GENESIS, MANIFESTS, OTHER_GENESIS, WORKSPACE, nonce, operations
from tests.store.stores import contribute, entry_of, files_of, manifest_of, names_in, write_blob

ATTEST = Operation(WORKSPACE, Attest("1" * 64, "2" * 64))


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store", GENESIS)


@pytest.fixture
def blob(tmp_path):
    """A good blob outside any store, and its root."""
    root = write_blob(tmp_path / "source.safetensors", 1)
    return tmp_path / "source.safetensors", root


@pytest.mark.clause("SY-1", "SY-7")
class TestCreate:
    def test_makes_a_store_that_opens(self, store):
        assert Store.open(store.path) == store
        assert names_in(store.path) == {"genesis", "operations", "blobs", "tmp"}
        assert (store.path / "genesis").read_bytes() == GENESIS.encode()
        assert store.state() == ORSet(GENESIS)

    def test_makes_the_folders_above(self, tmp_path):
        assert Store.create(tmp_path / "a" / "b", GENESIS).genesis == GENESIS

    def test_takes_an_empty_folder(self, tmp_path):
        assert Store.create(tmp_path, GENESIS).genesis == GENESIS

    def test_again_changes_nothing(self, store, tmp_path):
        contribute(store, 1, tmp_path)
        before = files_of(store.path)
        assert Store.create(store.path, GENESIS) == store
        assert files_of(store.path) == before

    def test_refuses_a_store_of_another_workspace(self, store):
        with pytest.raises(WrongWorkspace, match=f"{store.path} holds workspace {WORKSPACE}"):
            Store.create(store.path, OTHER_GENESIS)

    @pytest.mark.parametrize("strange", ["model.safetensors", "operations/x", "blobs/x", ".hidden"])
    def test_refuses_a_folder_that_holds_something_else(self, tmp_path, strange):
        (tmp_path / strange).parent.mkdir(exist_ok=True)
        (tmp_path / strange).write_bytes(b"")
        before = files_of(tmp_path)
        with pytest.raises(WorkspaceError, match=f"something other than a workspace.*{strange}"):
            Store.create(tmp_path, GENESIS)
        assert files_of(tmp_path) == before

    def test_refuses_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(WorkspaceError, match="is not a folder"):
            Store.create(tmp_path / "file", GENESIS)

    @pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
    def test_leaves_the_genesis_of_whoever_made_one_meanwhile(self, tmp_path, monkeypatch, links):
        """Two workspaces sync to one empty folder at once: the second is refused, and overwrites nothing."""
        real = objects._check_unused

        def check(path):
            real(path)
            monkeypatch.setattr(objects, "_check_unused", real)
            Store.create(path, OTHER_GENESIS)

        def link(*arguments, **named):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(objects, "_check_unused", check)
        if not links:
            monkeypatch.setattr(os, "link", link)
        with pytest.raises(WrongWorkspace, match=f"holds workspace {OTHER_GENESIS.workspace_id}, not {WORKSPACE}"):
            Store.create(tmp_path / "shared", GENESIS)
        assert Store.open(tmp_path / "shared").genesis == OTHER_GENESIS

    @pytest.mark.clause("SY-8")
    def test_may_die_anywhere_and_be_run_again(self, tmp_path):
        for moment, folder in kill_points(
            tmp_path / "new", lambda folder: Store.create(folder, GENESIS), tmp_path / "scratch"
        ):
            if (folder / "genesis").exists():
                assert Store.open(folder).state() == ORSet(GENESIS), moment
            assert Store.create(folder, GENESIS).state() == ORSet(GENESIS), moment


class TestOpen:
    @pytest.mark.parametrize(
        ("name", "complaint"),
        [
            ("missing", "is not there: check the path; if a share is mounted there, mount it"),
            ("empty", "is not a workspace or shared folder, it has no file `genesis`: check the path; if a share"),
            ("file", "is not a folder, so not a workspace: check the path"),
        ],
    )
    def test_refuses_what_is_no_store(self, tmp_path, name, complaint):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(WorkspaceError, match=f"{tmp_path}/{name} {complaint}"):
            Store.open(tmp_path / name)

    @pytest.mark.clause("SY-3", "OS-1")
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[:-1],
            lambda data: data + b"\x00",
            lambda data: data.replace(b"open", b"shut"),
        ],
        ids=["truncated", "longer", "another policy"],
    )
    def test_refuses_a_damaged_genesis(self, store, damage):
        path = store.path / "genesis"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(WorkspaceError, match=f"{path} is damaged: .*inspect.*, repair=PEER.` mends it"):
            Store.open(store.path)

    def test_refuses_a_genesis_that_is_too_long(self, store):
        (store.path / "genesis").write_bytes(bytes(2 << 20))
        with pytest.raises(WorkspaceError, match="genesis is damaged: it has more than 1,048,576 bytes"):
            Store.open(store.path)

    def test_refuses_a_genesis_that_is_a_folder(self, store):
        (store.path / "genesis").unlink()
        (store.path / "genesis").mkdir()
        with pytest.raises(WorkspaceError, match="genesis cannot be read: it is a folder, not a file"):
            Store.open(store.path)

    @pytest.mark.clause("SY-10")
    def test_removes_nothing(self, store):
        (store.path / "tmp" / "old.part").write_bytes(b"")
        os.utime(store.path / "tmp" / "old.part", (0, 0))
        Store.open(store.path)
        assert names_in(store.path / "tmp") == {"old.part"}


@pytest.mark.clause("SY-1", "SY-2")
class TestOperations:
    @settings(max_examples=20)
    @given(written=st.sets(operations(), max_size=5))
    def test_come_back(self, tmp_path_factory, written):
        store = Store.create(tmp_path_factory.mktemp("store"), GENESIS)
        names = {store.write_operation(operation) for operation in written}
        assert store.operation_ids() == tuple(sorted(names))
        assert store.state() == ORSet(GENESIS, frozenset(written))
        for operation in written:
            assert (store.path / "operations" / operation.id).read_bytes() == operation.encode()

    def test_are_never_written_twice(self, store):
        store.write_operation(ATTEST)
        path = store.path / "operations" / ATTEST.id
        before = path.stat().st_mtime_ns, path.stat().st_ino
        store.write_operation(ATTEST)
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == before

    def test_of_another_workspace_are_not_written(self, store):
        with pytest.raises(WrongWorkspace, match=str(store.path)):
            store.write_operation(Operation(OTHER_GENESIS.workspace_id, ATTEST.payload))
        assert store.operation_ids() == ()

    def test_need_no_folder_beforehand(self, store, tmp_path):
        """Copies made by tools that leave out empty folders are stores."""
        for name in ("operations", "blobs", "tmp"):
            (store.path / name).rmdir()
        assert Store.open(store.path).state() == ORSet(GENESIS)
        contribute(store, 1, tmp_path)
        assert len(store.state().visible()) == 1

    def test_leave_out_files_with_other_names(self, store):
        store.write_operation(ATTEST)
        strange = ("README", ATTEST.id.upper(), ATTEST.id + ".tmp", ATTEST.id[:-1])
        for name in strange:
            (store.path / "operations" / name).write_bytes(b"")
        (store.path / "blobs" / ATTEST.id).write_bytes(b"")
        assert store.operation_ids() == (ATTEST.id,)
        assert set(store.ignored()) == {f"operations/{name}" for name in strange} | {f"blobs/{ATTEST.id}"}

    @pytest.mark.clause("SY-8")
    def test_appear_whole_or_not_at_all(self, store, tmp_path):
        for moment, folder in kill_points(
            store.path, lambda folder: Store.open(folder).write_operation(ATTEST), tmp_path / "scratch"
        ):
            assert Store.open(folder).state().operations in (frozenset(), {ATTEST}), moment


MALFORMED = encode({"body": {}})
FOREIGN = Operation(OTHER_GENESIS.workspace_id, ATTEST.payload)
DAMAGED_OPERATIONS = {
    "empty": (ATTEST.id, b"", OperationError, "its bytes have the id .*; delete it and sync again"),
    "truncated": (ATTEST.id, ATTEST.encode()[:-1], OperationError, "is damaged"),
    "longer": (ATTEST.id, ATTEST.encode() + b"\x00", OperationError, "is damaged"),
    "one bit": (ATTEST.id, ATTEST.encode()[:-1] + b"\x23", OperationError, "is damaged"),
    "under another id": ("3" * 64, ATTEST.encode(), OperationError, f"have the id {ATTEST.id}"),
    "malformed": (hash_id("operation", MALFORMED), MALFORMED, OperationError, "is refused: .*lacks the key"),
    "not canonical": (hash_id("operation", b"\xc1"), b"\xc1", OperationError, "is refused: not MessagePack"),
    "too long": (ATTEST.id, bytes((1 << 20) + 1), OperationError, "is damaged"),
    "of another workspace": (FOREIGN.id, FOREIGN.encode(), WrongWorkspace, "belongs to workspace.*move it away"),
}


@pytest.mark.clause("SY-3", "OS-6")
class TestDamagedOperations:
    @pytest.mark.parametrize(("name", "data", "error", "message"), DAMAGED_OPERATIONS.values(), ids=DAMAGED_OPERATIONS)
    def test_are_refused_and_named(self, store, name, data, error, message):
        store.write_operation(Operation(WORKSPACE, ATTEST.payload, time=1))
        path = store.path / "operations" / name
        path.write_bytes(data)
        for read in (lambda: store.read_operation(name), store.state):
            with pytest.raises(error, match=message) as caught:
                read()
            assert str(caught.value).startswith(str(path))
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
    def test_that_are_no_files_are_refused_at_once(self, store, make):
        make(store.path / "operations" / ATTEST.id)
        with pytest.raises(OperationError, match=f"{ATTEST.id} cannot be read: it is a (folder|pipe), not a file"):
            store.state()

    def test_every_flipped_bit_is_refused(self, store):
        data = ATTEST.encode()
        path = store.path / "operations" / ATTEST.id
        for bit in range(0, 8 * len(data), 5):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises(MergeAlgebraError, match=str(path)):
                store.state()


def _append(data):
    return data + b"\x00"


def _respaced(data):
    """The same tensors behind a header with eight more spaces."""
    length = int.from_bytes(data[:8], "little")
    return (length + 8).to_bytes(8, "little") + data[8 : 8 + length] + b" " * 8 + data[8 + length :]


DAMAGED_BLOBS = {
    "empty": (lambda data: b"", "expected at least 8"),
    "header only": (lambda data: data[: 8 + int.from_bytes(data[:8], "little")], "beyond the end of the file"),
    "truncated": (lambda data: data[:-1], "beyond the end of the file"),
    "longer": (_append, "tensors end at byte"),
    "first byte of data": (lambda data: data.replace(b"\x00\x00\x80?", b"\x01\x00\x80?", 1), "have the root"),
    "last byte of data": (lambda data: data[:-1] + b"\xff", "have the root"),
    "another name": (lambda data: data.replace(b"a.weight", b"a.weighs"), "have the root"),
    "another dtype": (lambda data: data.replace(b'"F16"', b'"U16"'), "have the root"),
    "another metadata": (lambda data: data.replace(b'"pt"', b'"tf"'), "header is not the canonical one"),
    "more spaces": (_respaced, "header is not the canonical one"),
    "unknown dtype": (lambda data: data.replace(b'"F16"', b'"X16"'), "X16"),
    "Git LFS pointer": (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "a web page": (lambda data: b"<!DOCTYPE html>", "a web page, not safetensors"),
    "a reserved name": (lambda data: data.replace(b'"a.weight"', b'"__metadata__"'), "stands twice in the header"),
    "a bad shape": (lambda data: data.replace(b'"shape":[0,3]', b'"shape":[0,{]'), "not the JSON it must be"),
}

#: What to do about a file of the user's own, which nobody can do about a blob.
OTHER_ADVICE = ("write the file", "rename the tensor", "write the tensor", "name the model", "download", "git lfs pull")


@pytest.mark.clause("CT-6", "SY-2")
class TestBlobs:
    def test_come_back(self, store, blob):
        source, root = blob
        assert not store.has_blob(root)
        store.import_blob(entry_of(source), root)
        assert store.has_blob(root)
        assert store.blob_path(root) == store.path / "blobs" / f"{root}.safetensors"
        assert store.blob_path(root).read_bytes() == source.read_bytes()
        store.check_blob(root)

    @pytest.mark.clause("SY-3")
    @pytest.mark.parametrize(("damage", "message"), DAMAGED_BLOBS.values(), ids=DAMAGED_BLOBS)
    def test_that_are_damaged_are_refused_and_named(self, store, blob, damage, message):
        source, root = blob
        good = source.read_bytes()
        assert damage(good) != good
        source.write_bytes(damage(good))
        with pytest.raises(BlobDamaged, match=message) as caught:
            store.import_blob(entry_of(source), root)
        assert str(source) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not store.has_blob(root)
        assert names_in(store.path / "tmp") == set()
        store.blob_path(root).write_bytes(damage(good))
        with pytest.raises(
            BlobDamaged, match=f"{root}.*{message}.*; the sync of a member who has it mends it, or"
        ) as caught:
            store.check_blob(root)
        assert not [advice for advice in OTHER_ADVICE if advice in str(caught.value)]

    def test_every_flipped_bit_is_refused(self, store, blob):
        source, root = blob
        good = source.read_bytes()
        for bit in range(0, 8 * len(good), 7):
            flipped = bytearray(good)
            flipped[bit // 8] ^= 1 << bit % 8
            source.write_bytes(flipped)
            with pytest.raises(BlobDamaged, match=str(source)):
                store.import_blob(entry_of(source), root)
        assert names_in(store.path / "blobs") == set()

    def test_of_another_root_are_refused(self, store, blob):
        with pytest.raises(BlobDamaged, match=f"have the root {blob[1]}, not {'1' * 64}"):
            store.import_blob(entry_of(blob[0]), "1" * 64)

    def test_that_are_folders_are_refused(self, store, blob):
        store.blob_path(blob[1]).mkdir()
        with pytest.raises(BlobDamaged, match="is a folder"):
            store.check_blob(blob[1])

    def test_that_are_missing_are_named(self, store, tmp_path):
        with pytest.raises(BlobMissing, match=f"{store.path}/blobs/{'1' * 64}.safetensors is not there"):
            store.check_blob("1" * 64)
        with pytest.raises(BlobMissing, match="source is not there"):
            store.import_blob(entry_of(tmp_path / "source"), "1" * 64)

    def test_that_are_good_are_left_and_damaged_ones_replaced(self, store, blob):
        source, root = blob
        store.import_blob(entry_of(source), root)
        inode = store.blob_path(root).stat().st_ino
        store.import_blob(entry_of(source), root)
        assert store.blob_path(root).stat().st_ino == inode
        store.blob_path(root).write_bytes(b"damaged")
        store.import_blob(entry_of(source), root)
        store.check_blob(root)

    def test_can_be_streamed_in_and_named_at_the_end(self, store, blob):
        source, root = blob
        with store.blob_writer() as writer:
            for start in range(0, len(data := source.read_bytes()), 10):
                writer.write(data[start : start + 10])
            assert writer.commit(root) == store.blob_path(root)
        store.check_blob(root)

    def test_that_are_never_named_leave_nothing(self, store):
        with store.blob_writer() as writer:
            writer.write(b"some bytes")
        assert names_in(store.path / "tmp") == names_in(store.path / "blobs") == set()

    def test_are_copied_in_bounded_memory(self, store, tmp_path):
        source = tmp_path / "large.safetensors"
        root = write_blob(source, 1, elements=6 << 20)
        tracemalloc.start()
        store.import_blob(entry_of(source), root)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert source.stat().st_size > 24 << 20
        assert peak < 4 << 20


@pytest.mark.clause("SY-2", "SY-8")
class TestContributing:
    def test_shows_the_state_before_or_after_when_it_dies(self, store, tmp_path):
        contribute(store, 1, tmp_path, nonce(1))
        before = store.state().visible().keys()

        def contribute_another(folder):
            contribute(Store.open(folder), 2, tmp_path, nonce(2))

        after = before | {manifest_of(write_blob(tmp_path / "2.safetensors", 2)).id}
        seen = set()
        for moment, folder in kill_points(store.path, contribute_another, tmp_path / "killed"):
            died = Store.open(folder)
            visible = died.state().visible()
            assert visible.keys() in (before, after), moment
            for manifest in visible.values():
                died.check_blob(manifest.tensors)
            seen.add(len(visible))
        assert seen == {1, 2}

    def test_says_so_in_one_line_when_the_disk_is_full(self, store, tmp_path):
        def contribute_one(folder):
            contribute(Store.open(folder), 1, tmp_path, nonce(1))

        for call, folder, error in fault_points(store.path, contribute_one, tmp_path / "failed"):
            assert isinstance(error, OutputError), call
            assert "free some space" in str(error), call
            assert names_in(folder / "tmp") == set(), call
            assert len(Store.open(folder).state().visible()) in (0, 1), call

    def test_needs_no_lock(self, store, tmp_path):
        """Two processes of fifty contributions each leave a hundred."""
        program = (
            "import sys; from pathlib import Path\n"
            "from mergealgebra.store.objects import Store\n"
            "from tests.store.stores import contribute\n"
            "folder, scratch, start = sys.argv[1:]\n"
            "for number in range(int(start), int(start) + 50):\n"
            "    contribute(Store.open(folder), number, Path(scratch))\n"
        )
        started = [
            subprocess.Popen([sys.executable, "-c", program, str(store.path), str(tmp_path), start])
            for start in ("0", "50")
        ]
        assert [process.wait() for process in started] == [0, 0]
        visible = store.state().visible()
        assert len(visible) == 100
        assert all(store.has_blob(manifest.tensors) for manifest in visible.values())


def test_states_of_stores_join(tmp_path):
    """What two stores hold is what their states say, whoever reads them."""
    here, there = (Store.create(tmp_path / name, GENESIS) for name in ("here", "there"))
    for store, manifest in ((here, MANIFESTS[0]), (there, MANIFESTS[1])):
        (operation,) = store.state().add(manifest).operations
        store.write_operation(operation)
    assert set(here.state().join(there.state()).visible()) == {MANIFESTS[0].id, MANIFESTS[1].id}
    with pytest.raises(WrongWorkspace):
        here.state().join(ORSet(replace(GENESIS, name="other")))
