"""Peers over ssh: no address is an option or a second command, and all end with one state, by a real sshd too."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.encoding import encode
from mergealgebra.errors import AddressError, PeerError
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.sync import frames
from mergealgebra.sync.calls import read_genesis
from mergealgebra.sync.live import sync_live
from mergealgebra.sync.peer import CarriedPeer
from mergealgebra.sync.service import Service
from mergealgebra.sync.ssh_peer import SshCarrier, ssh_command
from mergealgebra.sync.streams import serve_streams
from tests.cli.commands import call
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import Store, contribute
from tests.sync.servers import ROOT, RUN
from tests.workspace.replicas import make_workspace, visible_in, write_models


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path, 2)
    make_workspace(tmp_path, "alice", 0)
    make_workspace(tmp_path, "bob", 1)
    return tmp_path


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def a_shell_for_ssh(root, monkeypatch):
    """In place of `ssh`, a program that writes down its words and runs the command here, as the other side's shell."""
    write_script(root / "bin" / "ssh", f'printf "%s\\n" "$@" > {root}/words\nfor last; do :; done\nexec sh -c "$last"')
    write_script(root / "bin" / "mergealgebra", f'PYTHONPATH={ROOT} exec {" ".join(RUN)} "$@"')
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.clause("BL-10", "PR-15")
def test_after_a_cut_or_an_end_the_next_call_starts_another_process(root):
    carrier = SshCarrier("ssh://host/x", [*RUN, "serve", "--stdio", "--", str(root / "alice")])
    with contextlib.closing(carrier):
        genesis = carrier.call("genesis", b"", 1 << 21)
        carrier.cut()
        assert carrier.call("genesis", b"", 1 << 21) == genesis
        carrier._process.kill()
        carrier._process.wait()
        assert carrier.call("genesis", b"", 1 << 21) == genesis


@pytest.mark.clause("PR-14", "PR-15", "PR-16")
@pytest.mark.parametrize("name", ["alice", "our models; touch x", "-rf", "it's $(touch x)"])
def test_both_sides_meet(root, a_shell_for_ssh, name):
    if name != "alice":
        (root / "alice").rename(root / name)
    call(root, "-C", "bob", "sync", f"ssh://me@host:2222{root / name}").lines()
    assert visible_in(root / name) == visible_in(root / "bob")
    assert len(visible_in(root / "bob")) == 2
    words = (root / "words").read_text().splitlines()
    assert words[:-1] == ["-T", "-p", "2222", "-l", "me", "--", "host"]
    assert not list(root.rglob("x"))
    call(root, "clone", "--yes", f"ssh://host{root / name}", "carol", "--base", "base").lines()
    assert visible_in(root / "carol") == visible_in(root / "bob")


BAD_ADDRESSES = ["ssh://-oProxyCommand=touch/x", "ssh://-l@host/x", "ssh://host", "ssh://host:-p/x", "ssh://a b/x", "ssh:///x",
                 "ssh://me@-host/x", "ssh://host;ls/x", "ssh://$(ls)/x", "ssh://host\n/x", "ssh://host/x\ny", "ssh://u:p@host/x",
                 "ssh://host:123456/x", "ssh://[::1/x", "SSH://host/x", "ssh://host-/x"]  # fmt: skip


@pytest.mark.clause("PR-15")
@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_is_none_starts_nothing(root, a_shell_for_ssh, address):
    with pytest.raises(AddressError, match="is not the address of a peer"):
        ma.Workspace.open(root / "bob").sync(address)
    assert not (root / "words").exists()


@pytest.mark.clause("PR-15")
def test_the_words_of_other_addresses():
    assert ssh_command("ssh://[::1]/x")[-2:] == ["::1", "mergealgebra serve --stdio -- /x"]
    assert ssh_command("ssh://my.host-1/-x")[:3] == ["ssh", "-T", "--"]


@pytest.mark.clause("PR-14")
def test_a_peer_that_is_not_there_is_named(root, a_shell_for_ssh, capfd):
    with pytest.raises(PeerError, match=r"^ssh://host/nowhere refuses: /nowhere is not there: check the path"):
        ma.Workspace.open(root / "bob").sync("ssh://host/nowhere")
    assert capfd.readouterr().err == ""  # where the other process would say it again


# Streams


@pytest.fixture
def alice(tmp_path):
    store = Store.create(tmp_path / "store", GENESIS)
    contribute(store, 1, tmp_path, nonce(1))
    return store


def asked(store: Store, *questions: bytes) -> bytes:
    """What comes back for some bytes, until they end."""
    sink = io.BytesIO()
    serve_streams(Service(store, writes=True), io.BytesIO(b"".join(questions)), sink)
    return sink.getvalue()


def question(call: str, body: bytes = b"", **changes) -> bytes:
    head = encode({"bytes": len(body), "call": call, **changes})
    return len(head).to_bytes(4) + head + body


@pytest.mark.clause("PR-14")
def test_a_refusal_leaves_the_stream_in_order(alice):
    (root,) = alice.blob_roots()
    found = io.BytesIO(
        asked(alice, question("steal", b"abc"), question("map", bytes(32)), question("put-map", bytes(5000)),
              question("put-leaves", bytes(5000)), question("leaves", bytes(36)), question("blobs", bytes(300_000)),
              question("genesis"), question("map", bytes.fromhex(root)),
              question("leaves", bytes.fromhex(root) + bytes([0, 0, 0, 0, 1, 0])))
    )  # fmt: skip
    for expected in (
        "there is no call 'steal'",
        "are not there",
        "no visible contribution names",
        "a run is of 1 to 16 leaves",
        "a run is named by 37 bytes",
        "300000 bytes",
    ):
        nbytes, reason = frames.read_answer(found.read)
        assert (nbytes, expected in reason) == (0, True)
    assert read_genesis(found.read(frames.read_answer(found.read)[0]))[0] == GENESIS.encode()
    blob_map = BlobMap.decode(found.read(frames.read_answer(found.read)[0]), root, 10)
    leaf = alice.blob_path(root).read_bytes()[len(blob_map.header) :][:20]
    assert found.read(frames.read_answer(found.read)[0]) == b"\0" + len(leaf).to_bytes(4) + leaf
    assert not found.read()


#: What is not a question.
NO_QUESTIONS = {
    "garbage": os.urandom(64),
    "a long head": (2**20).to_bytes(4) + bytes(2**20),
    "half a head": question("genesis")[:9],
    "half a body": question("reconcile", bytes(100))[:-1],
    "a key more": question("genesis", more=1),
    "no text": question(5),
    "a negative length": question("genesis", bytes=-1),
}


@pytest.mark.clause("PR-14", "PR-9")
@pytest.mark.parametrize("kind", NO_QUESTIONS)
def test_what_is_not_a_question_ends_it(alice, kind):
    with pytest.raises(PeerError):
        asked(alice, NO_QUESTIONS[kind], b"")


#: What a process answers, in the language of the shell.
_HEAD = "printf '\\000\\000\\000\\026\\202\\245bytes{length}\\247refused\\300'"
LIARS = {
    "nothing": "exit 0",
    "garbage": "head -c 5000 /dev/urandom",
    "endless": "cat /dev/zero",
    "silent": "sleep 30",
    "a long answer": _HEAD.format(length=r"\316\377\377\377\377") + "; cat /dev/zero",
    "drip": _HEAD.format(length=r"\315\377\377") + "; while :; do printf x; sleep 0.02; done",
}


@pytest.mark.clause("PR-14", "PR-9")
@pytest.mark.parametrize("kind", LIARS)
def test_a_process_that_lies_is_ended_and_named(tmp_path, monkeypatch, kind):
    for limit in ("CALL_SECONDS", "FIRST_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(f"mergealgebra.sync.ssh_peer.{limit}", 1.0)
    started = time.monotonic()
    carrier = SshCarrier("ssh://host/x", ["sh", "-c", LIARS[kind]])
    with pytest.raises(PeerError, match=r"^ssh://host/x "), contextlib.closing(carrier):
        sync_live(Store.create(tmp_path / "store", GENESIS), CarriedPeer(carrier))
    assert time.monotonic() - started < 10


# A real server


@pytest.fixture
def sshd(root, monkeypatch):
    """A real sshd on loopback for this user, and an `ssh` that knows its keys; the port."""
    server = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(server).exists() or shutil.which("ssh") is None:
        pytest.skip("sshd and ssh are not installed here (Debian: openssh-server, openssh-client)")
    keys = root / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "own"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    (keys / "authorized").write_text((keys / "own.pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_script(root / "there" / "mergealgebra", f'PYTHONPATH={ROOT} exec {" ".join(RUN)} "$@"')
    options = {
        "HostKey": keys / "host", "AuthorizedKeysFile": keys / "authorized", "PidFile": "none", "StrictModes": "no",
        "UsePAM": "no", "ListenAddress": "127.0.0.1", "Port": port, "PermitRootLogin": "yes",
        "SetEnv": f"PATH={root / 'there'}:/usr/bin:/bin",
    }  # fmt: skip
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    words = [
        server,
        "-D",
        "-e",
        "-f",
        "/dev/null",
        *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
    ]
    config = [
        f"IdentityFile {keys / 'own'}",
        f"UserKnownHostsFile {keys / 'known'}",
        "StrictHostKeyChecking accept-new",
    ]
    (keys / "config").write_text("\n".join([*config, "LogLevel ERROR", ""]))
    write_script(root / "here" / "ssh", f'exec {shutil.which("ssh")} -F {keys / "config"} "$@"')
    monkeypatch.setenv("PATH", f"{root / 'here'}{os.pathsep}{os.environ['PATH']}")
    with subprocess.Popen(words, stderr=(root / "sshd.log").open("w")) as process:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            else:
                pytest.skip(f"sshd does not start here: {(root / 'sshd.log').read_text()[-300:]}")
            yield port
        finally:
            process.terminate()


@pytest.mark.clause("PR-15")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sshd of this kind")
def test_both_sides_meet_by_a_real_sshd(root, sshd):
    address = f"ssh://{getpass.getuser()}@127.0.0.1:{sshd}{root / 'alice'}"
    call(root, "-C", "bob", "sync", address).lines()
    assert visible_in(root / "alice") == visible_in(root / "bob")
    assert len(visible_in(root / "bob")) == 2
    call(root, "clone", "--yes", address, "carol", "--base", "base").lines()
    assert visible_in(root / "carol") == visible_in(root / "bob")
