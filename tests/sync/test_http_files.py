"""The files of a share behind a plain web server: cloned and synced from, and nothing is ever written there."""

from __future__ import annotations

import re

import pytest

import mergealgebra as ma
from mergealgebra.crdt.pack_index import PackIndex
from mergealgebra.errors import PeerError, SyncIncomplete
from mergealgebra.store.objects import Store
from tests.cli.commands import call
from tests.cli.scene import flip
from tests.sync.fake_s3 import web_server
from tests.workspace.replicas import make_workspace, visible_in, write_models


@pytest.fixture
def root(tmp_path):
    """Alice and Bob with a contribution each, and a share of hers."""
    write_models(tmp_path, 2)
    make_workspace(tmp_path, "alice", 0)
    make_workspace(tmp_path, "bob", 1)
    ma.Workspace.open(tmp_path / "alice").sync(tmp_path / "share", create=True)
    return tmp_path


@pytest.fixture
def address(root):
    with web_server(root) as served:
        yield f"{served}/share"


@pytest.mark.clause("PR-17", "PK-8")
def test_what_a_share_holds_is_cloned(root, address):
    call(root, "clone", "--yes", address, "carol", "--base", "base").lines()
    assert visible_in(root / "carol") == visible_in(root / "alice")
    ma.Workspace.open(root / "bob").sync(root / "share")
    call(root, "-C", "carol", "sync", address).lines()
    assert visible_in(root / "carol") == visible_in(root / "bob")
    assert "nothing new" in call(root, "-C", "carol", "sync", address).stdout


@pytest.mark.clause("PR-17")
def test_that_it_takes_nothing_is_said(root, address):
    told = call(root, "-C", "bob", "sync", address).complaint()
    assert f"{address} takes nothing, it is served as files for reading only" in told
    assert len(visible_in(root / "bob")) == 2
    assert len(Store.open(root / "share").state().operations) == 1


@pytest.mark.clause("PR-17")
def test_an_address_with_neither_says_what_was_looked_for(root, address):
    with pytest.raises(PeerError, match=r"nowhere answers 404 .*`mergealgebra serve` runs there; nor is there a file"):
        ma.Workspace.open(root / "bob").sync(f"{address}/nowhere")


@pytest.mark.clause("PR-17", "PR-13")
def test_a_redirection_is_not_followed(root, address):
    (root / "share" / "genesis").rename(root / "share" / "there")
    (root / "share" / "genesis").mkdir()  # for which this server answers: ask for genesis/
    (root / "share" / "there").rename(root / "share" / "genesis" / "index.html")
    with pytest.raises(PeerError, match="nor is there a file `genesis`"):
        ma.Workspace.open(root / "bob").sync(address)


@pytest.mark.clause("PR-17", "PR-18")
@pytest.mark.parametrize("lie", ["a changed bit of the tensors", "a changed operation", "a pack that is not there"])
def test_what_is_wrong_is_named_and_nothing_of_it_taken(root, address, lie):
    share, carol = root / "share", root / "carol"
    (blob,) = (share / "blobs").glob("*.safetensors")
    (operation,) = (share / "operations").iterdir()
    if lie == "a pack that is not there":
        (share / "packs" / "index").write_bytes(PackIndex(("0" * 64,), (operation.name,)).encode())
    else:
        path = operation if "operation" in lie else blob
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    named = {"a changed bit of the tensors": blob.stem, "a changed operation": operation.name}.get(lie, "0" * 64)
    with pytest.raises(SyncIncomplete, match=named) as caught:
        ma.Workspace.clone(address, carol, base=root / "base")
    assert address in str(caught.value)
    assert list((carol / "blobs").iterdir()) == [] or lie == "a pack that is not there"


@pytest.mark.clause("PR-17", "SY-11")
def test_a_damaged_genesis_is_mended_by_who_has_the_folder(root, address):
    flip(root / "share" / "genesis", 0)
    told = call(root, "clone", address, "carol", "--base", "base", "--yes").complaint()
    assert f"{address} has a damaged genesis: " in told and "version" not in told
    told = call(root, "-C", "bob", "sync", address, "--pull").complaint()
    assert "--create" not in told
    command = re.search("whoever has the folder that is served runs `mergealgebra (.*?)`", told)[1]
    call(root, *command.replace("FOLDER", "share").replace("WORKSPACE", "alice").split()).lines()
    call(root, "-C", "bob", "sync", address, "--pull").lines()
