"""Every file of a store is read, and a peer's good copies mend it."""

from __future__ import annotations

import os
import re
import shlex
import shutil

import pytest

import mergealgebra as ma
from mergealgebra.crdt.packs import BRANCH
from mergealgebra.errors import WorkspaceError, WrongWorkspace
from mergealgebra.fsck import inspect
from tests.cli.commands import call
from tests.cli.scene import flip
from tests.store.stores import files_of
from tests.workspace.replicas import make_workspace, write_models

pytestmark = pytest.mark.clause("SY-11")


@pytest.fixture
def root(tmp_path):
    """Alice and her share, which are complete."""
    write_models(tmp_path)
    make_workspace(tmp_path, "alice", 0, 1).sync(tmp_path / "share", create=True)
    return tmp_path


def first(folder):
    return sorted(folder.iterdir())[0]


def lose(path):
    path.unlink()


def bit(path):
    flip(path, -1)


@pytest.mark.parametrize("peer", ["share", "./share/.", "alice/../share"])
def test_what_is_damaged_cannot_mend_itself(root, peer):
    complaint = call(root, "fsck", "share", "--repair", peer).complaint()
    assert "is what is to be mended: name another replica, `mergealgebra fsck share --repair PEER`, or" in complaint


DAMAGE = {
    "a bit of an operation": ("operations", bit, "damaged", True),
    "a bit of a blob": ("blobs", bit, "damaged", True),
    "half a blob": ("blobs", lambda path: path.write_bytes(path.read_bytes()[:99]), "damaged", True),
    "a link in place of a blob": ("blobs", lambda path: (path.unlink(), path.symlink_to(path.name)), "damaged", True),
    "a lost blob": ("blobs", lose, "missing", True),
    "a lost operation": ("operations", lose, None, False),  # which only a sync can know of
}


@pytest.mark.clause("PK-8")
def test_the_lost_index_of_a_share_with_packs_is_named_and_the_next_sync_writes_it(root):
    alice = ma.Workspace.open(root / "alice")
    for number in range(BRANCH):
        alice.store.write_delta(alice.state.attest(f"{number:064x}", "ab" * 32))
    alice.sync(root / "share")
    index = root / "share" / "packs" / "index"
    good = index.read_bytes()
    index.unlink()
    (line,) = inspect(root / "share").damaged
    assert line.startswith(f"{index} is not there")
    alice.sync(root / "share")
    assert inspect(root / "share").ok
    assert index.read_bytes() == good


@pytest.mark.clause("PK-8")
@pytest.mark.parametrize(
    "spoil",
    [shutil.rmtree, lambda packs: lose(packs / "index"), lambda packs: flip(packs / "index", 0)],
    ids=["packs are moved away", "gone", "damaged"],
)
def test_a_share_of_loose_operations_needs_its_index_too_and_a_repair_writes_it(root, spoil):
    index = root / "share" / "packs" / "index"
    good = index.read_bytes()
    spoil(index.parent)
    told = call(root, "fsck", "share").stdout
    (command,) = re.findall("packs/index is .*, or `mergealgebra (.*)`", told)
    assert f"mended: {index}" in call(root, *shlex.split(command.replace("WORKSPACE", "alice"))).lines()
    assert index.read_bytes() == good


@pytest.mark.parametrize("store", ["alice", "share"])
@pytest.mark.parametrize(("part", "spoil", "found", "mended"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_mended(root, store, part, spoil, found, mended):
    good = files_of(root / store)
    path = first(root / store / part)
    spoil(path)
    inspection = inspect(root / store)
    assert inspection.ok == (found is None)
    if found == "damaged":
        assert any(str(path) in line for line in inspection.damaged)
    repaired = inspect(root / store, repair=root / ("share" if store == "alice" else "alice"))
    assert repaired.ok
    assert repaired.mended == ([str(path)] if mended else [])
    assert files_of(root / store) == good or found is None


def test_a_damaged_genesis_is_mended_by_that_of_the_same_workspace(root):
    good = files_of(root / "alice")
    flip(root / "alice" / "genesis", 3)
    with pytest.raises(WorkspaceError, match=r"fsck\.inspect\(.*, repair=PEER\)"):
        inspect(root / "alice")
    other = ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    with pytest.raises(WorkspaceError):
        inspect(root / "alice", repair=other.path)
    assert inspect(root / "alice", repair=root / "share").mended == [str(root / "alice" / "genesis")]
    assert files_of(root / "alice") == good


CACHES = {
    "thresholds that are not": ("cache/thresholds/*", lambda path: path.write_bytes(b"\xc1")),
    "a header of the aggregate": ("cache/aggregate/header", lambda path: flip(path, -1)),
    "a page of the aggregate": ("cache/aggregate/*.bin", lambda path: flip(path, 7)),
    "a pipe": ("cache/thresholds/*", lambda path: (path.unlink(), os.mkfifo(path))),
}


@pytest.mark.parametrize(("pattern", "spoil"), CACHES.values(), ids=CACHES)
def test_a_damaged_cache_is_found_and_goes(root, pattern, spoil):
    ma.Workspace.open(root / "alice").resolve(root / "out", keep_aggregate="always")
    assert inspect(root / "alice").ok
    spoil(sorted((root / "alice").glob(pattern))[0])
    (line,) = inspect(root / "alice").damaged
    assert "delete it, and it is made again" in line
    assert len(inspect(root / "alice", repair=root / "share").mended) == 1
    assert inspect(root / "alice").ok


SPOILT_GENESES = {
    "a bit": lambda path: flip(path, 3),
    "a bit that makes it another's": lambda path: flip(path, -1),
    "no byte": lambda path: path.write_bytes(b""),
    "gone": lose,
    "another workspace's": lambda path: path.write_bytes((path.parent.parent / "other" / "genesis").read_bytes()),
}


@pytest.mark.parametrize("spoil", SPOILT_GENESES.values(), ids=SPOILT_GENESES)
def test_the_genesis_of_a_shared_folder_is_known_by_its_operations(root, spoil):
    ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    good, path = files_of(root / "share"), root / "share" / "genesis"
    spoil(path)
    said = call(root, "-C", "alice", "sync", "share").complaint()
    (command,) = re.findall("`mergealgebra (fsck .*?)`", said)
    assert spoil is SPOILT_GENESES["another workspace's"] or call(root, "fsck", "share", "--repair", "other").code == 1
    call(root, *shlex.split(command.replace("PEER", "alice").replace("WORKSPACE", "alice"))).lines()
    assert files_of(root / "share") == good
    assert inspect(root / "share", repair=root / "alice").mended == []


def test_a_shared_folder_of_another_workspace_stays_one(root):
    other = ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    other.contribute(root / "ft0.safetensors")
    other.sync(root / "others", create=True)
    stray = first(root / "share" / "operations")
    shutil.copy(stray, root / "others" / "operations")
    before = files_of(root / "others")
    with pytest.raises(WrongWorkspace):
        inspect(root / "others", repair=root / "alice")
    assert files_of(root / "others") == before


def test_a_peer_spoils_nothing(root):
    """What is damaged there, too, stays damaged here."""
    for store in ("alice", "share"):
        for part in ("blobs", "operations"):
            flip(first(root / store / part), -1)
    before = files_of(root / "alice")
    found = inspect(root / "alice", repair=root / "share")
    assert (len(found.damaged), found.mended) == (2, [])
    assert files_of(root / "alice") == before


def test_a_peer_of_another_workspace_is_refused(root):
    other = ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    with pytest.raises(WrongWorkspace):
        inspect(root / "alice", repair=other.path)


def test_the_command_says_what_it_found(root):
    path = first(root / "share" / "blobs")
    flip(path, -1)
    done = call(root, "-C", "alice", "fsck", "share")
    assert done.code == 1
    assert f"damaged: {path} is damaged" in done.stdout
    assert (
        "1 file is damaged or missing; name a replica that has good copies: `mergealgebra fsck share --repair PEER`"
        in done.stderr
    )
    assert f"mended: {path}" in call(root, "fsck", "share", "--repair", "alice").lines()
    assert call(root, "-C", "alice", "fsck", "--json").printed()["ok"] is True
    shutil.rmtree(root / "share")
    assert "share is not there" in call(root, "fsck", "share").complaint()


def test_every_verb_that_meets_a_workspace_without_its_genesis_names_what_puts_it_back(root):
    (root / "alice" / "genesis").unlink()
    for words in (
        "-C alice status",
        "clone --yes share alice --base base",
        "-C alice fsck",
        "-C alice init --base base",
    ):
        told = call(root, *words.split()).complaint()
        assert "alice was a workspace, and has no file `genesis` now: `mergealgebra fsck " in told
        command = re.search("`mergealgebra (fsck .*?)`", told)[1]
    call(root, *shlex.split(command.replace("PEER", "share"))).lines()
    assert call(root, "-C", "alice", "status").code == 0


#: Addresses of stores, and who mends those.
ADDRESSES = {
    "s3://models/team": "`mergealgebra -C alice sync s3://models/team --create` mends it",
    "http://host/share": "whoever has the folder that is served runs `mergealgebra fsck FOLDER --repair WORKSPACE`",
}


@pytest.mark.parametrize(("address", "told"), ADDRESSES.items(), ids=ADDRESSES)
def test_what_mends_a_store_that_is_no_folder_is_said(root, address, told):
    assert call(root, "fsck", address, "--repair", "alice").complaint().endswith(told)
    assert call(root, "-C", "alice", "fsck", address).complaint().endswith(told)
