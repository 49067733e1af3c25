"""The base of a workspace: where it is, where it went, and as Hugging Face's cache holds it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.errors import (
    BaseMismatch,
    CheckpointError,
    WorkspaceError,
)
from tests.models import base, fine_tune, with_value, write_folder, write_sharded
from tests.workspace.replicas import RECIPE, make_workspace, moved


class TestBase:
    def test_may_have_moved(self, root, alice):
        earlier = alice.resolve(root / "earlier")
        (root / "base").rename(root / "elsewhere")
        for action in (
            lambda: alice.resolve(root / "out"),
            lambda: alice.contribute(root / "ft2.safetensors"),
            lambda: ma.verify(earlier.out, alice.path),
        ):
            with pytest.raises(ma.MergeAlgebraError, match=str(root / "base")):
                action()
        assert not (root / "out").exists()
        assert ma.verify(earlier.out).ok  # which needs no base
        moved(alice.path, root / "elsewhere").resolve(root / "out")
        assert ma.verify(root / "out", alice.path).ok

    @pytest.mark.clause("SY-6")
    def test_may_not_have_changed(self, root, alice):
        write_folder(root / "base", with_value(base(), "norm.scale", (), 99))
        for action in (lambda: alice.resolve(root / "out"), lambda: alice.contribute(root / "ft2.safetensors")):
            with pytest.raises(BaseMismatch, match=r"base is not the base: its root is .*; it has changed"):
                action()
        with pytest.raises(BaseMismatch):
            ma.Workspace.clone(alice.path, root / "bob", base=root / "base")
        assert not (root / "bob").exists()
        assert len(alice.visible()) == 2

    @pytest.mark.clause("EN-8")
    def test_may_lie_in_other_files(self, root, alice):
        expected = alice.resolve(root / "one").model_root
        shutil.rmtree(root / "base")
        write_sharded(root / "base", base(), 3)
        assert alice.resolve(root / "two").model_root == expected

    def test_may_be_unknown(self, root, alice):
        for content in ("", "{}", "[]", '{"base": 3}', '{"base": ""}', "[" * 100_000, '{"base": "\\u0000"}'):
            (alice.path / "local.json").write_text(content)
            with pytest.raises(WorkspaceError, match=r"local.json does not say where the base is"):
                alice.resolve(root / "out")
        assert len(ma.Workspace.open(alice.path).visible()) == 2  # what needs no base works

    def test_is_found_from_any_folder(self, root, monkeypatch):
        monkeypatch.chdir(root)
        ma.Workspace.init("alice", base="base", recipe=RECIPE)
        (root / "sub").mkdir()
        monkeypatch.chdir(root / "sub")
        ma.Workspace.open("../alice").contribute("../ft0.safetensors")
        ma.Workspace.open("../alice").resolve("out")
        assert ma.verify("out").ok
        assert ma.Workspace.open("../alice").base == root / "base"


def cache(root, name, tensors, writer):
    """A model as Hugging Face's cache holds it: blobs under hashes, a snapshot of symbolic links to them."""
    folder = root / "hub" / f"models--{name}"
    revision = "0123456789abcdef0123456789abcdef01234567"
    snapshot = folder / "snapshots" / revision
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    writer(snapshot, tensors)
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(folder / "blobs" / f"{number:064x}")
        path.symlink_to(Path("..") / ".." / "blobs" / f"{number:064x}")
    return folder, snapshot


@pytest.mark.clause("EN-15")
class TestHuggingFaceCache:
    @pytest.mark.parametrize("writer", [write_folder, write_sharded])
    def test_snapshots_of_symbolic_links_are_models(self, root, writer):
        outer, start = cache(root, "base", base(), writer)
        _, tuned = cache(root, "tuned", fine_tune(0), writer)
        workspace = ma.Workspace.init(root / "w", base=start, recipe=RECIPE)
        made = workspace.contribute(tuned)
        assert made == make_workspace(root, "plain").contribute(root / "ft0.safetensors")
        workspace.resolve(root / "out")
        assert ma.verify(root / "out", workspace.path).ok
        assert (root / "out" / "config.json").read_bytes() == (root / "base" / "config.json").read_bytes()
        assert not any(path.is_symlink() for path in (root / "out").iterdir())
        with pytest.raises(
            CheckpointError, match=f"outer folder of a Hugging Face cache: name {re.escape(str(start))} instead"
        ):
            ma.Workspace.init(root / "x", base=outer, recipe=RECIPE)


@pytest.mark.clause("CT-9", "EN-8")
def test_sharded_or_not_a_fine_tune_is_one_contribution(root):
    workspace = make_workspace(root, "w")
    ids = {
        workspace.contribute(path)
        for path in (
            root / "ft0.safetensors",
            write_folder(root / "folder", fine_tune(0)),
            write_sharded(root / "two", fine_tune(0), 2),
            write_sharded(root / "seven", fine_tune(0), 7),
        )
    }
    assert len(ids) == 1
    assert len(list((workspace.path / "blobs").iterdir())) == 1
