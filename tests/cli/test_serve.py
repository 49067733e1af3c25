"""`serve` where it cannot serve: what is wrong is one line, with what to do."""

from __future__ import annotations

import socket
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.cli.commands import call
from tests.sync.servers import served
from tests.sync.test_http import write_certificate


@pytest.mark.clause("PR-16", "CL-1")
def test_a_certificate_and_its_key_belong_together(scene):
    told = call(scene, "serve", "alice", "--certificate", "cert.pem")
    assert told.code == 2
    assert "--certificate and --key belong together" in told.stderr


@pytest.mark.clause("PR-16")
def test_without_the_extra_it_says_what_to_install(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    complaint = call(scene, "serve", "alice", "--port", "0").complaint()
    assert complaint.endswith("uvicorn is not installed: pip install starlette uvicorn")


@pytest.mark.clause("PR-16")
def test_a_port_that_is_taken_is_named(scene):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        complaint = call(scene, "serve", "alice", "--port", port).complaint()
    assert complaint.startswith(f"nothing can be served at 127.0.0.1 port {port}: ")


@pytest.mark.clause("PR-16")
def test_only_a_workspace_or_a_share_is_served(scene):
    assert "is not a workspace or shared folder" in call(scene, "serve", "base").complaint()


#: What stands where a certificate and its key are expected, and what is said of it.
UNFIT = {
    "a missing certificate": ("none.pem", "key.pem", "none.pem cannot be read: No such file or directory"),
    "a missing key": ("cert.pem", "none.pem", "none.pem cannot be read: No such file or directory"),
    "no certificate": ("key.pem", "key.pem", "key.pem holds nothing like a certificate"),
    "no key": ("cert.pem", "cert.pem", "cert.pem holds nothing like a private key"),
    "another's key": ("cert.pem", "other-key.pem", "other-key.pem is not the key of cert.pem"),
    "a key of another kind": ("cert.pem", "rsa.pem", "rsa.pem is not the key of cert.pem"),
    "damaged": ("damaged.pem", "key.pem", "damaged.pem and key.pem cannot be used: "),
    "a key with a passphrase": ("cert.pem", "locked.pem", "the key has a passphrase"),
}


@pytest.mark.clause("PR-13", "CL-1")
@pytest.mark.parametrize(("certificate", "key", "told"), UNFIT.values(), ids=UNFIT)
def test_which_of_a_certificate_and_its_key_is_bad(scene, certificate, key, told):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    _write_pems(scene)
    options = ("--port", "0", "--certificate", certificate, "--key", key)
    assert told in call(scene, "serve", "alice", *options).complaint()


def _write_pems(folder):
    write_certificate(folder)
    (folder / "key.pem").rename(folder / "other-key.pem")
    write_certificate(folder)
    (folder / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    rsa, ours = generate_private_key(65537, 2048), load_pem_private_key((folder / "key.pem").read_bytes(), None)
    for name, key, how in (("rsa", rsa, NoEncryption()), ("locked", ours, BestAvailableEncryption(b"secret"))):
        (folder / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))


@pytest.mark.clause("PR-16", "CL-1")
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_ours_is_named(scene, host):
    complaint = call(scene, "serve", "alice", "--host", host, "--port", "0").complaint()
    assert complaint.endswith("choose a --host that is an address of this machine")


@pytest.mark.clause("PR-14", "CL-1")
@pytest.mark.parametrize("option", [("--port", "8790"), ("--host", "127.0.0.1")], ids=["port", "host"])
def test_what_says_where_has_no_meaning_over_the_standard_streams(scene, option):
    told = call(scene, "serve", "alice", "--stdio", *option)
    assert (told.code, f"leave {option[0]} or --stdio out" in told.stderr) == (2, True)


@pytest.mark.clause("PR-21")
def test_who_may_not_read_may_not_write(scene):
    told = call(scene, "serve", "guild", "--members-only", "--open-writes")
    assert (told.code, "leave one of them out" in told.stderr) == (2, True)


@pytest.mark.clause("PR-21", "SG-8")
def test_who_opens_a_signed_workspace_to_writes_learns_what_counts(scene):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    for workspace, signed in (("guild", True), ("alice", False)):
        with served(scene / workspace, "--open-writes") as serving:
            assert ("; only what members signed counts; " in serving.line) == signed
