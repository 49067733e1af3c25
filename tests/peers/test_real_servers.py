"""Real servers of buckets and of files, each started here: people meet there, whatever the server lacks."""

from __future__ import annotations

import os

import pytest

import mergealgebra as ma
from mergealgebra.errors import PeerError, SyncIncomplete
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.sync.object_store import NotThere
from mergealgebra.sync.object_sync import create_share, sync_objects
from mergealgebra.sync.s3_store import S3Store
from tests.crdt.strategies import GENESIS
from tests.peers.servers import BUCKET, BUCKETS, FILES, bucket_server, file_server
from tests.store.test_packs import attest
from tests.workspace.replicas import make_workspace, visible_in, write_models

ADDRESS = f"s3://{BUCKET}/team/a"


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path, 2)
    make_workspace(tmp_path, "alice", 0)
    make_workspace(tmp_path, "bob", 1)
    return tmp_path


@pytest.fixture(params=BUCKETS)
def server(request, tmp_path, monkeypatch):
    """A real server, to which the environment leads."""
    pytest.importorskip("obstore", reason="needs obstore (extra s3)")
    with bucket_server(request.param, tmp_path / "served") as address:
        found = BUCKETS[request.param]
        keys = {"AWS_ACCESS_KEY_ID": found.keys[0], "AWS_SECRET_ACCESS_KEY": found.keys[1], "AWS_REGION": "us-east-1"}
        for name, value in {**keys, "AWS_ENDPOINT_URL": address}.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.mark.clause("PR-17", "PR-18")
class TestBuckets:
    def test_people_meet(self, server, root):
        alice, bob = (ma.Workspace.open(root / name) for name in ("alice", "bob"))
        alice.sync(ADDRESS, create=True)
        bob.sync(ADDRESS)
        alice.sync(ADDRESS)
        carol = ma.Workspace.clone(ADDRESS, root / "carol", base=root / "base")
        assert visible_in(root / "alice") == visible_in(root / "bob") == visible_in(root / "carol")
        models = [one.resolve(root / f"of {number}", backend="numpy") for number, one in enumerate((alice, carol))]
        assert models[0].model_root == models[1].model_root

    def test_objects_are_put_listed_replaced_and_deleted(self, server):
        store = S3Store(ADDRESS)
        store.put("packs/a", b"one")
        store.put("packs/a", bytes(3 << 20))
        store.put("packs/b", b"")
        assert {name: told.nbytes for name, told in store.list("packs").items()} == {"a": 3 << 20, "b": 0}
        with store.opened("packs/a") as (nbytes, read):
            assert (nbytes, read(10)) == (3 << 20, bytes(10))
        store.delete("packs/a")
        store.delete("packs/a")
        assert store.list("packs").keys() == {"b"}
        assert store.list("blobs") == {}
        with pytest.raises(NotThere), store.opened("packs/a"):
            pass

    def test_seventeen_syncs_leave_one_pack_that_counts(self, server, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        objects, alice = S3Store(ADDRESS), Store.create(tmp_path / "a store", GENESIS)
        write_local(alice, tmp_path / "base")
        create_share(objects, GENESIS)
        for number in range(17):
            alice.write_operation(attest(number))
            assert not sync_objects(alice, objects).refused
        bob = Store.create(tmp_path / "another", GENESIS)
        assert len(sync_objects(bob, objects).taken_operations) == 17
        assert len(objects.list("packs")) == 19  # 17 of one, the pack of 16, and the index

    def test_wrong_keys_and_no_bucket_are_told(self, server, monkeypatch):
        with pytest.raises(PeerError, match="there is no bucket elsewhere there: make it"):
            S3Store("s3://elsewhere/x").put("genesis", b"")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        if server.checks_keys:
            with pytest.raises(PeerError, match="does not know these keys"):
                S3Store(ADDRESS).put("genesis", b"")
        else:
            S3Store(ADDRESS).put("genesis", b"")


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("name", FILES)
def test_the_files_of_a_share_are_read(root, name):
    share = root / "served" / "share"
    ma.Workspace.open(root / "alice").sync(share, create=True)
    with file_server(name, root / "served") as served:
        ma.Workspace.clone(f"{served}/share", root / "carol", base=root / "base")
        assert visible_in(root / "carol") == visible_in(root / "alice")
        with pytest.raises(SyncIncomplete, match="takes nothing, it is served as files for reading only"):
            ma.Workspace.open(root / "bob").sync(f"{served}/share")
        ma.Workspace.open(root / "bob").sync(share)
        ma.Workspace.open(root / "carol").sync(f"{served}/share")
    assert visible_in(root / "carol") == visible_in(root / "bob")
