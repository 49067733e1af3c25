"""`serve` where it cannot serve: what is wrong is one line, with what to do."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.cli.commands import call


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


@pytest.mark.clause("PR-13", "CL-1")
@pytest.mark.parametrize("kind", ["missing", "no certificate"])
def test_a_bad_certificate_is_named(scene, kind):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    for name in ("cert.pem", "key.pem") if kind == "no certificate" else ():
        (scene / name).write_text("nothing")
    options = ("--port", "0", "--certificate", "cert.pem", "--key", "key.pem")
    complaint = call(scene, "serve", "alice", *options).complaint()
    assert "cert.pem and key.pem cannot be used: " in complaint
