"""Blobs by leaf between live peers: resumed, from several at once; liars are named, and nothing false is let in."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from random import Random

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import MergeAlgebraError, OutputError, PeerError
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.store.objects import Store
from mergealgebra.store.unfinished import unfinished_blobs
from mergealgebra.sync import fetch_queue
from mergealgebra.sync.admission import anything_fits
from mergealgebra.sync.calls import Run
from mergealgebra.sync.live import sync_live, sync_together
from mergealgebra.sync.service import Service
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import call
from tests.crdt.strategies import GENESIS, nonce
from tests.fuzz.mutation import mutate_bytes, mutate_value
from tests.models import write_canonical
from tests.store.stores import contribute, entry_of, manifest_of
from tests.sync.live_peers import BOB, Wire, wire_to
from tests.workspace.replicas import make_workspace, write_models

LEAVES = 7


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def alice(tmp_path):
    return Store.create(tmp_path / "alice", GENESIS)


@pytest.fixture
def bob(tmp_path):
    """A store with one contribution of seven leaves."""
    return holding(tmp_path, "bob", tensors(1))


def tensors(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "a.weight": random.standard_normal(LEAF_BYTES, np.float32),
        "b.bias": np.array(seed, np.float16),
        "c.empty": np.zeros((0, 3), np.float32),
        "d.weight": random.standard_normal(LEAF_BYTES // 4 + 9, np.float32),
    }


def holding(folder, name: str, *models: dict[str, np.ndarray], genesis: Genesis = GENESIS) -> Store:
    store = Store.create(folder / name, genesis)
    for number, model in enumerate(models):
        source = folder / f"{name}-{number}.safetensors"
        write_canonical(source, model)
        with Checkpoint.open(source) as checkpoint:
            root = checkpoint.root()
        store.import_blob(entry_of(source), root)
        manifest = replace(manifest_of(root, sum(one.size for one in model.values())), base=genesis.base)
        store.write_delta(store.state().add(manifest, nonce(number)))
    return store


def root_of(store: Store) -> str:
    (root,) = {manifest.tensors for manifest in store.state().visible().values()}
    return root


def together(store: Store, *wires: Wire, **options):
    return sync_together(store, [wire.peer for wire in wires], anything_fits, [None] * len(wires), told, **options)


def told(step: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.mark.clause("BL-4", "BL-5", "BL-8", "PR-12")
def test_a_blob_comes_leaf_by_leaf_and_is_given_on(alice, bob, tmp_path):
    wire = wire_to(bob)
    assert together(alice, wire)[0].taken_blobs == (root_of(bob),)
    alice.check_blob(root_of(bob))
    carol = Store.create(tmp_path / "carol", GENESIS)
    assert together(alice, wire_to(carol))[0].given_blobs == (root_of(bob),)
    carol.check_blob(root_of(bob))
    for store in (alice, carol):
        assert not list((store.path / "partial").iterdir())
        assert alice.blob_path(root_of(bob)).read_bytes() == bob.blob_path(root_of(bob)).read_bytes()


class Cut(Exception):
    """The process ends."""


def asks_of(store: Store, **options):
    """A wire to a store that writes down the runs that were asked for, and may do something before each."""
    wire = wire_to(store, **options)
    runs, carry = [], Wire.leaves

    @contextmanager
    def leaves(run: Run, packing: int):
        runs.append(run)
        with carry(wire, run, packing) as fill:
            yield fill

    wire.leaves = leaves
    return wire, runs


@pytest.mark.clause("BL-7", "BL-8")
@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_what_came_is_hashed_again_and_the_rest_is_asked_for(alice, bob, damaged):
    root = root_of(bob)
    short = {"leaves": lambda data: data[: 3 * (LEAF_BYTES + 5) + 100]}
    wire = wire_to(bob, change=lambda call, data: short.get(call, bytes)(data))
    with suppress(PeerError):
        assert sync_live(alice, wire.peer).refused
    assert not alice.has_blob(root)
    (left,) = unfinished_blobs(alice.path)
    assert (left.root, left.nbytes >= 3 * LEAF_BYTES) == (root, True)
    if damaged:
        with left.path.open("r+b") as file:
            file.seek(LEAF_BYTES * 2)
            file.write(b"damaged")
    wire, runs = asks_of(bob)
    assert not sync_live(alice, wire.peer).refused
    assert [(run.first, run.count) for run in runs] == ([(1, 1), (3, 4)] if damaged else [(3, 4)])
    alice.check_blob(root)


@pytest.mark.clause("BL-7")
def test_what_was_left_is_believed_by_its_hash_alone(alice, bob):
    root = root_of(bob)
    blob_map = bob.path.parent / "map"
    blob_map.write_bytes(Service(bob).blobs.map_of(root))
    (alice.path / "partial").mkdir()
    (alice.path / "partial" / f"{root}.part").write_bytes(b"x" * 5_000_000)
    (alice.path / "partial" / f"{root}.map").write_bytes(b"x")
    wire, runs = asks_of(bob)
    assert not sync_live(alice, wire.peer).refused
    assert sum(run.count for run in runs) == LEAVES
    alice.check_blob(root)


@pytest.mark.clause("BL-7")
@pytest.mark.parametrize("name", [".part", ".map", ""])
def test_no_link_is_followed(alice, bob, tmp_path, name):
    root = root_of(bob)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "victim").write_bytes(b"precious")
    if name:
        (alice.path / "partial").mkdir()
        (alice.path / "partial" / f"{root}{name}").symlink_to(elsewhere / "victim")
    else:
        (alice.path / "partial").symlink_to(elsewhere)
    refused = sync_live(alice, wire_to(bob).peer).refused
    assert (elsewhere / "victim").read_bytes() == b"precious"
    assert [path.name for path in elsewhere.iterdir()] == ["victim"]
    assert bool(refused) == (name in (".part", ""))


@pytest.mark.clause("BL-8")
def test_room_on_the_disk_comes_first(alice, bob, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 4_000_000}))
    wire, runs = asks_of(bob)
    (error,) = sync_live(alice, wire.peer).refused
    assert isinstance(error, OutputError)
    assert str(error).endswith("free; make room")
    assert not runs
    assert not unfinished_blobs(alice.path)


# Liars


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


@pytest.mark.clause("BL-6", "BL-10")
@pytest.mark.parametrize("part", ["map", "leaves"])
def test_a_flipped_bit_is_named_and_the_rest_comes_from_others(tmp_path, bob, part):
    root, honest = root_of(bob), wire_to(bob, name="http://honest")
    offsets = {"map": Random(1), "leaves": Random(2)}
    for number in range(10):
        alice = Store.create(tmp_path / f"{part}{number}", GENESIS)

        def change(call, data, random=offsets[part]):
            return flipped(data, random.randrange(8 * len(data))) if call == part else data

        results = together(alice, wire_to(bob, change=change, name="http://liar"), honest)
        alice.check_blob(root)
        assert not results[1].refused
        told_of = [str(error) for error in results[0].refused]
        assert all(text.startswith("http://liar ") for text in told_of)
        assert len(told_of) <= 1
        if part == "leaves" and told_of:
            assert "serves damaged tensors: leaf " in told_of[0]
            assert ".weight" in told_of[0] or ".bias" in told_of[0]


@pytest.mark.clause("BL-6")
def test_a_liar_alone_is_named_with_its_leaf_and_asked_for_nothing_more(alice, bob):
    frame = LEAF_BYTES + 5
    change = {"leaves": lambda data: flipped(data, 8 * (4 * frame + 99))}
    wire, runs = asks_of(bob, change=lambda call, data: change.get(call, bytes)(data))
    (error,) = sync_live(alice, wire.peer).refused
    root = root_of(bob)
    assert str(error).startswith(f"{BOB} serves damaged tensors: leaf 5 of 'd.weight' in {root}: its digest is not")
    assert len(runs) == 1
    assert not alice.has_blob(root)
    assert not wire.service.store.state().difference(alice.state()).operations


def mutated(random: Random, data: bytes) -> bytes:
    """What a hostile peer may answer."""
    kinds = [
        lambda: mutate_bytes(random, data),
        lambda: data[: random.randrange(len(data))],
        lambda: data + data[: 1 + random.randrange(len(data))],
        lambda: data[len(data) // 2 :] + data[: len(data) // 2],
        lambda: bytes([random.randrange(4)]) + data[1:],
        lambda: data[:1] + random.randbytes(4) + data[5:],
        lambda: random.randbytes(random.randrange(200)),
        lambda: mutate_value(random, data),
    ]
    return random.choice(kinds)()


@pytest.mark.clause("BL-2", "BL-5", "BL-6", "PR-9")
@pytest.mark.parametrize("part", ["map", "leaves"])
def test_hostile_answers_let_nothing_in(tmp_path, part):
    bob = Store.create(tmp_path / "bob", GENESIS)
    contribute(bob, 1, tmp_path, nonce(1))
    alice, root, random = Store.create(tmp_path / "alice", GENESIS), root_of(bob), Random(part)
    named = 0
    for _ in range(500):
        changed = []

        def change(call, data, changed=changed):
            if call != part:
                return data
            changed.append(mutated(random, data))
            return changed[0]

        result = sync_live(alice, wire_to(bob, change=change).peer)
        assert all(str(error).startswith(BOB) and len(str(error)) < 900 for error in result.refused)
        if alice.has_blob(root):
            alice.check_blob(root)
            alice.blob_path(root).unlink()
            (alice.path / "partial").rmdir()
        else:
            named += 1
            assert result.refused
            for left in unfinished_blobs(alice.path):
                left.remove()
    assert named > 350


@pytest.mark.clause("BL-2", "BL-11", "PR-12")
@pytest.mark.parametrize("part", ["map", "leaves"])
def test_hostile_gifts_let_nothing_in(tmp_path, part):
    alice = Store.create(tmp_path / "alice", GENESIS)
    contribute(alice, 1, tmp_path, nonce(1))
    root, random = root_of(alice), Random(part)
    data, good = (alice.path / "operations"), Service(alice)
    run = Run(root, 0, 2)
    with good.blobs.leaves(run, 0) as found:
        frames = b"".join(found.pieces)
    blob_map = good.blobs.map_of(root)
    bob = Store.create(tmp_path / "bob", GENESIS)
    for path in data.iterdir():
        (bob.path / "operations" / path.name).write_bytes(path.read_bytes())
    refused = 0
    for _ in range(700):
        wire = wire_to(bob)
        try:
            wire.put_map(root, mutated(random, blob_map) if part == "map" else blob_map, 1000)
            wire.put_leaves(run, [mutated(random, frames) if part == "leaves" else frames])
        except MergeAlgebraError as error:
            refused += 1
            assert "\n" not in str(error)
        if bob.has_blob(root):
            bob.check_blob(root)
            bob.blob_path(root).unlink()
        for left in unfinished_blobs(bob.path):
            left.remove()
    assert refused > 500


@pytest.mark.clause("BL-11", "PR-12")
@pytest.mark.parametrize("root", ["", "..", "../genesis", "a" * 63, "A" * 64, "a/" * 32], ids=repr)
def test_no_name_of_a_peer_becomes_a_path(bob, root):
    blobs = Service(bob, writes=True).blobs
    for ask in (
        lambda: blobs.map_of(root),
        lambda: blobs.leaves(Run(root, 0, 1), 0).__enter__(),
        lambda: blobs.take_map(root, b""),
        lambda: blobs.take_leaves(Run(root, 0, 1), 8, bytes),
    ):
        with pytest.raises(PeerError, match="is not a root"):
            ask()


@pytest.mark.clause("BL-11", "PR-12")
def test_a_blob_that_nobody_asked_for_is_not_taken(alice, bob):
    blobs = Service(alice, writes=True).blobs
    blob_map = Service(bob).blobs.map_of(root_of(bob))
    with pytest.raises(PeerError, match="no visible contribution names the tensors"):
        blobs.take_map(root_of(bob), blob_map)
    with pytest.raises(PeerError, match="served for reading only"):
        Service(bob).blobs.take_map(root_of(bob), blob_map)
    assert not list(alice.path.glob("partial/*"))


# Several peers


@pytest.mark.clause("BL-10")
def test_leaves_come_from_all_peers_and_a_slow_one_holds_up_nothing(alice, bob, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_queue, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(fetch_queue, "_LOOK_SECONDS", 0.02)
    wires, asked = zip(*(asks_of(bob, name=f"http://{name}") for name in ("one", "two", "slow")), strict=True)
    let_go = threading.Event()
    slow, carry = wires[2], wires[2].leaves

    @contextmanager
    def waiting(run, packing):
        with carry(run, packing) as fill:
            let_go.wait(20)
            assert let_go.is_set(), "the slow peer held up the end"
            yield fill

    slow.leaves, slow.cut = waiting, let_go.set
    results = together(alice, *wires)
    assert not any(result.refused for result in results)
    alice.check_blob(root_of(bob))
    assert sum(len(result.taken_blobs) for result in results) == 1
    assert sum(run.count for runs in asked[:2] for run in runs) == LEAVES


@pytest.mark.clause("BL-10", "PR-16")
def test_a_peer_that_lacks_a_blob_or_goes_away_leaves_it_to_the_others(alice, bob, tmp_path):
    empty = Store.create(tmp_path / "empty", GENESIS)

    def gone(call, data):
        if call in ("map", "leaves"):
            raise PeerError("http://gone cannot be reached")
        return data

    results = together(alice, wire_to(empty), wire_to(bob, change=gone, name="http://gone"), wire_to(bob))
    alice.check_blob(root_of(bob))
    empty.check_blob(root_of(bob))  # it is given what came
    assert [len(result.refused) for result in results] == [0, 1, 0]


# The base


def fine_tuned(tmp_path):
    """A genesis of a real base, its file, and a fine-tune that has four leaves of it."""
    base = tensors(5)
    write_canonical(tmp_path / "base.safetensors", base)
    with Checkpoint.open(tmp_path / "base.safetensors") as checkpoint:
        genesis = Genesis(checkpoint.root(), "team", {"method": "mean", "lambda": "1"})
    tuned = {name: one.copy() for name, one in base.items()}
    tuned["a.weight"][:5] += 1
    tuned["d.weight"] *= np.float32(1.001)
    return genesis, tmp_path / "base.safetensors", tuned


@pytest.fixture
def based(tmp_path):
    return fine_tuned(tmp_path)


@pytest.mark.clause("BL-9")
def test_leaves_of_the_base_stay_at_home(based, tmp_path):
    genesis, path, tuned = based
    bob = holding(tmp_path, "bob", tuned, genesis=genesis)
    for damage in (False, True):
        alice = Store.create(tmp_path / f"alice{damage}", genesis)
        with Checkpoint.open(path) as base:
            wire, runs = asks_of(bob)
            if damage:  # its map is known, and then its bytes change
                assert together(Store.create(tmp_path / "first", genesis), wire_to(bob), base=lambda: base)
            assert not together(alice, wire, base=lambda: base)[0].refused
        alice.check_blob(root_of(bob))
        assert [number for run in runs for number in run.numbers] == [0, 5, 6]


@pytest.mark.clause("BL-5", "BL-6")
def test_leaves_packed_by_a_base_that_is_damaged_here_come_again(based, tmp_path):
    pytest.importorskip("backports.zstd", reason="needs zstd (extra net)")
    genesis, path, tuned = based
    bob = holding(tmp_path, "bob", tuned, genesis=genesis)
    good = path.read_bytes()
    (tmp_path / "bad.safetensors").write_bytes(flipped(good, 8 * (len(good) - 40)))
    alice = Store.create(tmp_path / "alice", genesis)
    wire = wire_to(bob)
    with Checkpoint.open(path) as base, Checkpoint.open(tmp_path / "bad.safetensors") as bad:
        wire.service = Service(bob, base=lambda: base)
        (result,) = together(alice, wire, base=lambda: bad)
    (error,) = result.refused
    assert "the base here is not the workspace's any more" in str(error)
    alice.check_blob(root_of(bob))


@pytest.mark.clause("BL-4")
def test_a_map_is_made_once_and_one_that_is_kept_proves_itself(bob, monkeypatch):
    root = root_of(bob)
    (bob.path / "local.json").write_text("{}")
    made = Service(bob).blobs.map_of(root)
    kept = bob.path / "cache" / "maps" / root
    assert kept.read_bytes() == made
    with monkeypatch.context() as patch:
        patch.setattr("mergealgebra.store.maps.map_of", None)
        assert Service(bob).blobs.map_of(root) == made
    other = BlobMap.of([("w", "F32", (2,), bytes(32))])
    kept.write_bytes(other.encode())
    assert Service(bob).blobs.map_of(root) == made


@pytest.mark.clause("BL-12")
def test_what_came_in_part_is_counted_listed_and_removed(tmp_path, monkeypatch):
    write_models(tmp_path, 1)
    make_workspace(tmp_path, "alice")
    folder = tmp_path / "alice" / "partial"
    folder.mkdir()
    for suffix in ("map", "part"):
        (folder / f"{'ab' * 32}.{suffix}").write_bytes(bytes(5000))
    (folder / "of somebody else").write_bytes(b"")
    (left,) = unfinished_blobs(tmp_path / "alice")
    assert call(tmp_path, "-C", "alice", "status", "--json").printed()["bytes"]["partial"] == left.nbytes >= 10_000
    assert call(tmp_path, "-C", "alice", "fsck", "--json").printed()["unfinished"] == [str(left.path)]
    (young,) = call(tmp_path, "-C", "alice", "gc", "--json", "--delete").printed()["leftovers"]
    assert (young["options"], young["removed"]) == ([], False)
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    (old,) = call(tmp_path, "-C", "alice", "gc", "--json", "--delete").printed()["leftovers"]
    assert (old["options"], old["removed"]) == (["--delete"], True)
    assert [path.name for path in folder.iterdir()] == ["of somebody else"]


@pytest.mark.clause("BL-13")
def test_who_resolves_keeps_what_came_and_serves_it_and_takes_nothing_retracted(tmp_path):
    write_models(tmp_path, 3)
    for name, number in (("alice", 0), ("bob", 1)):
        make_workspace(tmp_path, name, number)
    alice, bob, carol = (ma.Workspace.open(tmp_path / name) for name in ("alice", "bob", "bob"))
    retracted = alice.contribute(tmp_path / "ft2.safetensors")
    alice.retract(retracted)
    assert len(alice.store.blob_roots()) == 2
    sync_live(bob.store, wire_to(alice.store).peer)
    bob.resolve(tmp_path / "out", backend="numpy", attest=False)
    assert len(bob.store.blob_roots()) == 2
    make_workspace(tmp_path, "carol")
    carol = ma.Workspace.open(tmp_path / "carol")
    result = sync_live(carol.store, wire_to(bob.store).peer)
    assert set(result.taken_blobs) == set(bob.store.blob_roots())
    assert len(sync_live(carol.store, wire_to(alice.store).peer, retracted=True).taken_blobs) == 1
