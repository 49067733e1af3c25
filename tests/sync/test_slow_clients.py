"""Hundreds of slow clients: they cost little memory, those that have waited longest give way, and nobody else waits.

`--thorough` opens 200 at a real server, and then more than it has connections; otherwise it is 40.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mergealgebra.store.objects import Store
from mergealgebra.sync import http_connections, http_guard, http_server
from mergealgebra.sync.http_peer import HttpCarrier
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.crdt.strategies import GENESIS, nonce
from tests.models import write_canonical
from tests.store.stores import contribute, entry_of, manifest_of
from tests.sync.servers import in_thread, served

pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
pytest.importorskip("starlette", reason="needs uvicorn and starlette (extra net)")

MIB = 1 << 20
ELEMENTS = 4 * MIB


@pytest.fixture
def alice(tmp_path):
    """A store with a contribution of 16 MiB, and one whose tensors it lacks."""
    store = Store.create(tmp_path / "alice", GENESIS)
    for number in (1, 2):
        path = tmp_path / f"{number}.safetensors"
        noise = np.random.default_rng(number).standard_normal(ELEMENTS, np.float32)  # packs to four fifths
        write_canonical(path, {"a.weight": noise})
        with Checkpoint.open(path) as checkpoint:
            root = checkpoint.root()
        store.import_blob(entry_of(path), root)
        store.write_delta(store.state().add(manifest_of(root, ELEMENTS), nonce(number)))
    store.blob_path(root).unlink()
    return store


def here(store: Store) -> str:
    """The root that it has."""
    (root,) = store.blob_roots()
    return root


def lacking(store: Store) -> str:
    """The root that it lacks."""
    return next(one.tensors for one in store.state().visible().values() if one.tensors != here(store))


#: What a slow client sends before it waits; ROOT is a blob that is there, LACK one that is not.
SLOW = {
    "head": b"POST /mergealgebra/1/reconcile HTTP/1.1\r\nHost: x\r\nX-Lo",
    "body": b"POST /mergealgebra/1/reconcile HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + bytes(MIB - 1),
    "reader": b"GET /mergealgebra/1/blobs/ROOT/leaves/0/16/0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "unpacker": b"GET /mergealgebra/1/blobs/ROOT/leaves/0/16/1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "upload": b"PUT /mergealgebra/1/blobs/LACK/map HTTP/1.1\r\nHost: x\r\nContent-Length: 400\r\n\r\n",
}


def slow_client(store: Store, address: str, kind: str) -> socket.socket:
    """A connection that has sent what it sends, and reads nothing."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    connection.connect((host, int(port)))
    connection.sendall(SLOW[kind].replace(b"ROOT", here(store).encode()).replace(b"LACK", lacking(store).encode()))
    return connection


def is_cut(connection: socket.socket) -> bool:
    """Whether the server has ended a connection."""
    connection.settimeout(0.2)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def memory(pid: int, what: str) -> int:
    """The bytes of memory that a process has now (VmRSS), or had at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


@pytest.mark.clause("PR-23")
@pytest.mark.parametrize("kinds", [*((kind,) for kind in SLOW), tuple(SLOW)], ids="-".join)
def test_slow_clients_cost_little_memory_and_nobody_waits(request, alice, tmp_path, kinds):
    count = 200 if request.config.getoption("--thorough") else 40
    with served(alice.path, "--open-writes") as serving, ExitStack() as opened:
        asked(serving.address)  # what the first question loads
        before = memory(serving.process.pid, "VmRSS")
        for number in range(count):
            opened.enter_context(slow_client(alice, serving.address, kinds[number % len(kinds)]))
        times = [asked(serving.address) for _ in range(5)]
        sync_live(Store.create(tmp_path / "bob", GENESIS), CarriedPeer(HttpCarrier(serving.address)))
        more = memory(serving.process.pid, "VmHWM") - before
        print(f"{count} clients slow in {', '.join(kinds)}: {before / MIB:.0f} MiB before, {more / MIB:.0f} MiB more "
              f"at the peak, others wait {max(times):.2f} s at most")  # fmt: skip
        assert max(times) < 5
        waits = http_connections.MOST_BYTES if {"body", "unpacker"} & {*kinds} else 0
        each = 5 * MIB // 4 if "unpacker" in kinds else MIB // 2  # packing leaves memory in more pieces than it counts
        assert more < waits + count * each + 32 * MIB


def asked(address: str) -> float:
    """How many seconds a question takes."""
    started = time.monotonic()
    carrier = HttpCarrier(address)
    carrier.call("genesis", b"", MIB)
    carrier.close()
    return time.monotonic() - started


@pytest.mark.clause("PR-23")
def test_more_clients_than_connections_keep_nobody_out(request, alice):
    if not request.config.getoption("--thorough"):
        pytest.skip("opens 700 connections: --thorough")
    with served(alice.path, "--open-writes") as serving, ExitStack() as opened:
        for number in range(700):
            opened.enter_context(slow_client(alice, serving.address, ("head", "upload")[number % 2]))
            if number % 50 == 0:
                assert asked(serving.address) < 5


@pytest.mark.clause("PR-23")
@pytest.mark.parametrize("kind", SLOW)
def test_where_there_are_too_many_the_one_that_waits_longest_goes(alice, monkeypatch, kind):
    monkeypatch.setattr(http_connections, "Connections", partial(http_connections.Connections, most=4))
    with in_thread(Service(alice, writes=True)) as address, ExitStack() as opened:
        slow = []
        for _ in range(7):
            slow.append(opened.enter_context(slow_client(alice, address, kind)))
            time.sleep(0.05)
        assert asked(address) < 5
        found = [is_cut(one) for one in slow]
        assert found[:3] == [True] * 3
        assert not all(found)


@pytest.mark.clause("PR-23")
@pytest.mark.parametrize(("kind", "count"), [("body", 5), ("reader", 15)])
def test_what_is_kept_for_slow_clients_is_bounded_in_all(alice, monkeypatch, kind, count):
    monkeypatch.setattr(http_connections, "Connections", partial(http_connections.Connections, most_bytes=3 * MIB))
    with in_thread(Service(alice, writes=True)) as address, ExitStack() as opened:
        slow = [opened.enter_context(slow_client(alice, address, kind)) for _ in range(count)]
        time.sleep(0.3)
        assert asked(address) < 5
        found = [is_cut(one) for one in slow]
        assert {*found} == {True, False}


@pytest.mark.clause("PR-13", "PR-23")
@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_client_is_cut_off(alice, monkeypatch, kind):
    monkeypatch.setattr(http_connections, "HEAD_SECONDS", 0.5)
    for module in (http_guard, http_server):
        monkeypatch.setattr(module, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(http_guard, "LEAST_RATE", 1 << 30)
    with in_thread(Service(alice, writes=True)) as address, slow_client(alice, address, kind) as slow:
        time.sleep(1)
        assert is_cut(slow)
        assert asked(address) < 5
    assert not list((alice.path / "tmp").iterdir())


@pytest.mark.clause("PR-23")
def test_a_client_that_goes_away_leaves_nothing(alice, capfd):
    with in_thread(Service(alice, writes=True)) as address:
        for kind in SLOW:
            slow_client(alice, address, kind).close()
        assert asked(address) < 5
        time.sleep(0.3)
    assert not list((alice.path / "tmp").iterdir())
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.clause("PR-23")
def test_who_asks_without_waiting_is_answered_in_order(tmp_path):
    store = Store.create(tmp_path / "alice", GENESIS)
    contribute(store, 1, tmp_path, nonce(1))
    one = b"GET /mergealgebra/1/genesis HTTP/1.1\r\nHost: x\r\n\r\n"
    with in_thread(Service(store)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(one * 20)
            found = b""
            while found.count(b"HTTP/1.1 200 OK") < 20:
                found += connection.recv(65536)
