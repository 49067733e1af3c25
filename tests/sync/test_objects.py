"""Syncing with object stores: both sides end with the union, whatever the store lacks or spoils."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_index import PackIndex
from mergealgebra.crdt.packs import BRANCH, Pack
from mergealgebra.crdt.permission import grant
from mergealgebra.errors import PeerError, WorkspaceError, WrongWorkspace
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.sync import blob_parts, object_operations, object_packs
from mergealgebra.sync.object_store import paced
from mergealgebra.sync.object_sync import create_share, sync_objects
from mergealgebra.tensors.checkpoint import Checkpoint
from tests import signed
from tests.crdt.strategies import GENESIS, OTHER_GENESIS, nonce
from tests.store.stores import contribute, entry_of, manifest_of, write_blob
from tests.store.test_packs import attest, pack_of, put, replica
from tests.sync.object_stores import DAY, MemoryObjects
from tests.sync.test_live import check_in_sync
from tests.sync.test_live_blobs import fine_tuned, holding

#: As a changed bit may make one.
THIRD_GENESIS = replace(GENESIS, base="cd" * 32)
LACKING = {"all there": {}, "no list": {"lists": False}, "no deletes": {"deletes": False}}


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def alice(tmp_path):
    """A replica with the contributions 1 and 2, of which 1 is retracted."""
    store = replica(tmp_path / "alice")
    first, _ = (contribute(store, number, tmp_path, nonce(number)) for number in (1, 2))
    store.write_delta(store.state().remove(first))
    return store


@pytest.fixture
def bob(tmp_path):
    """A replica with the contribution 3."""
    store = replica(tmp_path / "bob")
    contribute(store, 3, tmp_path, nonce(3))
    return store


def bucket(**lacking):
    """An object store of the workspace, with nothing in it."""
    objects = MemoryObjects(**lacking)
    create_share(objects, GENESIS)
    return objects


@pytest.mark.clause("PR-17", "PR-18")
@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
def test_all_end_with_the_union(alice, bob, lacking):
    objects = bucket(**lacking)
    first = sync_objects(alice, objects)
    assert (len(first.given_operations), len(first.given_blobs)) == (3, 1)  # the retracted one stays at home
    second = sync_objects(bob, objects)
    assert (len(second.taken_operations), len(second.taken_blobs), len(second.given_blobs)) == (3, 1, 1)
    third = sync_objects(alice, objects)
    assert (len(third.taken_operations), len(third.taken_blobs), third.given_operations) == (1, 1, ())
    assert not any((first.refused, second.refused, third.refused))
    check_in_sync(alice, bob)


@pytest.mark.clause("PK-9", "PR-17")
def test_what_was_seen_is_not_fetched_again(alice, bob):
    objects = bucket()
    sync_objects(alice, objects)
    sync_objects(bob, objects)
    sync_objects(alice, objects)
    objects.counted()
    for store in (alice, bob, Store.open(alice.path)):
        assert not sync_objects(store, objects).refused
        assert objects.counted() == {"get": 2, "list": 2}  # genesis and index, packs and blobs


@pytest.mark.clause("PK-9", "SY-9")
def test_without_the_cache_all_is_the_same_with_more_requests(alice, bob):
    objects = bucket()
    sync_objects(alice, objects)
    sync_objects(bob, objects)
    sync_objects(alice, objects)
    shutil.rmtree(alice.path / "cache")
    objects.counted()
    result = sync_objects(Store.open(alice.path), objects)
    assert not any((result.refused, result.taken_operations, result.given_operations))
    assert objects.counted() == {"get": 4, "list": 2}


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("closed", ["from the start", "after a sync"])
def test_a_store_that_takes_nothing_gives(alice, bob, closed):
    objects = bucket()
    sync_objects(alice, objects)
    if closed == "after a sync":
        assert not sync_objects(bob, objects).refused
    objects.writes = False
    result = sync_objects(bob, objects)
    assert len(bob.state().operations) == 4
    assert bool(result.refused) == bool(result.not_given) == (closed == "from the start")
    again = sync_objects(bob, objects)
    assert (again.refused != ()) == (closed == "from the start")


@pytest.mark.clause("PR-17")
def test_another_workspace_is_refused_and_nothing_is_made(alice):
    objects = MemoryObjects()
    with pytest.raises(WorkspaceError, match=r"^memory://bucket holds no workspace, .*create=True"):
        sync_objects(alice, objects)
    create_share(objects, OTHER_GENESIS)
    with pytest.raises(WrongWorkspace, match=f"^memory://bucket holds workspace {OTHER_GENESIS.workspace_id}, not "):
        sync_objects(alice, objects)
    with pytest.raises(WrongWorkspace):
        create_share(objects, GENESIS)
    with pytest.raises(WorkspaceError, match=r"holds something other than a workspace, photos/1\.jpg"):
        create_share(MemoryObjects({"photos/1.jpg": (b"", 0)}), GENESIS)
    assert objects.keys("packs") == {"index"}


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize(
    "there", [None, b"", b"rotten", THIRD_GENESIS.encode()], ids=["gone", "empty", "rotten", "another"]
)
def test_a_lost_genesis_is_put_back_by_its_workspace_alone(alice, tmp_path, there):
    objects = bucket()
    assert not sync_objects(alice, objects).refused
    before = dict(objects.objects)
    del objects.objects["genesis"]
    if there is not None:
        objects.put("genesis", there)
    with pytest.raises((WorkspaceError, WrongWorkspace), match="create=True"):
        sync_objects(alice, objects)
    told = "THEIR_WORKSPACE" if there == b"rotten" else "choose another"
    with pytest.raises((WorkspaceError, WrongWorkspace), match=told):
        create_share(objects, OTHER_GENESIS)
    assert create_share(objects, GENESIS) is False
    assert {key: data for key, (data, _) in objects.objects.items()} == {key: data for key, (data, _) in before.items()}
    assert not sync_objects(alice, objects).refused


# Packs


@pytest.mark.clause("PK-3", "PK-8", "PK-11")
def test_packs_are_merged_and_the_index_names_those_that_count(tmp_path):
    objects, store = bucket(), replica(tmp_path / "alice")
    for number in range(BRANCH):
        put(store, number)
        sync_objects(store, objects)
    names = objects.keys("packs") - {"index"}
    (merged,) = (name for name in names if len(Pack.decode(objects.objects[f"packs/{name}"][0]).operations) == BRANCH)
    assert len(names) == BRANCH + 1
    assert Pack.decode(objects.objects[f"packs/{merged}"][0]).replaces == tuple(sorted(names - {merged}))
    assert PackIndex.decode(objects.objects["packs/index"][0]) == PackIndex((merged,))
    gets = [key for call, key in objects.asked if call == "get" and key not in ("genesis", "packs/index")]
    assert gets == []  # all of them were at hand


@pytest.mark.clause("PK-10")
class TestDeletes:
    @pytest.fixture
    def merged(self, tmp_path):
        """A store with 16 packs of one operation, and the pack of them; and the replica that wrote them."""
        objects, store = bucket(), replica(tmp_path / "alice")
        for number in range(BRANCH):
            put(store, number)
            sync_objects(store, objects)
        return objects, store

    def write_more(self, objects, store, number):
        """Sync something new twice: the store tells the time when it is listed, and it was written before."""
        put(store, number)
        sync_objects(store, objects)
        return sync_objects(store, objects)

    def test_what_lies_in_one_larger_pack_goes_after_a_day_of_the_store_s_clock(self, merged):
        objects, store = merged
        objects.now = DAY - 1
        self.write_more(objects, store, 100)
        assert len(objects.keys("packs")) == BRANCH + 3
        objects.now = DAY + 1
        self.write_more(objects, store, 101)
        assert len(objects.keys("packs")) == 4  # the merged one, two new ones, the index
        assert len(sync_objects(replica(store.path.parent / "bob"), objects).taken_operations) == BRANCH + 2

    def test_the_larger_one_is_read_again_before(self, merged):
        objects, store = merged
        objects.spoil(f"packs/{pack_of_all(objects)}")
        objects.now = 2 * DAY
        self.write_more(objects, store, 100)
        assert len(objects.keys("packs")) == BRANCH + 3

    def test_never_because_several_hold_it_together(self, tmp_path):
        objects, store = bucket(), replica(tmp_path / "alice")
        for numbers in ((0, 1), (1, 2), (2, 3, 4), (0, 3)):
            objects.put(f"packs/{pack_of(*numbers).name}", pack_of(*numbers).encode())
        sync_objects(store, objects)
        objects.now = 2 * DAY
        self.write_more(objects, store, 100)
        assert len(objects.keys("packs")) == 6

    def test_what_another_program_calls_an_operation_is_not_lost(self, tmp_path):
        """It is in the smaller pack alone, whatever this version makes of it."""
        objects, store = bucket(), replica(tmp_path / "alice")
        later = Pack.of([attest(0).encode(), b"of a later version"])
        for pack in (later, pack_of(0, 1, 2)):
            objects.put(f"packs/{pack.name}", pack.encode())
        objects.now = 2 * DAY
        self.write_more(objects, store, 100)
        assert later.name in objects.keys("packs")

    def test_a_store_that_refuses_them_stays_right(self, merged):
        objects, store = merged
        objects.deletes, objects.now = False, 2 * DAY
        assert not self.write_more(objects, store, 100).refused
        assert len(objects.keys("packs")) == BRANCH + 3


@pytest.mark.clause("PK-9", "SG-7", "SG-10", "PR-10")
class TestSigned:
    """A signed workspace in a store in which anybody writes anything."""

    @pytest.fixture
    def stores(self, tmp_path):
        alice, bob = (Store.create(tmp_path / name, signed.GENESIS) for name in ("alice", "bob"))
        for store in (alice, bob):
            write_local(store, tmp_path / "base")
        objects = MemoryObjects()
        create_share(objects, signed.GENESIS)
        return objects, alice, bob

    def test_what_is_not_admissible_is_counted_and_taken_once_it_is(self, stores):
        objects, alice, bob = stores
        granted = grant(alice.state(), signed.WRITER.key, "writer", signed.MAINTAINER)
        added = alice.state().join(granted).add(manifest_of("ab" * 32), nonce(1), signer=signed.WRITER)
        outside = self.put(objects, added)
        assert [sync_objects(bob, objects).held_back for _ in range(2)] == [1, 1]
        assert objects.asked.count(("get", outside)) == 1  # what was judged by the same grants is not fetched again
        self.put(objects, granted)
        result = sync_objects(bob, objects)
        assert (len(result.taken_operations), result.held_back, result.refused) == (2, 0, ())

    def put(self, objects, delta):
        """Put the operations of a delta; returns the key of the pack."""
        pack = Pack.of([operation.encode() for operation in delta.operations])
        objects.put(f"packs/{pack.name}", pack.encode())
        return f"packs/{pack.name}"

    def test_what_is_forged_is_passed_over_named_and_fetched_once(self, stores):
        objects, alice, bob = stores
        granted = grant(alice.state(), signed.WRITER.key, "writer", signed.MAINTAINER)
        (good,) = granted.operations
        forged = good.encode()[:-1] + bytes([good.encode()[-1] ^ 1])
        pack = Pack.of([good.encode(), forged])
        objects.put(f"packs/{pack.name}", pack.encode())
        for _ in range(2):
            objects.asked.clear()
            result = sync_objects(bob, objects)
            assert (result.refused, result.held_back) == ((), 0)
            assert [f"memory://bucket, pack {pack.name}" in str(error) for error in result.passed_over] == [True]
        assert ("get", f"packs/{pack.name}") not in objects.asked
        assert len(bob.state().operations) == 1


def pack_of_all(objects):
    """The name of the largest pack."""
    return max(objects.keys("packs") - {"index"}, key=lambda name: len(objects.objects[f"packs/{name}"][0]))


@pytest.mark.clause("PK-5", "PK-9")
class TestReading:
    @pytest.mark.parametrize("lists", [True, False])
    def test_again_when_a_pack_goes_meanwhile(self, tmp_path, lists):
        objects, store = bucket(lists=lists), replica(tmp_path / "alice")
        small, large = pack_of(0), pack_of(0, 1)
        objects.put(f"packs/{small.name}", small.encode())
        objects.put("packs/index", PackIndex((small.name,)).encode())

        def meanwhile():
            if objects.asked and objects.asked[-1] == ("get", "packs/index"):
                objects.step = lambda: None
                del objects.objects[f"packs/{small.name}"]
                objects.objects[f"packs/{large.name}"] = large.encode(), 0
                objects.objects["packs/index"] = PackIndex((large.name,)).encode(), 0

        objects.step = meanwhile
        result = sync_objects(store, objects)
        assert (len(result.taken_operations), result.refused) == (2, ())

    def test_a_damaged_index_is_rewritten(self, alice):
        objects = bucket()
        sync_objects(alice, objects)
        good = objects.objects["packs/index"]
        objects.spoil("packs/index")
        assert not sync_objects(alice, objects).refused
        assert objects.objects["packs/index"] == good

    def test_without_a_list_and_an_index_that_is_said_and_all_is_given_again(self, alice, bob):
        objects = bucket(lists=False)
        sync_objects(alice, objects)
        objects.spoil("packs/index", 0)
        (error,) = sync_objects(alice, objects).refused
        assert "has no sound packs/index" in str(error)
        assert not sync_objects(bob, objects).refused
        assert len(bob.state().operations) == 4

    def test_a_damaged_pack_is_named_and_the_rest_is_taken(self, tmp_path):
        objects, store = bucket(), replica(tmp_path / "alice")
        bad, good = pack_of(0), pack_of(1)
        for pack in (bad, good):
            objects.put(f"packs/{pack.name}", pack.encode())
        objects.spoil(f"packs/{bad.name}")
        result = sync_objects(store, objects)
        assert result.taken_operations == (attest(1).id,)
        (error,) = result.refused
        assert f"gives other bytes for pack {bad.name}" in str(error)
        assert "sync` of whoever wrote it, or read it there before, mends it; if that is nobody, delete it" in str(
            error
        )

    @pytest.mark.clause("PK-11")
    def test_what_stood_in_a_damaged_pack_that_was_deleted_is_written_again_by_who_holds_it(self, tmp_path):
        objects, alice, bob = bucket(), replica(tmp_path / "alice"), replica(tmp_path / "bob")
        put(alice, 0, 1)
        put(bob, 0, 1, 2)
        sync_objects(alice, objects)
        (name,) = objects.keys("packs") - {"index"}
        objects.spoil(f"packs/{name}")
        for _ in range(2):
            assert len(sync_objects(bob, objects).refused) == 1
        objects.delete(f"packs/{name}")
        assert not sync_objects(bob, objects).refused
        assert len(sync_objects(replica(tmp_path / "carol"), objects).taken_operations) == 3

    @pytest.mark.clause("PK-7")
    def test_a_damaged_pack_is_reported_and_mended_by_who_knows_what_was_in_it(self, tmp_path):
        objects, alice, bob = bucket(), replica(tmp_path / "alice"), replica(tmp_path / "bob")
        put(alice, 0, 1)
        sync_objects(alice, objects)
        (name,) = objects.keys("packs") - {"index"}
        good = objects.objects[f"packs/{name}"]
        objects.spoil(f"packs/{name}")
        first = sync_objects(bob, objects)
        assert (len(first.refused), len(first.taken_operations)) == (1, 1)  # one of the two is sound
        assert sync_objects(alice, objects).mended == (f"memory://bucket/packs/{name}",)
        assert objects.objects[f"packs/{name}"] == good
        second = sync_objects(bob, objects)
        assert (second.refused, len(second.taken_operations)) == ((), 1)
        assert {key for key in objects.keys("packs") if key.endswith(".damaged")} == set()

    @pytest.mark.clause("PK-11")
    def test_a_report_is_withdrawn_where_nothing_can_be_deleted(self, tmp_path):
        objects, alice = bucket(deletes=False), replica(tmp_path / "alice")
        put(alice, 0, 1)
        sync_objects(alice, objects)
        (name,) = objects.keys("packs") - {"index"}
        objects.put(f"packs/{name}.damaged", b"damaged\n")
        for _ in range(2):
            objects.asked.clear()
            assert not sync_objects(alice, objects).refused
        assert ("get", f"packs/{name}") not in objects.asked

    def test_a_malformed_operation_is_named_and_the_rest_is_taken(self, tmp_path):
        objects, store = bucket(), replica(tmp_path / "alice")
        pack = Pack.of([attest(0).encode(), b"\x80"])
        objects.put(f"packs/{pack.name}", pack.encode())
        for _ in range(2):  # also when the pack was seen before
            result = sync_objects(store, objects)
            assert [f"memory://bucket, pack {pack.name}" in str(error) for error in result.refused] == [True]
        assert len(store.state().operations) == 1

    @pytest.mark.parametrize("genesis", [GENESIS, signed.GENESIS], ids=["open", "signed"])
    def test_what_is_refused_is_kept_up_to_a_number_and_other_packs_go_on(self, tmp_path, monkeypatch, genesis):
        monkeypatch.setattr(object_operations, "MOST_REFUSED", 4)
        objects, store = MemoryObjects(), Store.create(tmp_path / "alice", genesis)
        create_share(objects, genesis)
        write_local(store, tmp_path / "base")
        packs = [Pack.of([bytes([kind, number]) for number in range(3)]) for kind in range(4)]
        granted = grant(store.state(), signed.WRITER.key, "writer", signed.MAINTAINER) if genesis.is_signed else None
        (good,) = granted.operations if granted else (attest(0),)
        for pack in (*packs, Pack.of([good.encode()])):
            objects.put(f"packs/{pack.name}", pack.encode())
        for _ in range(2):  # also when some packs were seen before
            result = sync_objects(Store.open(store.path), objects)
            assert len(result.refused) + len(result.passed_over) <= 4 + 3
            assert sum("no more is taken of pack " in str(error) for error in result.refused) == 3
        assert Store.open(store.path).state().has(good.id)

    def test_one_sync_reads_so_many_packs_and_the_next_goes_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr(object_packs, "MOST_READ", 2)
        objects, store = bucket(), replica(tmp_path / "alice")
        for pack in map(pack_of, range(3)):
            objects.put(f"packs/{pack.name}", pack.encode())
        (error,) = sync_objects(store, objects).refused
        assert "sync again for the rest" in str(error)
        assert not sync_objects(store, objects).refused
        assert len(store.state().operations) == 3

    def test_more_than_a_pack_holds_is_not_read(self, tmp_path):
        objects, store = bucket(), replica(tmp_path / "alice")
        objects.put(f"packs/{'0' * 64}", bytes(1 << 27))
        result = sync_objects(store, objects)
        assert [f"packs/{'0' * 64} of more than 67108864 bytes" in str(error) for error in result.refused] == [True]
        assert objects.moved["read"] < 1 << 20


# Blobs


def large(store, number, scratch, elements=6 * 2**18):
    """Put a contribution with a blob of 6 leaves and one of two bytes into a store; returns the root of its tensors."""
    source = scratch / f"{number}.safetensors"
    root = write_blob(source, number, elements)
    store.import_blob(entry_of(source), root)
    (operation,) = store.state().add(manifest_of(root, elements + 1), nonce(number)).operations
    store.write_operation(operation)
    return root


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A store with parts of 4 leaves to which Alice gave a large blob; its root, and a replica that has nothing yet."""
    monkeypatch.setattr(blob_parts, "PART_LEAVES", 4)
    objects, alice = bucket(), replica(tmp_path / "alice")
    root = large(alice, 1, tmp_path)
    assert sync_objects(alice, objects).given_blobs == (root,)
    return objects, root, replica(tmp_path / "bob")


@pytest.mark.clause("PR-18")
class TestBlobs:
    def test_go_in_parts_of_64_leaves(self, tmp_path):
        objects, alice = bucket(), replica(tmp_path / "alice")
        root = large(alice, 1, tmp_path, 65 * 2**18)
        sync_objects(alice, objects)
        assert [len(objects.objects[f"blobs/{root}.{part}"][0]) for part in (0, 1)] == [2**26, 2**20 + 2]

    def test_go_in_parts_and_the_map_comes_last(self, shared):
        objects, root, bob = shared
        assert objects.keys("blobs") == {f"{root}.0", f"{root}.1", f"{root}.map"}
        assert [len(objects.objects[f"blobs/{root}.{part}"][0]) for part in (0, 1)] == [4 * 2**20, 2 * 2**20 + 2]
        puts = [key for call, key in objects.asked if call == "put" and key.startswith("blobs")]
        assert puts == [f"blobs/{root}.0", f"blobs/{root}.1", f"blobs/{root}.map"]
        assert sync_objects(bob, objects).taken_blobs == (root,)
        bob.check_blob(root)

    @pytest.mark.parametrize("part, at, leaf", [(0, 0, 0), (0, 2**22 - 1, 3), (1, 0, 4), (1, -1, 6)])
    def test_a_changed_bit_is_named_by_its_leaf_and_mended_by_who_has_it(self, shared, part, at, leaf):
        objects, root, bob = shared
        objects.spoil(f"blobs/{root}.{part}", at)
        result = sync_objects(bob, objects)
        (error,) = result.refused
        assert f"memory://bucket gives other bytes for leaf {leaf} of the tensors {root}" in str(error)
        assert f"blobs/{root}.{part};" in str(error)
        assert (bob.blob_bytes(root), sorted(bob.path.glob("tmp/*"))) == (None, [])
        alice = Store.open(bob.path.parent / "alice")
        assert len(sync_objects(alice, objects).mended) == 1
        assert objects.keys("blobs") == {f"{root}.0", f"{root}.1", f"{root}.map"}
        assert sync_objects(bob, objects).taken_blobs == (root,)

    def test_what_was_reported_is_mended_once_in_a_store_that_deletes_nothing(self, tmp_path):
        objects, alice = bucket(deletes=False), replica(tmp_path / "alice")
        for number in (1, 2, 3):
            contribute(alice, number, tmp_path, nonce(number))
        first, *others = alice.state().visible().values()
        objects.put(f"blobs/{first.tensors}.damaged", b"damaged\n")
        result = sync_objects(alice, objects)
        assert (len(result.mended), len(result.given_blobs), result.refused) == (1, len(others), ())
        objects.counted()
        assert sync_objects(alice, objects).mended == ()
        assert "put" not in objects.counted()

    @pytest.mark.parametrize("lacking", ["a part", "a piece of a part", "the map"])
    def test_what_is_not_all_there_is_refused_and_completed(self, shared, lacking):
        objects, root, bob = shared
        if lacking == "a part":
            del objects.objects[f"blobs/{root}.1"]
        elif lacking == "a piece of a part":
            objects.objects[f"blobs/{root}.1"] = objects.objects[f"blobs/{root}.1"][0][:-1], 0
        else:
            del objects.objects[f"blobs/{root}.map"]
        assert len(sync_objects(bob, objects).refused) == (lacking != "the map")
        assert bob.blob_bytes(root) is None
        objects.asked.clear()
        sync_objects(Store.open(bob.path.parent / "alice"), objects)
        assert sync_objects(bob, objects).taken_blobs == (root,)

    @pytest.mark.clause("BL-7")
    def test_a_part_that_came_is_not_fetched_again(self, shared):
        objects, root, bob = shared
        second = objects.objects.pop(f"blobs/{root}.1")
        assert len(sync_objects(bob, objects).refused) == 1
        objects.objects[f"blobs/{root}.1"] = second
        objects.asked.clear()
        assert sync_objects(Store.open(bob.path), objects).taken_blobs == (root,)
        assert [key for _, key in objects.asked if key.startswith(f"blobs/{root}")] == [
            f"blobs/{root}.map",
            f"blobs/{root}.1",
        ]
        bob.check_blob(root)

    @pytest.mark.clause("BL-9")
    def test_a_part_of_the_base_is_not_fetched(self, tmp_path, monkeypatch):
        monkeypatch.setattr(blob_parts, "PART_LEAVES", 2)
        genesis, path, tuned = fine_tuned(tmp_path)
        objects, alice, bob = MemoryObjects(), holding(tmp_path, "alice", tuned, genesis=genesis), tmp_path / "bob"
        create_share(objects, genesis)
        sync_objects(alice, objects)
        objects.asked.clear()
        with Checkpoint.open(path) as base:
            assert not sync_objects(Store.create(bob, genesis), objects, base=lambda: base).refused
        (root,) = alice.blob_roots()
        fetched = [key.removeprefix(f"blobs/{root}.") for _, key in objects.asked if root in key]
        assert fetched == ["map", "0", "2", "3"]  # leaves 0, 5 and 6 are not the base's
        Store.open(bob).check_blob(root)

    def test_parts_that_are_there_are_not_written_again(self, shared):
        objects, root, bob = shared
        del objects.objects[f"blobs/{root}.map"]
        objects.asked.clear()
        sync_objects(Store.open(bob.path.parent / "alice"), objects)
        assert [key for call, key in objects.asked if call == "put"] == [f"blobs/{root}.map"]

    @pytest.mark.parametrize("change", ["another map", "an endless map"])
    def test_a_map_that_lies_costs_no_part(self, shared, change):
        objects, root, bob = shared
        data = objects.objects[f"blobs/{root}.map"][0]
        changed = {"another map": data[:-40] + b"\1" + data[-39:], "an endless map": data + bytes(1 << 27)}[change]
        objects.objects[f"blobs/{root}.map"] = changed, 0
        objects.asked.clear()
        (error,) = sync_objects(bob, objects).refused
        assert str(error).startswith("memory://bucket ") and root in str(error)
        assert not [key for call, key in objects.asked if call == "get" and key.startswith(f"blobs/{root}.0")]

    @pytest.mark.parametrize("lists", [True, False])
    def test_a_whole_one_is_taken_too(self, shared, lists):
        """As the files of a share lie, copied there by somebody."""
        objects, root, bob = shared
        alice = Store.open(bob.path.parent / "alice")
        for key in objects.keys("blobs"):
            del objects.objects[f"blobs/{key}"]
        whole = alice.blob_path(root).read_bytes()
        objects.lists = lists
        objects.put(f"blobs/{root}.safetensors", whole[:-1] + b"\1")
        (error,) = sync_objects(bob, objects).refused
        assert "memory://bucket serves damaged tensors" in str(error)
        objects.put(f"blobs/{root}.safetensors", whole)
        assert sync_objects(bob, objects).taken_blobs == (root,)
        assert sync_objects(alice, objects).given_blobs == ()


@pytest.mark.clause("PR-17", "PR-13")
def test_whoever_sends_too_slowly_is_cut_off():
    now = [0.0]
    read = paced(lambda most: b"x" * 100, "memory://bucket", lambda: now[0])
    assert read(100)
    now[0] = 60.5
    with pytest.raises(PeerError, match="sends too slowly"):
        read(100)


@pytest.mark.clause("PK-11", "PR-18")
def test_a_pack_here_that_rotted_keeps_nothing_else_back(alice, tmp_path):
    """It stands in the cache as it was when it was checked, and its file has the same size and times."""
    alice.write_delta(ORSet(GENESIS, frozenset(map(attest, range(BRANCH)))))
    contribute(alice, 4, tmp_path, nonce(4))
    for _ in range(2):
        Store.open(alice.path).state()
    (pack,) = (path for path in (alice.path / "packs").iterdir() if attest(0).id in alice.kept_ids(path.name))
    told, data = pack.stat(), bytearray(pack.read_bytes())
    data[data.index(attest(0).encode())] ^= 1
    pack.write_bytes(data)
    os.utime(pack, ns=(told.st_atime_ns, told.st_mtime_ns))
    objects = bucket()
    result = sync_objects(Store.open(alice.path), objects)
    assert [attest(0).id in str(error) for error in result.refused] == [True]
    assert (len(result.given_operations), len(result.given_blobs)) == (BRANCH - 1 + 4, 2)
