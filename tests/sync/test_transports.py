"""Every pair of ways to meet: whoever uses one and whoever uses the other end with one state."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.remote import create_at
from mergealgebra.sync.replica import sync_replica
from mergealgebra.sync.service import Service
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute
from tests.store.test_packs import attest
from tests.sync.fake_s3 import KEYS, Bucket, s3_server, web_server
from tests.sync.live_peers import wire_to
from tests.sync.servers import ROOT, RUN, in_thread
from tests.sync.test_live import check_in_sync
from tests.sync.test_ssh import write_script


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield stack


#: A way to meet: syncs a store with what is behind it.
Way = Callable[[Store], object]


def folder(share: Path, opened, monkeypatch) -> Way:
    return lambda store: sync(store, share)


def memory(share: Path, opened, monkeypatch) -> Way:
    wire = wire_to(Store.open(share))
    return lambda store: sync_live(store, wire.peer)


def http(share: Path, opened, monkeypatch) -> Way:
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    address = opened.enter_context(in_thread(Service(Store.open(share), writes=True)))
    return lambda store: sync_replica(store, address)


def ssh(share: Path, opened, monkeypatch) -> Way:
    """A program in place of `ssh` that runs the command here."""
    bin_ = share.parent / "bin"
    write_script(bin_ / "ssh", 'for last; do :; done\nexec sh -c "$last"')
    write_script(bin_ / "mergealgebra", f'PYTHONPATH={ROOT} exec {" ".join(RUN)} "$@"')
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    return lambda store: sync_replica(store, f"ssh://host{share}")


def bucket(share: Path, opened, monkeypatch) -> Way:
    pytest.importorskip("obstore", reason="needs obstore (extra s3)")
    if "AWS_ENDPOINT_URL" not in os.environ:
        address = opened.enter_context(s3_server(Bucket()))
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address}.items():
            monkeypatch.setenv(name, value)
    create_at(f"s3://models/{share.name}", GENESIS)
    return lambda store: sync_replica(store, f"s3://models/{share.name}")


def files(share: Path, opened, monkeypatch) -> Way:
    """Read as files, and written as a folder: nothing else can be done with a web server."""
    address = opened.enter_context(web_server(share))

    def meet(store: Store) -> None:
        sync(store, share)
        sync_replica(store, address)

    return meet


WAYS = {way.__name__: way for way in (folder, memory, http, ssh, bucket, files)}
#: A process for each sync takes long: `make peers` tries the other pairs.
_ALL = "MERGEALGEBRA_PEERS" in os.environ
PAIRS = [
    pair
    for pair in itertools.combinations_with_replacement(WAYS, 2)
    if _ALL or "ssh" not in pair or pair == ("ssh", "bucket")
]


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("one, other", PAIRS)
def test_all_end_with_one_state(tmp_path, opened, monkeypatch, one, other):
    """Alice uses one way, Carol the other, Bob both; what either of them did, the other has in the end."""
    alice, bob, carol = (Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob", "carol"))
    for number, store in enumerate((alice, bob, carol), 1):
        write_local(store, tmp_path / "base")
        contribute(store, number, tmp_path, nonce(number))
    for number in range(20):
        alice.write_operation(attest(number))
    gone = contribute(carol, 4, tmp_path, nonce(4))
    carol.write_delta(carol.state().remove(gone))
    shares = []
    for number, way in enumerate((one, other)):
        share = tmp_path / f"share{number}"
        Store.create(share, GENESIS)
        shares.append(WAYS[way](share, opened, monkeypatch))
    turns = [
        (alice, shares[:1]),
        (carol, shares[1:]),
        (bob, [*shares, shares[0]]),
        (alice, shares[:1]),
        (carol, shares[1:]),
    ]
    for store, ways in turns:
        for meet in ways:
            meet(store)
    check_in_sync(alice, bob)
    check_in_sync(bob, carol)
    assert len(alice.state().operations) == 25
