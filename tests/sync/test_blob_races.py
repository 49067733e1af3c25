"""Blobs that several processes make, remove or ask for at once: nothing false appears, nobody innocent is blamed."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import BlobDamaged, OutputError, PeerError, PeerRefused
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.store.unfinished import unfinished_blobs
from mergealgebra.sync import fetch_queue, served_blobs
from mergealgebra.sync.calls import Run
from mergealgebra.sync.fetch import _BASE_DAMAGED
from mergealgebra.sync.leaf_frames import XORED, head
from mergealgebra.sync.object_sync import create_share, sync_objects
from mergealgebra.sync.served_blobs import frames
from mergealgebra.sync.service import Service
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.crdt.strategies import GENESIS
from tests.models import write_canonical
from tests.sync.live_peers import Wire, wire_to
from tests.sync.object_stores import MemoryObjects
from tests.sync.test_live_blobs import holding, root_of, tensors, together


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def bob(tmp_path):
    return holding(tmp_path, "bob", tensors(1))


@pytest.fixture
def alice(tmp_path, bob):
    """A store with Bob's operations, and no blob."""
    store = Store.create(tmp_path / "alice", GENESIS)
    for operation in bob.state().operations:
        store.write_operation(operation)
    return store


def begun(store: Store, giver: Store) -> PartialBlob:
    """Another process begins the blob of a giver."""
    root = root_of(giver)
    return PartialBlob.begin(store, root, Maps(giver).of_blob(root), lambda path, records: None)


def write(blob: PartialBlob, giver: Store, numbers) -> None:
    with blob.opened() as file, giver.reading(blob.root) as read:
        for number in numbers:
            leaf = blob.map.leaf(number)
            file.write(number, leaf, read(leaf.offset, leaf.nbytes))


def begin_anew(store: Store, giver: Store) -> PartialBlob:
    """`gc --delete` removes what came, and another process begins the same blob."""
    for left in unfinished_blobs(store.path):
        left.remove()
    return begun(store, giver)


@pytest.mark.clause("BL-8")
def test_a_file_with_holes_in_place_of_the_one_that_was_written_never_appears(alice, bob, monkeypatch):
    """The files are exchanged at any moment: before the last leaf, after it, and just before the blob appears."""
    first = begun(alice, bob)
    last = first.map.leaves - 1
    write(first, bob, range(last))
    others = [begin_anew(alice, bob)]
    with pytest.raises(FileNotFoundError):
        write(first, bob, [last])

    second = begun(alice, bob)
    write(second, bob, range(last + 1))
    others.append(begin_anew(alice, bob))
    with pytest.raises(OutputError, match="went away while it was written to"):
        second.finish()

    third = begun(alice, bob)
    write(third, bob, range(last + 1))
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="went away while it was written to"):

        def exchange(descriptor: int) -> None:
            patch.setattr("os.fsync", lambda descriptor: None)
            others.append(begin_anew(alice, bob))

        patch.setattr("os.fsync", exchange)
        third.finish()
    assert not alice.has_blob(first.root)
    write(others[-1], bob, range(last + 1))  # who began it goes on
    assert others[-1].finish()
    alice.check_blob(first.root)


@pytest.mark.clause("BL-8", "BL-11")
def test_a_server_counts_no_leaves_of_a_file_that_was_removed(alice, bob):
    wire, base = wire_to(alice).peer, BaseLeaves(Maps(bob))
    root, blob_map = root_of(bob), Maps(bob).of_blob(root_of(bob))

    def give(number: int) -> None:
        wire.put_leaves(Run(root, number, 1), list(frames(bob, root, blob_map.run(number, 1), 0, base)))

    wire.put_map(root, blob_map.encode(), blob_map.leaves)
    for number in range(blob_map.leaves - 1):
        give(number)
    begin_anew(alice, bob)
    give(blob_map.leaves - 1)
    assert not alice.has_blob(root)
    here, _ = wire.put_map(root, blob_map.encode(), blob_map.leaves)
    for number in set(range(blob_map.leaves)) - set(here):
        give(number)
    alice.check_blob(root)


@pytest.mark.clause("BL-8", "BL-9")
@pytest.mark.parametrize("peer", ["live", "objects"])
def test_another_process_that_completes_the_same_blob_is_no_error(tmp_path, monkeypatch, peer):
    """It does so after this one looked at what is here, and before it copies from the base or fetches a part."""
    write_canonical(tmp_path / "base.safetensors", tensors(1))
    with Checkpoint.open(tmp_path / "base.safetensors") as base:
        genesis = replace(GENESIS, base=base.root())
        bob = holding(tmp_path, "tuned", tensors(1) | {"b.bias": np.array(5, np.float16)}, genesis=genesis)
        alice, look = Store.create(tmp_path / "alice", genesis), PartialBlob._look

        def raced(blob, descriptor, more) -> None:
            look(blob, descriptor, more)
            monkeypatch.setattr(PartialBlob, "_look", look)
            other = begun(alice, bob)
            write(other, bob, range(other.map.leaves))
            assert other.finish()

        monkeypatch.setattr(PartialBlob, "_look", raced)
        if peer == "live":
            (result,) = together(alice, wire_to(bob), base=lambda: base)
        else:
            objects = MemoryObjects()
            create_share(objects, genesis)
            sync_objects(bob, objects)
            result = sync_objects(alice, objects)
    assert not result.refused
    alice.check_blob(root_of(bob))


@pytest.mark.clause("BL-6")
def test_a_wrong_leaf_makes_nobody_read_the_whole_base(tmp_path, monkeypatch):
    zstd = pytest.importorskip("backports.zstd", reason="needs zstd (extra net)")
    write_canonical(tmp_path / "base.safetensors", tensors(1))
    tuned = tensors(1) | {"a.weight": tensors(2)["a.weight"]}
    tuned["d.weight"] = tuned["d.weight"].reshape(1, -1)  # so the base has nothing alike there
    with Checkpoint.open(tmp_path / "base.safetensors") as base:
        genesis = replace(GENESIS, base=base.root())
        bob = holding(tmp_path, "tuned", tuned, genesis=genesis)
        alice, root, blob_map = Store.create(tmp_path / "alice", genesis), root_of(bob), Maps(bob).of_blob(root_of(bob))
        for operation in bob.state().operations:
            alice.write_operation(operation)
        service = Service(alice, writes=True, base=lambda: base)
        service.blobs.take_map(root, blob_map.encode())
        read, original = [], Checkpoint.read
        monkeypatch.setattr(Checkpoint, "leaf_digests", None)
        monkeypatch.setattr(Checkpoint, "read", lambda self, *at: read.append(at) or original(self, *at))
        for number in (0, blob_map.leaves - 1):
            packed = zstd.compress(bytes(blob_map.leaf(number).nbytes), 1)
            with pytest.raises(PeerRefused, match=f"leaf {number} of '[ad].weight' is damaged"):
                Wire(service).put_leaves(Run(root, number, 1), [head(XORED, len(packed)), packed])
    assert len(read) == 2  # to unpack the first, and to judge it


@pytest.mark.clause("BL-6", "BL-10")
def test_a_damaged_base_here_makes_no_honest_peer_a_liar(tmp_path, monkeypatch):
    """It is found damaged by a leaf of one, while the other was asked already for one that is packed by it."""
    pytest.importorskip("backports.zstd", reason="needs zstd (extra net)")
    weights = np.random.default_rng(1).standard_normal(8 * LEAF_BYTES // 4, np.float32)
    write_canonical(tmp_path / "base.safetensors", {"w": weights})
    write_canonical(tmp_path / "bad.safetensors", {"w": weights + 1})
    asked, judged, judge = threading.Event(), threading.Event(), BaseLeaves.is_good_at
    monkeypatch.setattr(BaseLeaves, "is_good_at", lambda *of: (judge(*of), judged.set())[0])
    with Checkpoint.open(tmp_path / "base.safetensors") as base, Checkpoint.open(tmp_path / "bad.safetensors") as bad:
        genesis = replace(GENESIS, base=base.root())
        wires = []
        for name in ("one", "two"):
            giver = holding(tmp_path, name, {"w": weights * np.float32(1.0001)}, genesis=genesis)
            wires.append(Wire(Service(giver, base=lambda: base), name=name))
        wires[0].change = lambda call, data: (call != "leaves" or asked.wait(20)) and data
        wires[1].change = lambda call, data: (call != "leaves" or (asked.set(), judged.wait(20))) and data
        alice = Store.create(tmp_path / "alice", genesis)
        results = together(alice, *wires, base=lambda: bad)
    alice.check_blob(root_of(giver))
    assert [[str(error) for error in result.refused] for result in results] == [[_BASE_DAMAGED]] * 2


@pytest.mark.clause("BL-10")
def test_a_peer_that_is_cut_off_when_it_has_moved_on_is_not_blamed(tmp_path, monkeypatch):
    """The slower one finishes as the faster does, and goes on with what it alone has: the cut must not hit that."""
    monkeypatch.setattr(fetch_queue, "PATIENCE_SECONDS", 0.1)
    slow_store, fast_store = (holding(tmp_path, name, tensors(1), tensors(2)) for name in ("slow", "fast"))
    first, second = sorted(slow_store.blob_roots())
    fast_store.blob_path(second).unlink()
    fast_asked, slow_asked, let_go, moved_on, severed = (threading.Event() for _ in range(5))
    slow, fast = wire_to(slow_store, name="http://slow"), wire_to(fast_store, name="http://fast")

    def slowly(call: str, data: bytes) -> bytes:
        if call == "map":
            fast_asked.wait(1)
        if call == "leaves" and not let_go.is_set():
            slow_asked.set()
            let_go.wait(20)
        elif call == "leaves":
            moved_on.set()
            if severed.wait(0.5):
                raise PeerError("http://slow ended the connection")
        return data

    def fast_one(call: str, data: bytes) -> bytes:
        if call == "leaves":
            fast_asked.set()
            slow_asked.wait(20)
        return data

    def cut() -> None:
        let_go.set()
        if moved_on.wait(0.5):
            severed.set()

    slow.change, fast.change, slow.cut = slowly, fast_one, cut
    alice = Store.create(tmp_path / "alice", GENESIS)
    results = together(alice, fast, slow)
    assert let_go.is_set()
    assert [result.refused for result in results] == [(), ()]
    alice.check_blob(first)
    alice.check_blob(second)


@pytest.mark.clause("BL-4")
def test_a_damaged_blob_is_not_read_again_and_again_for_its_map(bob, monkeypatch):
    path, blobs = bob.blob_path(root_of(bob)), Service(bob).blobs
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"x")
    with pytest.raises(BlobDamaged, match="its tensors have the root"):
        blobs.map_of(root_of(bob))
    with monkeypatch.context() as patch, pytest.raises(BlobDamaged, match="its tensors have the root"):
        patch.setattr("mergealgebra.store.maps.map_of", None)
        blobs.map_of(root_of(bob))
    path.write_bytes(good)  # somebody mends it
    assert blobs.map_of(root_of(bob))


@pytest.mark.clause("BL-4")
def test_who_asks_for_maps_takes_not_every_thread(tmp_path, monkeypatch):
    store = holding(tmp_path, "store", tensors(1), tensors(2))
    monkeypatch.setattr(served_blobs, "_MAKERS", 1)
    blobs, (known, asked) = Service(store).blobs, store.blob_roots()
    blobs.map_of(known)
    begun, let_go, made = threading.Event(), threading.Event(), Maps.of_blob
    monkeypatch.setattr(Maps, "of_blob", lambda *of: (begun.set(), let_go.wait(20), made(*of))[2])
    first = threading.Thread(target=blobs.map_of, args=(asked,))
    first.start()
    begun.wait(20)
    with pytest.raises(PeerError, match="too many maps"):
        blobs.map_of(asked)
    assert blobs.map_of(known)
    let_go.set()
    first.join()
    assert blobs.map_of(asked)
