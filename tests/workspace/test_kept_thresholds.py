"""A workspace keeps the thresholds that it found: the next resolve reads everything once, and trusts nothing of it."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.encoding import decode, encode
from mergealgebra.engine import run as running
from mergealgebra.engine.answers import cache_key, kind_of
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import BlobDamaged, CheckpointError, Overflow
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import FLOATS, fine_tune, write_file


@pytest.fixture
def alice(root):
    """A workspace with two contributions, resolved once."""
    workspace = ma.Workspace.init(root / "alice", base=root / "base", recipe=ma.Ties(density="0.3"))
    workspace.contribute(root / "ft0.safetensors")
    workspace.contribute(root / "ft1.safetensors")
    workspace.resolve(root / "first", threads=1)
    return workspace


@pytest.fixture
def reads(monkeypatch):
    """The elements of float tensors that are read of checkpoints, from here on."""
    reads, real = [], Checkpoint.read

    def read(self, name, start=0, stop=None, into=None):
        found = real(self, name, start, stop, into)
        reads.append(found.size if name in FLOATS else 0)
        return found

    monkeypatch.setattr(Checkpoint, "read", read)
    return reads


ELEMENTS = sum(int(np.prod(shape)) for shape in FLOATS.values())
#: Base and two contributions, once each.
PASS = 3 * ELEMENTS


def kept_in(workspace):
    return {path: path.read_bytes() for path in (workspace.path / "cache" / "thresholds").iterdir()}


def model_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestKept:
    def test_thresholds_save_their_passes(self, root, alice, reads):
        assert len(kept_in(alice)) == 2
        before = kept_in(alice)
        alice.resolve(root / "second", threads=1)
        assert sum(reads) == PASS
        assert model_in(root / "second") == model_in(root / "first")
        assert kept_in(alice) == before

    def test_thresholds_of_a_new_contribution_are_added(self, root, alice, reads):
        before = kept_in(alice)
        alice.contribute(root / "ft2.safetensors")
        reads.clear()
        alice.resolve(root / "second", threads=1)
        assert kept_in(alice).items() > before.items()
        assert len(kept_in(alice)) == 3
        # Two passes for the new one alone, which read the base, too; then the merge of all.
        assert sum(reads) == 2 * 2 * ELEMENTS + 4 * ELEMENTS

    def test_thresholds_do_not_depend_on_coefficients_or_retractions(self, root, alice, reads):
        before = kept_in(alice)
        alice.contribute(root / "ft0.safetensors", "0.25")
        alice.retract(next(id_ for id_, manifest in alice.visible().items() if manifest.coefficient == "3f800000"))
        reads.clear()
        alice.resolve(root / "second", threads=1)
        assert kept_in(alice) == before
        assert sum(reads) == PASS

    def test_nothing_is_kept_of_methods_without_trim(self, root):
        workspace = ma.Workspace.init(root / "mean", base=root / "base", recipe=ma.Mean())
        workspace.contribute(root / "ft0.safetensors")
        workspace.resolve(root / "out")
        assert not (workspace.path / "cache" / "thresholds").exists()

    def test_nothing_of_it_is_synced(self, root, alice):
        alice.sync(root / "shared", create=True)
        assert not (root / "shared" / "cache").exists()
        assert alice.store.ignored() == ()


def other_bits(step):
    """The same groups, each with other bits."""

    def spoil(path):
        entries = [[bits + step, *cut] for bits, *cut in decode(path.read_bytes())]
        path.write_bytes(encode(entries))

    return spoil


def another_contributions(path):
    other = next(other for other in path.parent.iterdir() if other != path)
    path.write_bytes(other.read_bytes()[:-1] + bytes([other.read_bytes()[-1] ^ 1]))


#: What becomes of an entry.
SPOILT = {
    "a flipped bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 4])),
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "huge": lambda path: os.truncate(path, (1 << 24) + 1),
    "as large as may be": lambda path: os.truncate(path, 1 << 24),
    "nested deep": lambda path: path.write_bytes(b"\x91" * 100_000),
    "no thresholds": lambda path: path.write_bytes(encode({"bits": 1})),
    "bits and 1": other_bits(1),
    "bits less 1": other_bits(-1),
    "twice as large": other_bits(1 << 23),
    "half as large": other_bits(-(1 << 23)),
    "ties cut": lambda path: path.write_bytes(encode([[*decode(path.read_bytes())[0], "embed.weight", 1]])),
    "keeps nothing": lambda path: path.write_bytes(encode([[0x7F7FFFFF]])),
    "keeps everything": lambda path: path.write_bytes(encode([[1]])),
    "another contribution's": another_contributions,
    "gone": lambda path: path.unlink(),
}


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_entry_changes_nothing_and_is_mended(root, alice, reads, spoil, which, backend):
    right = kept_in(alice)
    spoil(sorted(right)[which])
    assert kept_in(alice) != right
    assert alice.resolve(root / "second", threads=1).lock == alice.resolve(root / "third").lock
    assert model_in(root / "second") == model_in(root / "first")
    assert kept_in(alice) == right
    reads.clear()
    assert alice.resolve(root / "fourth", threads=1, backend=backend).model_root == ma.verify(root / "first").model_root
    assert sum(reads) == PASS


def deleted(folder):
    shutil.rmtree(folder / "cache")


def a_file_as_cache(folder):
    shutil.rmtree(folder / "cache")
    (folder / "cache").write_bytes(b"")


def a_file_as_thresholds(folder):
    shutil.rmtree(folder / "cache" / "thresholds")
    (folder / "cache" / "thresholds").write_bytes(b"")


def folders_as_entries(folder):
    for path in (folder / "cache" / "thresholds").iterdir():
        path.unlink()
        path.mkdir()


def a_link_to_nowhere(folder):
    shutil.rmtree(folder / "cache")
    (folder / "cache").symlink_to(folder / "nowhere")


@pytest.mark.parametrize(
    "spoil", [deleted, a_file_as_cache, a_file_as_thresholds, folders_as_entries, a_link_to_nowhere]
)
def test_a_spoilt_cache_is_no_error(root, alice, spoil):
    right = {path.name: data for path, data in kept_in(alice).items()}
    spoil(alice.path)
    for out in ("second", "third"):
        alice.resolve(root / out, threads=1)
        assert model_in(root / out) == model_in(root / "first")
    if spoil is deleted:
        assert {path.name: data for path, data in kept_in(alice).items()} == right
    assert os.listdir(alice.path / "tmp") == []  # noqa: PTH208


def test_a_read_only_cache_is_no_error(root, alice, monkeypatch):
    """Whoever runs this may write anywhere, so the system is made to refuse."""
    before = {path.name for path in kept_in(alice)}
    shutil.rmtree(alice.path / "cache")
    real = os.replace

    def replace(source, target, *, src_dir_fd=None, dst_dir_fd=None):
        if target in before:
            raise PermissionError(13, "Permission denied")
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", replace)
    alice.resolve(root / "second", threads=1)
    assert model_in(root / "second") == model_in(root / "first")
    assert kept_in(alice) == {}
    assert os.listdir(alice.path / "tmp") == []  # noqa: PTH208


@pytest.mark.clause("MG-5", "MG-6")
def test_a_wrong_entry_makes_no_error(root):
    """An element that trim drops would overflow, was it kept: it is not kept, so there is no error."""
    start = {"w": np.float32([3e38, 0, 0, 0])}
    write_file(root / "b.safetensors", start)
    write_file(root / "t.safetensors", {"w": np.float32([3.3e38, 1e38, 1e38, 1e38])})
    workspace = ma.Workspace.init(root / "w", base=root / "b.safetensors", recipe=ma.Ties(density="0.75", lambda_="2"))
    workspace.contribute(root / "t.safetensors")
    assert workspace.resolve(root / "first", backend="numpy").lock.contributions[0].kept == 3
    (path,) = kept_in(workspace)
    right = path.read_bytes()
    path.write_bytes(encode([[1]]))  # keeps the first element too, and 3e38 + 2 * 3e37 is beyond fp32
    for backend in ("numpy", "numba"):
        workspace.resolve(root / backend, backend=backend)
        assert model_in(root / backend)["model.safetensors"] == model_in(root / "first")["model.safetensors"]
    assert path.read_bytes() == right


@pytest.mark.clause("MG-5", "MG-6")
def test_an_error_is_named_as_without_the_cache(root):
    """The first element in error is named, of those that trim keeps."""
    write_file(root / "b.safetensors", {"w": np.float32([3.3e38, 3e38, 0, 0])})
    write_file(root / "t.safetensors", {"w": np.float32([3.2e38, 2e38, 1e30, 0])})
    workspace = ma.Workspace.init(root / "w", base=root / "b.safetensors", recipe=ma.Ties(density="0.25", lambda_="-4"))
    workspace.contribute(root / "t.safetensors")
    (manifest,) = workspace.visible().values()
    contribution = Contribution("it", "finetuned", 1.0, None, frozenset("w"), manifest.tensors)
    statistic = workspace.recipe.rounds[0].stages[0].statistic
    stages = [[kind_of(statistic), *statistic.key]]
    key, messages = cache_key(manifest.base, contribution, workspace.recipe, stages), set()
    path = workspace.path / "cache" / "thresholds" / key
    for content in (None, [[1]], [[0x7F7FFFFF]]):
        if content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(content))
        with pytest.raises(Overflow, match=r"tensor 'w' at index \[1\]: the result") as raised:
            workspace.resolve(root / "out", threads=1)
        messages.add(str(raised.value))
    assert len(messages) == 1
    assert not (root / "out").exists()


class TestInputsThatChange:
    """What was found in one state of a file is never used for another."""

    @pytest.mark.clause("SY-6")
    @pytest.mark.parametrize("which", ["base", "blob"])
    def test_between_thresholds_and_merge(self, root, alice, monkeypatch, which):
        file = root / "base" / "model.safetensors"
        if which == "blob":
            file = next(iter(alice.blobs(alice.state).values()))
        sound, real = file.read_bytes(), running.find_answers

        def find(*arguments):
            found = real(*arguments)
            file.write_bytes(sound[:-400] + sound[-200:] + sound[-400:-200])
            os.utime(file, ns=(1, 1))
            return found

        shutil.rmtree(alice.path / "cache")
        monkeypatch.setattr(running, "find_answers", find)
        for threads in (1, 3):
            with pytest.raises(CheckpointError, match=rf"^{file} changed while it was read; run it again$"):
                alice.resolve(root / "second", threads=threads)
            assert not (root / "second").exists()
            file.write_bytes(sound)
        monkeypatch.undo()
        for out in ("second", "third"):
            alice.resolve(root / out, threads=1)
            assert model_in(root / out) == model_in(root / "first")

    @pytest.mark.clause("SY-6", "CT-6")
    def test_of_a_damaged_blob_nothing_stays(self, root, alice, reads):
        """Its thresholds were found before it was known to be damaged; when it is whole again, they are no use."""
        blob = next(iter(alice.blobs(alice.state).values()))
        sound, right = blob.read_bytes(), kept_in(alice)
        shutil.rmtree(alice.path / "cache")
        blob.write_bytes(sound[:-200] + bytes(200))
        for _ in range(2):
            with pytest.raises(BlobDamaged, match="holds tensors with root"):
                alice.resolve(root / "second", threads=1)
            assert not (root / "second").exists()
        blob.write_bytes(sound)
        alice.resolve(root / "second", threads=1)
        assert model_in(root / "second") == model_in(root / "first")
        assert kept_in(alice) == right
        reads.clear()
        alice.resolve(root / "third", threads=1)
        assert sum(reads) == PASS


def test_replicas_with_caches_of_their_own_agree(root, alice):
    bob = ma.Workspace.clone(alice.path, root / "bob", base=root / "base")
    assert not (bob.path / "cache").exists()
    bob.contribute(write_file(root / "new.safetensors", fine_tune(7)))
    alice.sync(bob.path)
    ours, theirs = (workspace.resolve(root / workspace.path.name / "out") for workspace in (alice, bob))
    assert ours.model_root == theirs.model_root
    assert {path.name: data for path, data in kept_in(alice).items()} == {
        path.name: data for path, data in kept_in(bob).items()
    }
