"""Shares that a group writes to, whoever makes a file there, whatever the umask; and what a missing right says."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from mergealgebra.errors import MergeAlgebraError, OutputError, WorkspaceError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import sync
from tests.crdt.strategies import GENESIS, nonce
from tests.store.stores import contribute, names_in

pytest.importorskip("grp", reason="this system has no groups")
pytest.importorskip("pwd", reason="this system has no users")

pytestmark = pytest.mark.clause("SY-16")

ALICE, BOB, TEAM, OTHERS = 4001, 4002, 4242, 4343


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder):
    """The mode of the folder and of all that is in it."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def closed(folder):
    """What in a share its group cannot write to, or would not be its group's."""
    found = modes(folder)
    wanted = {name: 0o2070 if (folder / name).is_dir() else 0o060 for name in found}
    return {name for name, mode in found.items() if mode & wanted[name] != wanted[name]}


class TestModes:
    @pytest.mark.parametrize("mask", [0o077, 0o022])
    def test_do_not_depend_on_the_umask_of_who_writes(self, mask, tmp_path):
        with umask(mask):
            share = Store.create(tmp_path / "share", GENESIS, group=True)
            alice = Store.create(tmp_path / "alice", GENESIS)
            contribute(alice, 1, tmp_path, nonce(1))
            shutil.rmtree(share.path / "blobs")
            sync(alice, share.path)
            share.report_damage(share.blob_roots()[0])
            assert len(modes(share.path)) == 10
            assert closed(share.path) == set()
            assert closed(alice.path) == modes(alice.path).keys()

    def test_of_what_is_private_stay(self, tmp_path):
        share = Store.create(tmp_path / "share", GENESIS, group=True)
        write_atomically(Entry(share.path, ROOT, "cache.key"), b"secret", mode=0o600)
        assert modes(share.path)["cache.key"] == 0o600

    def test_of_others_are_left_to_the_umask(self, tmp_path):
        with umask(0o007):
            share = Store.create(tmp_path / "share", GENESIS, group=True)
        assert modes(share.path)["genesis"] == 0o660

    def test_of_a_share_that_is_there_are_not_changed(self, tmp_path):
        with umask(0o077):
            share = Store.create(tmp_path / "share", GENESIS)
            before = modes(share.path)
            with pytest.raises(WorkspaceError, match="is there already, and not open to its group") as refused:
                Store.create(share.path, GENESIS, group=True)
            assert modes(share.path) == before
        subprocess.run(re.search("`(.*)`", str(refused.value))[1], shell=True, check=True)
        Store.create(share.path, GENESIS, group=True)
        assert closed(share.path) == set()

    def test_that_a_system_does_not_keep_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Path, "chmod", lambda *_: None)
        with pytest.raises(OutputError, match="does not keep the set-group-ID bit"):
            Store.create(tmp_path / "share", GENESIS, group=True)
        assert names_in(tmp_path / "share") == set()


def as_user(user, do, *groups):
    """Do something as another user, in a process of its own; what it raises is raised here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(groups[0], groups[0], groups[0])
            os.setresuid(user, user, user)
            do()
        except MergeAlgebraError as error:
            os.write(writing, str(error).encode())
        except BaseException as error:
            os.write(writing, f"unexpected {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    if said:
        raise MergeAlgebraError(said)


def sync_all(store, share):
    """A sync of which nothing may be refused."""
    for error in sync(store, share).refused:
        raise error


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two other users")
class TestTwoMembers:
    @pytest.fixture
    def houses(self):
        """A folder of the team's, and one of each member's with a store in it that has a contribution."""
        top = Path(tempfile.mkdtemp())
        top.chmod(0o755)
        (top / "team").mkdir()
        os.chown(top / "team", ALICE, TEAM)
        (top / "team").chmod(0o2770)
        for user, name in ((ALICE, "alice"), (BOB, "bob")):
            store = Store.create(top / name, GENESIS)
            contribute(store, user, top, nonce(user))
            for path in (store.path, *store.path.rglob("*")):
                os.chown(path, user, user)
        yield top
        shutil.rmtree(top)

    @staticmethod
    def make(houses, mask, *, group):
        def do():
            os.umask(mask)
            Store.create(houses / "team" / "share", GENESIS, group=group)
            sync_all(Store.open(houses / "alice"), houses / "team" / "share")

        as_user(ALICE, do, ALICE, TEAM)
        return houses / "team" / "share"

    @staticmethod
    def sync(houses, name, *groups):
        user = {"alice": ALICE, "bob": BOB}[name]

        def do():
            os.umask(0o077)
            sync_all(Store.open(houses / name), houses / "team" / "share")

        as_user(user, do, user, *groups)
        return len(Store.open(houses / name).blob_roots())

    def test_share_a_folder_of_their_group(self, houses):
        share = self.make(houses, 0o077, group=True)
        assert self.sync(houses, "bob", TEAM) == 2
        assert self.sync(houses, "alice", TEAM) == 2
        assert closed(share) == set()
        assert {path.stat().st_gid for path in (share, *share.rglob("*"))} == {TEAM}
        assert {path.stat().st_uid for path in share.rglob("*.safetensors")} == {ALICE, BOB}

    @pytest.mark.parametrize("mask", [0o022, 0o077])
    def test_are_told_what_is_closed_and_the_command_that_opens_it(self, mask, houses):
        share = self.make(houses, mask, group=False)
        with pytest.raises(MergeAlgebraError) as refused:
            self.sync(houses, "bob", TEAM)
        said = str(refused.value)
        mode = {0o022: "drwxr-sr-x", 0o077: "drwx--S---"}[mask]
        assert f"{share} has the mode {mode} and is user {ALICE}'s, of the group {TEAM}; user {ALICE} opens it" in said
        command = re.search("`(.*)`", said)[1]
        assert command == f"chmod -R g+rwX {share}; find {share} -type d -exec chmod g+s {{}} +"
        as_user(ALICE, lambda: subprocess.run(command, shell=True, check=True), ALICE, TEAM)
        assert self.sync(houses, "bob", TEAM) == 2
        assert self.sync(houses, "alice", TEAM) == 2
        assert closed(share) == set()

    def test_are_told_of_one_file(self, houses):
        share = self.make(houses, 0o077, group=True)
        (operation,) = (share / "operations").iterdir()
        operation.chmod(0o600)
        with pytest.raises(MergeAlgebraError, match=rf"{operation} has the mode -rw------- and is user {ALICE}'s"):
            self.sync(houses, "bob", TEAM)

    def test_are_told_to_get_into_the_group(self, houses):
        (houses / "team").chmod(0o2755)
        self.make(houses, 0o022, group=True)
        with pytest.raises(MergeAlgebraError, match=f"`, and you get into the group {TEAM}"):
            self.sync(houses, "bob", OTHERS)

    def test_are_told_of_what_is_theirs(self, houses):
        share = self.make(houses, 0o022, group=True)
        (share / "operations").chmod(0o2070)
        with pytest.raises(MergeAlgebraError, match=rf"and is yours: `chmod u\+rwX {share}/operations`"):
            self.sync(houses, "alice", TEAM)
