"""Peers over HTTP, against real processes: all end with one state; slow, endless and lying sides are cut off."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.errors import AddressError, MergeAlgebraError, OutputError, PeerError, SyncIncomplete
from mergealgebra.store.base_leaves import BaseLeaves
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.store.maps import Maps
from mergealgebra.store.objects import Store
from mergealgebra.sync import http_peer, replica
from mergealgebra.sync.calls import Run
from mergealgebra.sync.http_peer import HttpCarrier
from mergealgebra.sync.leaf_frames import RAW, leaf_buffer, read_leaf
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from tests.cli.commands import call
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute
from tests.sync.servers import in_thread, served
from tests.workspace.replicas import make_workspace, visible_in, write_models

pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
pytest.importorskip("starlette", reason="needs uvicorn and starlette (extra net)")


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path, 4)
    make_workspace(tmp_path, "alice", 0)
    return tmp_path


def contribute_to(root: Path, name: str, number: int) -> None:
    ma.Workspace.open(root / name).contribute(root / f"ft{number}.safetensors")


# What people do


@pytest.mark.clause("PR-13", "PR-16")
def test_three_people_meet_over_http(root):
    with served(root / "alice", "--open-writes") as alice:
        for number, name in enumerate(("bob", "carol"), 1):
            call(root, "clone", "--yes", alice.address, name, "--base", "base").lines()
            contribute_to(root, name, number)
        contribute_to(root, "alice", 3)  # while she serves
        for name in ("bob", "carol", "bob"):
            call(root, "-C", name, "sync", alice.address).lines()
    assert len(visible_in(root / "alice")) == 4
    assert visible_in(root / "alice") == visible_in(root / "bob") == visible_in(root / "carol")
    models = [ma.Workspace.open(root / name).resolve(root / f"of-{name}", backend="numpy") for name in ("alice", "bob")]
    assert models[0].model_root == models[1].model_root


@pytest.mark.clause("PR-13", "PR-16")
def test_several_peers_at_once_and_one_that_is_not_there(root):
    call(root, "-C", "alice", "sync", "share", "--create").lines()
    make_workspace(root, "bob", 1)
    contribute_to(root, "alice", 2)
    with served(root / "alice") as alice:
        moved = call(root, "-C", "bob", "sync", alice.address, "share", "--json")
        assert "served for reading only" in moved.complaint()
        assert moved.stderr.endswith("(1 of 2 peers failed)\n")
        assert len(visible_in(root / "share")) == 3
        told = call(root, "-C", "bob", "sync", "http://127.0.0.1:1", "share")
        assert (told.code, "http://127.0.0.1:1 cannot be reached" in told.stderr) == (1, True)
        assert told.stdout.startswith("peer      share\nreceived  ")


@pytest.mark.clause("BL-10", "PR-16")
def test_tensors_come_from_two_servers_at_once_and_both_are_told_of_the_other(root):
    for name, number in (("bob", 1), ("carol", 2)):
        make_workspace(root, name, number)
    with served(root / "alice", "--open-writes") as alice, served(root / "bob", "--open-writes") as bob:
        gone = "http://127.0.0.1:1"
        told = call(root, "-C", "carol", "sync", alice.address, gone, bob.address)
        assert (told.code, f"{gone} cannot be reached" in told.stderr) == (1, True)
        assert told.stderr.endswith("(1 of 3 peers failed)\n")
        moved = call(root, "-C", "carol", "sync", alice.address, bob.address, "--json").printed()
    assert moved["peers"].keys() == {alice.address, bob.address}
    assert len(visible_in(root / "carol")) == 3
    assert visible_in(root / "alice") == visible_in(root / "bob") == visible_in(root / "carol")
    for name in ("alice", "bob", "carol"):
        workspace = ma.Workspace.open(root / name)
        assert not workspace.missing()
        assert name != "carol" or not [line for line in workspace.doubts if gone not in line]


@pytest.mark.clause("PR-16")
def test_serve_is_for_this_machine_and_for_reading(root):
    make_workspace(root, "bob", 1)
    with served(root / "alice") as alice:
        assert alice.address.startswith("http://127.0.0.1:")
        assert "for reading only" in alice.line
        with pytest.raises(SyncIncomplete, match="it takes nothing, it is served for reading only"):
            ma.Workspace.open(root / "bob").sync(alice.address)
    assert len(visible_in(root / "alice")) == 1
    assert len(visible_in(root / "bob")) == 2
    assert "others may lack yours" in call(root, "-C", "bob", "status").stderr


@pytest.mark.clause("PR-13", "SY-12")
def test_a_clone_of_another_workspace_is_refused(root):
    with served(root / "alice") as alice:
        complaint = call(root, "clone", f"{alice.address}#{'0' * 64}", "bob", "--base", "base").complaint()
        assert f"{alice.address} holds workspace" in complaint
        assert not (root / "bob").exists()
        id_ = ma.Workspace.open(root / "alice").store.genesis.workspace_id
        call(root, "clone", f"{alice.address}#{id_}", "bob", "--base", "base").lines()


@pytest.mark.clause("PR-13")
def test_https_by_certificate_files(root, tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="makes the certificate")
    write_certificate(tmp_path)
    make_workspace(root, "bob", 1)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with served(
        root / "alice", "--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")
    ) as alice:
        assert alice.address.startswith("https://127.0.0.1:")
        bob = ma.Workspace.open(root / "bob")
        with pytest.raises(PeerError, match=r"certificate verify failed.*; its certificate .*SSL_CERT_FILE to it$"):
            bob.sync(alice.address)
        with pytest.raises(PeerError, match="where it has a certificate, write https://"):
            bob.sync(alice.address.replace("https", "http"))
        monkeypatch.setenv("SSL_CERT_FILE", "nowhere.pem")
        with pytest.raises(PeerError, match=r"'nowhere\.pem' now, which is no file"):
            bob.sync(alice.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "key.pem"))
        with pytest.raises(PeerError, match=r"key\.pem' now, which holds no certificate as PEM"):
            bob.sync(alice.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with pytest.raises(SyncIncomplete, match="for reading only"):
            bob.sync(alice.address)
        with pytest.raises(
            PeerError, match=r"not valid for 'localhost'.*; name the server as its certificate does"
        ) as it:
            bob.sync(alice.address.replace("127.0.0.1", "localhost"))
        assert "SSL_CERT_FILE" not in str(it.value)
        write_certificate(tmp_path)
        with pytest.raises(PeerError, match=r"cert\.pem' now, which does not hold it"):
            bob.sync(alice.address)
    assert len(visible_in(root / "bob")) == 2


@pytest.mark.clause("PR-13")
def test_a_certificate_past_its_day_is_told_as_that(root, tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="makes the certificate")
    write_certificate(tmp_path, days=-1)
    make_workspace(root, "bob", 1)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with (
        served(
            root / "alice", "--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")
        ) as alice,
        pytest.raises(PeerError, match=r"has expired.*; ask whoever runs it for a new certificate, or") as caught,
    ):
        ma.Workspace.open(root / "bob").sync(alice.address)
    assert "SSL_CERT_FILE" not in str(caught.value)


def write_certificate(folder: Path, days: int = 1) -> None:
    """A certificate of 127.0.0.1 and its key, good until so many days from now."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=2)).not_valid_after(now + timedelta(days=days))
    certificate = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))


@pytest.mark.clause("PR-12", "PR-13", "SY-8")
def test_a_server_that_is_killed_in_the_middle(tmp_path):
    alice, bob = (Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob"))
    for number in range(30):
        contribute(alice, number, tmp_path, nonce(number))
    (tmp_path / "alice" / "local.json").write_text("{}")
    with served(alice.path) as serving:

        def kill(step: str, done: int, total: int) -> None:
            if done > total // 2:
                serving.kill()

        result = sync_live(bob, CarriedPeer(HttpCarrier(serving.address)), progress=kill)
    assert any(str(error).startswith(serving.address) for error in result.refused)
    assert 10 < len(bob.blob_roots()) < 30
    for root in bob.blob_roots():
        bob.check_blob(root)
    assert not list((bob.path / "tmp").iterdir())
    with served(alice.path) as serving:
        sync_live(bob, CarriedPeer(HttpCarrier(serving.address)))
    assert bob.blob_roots() == alice.blob_roots()
    assert bob.state() == alice.state()


# Hostile servers

BODY = b"HTTP/1.1 200 OK\r\nContent-Length: "
#: What a server sends whatever it is asked, and what it does then.
ANSWERS = {
    "nothing": (b"", "close"),
    "garbage": (os.urandom(300), "close"),
    "half": (BODY + b"100\r\n\r\nabc", "close"),
    "silent": (b"", "wait"),
    "silent body": (BODY + b"100\r\n\r\nabc", "wait"),
    "drip": (BODY + b"100000\r\n\r\n", "drip"),
    "dripping head": (b"HTTP/1.1 200 OK\r\nX-Long: ", "drip"),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n", "flood"),
    "endless head": (b"HTTP/1.1 200 OK\r\n", "heads"),
    "endless chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunks"),
    "huge": (BODY + b"99999999999999\r\n\r\n", "flood"),
    "bad length": (BODY + b"-5\r\n\r\n", "close"),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "close"),
    "not found": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "close"),
    "refusal": (b"HTTP/1.1 400 Bad\r\nContent-Length: 13\r\n\r\n\x1b[31mred\r\nblue", "close"),
    "empty": (BODY + b"0\r\n\r\n", "close"),
}


@contextmanager
def answering(answer: bytes, then: str):
    """A server of one thread a connection that sends the same whatever it is asked; its address."""
    stop = threading.Event()
    more = {"flood": b"x" * 65536, "heads": b"X-More: y\r\n" * 10, "chunks": b"10000\r\n" + b"x" * 65536 + b"\r\n"}

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(answer)
                while then != "close" and not stop.is_set():
                    if then == "wait":
                        stop.wait(0.05)
                    else:
                        connection.sendall(more.get(then, b"x"))
                        stop.wait(0.02 if then == "drip" else 0)
            except OSError:
                pass

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stop.set()


LEAF = BlobMap.of([("w", "F32", (2,), bytes(32))]).leaf(0)


@pytest.mark.clause("PR-13", "PR-9")
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_hostile_server_is_cut_off_and_named(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(http_peer, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(http_peer, "CALL_SECONDS", 1.0)
    store = Store.create(tmp_path / "bob", GENESIS)
    started = time.monotonic()
    with answering(*ANSWERS[kind]) as address:
        carrier = HttpCarrier(address)
        with pytest.raises(MergeAlgebraError) as caught:
            sync_live(store, CarriedPeer(carrier))
        with pytest.raises(MergeAlgebraError) as taken, carrier.leaves(Run("ab" * 32, 0, 1), RAW) as fill:
            read_leaf(fill, LEAF, RAW, BaseLeaves(Maps(store)), leaf_buffer())
        with pytest.raises(MergeAlgebraError):
            BlobMap.decode(carrier.blob_map("ab" * 32, 1000), "ab" * 32, 10)
        carrier.close()
    assert time.monotonic() - started < 8
    assert str(caught.value).startswith(address)
    assert len(str(caught.value)) < 800
    assert "\x1b" not in f"{caught.value}{taken.value}"
    assert not store.blob_roots()


#: Addresses that are refused before anything is sent.
BAD_ADDRESSES = ["http://", "http://user:secret@host/", "http://user@host", "http://host/?q", "http://host/#x", "http://host:x",
                 "http://host:99999", "http://ho st/", "http://[::1", "http:///path", "https://höst\n/"]  # fmt: skip


@pytest.mark.clause("PR-16")
@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_is_none_is_refused(root, address):
    alice = ma.Workspace.open(root / "alice")
    with pytest.raises(AddressError, match="is not ") as caught:
        alice.sync(address)
    assert "user" not in str(caught.value).split(" is not ")[0]
    assert "secret" not in str(caught.value)


@pytest.mark.clause("PR-16")
@pytest.mark.parametrize("bad", ["http://user:secret@host/", "http://user:sec/ret@host/", "ssh://user:secret@host"])
def test_a_bad_address_keeps_no_other_peer_from_being_synced(root, monkeypatch, bad):
    make_workspace(root, "bob", 1)
    bob = ma.Workspace.open(root / "bob")
    written = []
    monkeypatch.setattr(replica, "write_incomplete", lambda store, peer, told: written.append(peer))
    with served(root / "alice", "--open-writes") as alice:
        good, error, again = bob.sync_all([alice.address, bad, alice.address])
    assert good.taken_operations
    assert not again.refused
    assert isinstance(error, AddressError)
    assert "sec" not in str(error)
    assert {*written} == {alice.address}


@pytest.mark.clause("PR-16", "SY-4")
def test_what_fails_here_is_told_of_each_peer(root, monkeypatch):
    def fails(*_, **__):
        raise OutputError("the disk is full")

    monkeypatch.setattr(replica, "sync_together", fails)
    bob = ma.Workspace.open(root / "alice")
    results = bob.sync_all(["http://127.0.0.1:1", "http://127.0.0.1:2"])
    assert [str(one) for one in results] == ["the disk is full"] * 2
    assert not bob.doubts


# Hostile clients


@pytest.fixture
def alice(tmp_path):
    store = Store.create(tmp_path / "alice", GENESIS)
    contribute(store, 1, tmp_path, nonce(1))
    return store


def raw(address: str, request: bytes, seconds: float = 5.0) -> bytes:
    """What comes back for some bytes."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(request)
        found = b""
        while piece := connection.recv(65536):
            found += piece
            if b"\r\n\r\n" in found and b"chunked" not in found:
                break
        return found


CALL, PUT, GET = b"POST /mergealgebra/1/", b"PUT /mergealgebra/1/blobs/", b"GET /mergealgebra/1/blobs/"
RUN = b"/leaves/0/1"
HOST, LENGTH = b" HTTP/1.1\r\nHost: x\r\n", b" HTTP/1.1\r\nHost: x\r\nContent-Length: "
CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"
#: Requests that are refused, and with which status.
REQUESTS = {
    "not http": (os.urandom(99) + b"\r\n\r\n", b"400"),
    "no such path": (b"GET /etc/passwd" + HOST + b"\r\n", b"404"),
    "a path above": (b"GET /mergealgebra/1/blobs/..%2F..%2Fgenesis" + HOST + b"\r\n", b"40"),
    "no such call": (CALL + b"steal" + LENGTH + b"0\r\n\r\n", b"400"),
    "no such method": (b"DELETE /mergealgebra/1/genesis" + HOST + b"\r\n", b"405"),
    "too long": (CALL + b"blobs" + LENGTH + b"300000\r\n\r\n" + bytes(300000), b"400"),
    "chunks without end": (CALL + b"blobs" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 9, b"400"),
    "no length": (PUT + b"ab" * 32 + RUN + HOST + b"\r\n", b"400"),
    "a bad length": (PUT + b"ab" * 32 + RUN + LENGTH + b"-1\r\n\r\n", b"400"),
    "a long run": (PUT + b"ab" * 32 + RUN + LENGTH + b"99999999\r\n\r\n", b"400"),
    "many leaves": (GET + b"ab" * 32 + b"/leaves/0/17/0" + HOST + b"\r\n", b"400"),
    "huge numbers": (GET + b"ab" * 32 + b"/leaves/" + b"9" * 99 + b"/1/0" + HOST + b"\r\n", b"400"),
    "a negative number": (GET + b"ab" * 32 + b"/leaves/-1/1/0" + HOST + b"\r\n", b"404"),
    "an unwanted map": (PUT + b"ab" * 32 + b"/map" + LENGTH + b"3\r\n\r\nabc", b"400"),
    "a bad map": (PUT + b"ROOT/map" + LENGTH + b"3\r\n\r\nabc", b"400"),
    "a long map": (PUT + b"ROOT/map" + LENGTH + b"9999999\r\n\r\n" + bytes(2**22 + 99), b"400"),
    "leaves without a map": (PUT + b"ROOT" + RUN + LENGTH + b"3\r\n\r\nabc", b"400"),
    "slow": (CALL + b"blobs" + LENGTH + b"30\r\n\r\nabc", b"408"),
    "a slow map": (PUT + b"ROOT/map" + LENGTH + b"900\r\n\r\nabc", b"408"),
}


@pytest.mark.clause("PR-13")
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_hostile_client_is_refused(alice, monkeypatch, kind):
    from mergealgebra.sync import http_guard, http_server

    for module in (http_guard, http_server):
        monkeypatch.setattr(module, "IDLE_SECONDS", 0.5)
    (root,) = alice.blob_roots()
    alice.blob_path(root).unlink()
    request, status = REQUESTS[kind]
    with in_thread(Service(alice, writes=True)) as address:
        found = raw(address, request.replace(b"ROOT", root.encode()))
        assert found.startswith(b"HTTP/1.1 " + status), found
        assert CarriedPeer(HttpCarrier(address)).genesis()[0] == GENESIS.encode()
    assert not alice.blob_roots()
    assert not list((alice.path / "tmp").iterdir())


@pytest.mark.clause("PR-16", "SY-7")
def test_no_share_is_made_at_servers_and_each_says_so(root):
    opened = ma.Workspace.open(root / "alice")
    one, two = opened.sync_all(["http://127.0.0.1:9", "http://127.0.0.1:10"], create=True)
    for error, port in ((one, 9), (two, 10)):
        assert str(error).startswith(f"nothing is made at http://127.0.0.1:{port}: ")
