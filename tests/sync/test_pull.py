"""`sync --pull`: what a peer has is taken, and the peer keeps every byte that it had."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

import mergealgebra as ma
from mergealgebra.store.objects import Store
from mergealgebra.sync.object_sync import create_share, sync_objects
from mergealgebra.sync.service import Service
from tests.cli.commands import call
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute, files_of
from tests.sync.fake_s3 import web_server
from tests.sync.object_stores import MemoryObjects
from tests.sync.servers import in_thread
from tests.workspace.replicas import make_workspace, visible_in, write_models


@contextmanager
def server(folder):
    pytest.importorskip("uvicorn", reason="needs uvicorn and starlette (extra net)")
    with in_thread(Service(Store.open(folder))) as address:  # for reading only
        yield address


WAYS = {"folder": nullcontext, "server": server, "files": web_server}


@pytest.mark.clause("PR-24")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_peer_gives_and_keeps_what_it_had(tmp_path, way):
    write_models(tmp_path, 3)
    shared, other = make_workspace(tmp_path, "alice", 0, 1), make_workspace(tmp_path, "bob", 2)
    shared.sync(tmp_path / "share", create=True)
    other.sync(tmp_path / "share", give=False)  # so that both have a blob, which is damaged there
    blob = min((tmp_path / "share" / "blobs").glob("*.safetensors"))
    blob.write_bytes(blob.read_bytes()[:-1])
    before = files_of(tmp_path / "share")
    with way(tmp_path / "share") as peer:
        result = other.sync(str(peer), give=False)
        if way is not nullcontext:
            assert call(tmp_path, "-C", "bob", "sync", str(peer), "--pull").lines()[0].startswith("received")
            with pytest.raises(ma.errors.SyncIncomplete):
                other.sync(str(peer))
    assert not result.given_operations
    assert not result.given_blobs
    assert not result.mended
    assert files_of(tmp_path / "share") == before
    assert len(visible_in(tmp_path / "bob")) == 3
    assert "give=False" in ma.text.sync_again("bob", "share", give=False)


@pytest.mark.clause("PR-24")
def test_a_bucket_gives_and_keeps_what_it_had(tmp_path):
    alice, bob = (Store.create(tmp_path / name, GENESIS) for name in ("alice", "bob"))
    objects = MemoryObjects()
    create_share(objects, GENESIS)
    contribute(alice, 1, tmp_path, nonce(1))
    sync_objects(alice, objects)
    contribute(bob, 2, tmp_path, nonce(2))
    objects.spoil(
        next(f"blobs/{key}" for key in objects.keys("blobs") if key.endswith(".0"))
    )  # damage is not reported there
    before = dict(objects.objects)
    result = sync_objects(bob, objects, give=False)
    assert len(result.taken_operations) == 1
    assert not result.not_given
    assert objects.objects == before


@pytest.mark.clause("PR-24")
def test_nothing_is_made_where_nothing_is_given(tmp_path):
    write_models(tmp_path, 1)
    make_workspace(tmp_path, "alice", 0)
    assert "--pull gives nothing" in call(tmp_path, "-C", "alice", "sync", "share", "--pull", "--create").stderr
    assert not (tmp_path / "share").exists()
