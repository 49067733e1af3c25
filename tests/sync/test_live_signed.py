"""Live peers of a signed workspace: maintainers come first, what is not admissible stays where it is."""

from __future__ import annotations

import os

import pytest

from mergealgebra.crdt.operations import Attest
from mergealgebra.crdt.permission import grant, revoke
from mergealgebra.encoding import decode, encode
from mergealgebra.store.objects import Store
from mergealgebra.sync import calls
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.service import Service
from tests.crdt.strategies import nonce
from tests.signed import GENESIS, MAINTAINER, STRANGER, WRITER
from tests.store.stores import manifest_of
from tests.sync.live_peers import wire_to


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Alice's store, where a maintainer let a writer in, and Bob's, which knows of nothing."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    alice, bob = (Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob"))
    alice.write_delta(grant(alice.state(), WRITER.key, "writer", MAINTAINER))
    return alice, bob


@pytest.mark.clause("PR-10", "PR-11")
def test_a_grant_and_what_was_done_under_it_come_in_one_sync(stores):
    alice, bob = stores
    alice.write_delta(alice.state().add(manifest_of("ab" * 32), nonce(1), signer=WRITER))
    wire = wire_to(alice)
    result = sync_live(bob, wire.peer)
    assert (len(result.taken_operations), result.held_back, result.refused) == (2, 0, ())
    assert bob.state() == alice.state()
    assert [decode(data)["of"] for call, data in wire.asked if call == "reconcile"] == ["maintainers", "admissible"]
    ids = [decode(data)["ids"] for call, data in wire.asked if call == "operations"]
    assert [len(one) // 32 for one in ids] == [1, 1]  # the grant by itself, before what needs it


@pytest.mark.clause("PR-10")
def test_a_revoke_stops_what_comes_later_and_keeps_what_was(stores):
    alice, bob = stores
    sync_live(bob, wire_to(alice).peer)
    bob.write_delta(bob.state().add(manifest_of("ab" * 32), nonce(1), signer=WRITER))
    sync_live(alice, wire_to(bob).peer)
    alice.write_delta(revoke(alice.state(), WRITER.key, MAINTAINER))
    bob.write_delta(bob.state().said([Attest("00" * 32, "cd" * 32)], signer=WRITER))  # while they did not meet
    result = sync_live(bob, wire_to(alice).peer)
    assert (len(result.taken_operations), result.given_operations, result.held_back) == (2, (), 1)
    assert sync_live(alice, wire_to(bob).peer).taken_operations == ()
    assert alice.state().visible() == bob.state().visible() != {}


@pytest.mark.clause("PR-10", "PR-11")
def test_what_is_forged_or_of_a_stranger_is_not_taken(stores):
    alice, _ = stores
    (granted,) = alice.state().by_id()
    forged = decode(alice.read_operation(granted).encode())
    forged["signature"] = bytes(64)
    stranger = alice.state().said([Attest("00" * 32, "cd" * 32)], signer=WRITER)
    (signed,) = stranger.by_id().values()
    as_stranger = decode(signed.encode())
    as_stranger["body"]["author"] = bytes.fromhex(STRANGER.key)
    put = calls.write_operations([encode(forged), encode(as_stranger)])
    refused = calls.read_refusals(Service(alice, writes=True).answer("put", put), 2)
    assert [position for position, _ in refused] == [0, 1]
    assert tuple(alice.state().by_id()) == (granted,)


@pytest.mark.clause("PR-10")
def test_maintainers_who_agree_cost_no_round_trip(stores):
    alice, bob = stores
    sync_live(bob, wire_to(alice).peer)
    alice.write_delta(alice.state().add(manifest_of("ab" * 32), nonce(1), signer=WRITER))
    wire = wire_to(alice)
    sync_live(bob, wire.peer)
    assert [decode(data)["of"] for call, data in wire.asked if call == "reconcile"] == ["admissible"]
    assert bob.state() == alice.state()
