"""A server of a signed workspace over HTTP: members write, and read where only they may; nobody else does."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from itertools import product
from threading import Thread

import pytest

import mergealgebra as ma
from mergealgebra.crdt.operations import Attest
from mergealgebra.crdt.permission import grant, revoke
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import AddressError, NotAllowed, PeerError, WrongWorkspace
from mergealgebra.key_files import PrivateKey
from mergealgebra.store.objects import Store
from mergealgebra.sync import calls, challenges, http_guard, http_peer
from mergealgebra.sync.admittance import is_reading
from mergealgebra.sync.challenges import Asked, Challenger, SignedHeader, read_challenge
from mergealgebra.sync.http_paths import BLOBS_PATH, CHALLENGE_PATH, PREFIX
from mergealgebra.sync.http_peer import HttpCarrier
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.server_names import told_names
from mergealgebra.sync.service import Service
from mergealgebra.sync.terms import Terms, Who
from tests.cli.commands import call
from tests.crdt.strategies import nonce
from tests.signed import GENESIS, MAINTAINER, STRANGER, WRITER
from tests.store.stores import files_of, manifest_of
from tests.sync.servers import in_thread, served
from tests.sync.test_http import write_certificate
from tests.workspace.replicas import visible_in, write_models

pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
pytest.importorskip("starlette", reason="needs uvicorn and starlette (extra net)")

MEMBERS_WRITE = Terms(Who.EVERYBODY, Who.MEMBERS)
MEMBERS_ONLY = Terms(Who.MEMBERS, Who.MEMBERS)
WORKSPACE = bytes.fromhex(GENESIS.workspace_id)


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Alice's store, which is served and where the writer has a grant, and Bob's, with two operations of the writer."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    alice, bob = (Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob"))
    alice.write_delta(grant(alice.state(), WRITER.key, "writer", MAINTAINER))
    bob.write_delta(alice.state())
    bob.write_delta(bob.state().said([Attest("00" * 32, "cd" * 32)], signer=WRITER))
    bob.write_delta(bob.state().add(manifest_of("ab" * 32), nonce(1), signer=WRITER))
    return alice, bob


def synced(store: Store, address: str, signer=None):
    carrier = HttpCarrier(address, Identity(signer, store.genesis.workspace_id))
    try:
        return sync_live(store, CarriedPeer(carrier))
    finally:
        carrier.close()


# What people do


@pytest.mark.clause("PR-19", "PR-20", "PR-21", "PR-22")
def test_a_team_meets_at_a_server_that_only_members_read(tmp_path):
    write_models(tmp_path, 2)
    for name in ("maya", "ada", "eve"):
        PrivateKey.make(tmp_path / f"{name}-key", b"secret" if name == "ada" else b"")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: mean\n")
    call(tmp_path, "-C", "maya", "init", "--base", "base", "--recipe", recipe, "--maintainer", "maya-key.pub").lines()
    call(tmp_path, "-C", "maya", "grant", "ada-key.pub", "--name", "Ada", "--key", "maya-key").lines()
    with served(tmp_path / "maya", "--members-only") as maya:
        assert "members may read and write" in maya.line
        clone = ("clone", "--yes", maya.address, "ada", "--base", "base")
        assert "name your private key with --key FILE" in call(tmp_path, *clone).complaint()
        told = call(tmp_path, *clone, "--key", "eve-key").complaint()
        assert "has no grant here; ask a maintainer for `mergealgebra -C WORKSPACE grant 'ssh-ed25519 " in told
        assert "the key has a passphrase" in call(tmp_path, *clone, "--key", "ada-key").complaint()
        call(tmp_path, *clone, "--key", "ada-key", "--passphrase-fd", passphrase()).lines()
        call(tmp_path, "-C", "ada", "contribute", "ft0.safetensors", "--passphrase-fd", passphrase()).lines()
        call(tmp_path, "-C", "ada", "sync", maya.address, "--passphrase-fd", passphrase()).lines()
        assert len(visible_in(tmp_path / "maya")) == 1
        (path, *_) = (tmp_path / "ada" / "operations").iterdir()
        path.write_bytes(b"")
        mend = ("fsck", "ada", "--repair", maya.address, "--passphrase-fd")
        assert f"mended: {path}" in call(tmp_path, *mend, passphrase()).lines()
        (tmp_path / "ada" / "genesis").unlink()
        assert "mended: " in call(tmp_path, *mend, passphrase(), "--key", "ada-key").stdout
        call(tmp_path, "-C", "maya", "revoke", "ada-key.pub", "--key", "maya-key").lines()
        told = call(tmp_path, "-C", "ada", "sync", maya.address, "--passphrase-fd", passphrase()).complaint()
        assert "was revoked; ask a maintainer" in told


def passphrase() -> str:
    """A descriptor that gives it."""
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    return str(reading)


@pytest.mark.clause("PR-21", "PR-22")
def test_members_write_without_any_option_and_everybody_reads(tmp_path, stores):
    alice, bob = stores
    reader = Store.create(tmp_path / "reader", GENESIS)
    with in_thread(Service(alice, writes=True), MEMBERS_WRITE) as address:
        before = files_of(alice.path)
        for signer, says in ((None, "needs the signature of a member"), (STRANGER, "has no grant here; ask a maint")):
            result = synced(bob, address, signer)
            assert says in str(result.not_given[0])
            assert files_of(alice.path) == before
        assert len(synced(bob, address, WRITER).given_operations) == 2
        assert not synced(reader, address).refused
    assert alice.state() == bob.state() == reader.state()


@pytest.mark.clause("PR-21")
def test_a_revoked_key_is_refused_at_once(stores):
    alice, bob = stores
    with in_thread(Service(alice, writes=True), MEMBERS_ONLY) as address:
        carrier = HttpCarrier(address, Identity(WRITER, GENESIS.workspace_id))
        assert CarriedPeer(carrier).genesis()[0] == GENESIS.encode()
        alice.write_delta(revoke(alice.state(), WRITER.key, MAINTAINER))
        with pytest.raises(PeerError, match="was revoked; ask a maintainer"):
            CarriedPeer(carrier).genesis()
        assert not synced(bob, address, MAINTAINER).refused


@pytest.mark.clause("PR-22")
@pytest.mark.parametrize(
    ("signed", "open_writes", "read_only", "members_only", "words"),
    [
        (False, False, False, False, "everybody may read, for reading only"),
        (False, True, False, False, "everybody may read and write"),
        (True, False, False, False, "everybody may read and members write"),
        (True, True, False, False, "everybody may read and write"),
        (True, False, True, False, "everybody may read, for reading only"),
        (True, False, False, True, "members may read and write"),
        (True, False, True, True, "members may read, for reading only"),
    ],
)
def test_the_terms_of_a_server(signed, open_writes, read_only, members_only, words):
    terms = Terms.of(signed=signed, open_writes=open_writes, read_only=read_only, members_only=members_only)
    assert terms.in_words == words
    assert terms.takes == (not words.endswith("for reading only"))


@pytest.mark.clause("PR-22")
def test_an_open_workspace_has_no_members():
    with pytest.raises(NotAllowed, match="this workspace is open and has no members"):
        Terms.of(signed=False, open_writes=False, read_only=False, members_only=True)


@pytest.mark.clause("PR-22")
def test_options_that_contradict_each_other_are_refused(tmp_path):
    assert "contradict each other" in call(tmp_path, "serve", ".", "--open-writes", "--read-only").stderr
    assert "over --stdio" in call(tmp_path, "serve", ".", "--stdio", "--members-only").stderr


@pytest.mark.clause("PR-20")
def test_a_key_that_nobody_needs_is_not_read(tmp_path, stores, monkeypatch):
    alice, _ = stores
    write_models(tmp_path, 1)
    with in_thread(Service(alice, writes=True), MEMBERS_WRITE) as address:
        other = Store.create(tmp_path / "other", GENESIS)
        (tmp_path / "other" / "local.json").write_text("{}")
        workspace = ma.Workspace(other.path, other)
        assert len(workspace.sync(address, key=tmp_path / "no such key").taken_operations) == 1


@pytest.mark.clause("PR-13", "PR-20")
def test_members_sign_over_https_too(stores, tmp_path, monkeypatch):
    alice, bob = stores
    write_certificate(tmp_path)
    files = ("--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem"))
    with served(alice.path, "--members-only", *files) as serving:
        with pytest.raises(PeerError, match="certificate verify failed"):
            synced(bob, serving.address, WRITER)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with pytest.raises(PeerError, match="needs the signature of a member"):
            synced(bob, serving.address)
        assert len(synced(bob, serving.address, WRITER).given_operations) == 2
    assert Store.open(alice.path).state() == bob.state()


# Names of servers


@pytest.mark.clause("PR-20", "PR-21")
def test_a_server_behind_another_name_is_told_it(stores):
    alice, bob = stores
    service = Service(alice, writes=True)
    with in_thread(service, MEMBERS_WRITE, told_names(["models.example:443"], 1)) as address:
        (error, *_) = synced(bob, address, WRITER).not_given
        name = address.removeprefix("http://")
        assert str(error).endswith(f"is called models.example:443: whoever serves says `serve --name {name}`")
    with in_thread(service, MEMBERS_WRITE) as address:
        for host in ("localhost", "127.0.0.1"):
            assert not synced(bob, address.replace("127.0.0.1", host), WRITER).refused
    assert alice.state() == bob.state()


@pytest.mark.clause("PR-20")
@pytest.mark.parametrize("name", ["", "a b", "http://x", "x:y", "x:99999", "user@x", "[::1", "x/y", "::1"])
def test_what_is_not_the_name_of_a_server_is_refused(name):
    with pytest.raises(AddressError, match="is not the name of a server"):
        told_names([name], 8790)


# What helps whom a server refuses


REFUSED = {
    "several processes": (
        Challenger,
        "_mac",
        lambda self, said: os.urandom(32),
        "one process alone answer at this address",
    ),
    "no challenge": (
        http_guard,
        "CHALLENGE_PATH",
        "/elsewhere",
        f"as {CHALLENGE_PATH} is not answered: whoever serves lets it through",
    ),
    "a proxy that changes what is asked": (
        Asked,
        "message",
        lambda self, challenge: os.urandom(32),
        "pass on what is asked as it is",
    ),
}


@pytest.mark.clause("PR-21")
@pytest.mark.parametrize(("where", "name", "instead", "help_"), REFUSED.values(), ids=REFUSED)
def test_each_refusal_of_a_member_ends_with_what_helps(stores, monkeypatch, where, name, instead, help_):
    alice, bob = stores
    monkeypatch.setattr(where, name, instead)
    with in_thread(Service(alice, writes=True), MEMBERS_WRITE) as address:
        (error, *_) = synced(bob, address, WRITER).not_given
    assert str(error).endswith(help_)


@pytest.mark.clause("PR-21")
def test_a_proxy_that_wants_a_password_is_not_taken_for_the_server(stores, monkeypatch):
    alice, bob = stores
    monkeypatch.setattr(http_guard, "SCHEME", "Basic")
    with in_thread(Service(alice, writes=True), MEMBERS_WRITE) as address:
        (error, *_) = synced(bob, address).not_given
    assert str(error).endswith(
        "answers 401 'Unauthorized': check the address, and that `mergealgebra serve` runs there"
    )


# What opens nothing


class Relay:
    """A client by hand: what it sends, whole and as it is."""

    def __init__(self, address: str) -> None:
        self.name = address.removeprefix("http://")

    def ask(self, method: str, path: str, body: bytes = b"", header: str | None = None) -> tuple[int, bytes]:
        connection = HTTPConnection(self.name, timeout=10)
        headers = {} if header is None else {"Authorization": header}
        connection.request(method, path, body=body or None, headers=headers)
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found

    def challenge(self) -> bytes:
        return read_challenge(self.ask("GET", CHALLENGE_PATH)[1])[0]

    def header(self, method: str, path: str, body: bytes = b"", signer=WRITER, **changed) -> str:
        asked = Asked(
            **{"workspace": WORKSPACE, "server": self.name, "method": method, "path": path, "body": body} | changed
        )
        return SignedHeader.sign(asked, self.challenge(), signer).text


PUT = f"{PREFIX}/put"


def operations_of(store: Store) -> bytes:
    return calls.write_operations([one.encode() for one in store.state().operations])


def signature_of(store: Store) -> str:
    """The signature of one of a store's operations."""
    return decode(next(iter(store.state().operations)).encode())["signature"].hex()


@pytest.mark.clause("PR-20", "PR-21")
def test_a_signature_opens_one_request_at_one_server(stores, tmp_path):
    alice, bob = stores
    body, other = operations_of(bob), encode({"operations": []})
    twin = Store.create(tmp_path / "twin", GENESIS)
    with (
        in_thread(Service(alice, writes=True), MEMBERS_WRITE) as one,
        in_thread(Service(twin, writes=True), MEMBERS_WRITE) as two,
    ):
        here, there = Relay(one), Relay(two)
        good = here.header("POST", PUT, body)
        before = files_of(alice.path)
        refused = {
            "another server": there.ask("POST", PUT, body, good),
            "another body": here.ask("POST", PUT, other, good),
            "a query": here.ask("POST", f"{PUT}?x", body, good),
            "another method": here.ask("PUT", f"{BLOBS_PATH}/{'ab' * 32}", body, good),
            "another workspace": here.ask("POST", PUT, body, here.header("POST", PUT, body, workspace=bytes(32))),
            "a server in between": here.ask("POST", PUT, body, here.header("POST", PUT, body, server=there.name)),
            "another's challenge": here.ask("POST", PUT, body, there.header("POST", PUT, body, server=here.name)),
            "no signature": here.ask("POST", PUT, body),
            "an operation's signature": here.ask("POST", PUT, body, good[:-128] + signature_of(bob)),
        }  # fmt: skip
        assert {kind: status for kind, (status, _) in refused.items()} == dict.fromkeys(refused, 401)
        assert here.ask("POST", f"{PREFIX}/%70ut", body, good)[0] == 400
        assert files_of(alice.path) == before
        assert here.ask("POST", PUT, body, good)[0] == 200
        after = files_of(alice.path)
        assert here.ask("POST", PUT, body, good)[0] == 200  # once more, which changes nothing
        assert files_of(alice.path) == after != before


@pytest.mark.clause("PR-19", "PR-21")
def test_a_challenge_ends(stores, monkeypatch):
    alice, bob = stores
    clock = [1000.0]
    monkeypatch.setattr(
        Challenger, "new", classmethod(lambda cls, workspace: cls(workspace, b"k" * 32, lambda: clock[0]))
    )
    with in_thread(Service(alice, writes=True), MEMBERS_WRITE) as address:
        relay, body = Relay(address), operations_of(bob)
        header = relay.header("POST", PUT, body)
        clock[0] += challenges.SECONDS
        assert relay.ask("POST", PUT, body, header) == (401, b"the challenge has ended: sync again")
        clock[0] -= 1
        assert relay.ask("POST", PUT, body, header)[0] == 200


@pytest.mark.clause("PR-19", "PR-20")
def test_a_client_goes_on_when_its_challenge_has_ended_or_the_server_is_another_process(stores, monkeypatch):
    alice, bob = stores
    made = []

    def new(cls, workspace: bytes) -> Challenger:
        made.append(cls(workspace, os.urandom(32)))
        return made[-1]

    monkeypatch.setattr(Challenger, "new", classmethod(new))
    with in_thread(Service(alice, writes=True), MEMBERS_ONLY) as address:
        peer = CarriedPeer(HttpCarrier(address, Identity(WRITER, GENESIS.workspace_id)))
        peer.genesis()
        object.__setattr__(made[0], "key", os.urandom(32))
        peer.genesis()
        assert len(peer.put_operations([one.encode() for one in bob.state().operations])) == 0


@pytest.mark.clause("PR-20")
def test_nothing_is_signed_for_another_workspace(stores):
    alice, _ = stores
    with in_thread(Service(alice, writes=True), MEMBERS_ONLY) as address:
        peer = CarriedPeer(HttpCarrier(address, Identity(WRITER, "ab" * 32)))
        with pytest.raises(WrongWorkspace, match=f"holds workspace {GENESIS.workspace_id}, not abab"):
            peer.genesis()


@pytest.mark.clause("PR-21")
def test_every_call_is_known_to_read_or_to_write():
    assert calls.READING | {calls.PUT} == calls.CALLS.keys()
    for method, path in product(("PUT", "DELETE", "PATCH", "POST"), ("/", f"{BLOBS_PATH}/x", PUT, f"{PREFIX}/blobs/")):
        assert not is_reading(method, path)


@pytest.mark.clause("PR-21")
def test_an_open_workspace_gives_no_challenge_and_takes_no_signature(tmp_path):
    from tests.crdt.strategies import GENESIS as OPEN

    with in_thread(Service(Store.create(tmp_path / "open", OPEN))) as address:
        assert Relay(address).ask("GET", CHALLENGE_PATH)[0] == 404
        assert Relay(address).ask("GET", f"{PREFIX}/genesis", header="Mergealgebra nonsense")[0] == 200


# Hostile servers


CHALLENGES = {
    "none": b"",
    "no map": b"\xc0",
    "short": encode({"challenge": bytes(55), "seconds": 300, "workspace": WORKSPACE}),
    "for ever": encode({"challenge": bytes(56), "seconds": 10**9, "workspace": WORKSPACE}),
    "more": encode({"challenge": bytes(56), "more": 1, "seconds": 300, "workspace": WORKSPACE}),
    "long": bytes(100_000),
}


@pytest.mark.clause("PR-19", "PR-20")
@pytest.mark.parametrize("kind", CHALLENGES)
def test_what_is_not_a_challenge_is_not_signed(kind, monkeypatch):
    monkeypatch.setattr(http_peer, "IDLE_SECONDS", 2)
    with answering_with(CHALLENGES[kind]) as address:
        carrier = HttpCarrier(address, Identity(WRITER, GENESIS.workspace_id))
        with pytest.raises(PeerError, match=r"^http://127\.0\.0\.1:[0-9]+ "):
            carrier.call("put", b"x", 100)
        carrier.close()


def answering_with(challenge: bytes):
    """A server that gives this in place of a challenge, and wants a signature of everything."""

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                while (asked := connection.recv(65536)) and b"\r\n\r\n" in asked:
                    found, status = (challenge, b"200 OK") if CHALLENGE_PATH.encode() in asked else (b"sign", b"401 No")
                    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(found), found))

    @contextmanager
    def running():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            Thread(target=serve, args=(listening,), daemon=True).start()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"

    return running()
