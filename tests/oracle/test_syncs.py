"""Real syncs of signed workspaces: what both sides then hold, count and show is what the proofs say [SG-8 to SG-10]."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from mergealgebra.errors import PackError
from mergealgebra.store.objects import Store
from mergealgebra.sync import folder, live
from mergealgebra.sync.schemes import live_peer
from mergealgebra.sync.service import Service
from tests.oracle.policies import ask, library
from tests.oracle.program import Oracle
from tests.oracle.traces import SIGNED, parts, signed_trace
from tests.simulation.campaign import drawn, stage
from tests.simulation.faults import FAULTS
from tests.simulation.stores import Pair, Stores
from tests.sync.live_peers import wire_to

#: Histories of the simulator whose syncs are looked at.
HISTORIES = 8


def by_folder(ours: Store, theirs: Store) -> object:
    return folder.sync(ours, theirs.path)


def in_memory(ours: Store, theirs: Store) -> object:
    return live.sync_live(ours, wire_to(theirs).peer)


def over_http(ours: Store, theirs: Store) -> object:
    servers = pytest.importorskip("tests.sync.servers")
    pytest.importorskip("uvicorn")
    with servers.in_thread(Service(theirs, writes=True)) as address, live_peer(address) as peer:
        return live.sync_live(ours, peer)


#: How two stores meet, and how often that is tried.
ROADS: dict[Callable[[Store, Store], object], int] = {by_folder: 12, in_memory: 12, over_http: 3}


def check_sync(oracle: Oracle, before: Pair, after: Pair) -> int:
    """Each side has what it had and what the other carries; and the proofs say of that what the library says."""
    for own, other, then, beside in ((*before, *after), (*before[::-1], *after[::-1])):
        carried = ask(oracle, other, own)["carried"]
        assert set(then.records()) == set(own.records()) | carried
        assert ask(oracle, then, beside) == library(then, beside)
    return len(after[0].records())


def synced(tmp_path: Path, road: Callable[[Store, Store], object], seed: int) -> tuple[Pair, Pair]:
    """What two stores hold before and after a sync, into which operations were put as anybody may."""
    stores = [Store.create(tmp_path / f"{road.__name__} {seed} {name}", SIGNED) for name in ("ours", "theirs")]
    for store, some in zip(stores, parts(signed_trace(seed), Random(seed)), strict=True):
        for operation in some:
            store.write_operation(operation)
    before = stores[0].state(), stores[1].state()
    assert not road(stores[0], stores[1]).refused
    return before, (stores[0].state(), stores[1].state())


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.clause("SG-8", "SG-9", "SG-10", "SG-12", "PR-10")
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
def test_a_sync_leaves_what_the_proofs_say(oracle: Oracle, tmp_path, road):
    held = [check_sync(oracle, *synced(tmp_path, road, seed)) for seed in range(ROADS[road])]
    assert max(held) > 20


@pytest.mark.clause("SG-8", "SG-9", "SG-10", "SG-12", "PR-10")
def test_the_syncs_of_the_simulator_leave_what_the_proofs_say(oracle: Oracle, monkeypatch):
    """Members who are hostile, packs, live peers, commands that died before."""
    held: list[int] = []

    def on_sync(before: Pair, after: Pair) -> None:
        with suppress(PackError):  # a pack rotted meanwhile, so nobody can tell what stands in it
            held.append(check_sync(oracle, before, after))

    monkeypatch.setattr(Stores, "on_sync", staticmethod(on_sync))
    with stage("stores") as play:
        for seed in range(HISTORIES):
            play(drawn("stores", seed))
    assert len(held) > 5 * HISTORIES and max(held) > 8


@pytest.mark.parametrize(
    "fault", ["removes-take-anything-back", "keeps-count-for-all-revokes", "folders-get-everything"]
)
def test_a_planted_fault_is_seen(oracle: Oracle, tmp_path, fault):
    with FAULTS[fault].planted():
        pairs = [synced(tmp_path, by_folder, seed) for seed in range(ROADS[by_folder])]
        assert any(differs(oracle, before, after) for before, after in pairs)


def differs(oracle: Oracle, before: Pair, after: Pair) -> bool:
    try:
        check_sync(oracle, before, after)
    except AssertionError:
        return True
    return False
