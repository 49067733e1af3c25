"""Real disks that are full, or may not be written to, under whole commands; `tests/crash.py` has every single write."""

from __future__ import annotations

import contextlib
import shutil
import subprocess

import pytest

import mergealgebra as ma
from mergealgebra.fsck import inspect
from tests.cli.test_full_disk import mount  # noqa: F401 - a fixture
from tests.faults.processes import start
from tests.faults.team import MODELS, Team


@pytest.fixture
def team(tmp_path, mount):  # noqa: F811
    """A team whose Alice has a small disk of her own."""
    made = Team.made(tmp_path)
    shutil.move(tmp_path / "alice", tmp_path / "elsewhere")
    with mount(tmp_path / "alice", "size=256k") as disk:
        shutil.copytree(tmp_path / "elsewhere", disk, dirs_exist_ok=True)
        yield made


def typed(team, *words: str) -> tuple[int, str]:
    return start(team.root, "-C", "alice", *words).end()


@pytest.mark.clause("SY-8", "CL-1")
def test_a_disk_that_fills_up_keeps_what_was_done_and_goes_on_with_room(team):
    with contextlib.suppress(OSError), (team.root / "alice" / "theirs").open("wb", buffering=0) as others:
        while others.write(bytes(4096)):  # somebody else's files, until nothing is free
            pass
    done = team.ids("alice")
    for words in (("contribute", "ft1.safetensors"), ("sync", "share"), ("grant", "dave-key.pub", "--name", "D")):
        code, said = typed(team, *words)
        assert code in (0, 1), said
        assert code == 0 or said.splitlines()[-1].startswith("mergealgebra: "), said
    assert team.ids("alice") >= done
    assert inspect(team.root / "alice").damaged == []
    (team.root / "alice" / "theirs").unlink()
    for number in range(1, MODELS):
        assert typed(team, "contribute", f"ft{number}.safetensors")[0] in (0, 1)
    subprocess.run(["mount", "-o", "remount,size=8m", team.root / "alice"], check=True)
    assert typed(team, "contribute", f"ft{MODELS - 1}.safetensors")[0] == 0
    with team.closing():
        team.heal()
        team.check()


@pytest.mark.clause("SY-4", "CL-1")
def test_a_read_only_disk_gives_and_takes_nothing(team):
    alice = ma.Workspace.open(team.root / "alice")
    alice.contribute(team.root / "ft1.safetensors")
    before = alice.state
    bob = ma.Workspace.open(team.root / "bob")
    bob.contribute(team.root / "ft2.safetensors")
    bob.sync(team.root / "share")
    subprocess.run(["mount", "-o", "remount,ro", team.root / "alice"], check=True)
    for words in (("contribute", "ft3.safetensors"), ("sync", "share"), ("revoke", "carol-key.pub")):
        code, said = typed(team, *words)
        assert code == 1, (words, said)
        assert said.splitlines()[-1].startswith("mergealgebra: "), said
    for words in (("status",), ("log",), ("resolve", "made", "--backend", "numpy"), ("fsck",)):
        code, said = typed(team, *words)
        assert code == 0, (words, said)
    assert team.ids("alice") == set(before.by_id())
    assert team.ids("share") >= set(before.by_id())  # which was given
    subprocess.run(["mount", "-o", "remount,rw,size=8m", team.root / "alice"], check=True)
    with team.closing():
        team.heal()
        team.check()
