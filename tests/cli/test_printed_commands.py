"""Commands that messages print, typed as they stand: with the folder, the base and the workspace that they need."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import call
from tests.sync.servers import served


def printed(text: str) -> list[list[str]]:
    """The words of the commands in a message, without `mergealgebra`."""
    return [shlex.split(words) for words in re.findall(r"`mergealgebra ([^`]+)`", text)]


@pytest.mark.clause("SY-12")
@pytest.mark.parametrize("which", [0, 1], ids=["with the id", "whatever is there"])
def test_clone_without_an_id(which, scene, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    told = call(scene, "clone", "shared", "our replica", "--base", "base", "--as", "Ada L").complaint()
    assert call(scene, *printed(told)[which]).code == 0
    assert call(scene, "-C", "our replica", "set-name", "Ada L").lines()[0].endswith("Ada L")


@pytest.mark.clause("SY-12")
def test_the_next_clone(scene):
    last = call(scene, "clone", "shared", "first", "--base", "base", "--yes").lines()[-1]
    assert call(scene, *shlex.split(last.partition(": mergealgebra ")[2])).code == 0
    assert (scene / "DIR" / "local.json").exists()


@pytest.mark.clause("SY-7")
def test_a_share_that_is_to_be_made(scene):
    (command,) = printed(call(scene, "-C", "alice", "sync", "new share").complaint())
    assert call(scene, *command).code == 0
    assert (scene / "new share" / "genesis").exists()


@pytest.mark.clause("PR-21", "SG-15")
def test_a_key_for_a_server_of_members(scene):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    with served(scene / "guild", "--members-only") as guild:
        assert "set-key" not in call(scene, "clone", "--yes", guild.address, "new", "--base", "base").complaint()
        assert call(scene, "clone", "--yes", "guild", "new", "--base", "base").code == 0
        told = call(scene, "-C", "new", "sync", guild.address).complaint()
        (sets,) = [words for words in printed(told) if "set-key" in words]
        assert call(scene, *["bob-key" if word == "FILE" else word for word in sets]).code == 0
        assert call(scene, "-C", "new", "sync", guild.address).code == 0


def test_a_folder_that_never_was(scene):
    complaint = call(scene, "keygen", "our keys/ada/key").complaint()
    assert "the folder our keys is not there" in complaint.replace(f"{scene}/", "")
    subprocess.run(re.search("`(mkdir .*)`", complaint)[1], shell=True, check=True, cwd=scene)
    assert call(scene, "keygen", "our keys/ada/key").code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_folder_that_takes_nothing_is_not_said_to_have_gone(scene):
    complaint = call(scene, "clone", "shared", "/proc/replica", "--base", "base", "--yes").complaint()
    assert "its folder takes nothing new" in complaint
    assert "mkdir" not in complaint


@pytest.mark.clause("SG-15")
def test_a_passphrase_that_is_empty(scene):
    with Path(os.devnull).open("rb") as nothing:
        complaint = call(scene, "keygen", "new", "--passphrase-fd", str(nothing.fileno())).complaint()
    assert "gives no passphrase" in complaint
    assert not (scene / "new").exists()


@pytest.mark.clause("SG-15")
def test_a_descriptor_that_is_not_open_is_named(scene):
    told = call(scene, "-C", "alice", "sync", "shared", "--passphrase-fd", "977")
    assert "there is no descriptor 977: open it, as in `--passphrase-fd 977 977<FILE`" in told.stderr
    assert told.code == 2


@pytest.mark.clause("SY-7")
@pytest.mark.parametrize("peers", [["alice/."], ["shared", "alice/."]], ids=["alone", "among others"])
def test_a_workspace_is_not_synced_with_itself(peers, scene):
    assert "is this workspace itself" in call(scene, "-C", "alice", "sync", *peers).complaint()


@pytest.mark.clause("SY-16")
@pytest.mark.parametrize("peers", [["s3://b/x"], ["shared", "s3://b/x"]], ids=["alone", "among others"])
def test_a_bucket_has_no_group(peers, scene):
    complaint = call(scene, "-C", "alice", "sync", "--create=group", *peers).complaint()
    assert complaint.startswith("s3://b/x is not a folder and has no group")


@pytest.mark.clause("SG-3")
def test_a_single_maintainer_is_told_what_a_lost_key_costs(scene):
    init = ("init", "--base", "base", "--maintainer", "maya.pub")
    assert "--maintainer ONE.pub --maintainer OTHER.pub" in call(scene, "-C", "one", *init).lines()[-1]
    assert "lost" not in call(scene, "-C", "two", *init, "--maintainer", "ada.pub").stdout


@pytest.mark.clause("SG-16")
def test_what_is_kept_and_not_here_is_a_warning(scene):
    kept = call(scene, "-C", "guild", "keep", "left-key.pub", "ab" * 32, "--key", "maya")
    assert kept.code == 0
    assert kept.stderr.startswith("warning: 1 operation is not here yet, abababababab first")
