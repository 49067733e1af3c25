"""What looks like a path and is an address: refused by every verb, and never a folder of that name here."""

from __future__ import annotations

from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.addresses import beside, local_path, parts_of_address, peer_path, whole_path
from mergealgebra.errors import AddressError, WorkspaceError
from tests.cli.commands import call, tree
from tests.workspace.replicas import RECIPE, make_workspace, visible_in, write_models

#: Peers of other machines and services, and whose they are said to be.
ADDRESSES = {
    "gs://bucket/x": "an address of gs",
    "ftp://host/x": "an address of ftp",
    "file:///srv/x": "an address of file",
    "bob@host:/srv/x": "a path on the machine host",
    "bob@host:x": "a path on the machine host",
    "host:/srv/x": "a path on the machine host",
}


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path, 1)
    make_workspace(tmp_path, "alice", 0)
    return tmp_path


@pytest.mark.clause("SY-7", "CL-1")
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "command",
    ["-C alice sync {}", "-C alice sync {} --create", "clone --yes {} new --base base", "fsck alice --repair {}"],
)
def test_a_peer_elsewhere_is_refused_by_name(root, command, address):
    before = tree(root)
    complaint = call(root, *command.format(address).split()).complaint()
    assert f"'{address}' looks like {ADDRESSES[address]}" in complaint
    assert "mount it" in complaint
    assert tree(root) == before


#: Addresses with a slip, and what is said to write.
SLIPS = {
    "localhost:9101": "write http://localhost:9101, or https://localhost:9101 where it has a certificate",
    "models.example:80/team?x#y": "write http://models.example:80/team, or https",
    "[::1]:8790": "write http://[::1]:8790, or",
    "http:/localhost:9101": "write http://localhost:9101",
    "https:host/x": "write https://host/x",
    "s3:/models/team": "write s3://models/team",
    "http:/bob:secret@host": "write http://***@host",
    "http://localhost:9101#" + "0" * 64: "write http://localhost:9101; only `clone` takes a # and the id",
    "s3://models/team#0": "write s3://models/team; only `clone` takes",
    "s3://b/team": "the name of a bucket has 3 to 63 of them",
}


@pytest.mark.clause("PR-16")
@pytest.mark.parametrize("address", SLIPS)
def test_an_address_with_a_slip_is_told_right(root, address):
    complaint = call(root, "-C", "alice", "sync", address).complaint()
    assert SLIPS[address] in complaint
    assert "secret" not in complaint and "mount it" not in complaint


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize("address", ["gs://bucket/x", "bob@host:x"])
@pytest.mark.parametrize(
    "command",
    [
        "-C {} init --base base",
        "-C {} status",
        "clone --yes alice {} --base base",
        "-C alice resolve {}",
        "-C alice contribute {}",
        "-C new init --base {}",
        "verify {}",
        "verify base --against {}",
    ],
)
def test_every_path_of_every_verb_is_one_of_this_machine(root, command, address):
    before = tree(root)
    assert f"'{address}' looks like" in call(root, *command.format(address).split()).complaint()
    assert tree(root) == before


@pytest.mark.clause("SY-7")
def test_in_python_too(root):
    alice, before = ma.Workspace.open(root / "alice"), tree(root)
    for use in (
        lambda address: alice.sync(address, create=True),
        alice.resolve,
        lambda address: ma.Workspace.clone(address, root / "new", base=root / "base"),
        lambda address: ma.Workspace.clone(alice.path, address, base=root / "base"),
        lambda address: ma.Workspace.init(address, base=root / "base", recipe=RECIPE),
        ma.Workspace.open,
    ):
        with pytest.raises(AddressError, match="an address of gs"):
            use("gs://bucket/x")
    assert tree(root) == before


def test_a_folder_here_may_have_such_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bob@host:x", "host:x"):
        Path(name).mkdir()
        assert peer_path(name) == Path(name)
    assert peer_path(tmp_path / "host:y") == tmp_path / "host:y"
    assert local_path("10:30") == Path("10:30")
    assert peer_path("C:/share") == Path("C:/share")


@pytest.mark.clause("CL-1")
def test_a_path_is_told_without_detours(root):
    (root / "near").mkdir()
    told = call(root, "-C", "near/../alice", "sync", "near/../shraed").complaint()
    assert told.endswith(f"`mergealgebra -C {root / 'alice'} sync near/../shraed --create` makes it")
    ma.Workspace.open(root / "near" / ".." / "alice").set_base(root / "near" / ".." / "base")
    assert ma.Workspace.open(root / "alice").base == root / "base"


def test_what_is_behind_a_link_stays_behind_it(tmp_path):
    (tmp_path / "far" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/inner")
    assert whole_path(tmp_path / "link" / ".." / "x") == tmp_path / "link" / ".." / "x"
    assert whole_path(tmp_path / "far" / ".." / "x") == tmp_path / "x"


class TestShares:
    """The commands that make a folder to sync with."""

    @pytest.mark.clause("SY-7")
    def test_sync_with_create_makes_one_where_nothing_is(self, root):
        (root / "mounted").mkdir()
        for peer in ("new", "deep/new", "mounted"):
            call(root, "-C", "alice", "sync", peer, "--create").lines()
            call(root, "-C", "alice", "sync", peer).lines()
            assert visible_in(root / peer) == visible_in(root / "alice")

    @pytest.mark.clause("SY-7")
    def test_a_peer_that_is_not_there_is_a_typo(self, root):
        before = tree(root)
        complaint = call(root, "-C", "alice", "sync", "shraed").complaint()
        assert complaint == (
            "shraed is not there: if a share is mounted there, mount it; if it is to become one, "
            f"`mergealgebra -C {root / 'alice'} sync shraed --create` makes it"
        )
        with pytest.raises(WorkspaceError, match="is not there"):
            ma.Workspace.open(root / "alice").sync(root / "shraed")
        assert tree(root) == before

    @pytest.mark.clause("SY-7", "OS-1")
    def test_init_makes_one_of_the_workspace_that_it_would_make(self, root):
        (root / "recipe.yaml").write_text('method: ties\ndensity: "0.5"\n')
        words = ["init", "--base", "base", "--recipe", "recipe.yaml", "--share"]
        made = call(root, "-C", "share", *words, "--json").printed()
        assert made["workspace"] == ma.Workspace.open(root / "alice").store.genesis.workspace_id
        assert not (root / "share" / "local.json").exists()
        call(root, "-C", "alice", "sync", "share").lines()
        call(root, "clone", "--yes", "share", "bob", "--base", "base").lines()
        assert visible_in(root / "bob") == visible_in(root / "alice")
        assert "is a workspace already" in call(root, "-C", "alice", *words).complaint()


@pytest.mark.clause("AD-1")
def test_an_adapter_stands_behind_the_last_plus_and_both_are_beside_the_file(tmp_path):
    (tmp_path / "b").mkdir()
    assert beside(tmp_path, "a+b/c") == Path(f"{tmp_path}/a+{tmp_path}/b/c")
    assert parts_of_address("x+y+z") == (Path("x+y"), Path("z"))
    (tmp_path / "a+b").mkdir()
    assert beside(tmp_path, "a+b") == tmp_path / "a+b"
    assert parts_of_address(tmp_path / "a+b") == (tmp_path / "a+b", None)


@pytest.mark.clause("HB-1")
def test_a_model_on_the_hub_is_not_beside_the_file_unless_it_or_its_owner_is(tmp_path):
    assert beside(tmp_path, "a+b/c@v1") == Path(f"{tmp_path}/a+b/c@v1")
    for path in ("b/c/d", "b/c.safetensors", "./b/c", "c"):
        assert beside(tmp_path, path) == tmp_path / path
    (tmp_path / "b").mkdir()
    assert beside(tmp_path, "b/c") == tmp_path / "b" / "c"
