"""Syncing with a live peer: both sides end with the union, whatever the peer does, and a peer that lies is named."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest

from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import MergeAlgebraError, OutputError, PeerError, WrongWorkspace
from mergealgebra.store.objects import Store
from mergealgebra.sync import calls, live
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.service import Service
from tests.crdt.strategies import GENESIS, OTHER_GENESIS, WORKSPACE, nonce
from tests.fuzz.mutation import mutate_bytes, mutate_value
from tests.store.stores import contribute, files_of
from tests.sync.live_peers import BOB, wire_to


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def alice(tmp_path):
    """A store with the contributions 1 and 2, of which 1 is retracted."""
    store = Store.create(tmp_path / "alice", GENESIS)
    first, _ = (contribute(store, number, tmp_path, nonce(number)) for number in (1, 2))
    store.write_delta(store.state().remove(first))
    return store


@pytest.fixture
def bob(tmp_path):
    """A store with the contributions 3 and 4, and what was attested many times."""
    store = Store.create(tmp_path / "bob", GENESIS)
    for number in (3, 4):
        contribute(store, number, tmp_path, nonce(number))
    for number in range(20):
        store.write_operation(attest(number))
    return store


def attest(number: int) -> Operation:
    return Operation(WORKSPACE, Attest(f"{number:064x}", "cd" * 32))


def contents(store: Store) -> dict[str, bytes]:
    return {name: data for name, data in files_of(store.path).items() if name.startswith(("blobs", "operations"))}


def check_in_sync(one: Store, other: Store) -> None:
    assert one.state() == other.state()
    for root in {manifest.tensors for manifest in one.state().visible().values()}:
        one.check_blob(root)
        other.check_blob(root)


@pytest.mark.clause("PR-10", "PR-11", "PR-12")
def test_both_sides_end_with_the_union(alice, bob):
    wire = wire_to(bob)
    result = sync_live(alice, wire.peer)
    assert (len(result.taken_operations), len(result.given_operations)) == (22, 3)
    assert (len(result.taken_blobs), len(result.given_blobs)) == (2, 1)  # the retracted one stays at home
    assert not result.refused
    check_in_sync(alice, bob)


@pytest.mark.clause("PR-11")
def test_a_second_sync_moves_nothing(alice, bob):
    sync_live(alice, wire_to(bob).peer)
    before = contents(alice), contents(bob)
    wire = wire_to(bob)
    result = sync_live(alice, wire.peer)
    assert not any((result.taken_operations, result.given_operations, result.taken_blobs, result.given_blobs))
    assert (contents(alice), contents(bob)) == before
    assert Counter(call for call, _ in wire.asked) == {"genesis": 1, "reconcile": 1, "blobs": 1}


@pytest.mark.clause("PR-11")
def test_another_workspace_is_refused_before_anything_else(alice, tmp_path):
    wire = wire_to(Store.create(tmp_path / "other", OTHER_GENESIS))
    with pytest.raises(WrongWorkspace, match=f"^{BOB} holds workspace {OTHER_GENESIS.workspace_id}, not "):
        sync_live(alice, wire.peer)
    assert [call for call, _ in wire.asked] == ["genesis"]


@pytest.mark.clause("PR-11")
def test_removes_go_first(alice, bob, monkeypatch):
    sync_live(alice, wire_to(bob).peer)
    for store, number in ((alice, 5), (bob, 6)):
        contribution = contribute(store, number, store.path.parent, nonce(number))
        for again in range(10):
            store.write_delta(store.state().add(store.state().visible()[contribution], nonce(100 * number + again)))
        store.write_delta(store.state().remove(contribution))
    written, write = [], Store.write_records

    def noting(store, records):
        written.extend((store.path.name, record) for record in records)
        return write(store, records)

    monkeypatch.setattr(Store, "write_records", noting)
    sync_live(alice, wire_to(bob).peer)
    for name in ("alice", "bob"):
        kinds = [record.kind for store, record in written if store == name]
        assert kinds == ["remove", *["add"] * 11]


@pytest.mark.clause("PR-12")
def test_retracted_tensors_come_when_they_are_asked_for(alice, bob):
    result = sync_live(bob, wire_to(alice).peer, retracted=True)
    assert len(result.taken_blobs) == 2
    lost = sync_live(alice, wire_to(bob).peer, retracted=True).lost
    assert lost == ()
    for store in (alice, bob):
        (gone,) = set(store.blob_roots()) - {manifest.tensors for manifest in store.state().visible().values()}
        store.blob_path(gone).unlink()
    assert sync_live(alice, wire_to(bob).peer, retracted=True).lost == (gone,)


@pytest.mark.clause("PR-11")
def test_what_is_damaged_on_one_side_is_mended_by_the_other(alice, bob):
    ours, theirs = attest(501), attest(502)
    for store in (alice, bob):
        store.write_operation(ours)
        store.write_operation(theirs)
    sync_live(alice, wire_to(bob).peer)
    alice.operation_path(ours.id).write_bytes(b"damaged")
    bob.operation_path(theirs.id).write_bytes(b"damaged")
    result = sync_live(alice, wire_to(bob).peer)
    assert result.mended == (str(alice.operation_path(ours.id)),)
    assert result.given_operations == (theirs.id,)
    assert not result.refused
    check_in_sync(Store.open(alice.path), Store.open(bob.path))


# Who may write


@pytest.mark.clause("PR-11", "PR-12")
def test_a_peer_that_is_read_only_gives_and_takes_nothing(alice, bob):
    before = contents(bob)
    result = sync_live(alice, wire_to(bob, writes=False).peer)
    assert len(result.taken_blobs) == 2
    (error,) = result.refused
    assert str(error) == f"{BOB} refuses: it takes nothing, it is served for reading only"
    assert result.not_given == (error,)
    assert contents(bob) == before


# Liars


@pytest.mark.clause("PR-11")
@pytest.mark.parametrize("kind", ["missing", "other", "malformed", "foreign"])
def test_an_operation_that_is_not_what_was_asked_for_is_refused_and_the_rest_comes(alice, bob, kind):
    foreign = Operation(OTHER_GENESIS.workspace_id, Attest("00" * 32, "cd" * 32)).encode()
    lies = {"missing": None, "other": attest(1000).encode(), "malformed": b"\x80", "foreign": foreign}

    def change(call, data):
        if call != "operations":
            return data
        return encode({"operations": [lies[kind], *decode(data)["operations"][1:]]})

    result = sync_live(alice, wire_to(bob, change=change).peer)
    (error,) = result.refused
    assert str(error).startswith(BOB)
    assert len(result.taken_operations) == 21
    assert attest(1000).id not in alice.operation_ids()
    assert sync_live(alice, wire_to(bob).peer).taken_operations
    check_in_sync(alice, bob)


@pytest.mark.clause("PR-11")
def test_an_operation_of_a_lying_list_is_refused(alice, bob, monkeypatch):
    """A peer whose ids are of operations that nobody can make: its root is right for them."""
    change = {"operations": lambda data: encode({"operations": [None] * len(decode(data)["operations"])})}
    result = sync_live(alice, wire_to(bob, change=lambda call, data: change.get(call, lambda d: d)(data)).peer)
    assert len(result.refused) == 22
    assert not result.taken_operations


@pytest.mark.clause("PR-9", "PR-11", "PR-12")
def test_one_bit_that_flips_anywhere_changes_nothing_and_is_named(alice, bob, tmp_path):
    honest = {**contents(alice), **contents(bob)}
    before = files_of(alice.path)
    named_it = 0
    for seed in range(200):
        random = Random(seed)
        at, count = random.randrange(12), 0

        def change(_, data, random=random, at=at):
            nonlocal count
            count += 1
            if count != at + 1 or not data:
                return data
            bit = random.randrange(8 * len(data))
            return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]

        try:
            refused = sync_live(alice, wire_to(bob, change=change).peer).refused
        except (PeerError, WrongWorkspace) as error:
            refused = (error,)
        assert all(BOB in str(error) for error in refused)
        named_it += bool(refused)
        assert contents(alice).items() <= honest.items()
        for path in alice.path.rglob("*"):
            if path.is_file() and str(path.relative_to(alice.path)) not in before:
                path.unlink()
    assert named_it > 100


CHANGES = {"bytes": mutate_bytes, "values": mutate_value, "short": lambda random, data: data[: random.randrange(99)]}


@pytest.mark.clause("PR-9", "PR-11")
@pytest.mark.parametrize("kind", CHANGES)
def test_hostile_calls_leave_a_store_as_it_is(alice, bob, kind):
    wire = wire_to(bob)
    sync_live(alice, wire.peer)
    before, service = contents(bob), Service(bob, writes=True)
    seeds = [*wire.asked, ("put", encode({"operations": [one.encode() for one in alice.state().operations][:5]}))]
    refused = 0
    for seed in range(700):
        random = Random(seed)
        call, data = random.choice(seeds)
        try:
            service.answer(random.choice((call, call, "put", "nothing", "../genesis")), CHANGES[kind](random, data))
        except MergeAlgebraError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 300
    assert {name: data for name, data in contents(bob).items() if name in before} == before
    bob.state()  # whatever was taken is what its name promises


@pytest.mark.clause("PR-11")
def test_a_peer_that_names_operations_that_nobody_made_is_given_up(alice, bob, monkeypatch):
    """Each of them is a refusal, which is kept and told: there could be four million."""
    monkeypatch.setattr(live, "MOST_REFUSED", 15)
    made = iter(attest(number) for number in range(100, 200))
    monkeypatch.setattr(calls, "MOST_ASKED", 10)

    def change(call, data):
        if call != "operations":
            return data
        return encode({"operations": [next(made).encode() for _ in decode(data)["operations"]]})

    wire = wire_to(bob, change=change)
    refused = sync_live(alice, wire.peer).refused
    assert f"{BOB} gives thousands of operations that are refused, first: {BOB} gives other bytes" in str(refused[-1])
    assert Counter(call for call, _ in wire.asked)["operations"] == 2


@pytest.mark.clause("PR-11")
def test_a_peer_that_answers_bit_by_bit_is_refused(alice, bob):
    def change(call, data):
        return encode({"operations": decode(data)["operations"][:1]}) if call == "operations" else data

    (error,) = sync_live(alice, wire_to(bob, change=change).peer).refused
    assert "it answers for 1 of 22 operations, and more have room in an answer" in str(error)


@pytest.mark.clause("PR-11")
def test_one_sync_takes_so_many_bytes_of_operations_and_says_what_is_left(alice, bob, monkeypatch):
    monkeypatch.setattr(live, "MOST_BYTES", 500)
    monkeypatch.setattr(calls, "MOST_ASKED", 5)
    taken, left = [], []
    while True:
        result = sync_live(alice, wire_to(bob).peer)
        taken.append(len(result.taken_operations))
        if not result.refused:
            break
        (error,) = result.refused
        left.append(str(error))
    assert taken == [5, 5, 5, 5, 2]
    assert left[0] == (
        f"{BOB} has 17 more operations, and one sync takes at most 500 bytes of them; sync again for the next ones"
    )
    check_in_sync(alice, bob)


@pytest.mark.clause("PR-11")
@pytest.mark.parametrize("side", ["taker", "server"])
def test_room_on_the_disk_comes_before_operations(alice, bob, monkeypatch, side):
    taker, giver = (alice, bob) if side == "taker" else (bob, alice)
    before = contents(taker)
    monkeypatch.setattr(Store, "check_room", no_room_in(taker))
    result = sync_live(alice, wire_to(bob).peer)
    assert f"{taker.path.name} is full; make room" in str(result.refused[0])
    assert contents(taker) == before
    assert giver.state() != taker.state()


def no_room_in(store: Store):
    def check_room(self, name, nbytes):
        if self.path == store.path:
            raise OutputError(f"{store.path.name} is full; make room")

    return check_room
