"""Hundreds of slow clients: they cost little memory, those that have waited longest give way, and nobody else waits.

`--thorough` opens 200 at a real server, and then more than it has connections; otherwise it is 40.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.store.partial_blob import PartialBlob
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
from tests.sync.test_http import write_certificate

pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
ClientDisconnect = pytest.importorskip("starlette.requests", reason="needs the extra net").ClientDisconnect

MIB = 1 << 20
ELEMENTS = 4 * MIB


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a contribution of 16 MiB, and one whose tensors it lacks."""
    root = tmp_path_factory.mktemp("slow")
    store = Store.create(root / "alice", GENESIS)
    for number in (1, 2):
        path = root / f"{number}.safetensors"
        noise = np.random.default_rng(number).standard_normal(ELEMENTS, np.float32)  # packs to four fifths
        write_canonical(path, {"a.weight": noise})
        with Checkpoint.open(path) as checkpoint:
            tensors = checkpoint.root()
        store.import_blob(entry_of(path), tensors)
        store.write_delta(store.state().add(manifest_of(tensors, ELEMENTS), nonce(number)))
    blob_map = Maps(store).of_blob(tensors)
    store.blob_path(tensors).unlink()
    PartialBlob.begin(store, tensors, blob_map, lambda path, records: None)
    return store


@pytest.fixture
def alice(made, tmp_path):
    """The same, of the test's own."""
    return Store.open(shutil.copytree(made.path, tmp_path / "alice"))


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
    "leaves": b"PUT /mergealgebra/1/blobs/LACK/leaves/0/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2097162\r\n\r\n"
    b"\x00\x00\x10\x00\x00" + bytes(MIB - 1),
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
        waits = http_connections.MOST_BYTES if {"body", "leaves", "unpacker"} & {*kinds} else 0
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


@pytest.mark.clause("PR-23")
def test_who_was_cut_off_is_counted_no_more(alice, monkeypatch, tmp_path):
    connections = http_connections.Connections(most_bytes=3 * MIB)
    monkeypatch.setattr(http_connections, "Connections", lambda: connections)
    first, second = (connections.begin(("host", number)) for number in (1, 2))
    connections.keep(first, 2 * MIB)
    connections.keep(second, 2 * MIB)  # the first is cut
    with pytest.raises(ClientDisconnect):
        connections.keep(first, MIB)  # though its next bytes had come
    connections.end(first)
    connections.end(second)
    assert not connections._nbytes
    with in_thread(Service(alice, writes=True)) as address:
        for _ in range(2):
            with ThreadPoolExecutor(20) as pool:
                for _ in range(40):
                    pool.submit(flood, address)
        time.sleep(0.3)
        assert not connections._nbytes
        taken = sync_live(Store.create(tmp_path / "bob", GENESIS), CarriedPeer(HttpCarrier(address))).taken_blobs
        assert taken == (here(alice),)


def flood(address: str) -> None:
    """Send much of a body, fast, and go away."""
    host, port = address.removeprefix("http://").split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(SLOW["body"])
        time.sleep(0.05)


@pytest.mark.clause("PR-23")
def test_slow_uploads_keep_nobody_from_giving(alice, tmp_path):
    bob = Store.create(tmp_path / "bob", GENESIS)
    contribute(bob, 3, tmp_path, nonce(3))
    with in_thread(Service(alice, writes=True)) as address, ExitStack() as opened:
        for kind in ("upload", "leaves") * 10:
            opened.enter_context(slow_client(alice, address, kind))
        time.sleep(0.3)
        started = time.monotonic()
        assert sync_live(bob, CarriedPeer(HttpCarrier(address))).given_blobs
        assert time.monotonic() - started < 5


@pytest.mark.clause("PR-23")
def test_a_handshake_counts_as_a_connection(alice, monkeypatch, tmp_path):
    pytest.importorskip("cryptography", reason="makes the certificate")
    write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    connections = http_connections.Connections(most=4)
    monkeypatch.setattr(http_connections, "Connections", lambda: connections)
    monkeypatch.setattr("mergealgebra.sync.http_tls.HANDSHAKE_SECONDS", 0.7)
    files = {"certificate": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    with in_thread(Service(alice, writes=True), **files) as address, ExitStack() as opened:
        host, port = address.removeprefix("https://").split(":")
        silent = [opened.enter_context(socket.create_connection((host, int(port)))) for _ in range(7)]
        assert asked(address) < 5
        assert [is_cut(one) for one in silent[:3]] == [True] * 3
        time.sleep(1)
        assert all(is_cut(one) for one in silent)
        assert not connections._open
        result = sync_live(Store.create(tmp_path / "bob", GENESIS), CarriedPeer(HttpCarrier(address)))
        assert result.taken_blobs == (here(alice),)


@pytest.mark.clause("PR-23")
def test_what_came_whole_is_counted_until_it_was_worked_at(alice, monkeypatch):
    connections = http_connections.Connections(most_bytes=3 * MIB)
    monkeypatch.setattr(http_connections, "Connections", lambda: connections)
    service, go = Service(alice), threading.Event()
    monkeypatch.setattr(service, "answer", lambda call, asked: b"done" if go.wait(10) else b"")
    with in_thread(service) as address, ThreadPoolExecutor(4) as pool:
        host, port = address.removeprefix("http://").split(":")

        def ask() -> bytes:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(SLOW["body"] + b"x")
                return connection.recv(15)

        def asking(count: int) -> list[Future[bytes]]:
            found = [pool.submit(ask) for _ in range(count)]
            time.sleep(0.5)
            return found

        told = asking(2)
        assert connections._nbytes == 2 * MIB
        told += asking(2)  # which are not read on
        assert connections._nbytes == 2 * MIB
        go.set()
        assert {one.result() for one in told} == {b"HTTP/1.1 200 OK"}
        assert not connections._nbytes


@pytest.mark.clause("PR-23")
def test_who_leaves_while_it_is_refused_is_counted_no_more():
    async def goes():
        raise ClientDisconnect

    connections = http_connections.Connections()
    asking = http_guard._Asking(("host", 1), connections, goes, goes)
    with pytest.raises(ClientDisconnect):
        asyncio.run(asking.drain())
    assert not connections._waits


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
