"""A sync that was incomplete stays known, until one with that peer is complete [SY-4]."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import pytest

import mergealgebra as ma
from mergealgebra import creation
from mergealgebra.errors import OperationError, OutputError, PeerError, SyncIncomplete, WrongWorkspace
from mergealgebra.store import local
from mergealgebra.store.incomplete import read_incomplete, write_incomplete
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.replica import sync_replica
from mergealgebra.sync.service import Service
from tests.cli.commands import call
from tests.cli.scene import flip
from tests.crash import kill_points
from tests.sync.servers import in_thread
from tests.workspace.replicas import make_workspace, visible_in, write_models


@pytest.fixture
def root(tmp_path):
    """Alice and her share, in which an operation that only she holds is damaged."""
    write_models(tmp_path)
    make_workspace(tmp_path, "alice", 0, 1).sync(tmp_path / "share", create=True)
    flip(next((tmp_path / "share" / "operations").iterdir()), 9)
    return tmp_path


def said(root: Path, *words: str) -> tuple[str, list[str]]:
    """What a command says on standard error, and its warnings under --json."""
    warnings = json.loads(call(root, *words, "--json").stdout).get("warnings", [])
    return call(root, *words).stderr, warnings


@pytest.mark.clause("SY-4")
def test_a_newcomer_who_got_less_is_told_again_by_every_verb(root):
    with pytest.raises(
        SyncIncomplete,
        match=r"bob is a workspace now; `Workspace.open\('.*/bob'\).sync\('PEER'\)` with another complet",
    ):
        ma.Workspace.clone(root / "share", root / "bob", base=root / "base")
    assert len(visible_in(root / "bob")) == 1
    doubt = f"the last sync with {root}/share was incomplete, so contributions may be lacking"
    told, warnings = said(root, "-C", "bob", "status")
    assert doubt in told
    assert any(doubt in warning for warning in warnings)
    assert doubt in call(root, "-C", "bob", "resolve", "out").stderr
    ma.Workspace.open(root / "alice").sync(root / "share")  # which heals the share
    ma.Workspace.open(root / "bob").sync(root / "share")
    assert said(root, "-C", "bob", "status") == ("", [])
    assert not (root / "bob" / "incomplete.json").exists()
    assert visible_in(root / "bob") == visible_in(root / "alice")


@pytest.mark.clause("SY-4", "SY-12")
@pytest.mark.parametrize("peer", ["a folder", "a server"])
def test_a_newcomer_to_whom_damaged_tensors_came_is_sent_to_another_peer(root, peer):
    ma.Workspace.open(root / "alice").sync(root / "share")
    flip(next((root / "share" / "blobs").iterdir()), -1)
    served = in_thread(Service(Store.open(root / "share"))) if peer == "a server" else nullcontext(root / "share")
    told = r"`Workspace.open\('.*/bob'\).sync\('PEER'\)` with another completes it"
    with served as there, pytest.raises(SyncIncomplete, match=told):
        ma.Workspace.clone(there, root / "bob", base=root / "base")


FILE, FULL, CUT = OperationError("a is damaged"), OutputError("the disk is full"), PeerError("it sends too slowly")
#: What was refused, what of it is that the peer took nothing, and what is said.
HOW = {
    "a file": ([FILE], [], "a is damaged (1 file refused; the rest was synced)"),
    "what was to be given": ([FULL], [FULL], "the disk is full (the peer did not get all that it lacks; the rest was"),
    "both": ([FILE, FULL], [FULL], "(1 file refused, and the peer did not get all that it lacks; the rest was synced)"),
    "a connection": ([CUT, FILE], [], "it sends too slowly (not everything was synced; what came stays)"),
}


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize(("refused", "not_given", "told"), HOW.values(), ids=HOW)
def test_an_incomplete_sync_says_what_it_did_not_do(root, refused, not_given, told):
    store = ma.Workspace.open(root / "alice").store
    result = SyncResult((), (), (), (), (), tuple(refused), (), not_given=tuple(not_given))
    with mock.patch("mergealgebra.sync.replica.sync", return_value=result), pytest.raises(SyncIncomplete) as caught:
        sync_replica(store, root / "share")
    assert told in str(caught.value)


@pytest.mark.clause("PR-16")
def test_a_password_that_stands_in_the_notes_is_not_shown(root):
    alice = ma.Workspace.open(root / "alice")
    write_incomplete(alice.store, "https://me:secret@host", ["it was cut short"])
    (line,) = alice.doubts
    assert "https://***@host" in line and "secret" not in line


#: What is said to be kept of tensors after a sync that was cut short, by peer.
KEPT = {
    "s3://models/team": "(of tensors that came in part, each object of up to 64 MiB that came whole is kept); sync",
    "http://host": "(of tensors that came in part `serve` sends the rest, and a web server's files begin anew); sync",
    "ssh://host/x": "it was cut short; sync again",
    "share": "it was cut short; sync again",
}


@pytest.mark.clause("PR-18", "BL-7")
@pytest.mark.parametrize(("peer", "told"), KEPT.items(), ids=KEPT)
def test_what_a_sync_that_was_cut_short_keeps_is_said(root, peer, told):
    alice = ma.Workspace.open(root / "alice")
    write_incomplete(alice.store, peer, ["it was cut short"])
    (line,) = alice.doubts
    assert told in line


@pytest.mark.clause("SY-4", "SY-8")
def test_a_sync_that_dies_stays_known(root):
    ma.Workspace.open(root / "alice").sync(root / "share")
    make_workspace(root, "bob")
    seen = set()
    for moment, folder in kill_points(
        root / "bob", lambda at: ma.Workspace.open(at).sync(root / "share"), root / "scratch"
    ):
        bob = ma.Workspace.open(folder)
        complete = bob.visible().keys() == visible_in(root / "alice") and not bob.missing()
        assert bob.doubts or complete or not bob.state.operations, moment
        seen.add((bool(bob.doubts), complete))
    assert (True, False) in seen


@pytest.mark.clause("SY-4")
def test_a_peer_that_is_none_leaves_no_doubt(root):
    alice = ma.Workspace.open(root / "alice")
    other = ma.Workspace.init(root / "other", base=root / "base", recipe=ma.Mean())
    with pytest.raises(WrongWorkspace):
        alice.sync(other.path)
    assert alice.doubts == ()


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize("content", [b"", b"[]", b'{"x": 3}', b'{"x": [4]}', b"{" * 100_000, bytes(2 << 20)])
def test_damage_to_what_is_written_down_does_no_harm(root, content):
    alice = ma.Workspace.open(root / "alice")
    (root / "alice" / "incomplete.json").write_bytes(content)
    assert all(isinstance(line, str) for line in alice.doubts)
    alice.sync(root / "share")


SPOILT = {
    "a half": lambda path: path.write_bytes(b'{"/share": ["x"'),
    "another JSON": lambda path: path.write_bytes(b"[]"),
    "no byte": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
}


@pytest.mark.clause("SY-4")
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_written_down_and_cannot_be_read_is_a_doubt(root, spoil):
    alice, file = ma.Workspace.open(root / "alice"), root / "alice" / "incomplete.json"
    spoil(file)
    for _ in range(2):
        (line,) = alice.doubts
        assert f"{file} is or was damaged" in line
        alice.sync(root / "share")
    file.rmdir() if file.is_dir() else file.unlink()
    assert alice.doubts == ()


@pytest.mark.clause("SY-4")
def test_what_could_not_be_written_down_is_not_begun(root, monkeypatch):
    """A disk with room for an operation and none for the note: half of what the peer has would be taken in silence."""
    ma.Workspace.open(root / "alice").sync(root / "share")
    bob, before, real = make_workspace(root, "bob", 2), len(visible_in(root / "share")), local.write_atomically

    def full(entry, data):
        raise OutputError(f"{entry.path} cannot be written: No space left on device")

    monkeypatch.setattr(local, "write_atomically", full)
    with pytest.raises(SyncIncomplete, match=r"incomplete.json cannot be written: No space left on device \(1 file"):
        bob.sync(root / "share")
    assert len(bob.visible()) == 1
    assert len(visible_in(root / "share")) == before + 1
    monkeypatch.setattr(local, "write_atomically", real)
    bob.sync(root / "share")
    assert bob.visible().keys() == visible_in(root / "share")


@pytest.mark.clause("SY-4")
def test_syncs_at_once_with_several_peers_are_all_written_down(root):
    store, context = Store.open(root / "alice"), get_context("fork")
    peers = {f"/peer/{number}" for number in range(8)}
    for refusals in (["refused"], []):
        children = [context.Process(target=write_incomplete, args=(store, peer, refusals)) for peer in peers]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert set(read_incomplete(store).refusals) == (peers if refusals else set())


class TestClone:
    @pytest.mark.clause("SY-12")
    def test_with_an_id_takes_no_other_workspace(self, root):
        twin = ma.Workspace.init(root / "twin", base=root / "base", recipe=ma.Ties(density="0.5", lambda_="-1"))
        wanted = Store.open(root / "alice").genesis.workspace_id
        done = call(root, "clone", f"twin#{wanted}", "new", "--base", "base")
        assert f"twin holds workspace {twin.store.genesis.workspace_id}, not" in done.complaint()
        assert not (root / "new").exists()
        lines = call(root, "clone", f"alice#{wanted}", "new", "--base", "base").lines()
        assert lines[1].split() == ["id", wanted]
        assert not any("compare" in line for line in lines)

    @pytest.mark.clause("SY-12")
    def test_without_an_id_shows_what_it_took(self, root):
        wanted = Store.open(root / "alice").genesis.workspace_id
        lines = call(root, "clone", "--yes", "alice", "new", "--base", "base").lines()
        assert any("compare its id and its recipe" in line for line in lines)
        assert lines[-1].endswith(f"clone 'alice#{wanted}' DIR --base base")

    @pytest.mark.clause("SY-12")
    def test_without_an_id_and_without_a_terminal_takes_none(self, root, monkeypatch):
        wanted = Store.open(root / "alice").genesis.workspace_id
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        complaint = call(root, "clone", "alice", "new", "--base", "base").complaint()
        assert f"`mergealgebra clone 'alice#{wanted}' new --base base` takes it" in complaint
        assert not (root / "new").exists()

    @pytest.mark.clause("SY-12")
    @pytest.mark.parametrize("answer", ["y", "n"])
    def test_without_an_id_asks_at_a_terminal(self, root, monkeypatch, answer):
        wanted, terminal = Store.open(root / "alice").genesis.workspace_id, io.StringIO(f"{answer}\n")
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stdin", terminal)
        done = call(root, "clone", "alice", "new", "--base", "base")
        assert wanted in done.stderr
        assert "nobody: whoever can write there can change it" in done.stderr
        assert (done.code == 0, (root / "new").exists()) == (answer == "y", answer == "y")

    @pytest.mark.clause("SY-12")
    def test_what_changes_after_the_answer_is_refused(self, root, monkeypatch):
        twin = ma.Workspace.init(root / "twin", base=root / "base", recipe=ma.Ties(density="0.5", lambda_="-1"))
        shown = iter([Store.open(root / "alice").genesis, twin.store.genesis])
        terminal = io.StringIO("y\n")
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr(creation, "_genesis_there", lambda *_: next(shown))
        assert "holds workspace" in call(root, "clone", "alice", "new", "--base", "base").stderr
        assert not (root / "new").exists()

    def test_takes_a_folder_with_a_mark_in_its_name(self, root):
        (root / "alice").rename(root / "a#b")
        call(root, "clone", "--yes", "a#b", "new", "--base", "base").lines()


class TestPartialClone:
    """It says what is missing, exit 1, and leaves nothing, or what a sync completes."""

    @pytest.fixture
    def share(self, root):
        """The share, in good order."""
        ma.Workspace.open(root / "alice").sync(root / "share")
        return root / "share"

    @pytest.mark.clause("SY-12")
    @pytest.mark.parametrize(
        ("lost", "said"),
        [
            ("blobs/*", "share lacks the tensors of 2 of its 2 contributions"),
            ("blobs", "share lacks the tensors of 2 of its 2 contributions"),
            ("operations/*", "share holds 2 files of tensors, and no operation that names them: it is half there"),
            ("operations", "share holds 2 files of tensors, and no operation that names them: it is half there"),
        ],
    )
    def test_of_a_share_that_is_half_there(self, root, share, lost, said):
        for path in list(share.glob(lost)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        complaint = call(root, "clone", "--yes", "share", "bob", "--base", "base").complaint()
        assert said in complaint
        assert "bob is a workspace now; `mergealgebra -C bob sync" in complaint
        assert "warning: " in call(root, "-C", "bob", "status").stderr
        ma.Workspace.open(root / "alice").sync(share)
        call(root, "-C", "bob", "sync", "share").lines()
        assert visible_in(root / "bob") == visible_in(root / "alice")
        assert said_nothing(root, "-C", "bob", "status")

    @pytest.mark.clause("SY-12", "SY-8")
    def test_on_a_disk_that_fills_at_any_write(self, root, monkeypatch):
        wanted = visible_in(root / "alice")
        for moment in itertools.count():
            new = root / f"new{moment}"
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", writes_until_full(moment))
                done = call(root, "clone", "--yes", "alice", new.name, "--base", "base")
            if done.code == 0:
                break
            assert "No space left on device" in done.stderr
            if new.exists():
                assert "was incomplete" in call(root, "-C", new.name, "status").stderr, moment
                call(root, "-C", new.name, "sync", "alice").lines()
            else:
                call(root, "clone", "--yes", "alice", new.name, "--base", "base").lines()
            assert visible_in(new) == wanted
            assert said_nothing(root, "-C", new.name, "status"), moment
        assert moment > 5

    def test_takes_back_no_folder_that_was_there(self, root, monkeypatch):
        (root / "new").mkdir()
        monkeypatch.setattr(os, "write", writes_until_full(0))
        assert "No space left" in call(root, "-C", "new", "init", "--base", "base").complaint()
        assert list((root / "new").iterdir()) == []


def writes_until_full(count: int):
    """`os.write` on a disk that takes so many writes, and no more."""
    real, left = os.write, iter(range(count))

    def write(descriptor: int, data: bytes) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    return write


def said_nothing(root: Path, *words: str) -> bool:
    done = call(root, *words)
    return (done.code, done.stderr) == (0, "")


class TestGhosts:
    """Adds whose tensors nobody has block `resolve`, and go at once."""

    @pytest.fixture
    def haunted(self, root):
        alice = ma.Workspace.open(root / "alice")
        for number in range(40):
            (operation,) = alice.state.add(alice_manifest(alice, f"{number:064x}")).operations
            alice.store.write_operation(operation)
        return alice

    @pytest.mark.clause("OS-10")
    def test_are_taken_back_by_one_operation(self, root, haunted):
        before = len(haunted.store.operation_ids())
        assert "not here" in call(root, "-C", "alice", "resolve", "out").complaint()
        retracted = call(root, "-C", "alice", "retract", "--missing", "--json").printed()["retracted"]
        assert len(retracted) == 40
        assert len(haunted.store.operation_ids()) == before + 1
        assert len(haunted.visible()) == 2
        call(root, "-C", "alice", "resolve", "out").lines()
        assert call(root, "-C", "alice", "retract", "--missing", "--json").printed()["retracted"] == []

    @pytest.mark.clause("OS-10")
    def test_several_are_named_or_none_is_taken_back(self, root, haunted):
        ids = list(haunted.visible())
        assert "no visible contribution begins" in call(root, "-C", "alice", "retract", ids[0], "0123").complaint()
        assert len(haunted.visible()) == len(ids)
        call(root, "-C", "alice", "retract", ids[0], ids[1][:20], ids[0]).lines()
        assert list(haunted.visible()) == ids[2:]


def alice_manifest(alice: ma.Workspace, tensors: str):
    from dataclasses import replace

    return replace(next(iter(alice.visible().values())), tensors=tensors)


@pytest.mark.clause("OS-12")
def test_a_thousand_attests_are_one_short_line(root):
    alice = ma.Workspace.open(root / "alice")
    for number in range(100):
        (attest,) = alice.state.attest(alice.merge_id, f"{number:064x}").operations
        alice.store.write_operation(attest)
    (line,) = said(root, "-C", "alice", "status")[1]
    assert line.endswith(f"anybody can write one: {', '.join(f'{number:064x}' for number in range(8))} and 92 more")


@pytest.mark.clause("OS-3")
@pytest.mark.parametrize("now", [-5, 1 << 53], ids=["before 1970", "beyond 2^53"])
def test_a_clock_that_shows_no_time_is_no_error(root, monkeypatch, now):
    monkeypatch.setattr("mergealgebra.history.time.time", lambda: now)
    alice = ma.Workspace.open(root / "alice")
    made = alice.contribute(root / "ft2.safetensors")
    assert alice.store.read_operation(made.operation).time is None
    alice.retract(made)


@pytest.mark.clause("SY-10", "LK-7")
def test_old_temporary_files_go_from_our_own_store_alone(root):
    parts = [root / store / "tmp" / "1-0123456789abcdef.part" for store in ("alice", "share")]
    for part in parts:
        part.write_bytes(b"")
        os.utime(part, (0, 0))
    call(root, "-C", "alice", "sync", "share").lines()
    assert str(parts[0].relative_to(root)) in call(root, "-C", "alice", "status").stderr
    call(root, "-C", "alice", "gc", "--delete").lines()
    assert [part.exists() for part in parts] == [False, True]
