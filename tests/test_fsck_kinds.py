"""`fsck` names a planted corruption in every kind of file of a workspace, and mends it from peers at addresses."""

from __future__ import annotations

import shutil

import pytest

import mergealgebra as ma
from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.packs import BRANCH
from mergealgebra.crdt.permission import grant
from mergealgebra.errors import BlobDamaged, PeerError, WrongWorkspace
from mergealgebra.fsck import inspect
from mergealgebra.store.objects import Store
from mergealgebra.store.unneeded import caches
from mergealgebra.sync import good_copies, s3_store
from mergealgebra.sync.messages import ADMISSIBLE, MAINTAINERS
from mergealgebra.sync.object_sync import create_share, sync_objects
from mergealgebra.sync.ranges import IdSet
from mergealgebra.sync.service import Service
from tests import signed
from tests.cli.commands import call
from tests.cli.scene import flip
from tests.signers import SeedSigner
from tests.store.stores import files_of
from tests.sync.fake_s3 import web_server
from tests.sync.object_stores import MemoryObjects
from tests.sync.servers import in_thread
from tests.workspace.replicas import make_workspace, write_models

pytestmark = pytest.mark.clause("SY-11")
PARTS = ("genesis", "operations", "packs", "blobs")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Alice's workspace with a file of each kind, and Bob's, which has what hers has."""
    root = tmp_path_factory.mktemp("kinds")
    write_models(root)
    alice = make_workspace(root, "alice", 0)
    for _ in range(9):
        alice.retract(alice.contribute(root / "ft1.safetensors"))
    alice.contribute(root / "ft1.safetensors")
    alice.resolve(root / "out", keep_aggregate="always")
    alice.resolve(root / "out2", recipe=ma.ModelStock())
    (alice.path / "incomplete.json").write_text("{}\n")
    ma.Workspace.clone(alice.path, root / "bob", base=root / "base")
    assert list((root / "alice" / "packs").iterdir())
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of it, whose caches are made anew, for their key is that of the folder they were made in [SY-9]."""
    for name in ("alice", "bob"):
        shutil.copytree(made / name, tmp_path / name)
    shutil.copytree(made / "base", tmp_path / "base")
    alice = ma.Workspace.open(tmp_path / "alice")
    shutil.rmtree(alice.path / "cache")
    alice.set_base(tmp_path / "base")
    alice.measure()
    objects = MemoryObjects()
    create_share(objects, alice.store.genesis)
    sync_objects(alice.store, objects)
    alice.resolve(tmp_path / "out", keep_aggregate="always")
    alice.resolve(tmp_path / "out2", recipe=ma.ModelStock())
    assert inspect(alice.path).ok
    return tmp_path


def bit(path):
    flip(path, -1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def text(path):
    path.write_bytes(b"\xc1 not what it was")


def open_to_all(path):
    path.chmod(0o644)


#: A pattern of files, what is done to the first of them, and under which word fsck names it.
PLANTED = {
    "a bit of an operation": ("operations/*", bit, "damaged"),
    "an operation that is cut": ("operations/*", cut, "damaged"),
    "a bit of a pack": ("packs/*", bit, "damaged"),
    "a pack that is cut": ("packs/*", cut, "damaged"),
    "a bit of a blob": ("blobs/*", bit, "damaged"),
    "a blob that is cut": ("blobs/*", cut, "damaged"),
    "local.json": ("local.json", text, "damaged"),
    "incomplete.json": ("incomplete.json", text, "damaged"),
    "thresholds": ("cache/thresholds/*", text, "damaged"),
    "the aggregate's header": ("cache/aggregate/header", bit, "damaged"),
    "a page of the aggregate": ("cache/aggregate/*.bin", bit, "damaged"),
    "a bit of dot products": ("cache/dots/*", bit, "unused"),
    "a bit of figures": ("cache/figures/*", bit, "unused"),
    "a bit of the records of a pack": ("cache/records/*", bit, "unused"),
    "records that are cut": ("cache/records/*", cut, "unused"),
    "a bit of what packs of a bucket hold": ("cache/seen/*", bit, "unused"),
    "no record of what packs of a bucket hold": ("cache/seen/*", text, "damaged"),
    "the cache's key, open to others": ("cache.key", open_to_all, "damaged"),
    "the cache's key, cut": ("cache.key", cut, "damaged"),
    "a foreign file among operations": ("operations", lambda path: (path / "note").touch(), "foreign"),
    "a foreign file among packs": ("packs", lambda path: (path / "note").touch(), "foreign"),
    "a foreign file among blobs": ("blobs", lambda path: (path / "note").touch(), "foreign"),
}


@pytest.mark.clause("PK-2", "SY-9")
@pytest.mark.parametrize(("pattern", "spoil", "word"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_named(root, pattern, spoil, word):
    path = sorted((root / "alice").glob(pattern))[0]
    spoil(path)
    found = inspect(root / "alice")
    whole = path.parent.name == "aggregate"  # which is damaged as one
    name = f"{path.name}/note" if word == "foreign" else str(path.parent if whole else path)
    assert any(name in line for line in getattr(found, word)), vars(found)
    assert found.ok == (word != "damaged")
    said = call(root, "fsck", "alice").stdout.splitlines()
    assert any(line.startswith(f"{word}: ") and name in line for line in said)


@pytest.mark.clause("SY-13")
def test_gc_lists_every_folder_of_the_cache_that_is_made_again_by_itself(root):
    folders = {path.name for path in (root / "alice" / "cache").iterdir()}
    assert {kept.path.name for kept in caches(root / "alice")} == folders - {"figures"}


@pytest.mark.clause("PK-8")
@pytest.mark.parametrize("spoil", [text, cut, lambda path: (path.unlink(), path.symlink_to("/dev/zero"))])
def test_the_index_of_a_share_is_named_and_made_again(root, spoil):
    alice = ma.Workspace.open(root / "alice")
    alice.sync(root / "share", create=True)
    assert inspect(root / "share").ok
    index = root / "share" / "packs" / "index"
    good = index.read_bytes()
    spoil(index)
    (line,) = inspect(root / "share").damaged
    assert line.startswith(str(index))
    assert inspect(root / "share", repair=root / "alice").mended == [str(index)]
    alice.sync(root / "share")
    assert (inspect(root / "share").ok, index.read_bytes()) == (True, good)


def test_a_damaged_note_is_written_anew_by_the_command_that_is_named(root):
    text(root / "alice" / "local.json")
    assert "run `set-base`" in inspect(root / "alice").damaged[0]
    call(root, "-C", "alice", "set-base", "base").lines()
    assert inspect(root / "alice").ok


@pytest.fixture
def served(root):
    with in_thread(Service(Store.open(root / "bob", peer=True))) as address:
        yield address


def sound(folder):
    return {path: data for path, data in files_of(folder).items() if str(path).split("/")[0] in PARTS}


#: What a live peer mends.
MENDED = {
    "the genesis": ("genesis", lambda path: flip(path, 3)),
    "an operation": ("operations/*", bit),
    "an operation that is empty": ("operations/*", lambda path: path.write_bytes(b"")),
    "a blob": ("blobs/*", bit),
    "a lost blob": ("blobs/*", lambda path: path.unlink()),
    "a link in place of a blob": ("blobs/*", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))),
}


@pytest.mark.parametrize(("pattern", "spoil"), MENDED.values(), ids=MENDED)
def test_a_live_peer_mends_it(root, served, pattern, spoil):
    good = sound(root / "alice")
    path = sorted((root / "alice").glob(pattern))[0]
    spoil(path)
    found = inspect(root / "alice", repair=served)
    assert (found.ok, found.mended) == (True, [str(path)])
    assert sound(root / "alice") == good


@pytest.mark.clause("PK-7")
@pytest.mark.parametrize("spoil", [bit, cut, lambda path: path.write_bytes(b"")], ids=["bit", "cut", "empty"])
@pytest.mark.parametrize("kept", [good_copies.HELD_BYTES, 1], ids=["at once", "one by one"])
def test_a_live_peers_operations_heal_a_pack(root, served, monkeypatch, spoil, kept):
    monkeypatch.setattr(good_copies, "HELD_BYTES", kept)
    before = ma.Workspace.open(root / "alice").state
    (path, *_) = sorted((root / "alice" / "packs").iterdir())
    spoil(path)
    mended = call(root, "fsck", "alice", "--repair", served).lines()
    assert f"mended: {path}" in mended
    assert ma.Workspace.open(root / "alice").state == before


@pytest.mark.clause("PK-7", "PR-10", "SG-10")
@pytest.mark.parametrize("kept", [good_copies.HELD_BYTES, 1], ids=["at once", "one by one"])
@pytest.mark.parametrize("live", [True, False])
def test_what_is_not_admissible_does_not_come_with_what_heals_a_pack(tmp_path, monkeypatch, live, kept):
    monkeypatch.setattr(good_copies, "HELD_BYTES", kept)
    alice = Store.create(tmp_path / "alice", signed.GENESIS)
    state = alice.state()
    for number in range(BRANCH):
        key = SeedSigner(bytes([100 + number]) * 32).key
        state = state.join(grant(state, key, f"w{number}", signed.MAINTAINER, time=number))
    alice.write_delta(state)
    shutil.copytree(tmp_path / "alice", tmp_path / "mallory")
    attested = Operation(signed.GENESIS.workspace_id, Attest("ab" * 32, "cd" * 32), 5, None, None)
    mallory = Store.open(tmp_path / "mallory")
    mallory.write_operation(attested.signed_by(signed.STRANGER, None))
    (path,) = (tmp_path / "alice" / "packs").iterdir()
    bit(path)
    with in_thread(lying(mallory) if live else Service(mallory)) as address:
        found = inspect(tmp_path / "alice", repair=address if live else mallory.path)
    assert found.mended == [str(path), str(path.with_name("index"))]
    assert Store.open(tmp_path / "alice").state() == state


def lying(store):
    """A service that calls everything admissible."""
    service = Service(store)
    held = service._holder.look()
    everything = IdSet(map(bytes.fromhex, held.state.records()))
    held.__dict__["_sets"] = {MAINTAINERS: held.ids(MAINTAINERS), ADMISSIBLE: everything}
    return service


def test_what_a_live_peer_lacks_or_spoils_stays_damaged_and_says_why(root, served):
    (blob, *_) = sorted((root / "alice" / "blobs").iterdir())
    bit(blob)
    bit(root / "bob" / "blobs" / blob.name)
    (line,) = inspect(root / "alice", repair=served).damaged
    assert served in line
    (root / "bob" / "blobs" / blob.name).unlink()
    (line,) = inspect(root / "alice", repair=served).damaged
    assert f"{served} has no tensors of root" in line
    with pytest.raises(BlobDamaged):
        Store.open(root / "alice").check_blob(blob.name.split(".")[0])


def test_a_live_peer_of_another_workspace_or_none_is_refused(root, served):
    other = ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    with pytest.raises(WrongWorkspace, match=served):
        inspect(other.path, repair=served)
    with pytest.raises(PeerError, match="cannot be reached"):
        inspect(root / "alice", repair="http://127.0.0.1:1")


@pytest.fixture(params=["bucket", "files of a share"])
def stored(root, request, monkeypatch):
    """The address of a store that answers nothing, and has what Bob has."""
    bob = ma.Workspace.open(root / "bob")
    if request.param == "bucket":
        objects = MemoryObjects()
        create_share(objects, bob.store.genesis)
        assert not sync_objects(bob.store, objects).refused
        monkeypatch.setattr(s3_store, "S3Store", lambda address: objects)
        yield "s3://models/team"
    else:
        bob.sync(root / "share", create=True)
        with web_server(root) as address:
            yield f"{address}/share"


@pytest.mark.clause("PR-17", "PR-18", "PK-7")
@pytest.mark.parametrize(
    ("pattern", "spoil"), [*MENDED.values(), ("packs/*", bit)], ids=[*MENDED, "a pack that is nowhere else"]
)
def test_a_store_of_objects_mends_it(root, stored, pattern, spoil):
    good, before = sound(root / "alice"), ma.Workspace.open(root / "alice").state
    path = sorted((root / "alice").glob(pattern))[0]
    spoil(path)
    found = inspect(root / "alice", repair=stored)
    assert (found.ok, found.mended) == (True, [str(path)])
    assert ma.Workspace.open(root / "alice").state == before
    if "packs" not in pattern:
        assert sound(root / "alice") == good


def test_what_a_store_of_objects_lacks_or_spoils_stays_damaged_and_says_why(root, monkeypatch):
    bob, objects = Store.open(root / "bob"), MemoryObjects()
    create_share(objects, bob.genesis)
    sync_objects(bob, objects)
    monkeypatch.setattr(s3_store, "S3Store", lambda address: objects)
    (blob, *_) = sorted((root / "alice" / "blobs").iterdir())
    (operation, *_) = sorted((root / "alice" / "operations").iterdir())
    bit(blob)
    bit(operation)
    for key in objects.objects:
        if key.endswith(".0") or (key.startswith("packs/") and "index" not in key):
            objects.spoil(key)
    damaged = inspect(root / "alice", repair="s3://models/team").damaged
    assert "memory://bucket gives other bytes for pack" in damaged[0]
    assert "memory://bucket gives other bytes for leaf" in damaged[-1]
    for key in [key for key in objects.objects if "/" in key]:
        del objects.objects[key]
    damaged = inspect(root / "alice", repair="s3://models/team").damaged
    assert "memory://bucket names operation" in damaged[0]
    assert "memory://bucket has no tensors of root" in damaged[-1]
