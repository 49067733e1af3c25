"""One flipped bit, anywhere: it is refused and the file named, or it makes no difference to the model.

Never another model, and never an exception of Python's own: only MergeAlgebraError leaves the package. Every third byte
is tried, each time another of its bits; `make thorough` tries every byte.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.store.objects import Store
from tests.cli.commands import tree
from tests.cli.scene import flip
from tests.models import write_file

#: How many bytes of the tensors' data are tried, spread evenly; of everything else, all are.
DATA_BYTES = 12


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch):
    """Thousands of files are written here, and none has to survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A workspace with operations of every kind and two visible contributions; an exchange folder; its model."""
    root = tmp_path_factory.mktemp("flips")
    tensors = {"b": np.array([1, -2, 3], np.float16), "w": np.arange(32, dtype=np.float32), "n": np.array(3)}
    base = write_file(root / "base.safetensors", tensors)
    workspace = ma.Workspace.init(root / "alice", base=base, recipe=ma.Ties(density="0.5"), name="garden")
    for number in (1, 2, 3):
        tuned = {**tensors, "w": tensors["w"] * number + number, "b": tensors["b"] - np.float16(number)}
        made = workspace.contribute(write_file(root / f"ft{number}.safetensors", tuned), note="a note")
    workspace.retract(made)
    workspace.resolve(root / "merged", threads=1)
    workspace.sync(root / "shared", create=True)
    empty = ma.Workspace.init(root / "empty", base=base, recipe=ma.Ties(density="0.5"), name="garden")
    assert empty.store.genesis == workspace.store.genesis
    return root


@pytest.fixture
def root(original, tmp_path):
    return shutil.copytree(original, tmp_path / "flips")


def _expected(root):
    return ma.verify(root / "merged").model_root


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")


def _positions(path):
    """Every byte of a small file and of a header; of the data behind it, some."""
    size = path.stat().st_size
    if path.suffix != ".safetensors":
        return range(size)
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    return [*range(header), *range(header, size - 1, max(1, (size - header) // DATA_BYTES)), size - 1]


@pytest.fixture
def flips(request):
    """Flips one bit at every step-th position, each time another one of the eight, and mends the file afterwards."""
    sparse = 1 if request.config.getoption("--thorough") else 3

    def each(path, step=sparse):
        good = path.read_bytes()
        for count, position in enumerate(_positions(path)[::step]):
            flip(path, position, count % 8)
            yield f"{path.name}, byte {position}, bit {count % 8}"
            path.write_bytes(good)

    return each


def _names(error, path):
    """Whether the one line of an error names the file; a genesis by the folder that it makes another workspace's."""
    text = str(error)
    return "\n" not in text and (str(path) in text or f"{path.parent} holds workspace" in text)


def _resolve(workspace, out):
    """The root of the model that a workspace resolves to, which is then removed."""
    try:
        return ma.Workspace.open(workspace).resolve(out, threads=1).model_root
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _sync_a_newcomer(root):
    """Let a replica that has nothing yet take all that the exchange folder offers; returns what it refused."""
    newcomer = root / "newcomer"
    shutil.rmtree(newcomer, ignore_errors=True)
    shutil.copytree(root / "empty", newcomer)
    try:
        ma.Workspace.open(newcomer).sync(root / "shared")
    except MergeAlgebraError as error:
        return error
    return None


@pytest.mark.clause("SY-3", "SY-4", "CT-6", "OS-6")
def test_a_flip_in_the_exchange_folder_is_refused_and_named(root, flips):
    expected = _expected(root)
    for path in _files(root / "shared"):
        for flipped in flips(path):
            error = _sync_a_newcomer(root)
            if error is None:  # the blob of what was retracted is not taken, and not looked at
                assert _resolve(root / "newcomer", root / "out") == expected, flipped
                continue
            assert _names(error, path), (flipped, error)
            newcomer = Store.open(root / "newcomer")
            newcomer.state()
            for blob in _files(root / "newcomer" / "blobs"):
                newcomer.check_blob(blob.stem)


@pytest.mark.clause("SY-3", "SY-6", "CT-6")
def test_a_flip_in_ones_own_store_is_refused_and_named_or_changes_nothing(root, flips):
    expected = _expected(root)
    for path in _files(root / "alice"):
        if root / "alice" / "cache" in path.parents:
            continue
        for flipped in flips(path):
            before = tree(root / "alice")
            try:
                assert _resolve(root / "alice", root / "out") == expected, flipped
            except MergeAlgebraError as error:
                assert _names(error, path), (flipped, error)
            assert tree(root / "alice") == before, flipped


@pytest.mark.clause("SY-6", "MG-8")
def test_a_flip_in_the_cache_changes_nothing_and_is_mended(root, flips):
    expected, sound = _expected(root), tree(root / "alice")
    kept = [path for path in _files(root / "alice" / "cache") if path.parent.name != "figures"]  # for people's eyes
    assert len(kept) == 2
    for path in kept:
        for flipped in flips(path):
            assert _resolve(root / "alice", root / "out") == expected, flipped
            assert tree(root / "alice") == sound, flipped


@pytest.mark.clause("SY-3")
def test_a_flip_in_ones_own_store_is_not_handed_on(root, flips):
    sound = {path: content for path, content in tree(root / "alice").items() if path != "local.json"}
    shared = tree(root / "shared")
    for path in _files(root / "alice"):
        if path.name == "local.json":
            continue
        for flipped in flips(path):
            peer = root / "peer"
            shutil.rmtree(peer, ignore_errors=True)
            try:
                ma.Workspace.open(root / "alice").sync(peer, create=True)
            except MergeAlgebraError as error:
                assert _names(error, path), (flipped, error)
                index = ("packs", "packs/index")  # which is the share's own
                made = {path: content for path, content in tree(peer).items() if path not in index}
                assert made.items() <= sound.items(), flipped
            else:
                assert tree(peer) == shared, flipped


@pytest.mark.clause("LK-4", "LK-5")
def test_a_flip_in_a_model_is_found(root, flips):
    expected = _expected(root)
    for path in _files(root / "merged"):
        for flipped in flips(path):
            try:
                found = ma.verify(root / "merged", threads=1)
            except MergeAlgebraError as error:
                assert _names(error, path), (flipped, error)
                continue
            assert found.ok == (found.model_root == expected), flipped
            assert found.ok or str(path.parent) in found.problem, flipped


@pytest.mark.clause("SY-6", "LK-6")
def test_a_flip_in_the_base_is_found(root, flips):
    base = root / "base.safetensors"
    expected = _expected(root)
    for flipped in flips(base):
        try:
            assert _resolve(root / "alice", root / "out") == expected, flipped
        except MergeAlgebraError as error:
            assert base.name in str(error), (flipped, error)
