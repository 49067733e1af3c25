"""Resolve: a state, a base and blobs to one model; and the one-shot merge, which gives the same."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import (
    BaseMismatch,
    BlobDamaged,
    BlobMissing,
    CheckpointError,
    CoefficientError,
    DecimalError,
    IntegerTensorChanged,
    NamesError,
    NothingVisible,
    OutputError,
    RecipeError,
    ShapeError,
)
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.merge_result import MergeResult
from mergealgebra.resolve import Merge, open_merge, resolve
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.wanted import Wanted
from tests.engine.scenes import TIES, WAYS, merged, names_in, tensors_of
from tests.models import FLOATS, base, fine_tune, with_value, write_canonical, write_file, write_folder, write_sharded
from tests.workspace.replicas import RECIPE, make_workspace, write_models


@pytest.fixture
def root(tmp_path):
    """A folder with a base, three fine-tunes, and a workspace `alice` with two of them."""
    write_models(tmp_path)
    make_workspace(tmp_path, "alice", 0, 1)
    return tmp_path


@pytest.fixture
def inputs(root):
    """What `resolve` takes: what is wanted, base, and blobs by root."""
    alice = ma.Workspace.open(root / "alice")
    return Wanted.visible(alice.state), root / "base", alice.blobs(alice.state)


class TestResolve:
    @pytest.mark.clause("MG-8", "SY-6")
    def test_gives_the_same_however_it_is_computed(self, root, inputs):
        results = [resolve(*inputs, root / name, execution) for name, execution in WAYS.items()]
        assert len({result.model_root for result in results}) == 1
        assert {result.merge_id for result in results} == {inputs[0].merge_id}
        assert [result.backend for result in results] == [way.backend for way in WAYS.values()]
        assert isinstance(results[0], MergeResult)

    @pytest.mark.clause("OS-12", "SY-1")
    def test_needs_no_store_and_writes_only_out(self, root, inputs):
        before, state = names_in(root), ma.Workspace.open(root / "alice").state
        resolve(*inputs, root / "out")
        assert names_in(root) == {*before, "out"}
        assert ma.Workspace.open(root / "alice").state == state

    @pytest.mark.clause("SY-6")
    def test_takes_blobs_from_anywhere(self, root, inputs):
        wanted, start, blobs = inputs
        elsewhere = {key: shutil.copy(path, root / f"{n}.blob") for n, (key, path) in enumerate(blobs.items())}
        shutil.rmtree(root / "alice")
        expected = merge_checkpoints(
            start, [Model(root / "ft0.safetensors"), Model(root / "ft1.safetensors")], RECIPE, root / "one"
        )
        assert resolve(wanted, start, elsewhere, root / "out").model_root == expected.model_root

    @pytest.mark.clause("SY-6", "LK-1")
    def test_checks_all_that_headers_tell_before_it_writes(self, root, inputs, monkeypatch):
        monkeypatch.setattr(Merge, "write", lambda *_: pytest.fail("something was written"))
        wanted, start, blobs = inputs
        last = max(wanted.contributions.values(), key=lambda manifest: manifest.id)
        few = {key: path for key, path in blobs.items() if key != last.tensors}
        cut = Path(shutil.copy(blobs[last.tensors], root / "cut.blob"))
        os.truncate(cut, cut.stat().st_size - 1)
        for error, arguments in (
            (BlobMissing, (wanted, start, few)),
            (BlobDamaged, (wanted, start, blobs | {last.tensors: cut})),
            (CheckpointError, (wanted, root / "nowhere", blobs)),
            (NothingVisible, (replace(wanted, contributions={}), start, blobs)),
        ):
            with pytest.raises(error):
                resolve(*arguments, root / "out")
            assert not (root / "out").exists()

    @pytest.mark.clause("SY-6", "LK-1")
    @pytest.mark.parametrize("execution", WAYS.values(), ids=WAYS)
    def test_leaves_nothing_of_inputs_that_are_not_what_was_named(self, root, inputs, execution):
        """That takes all of their bytes, so it is known at the end, and then nothing stands there."""
        wanted, start, blobs = inputs
        before = names_in(root)
        other = write_folder(root / "other" / "base", with_value(base(), "mask", (0,), False))
        last = max(wanted.contributions.values(), key=lambda manifest: manifest.id)
        flipped = Path(shutil.copy(blobs[last.tensors], root / "other" / "flipped.blob"))
        rewrite(flipped)
        damaged = blobs | {last.tensors: flipped}
        for error, said, arguments in (
            (BaseMismatch, rf"{other} is not the base: its root is .*, expected {wanted.base}", (other, blobs)),
            (BlobDamaged, rf"{last.id[:12]}: {flipped} holds tensors with root .*{last.tensors}", (start, damaged)),
            (BaseMismatch, "is not the base", (other, damaged)),
        ):
            with pytest.raises(error, match=said):
                resolve(wanted, *arguments, root / "out", execution)
            with open_merge(wanted, *arguments, execution) as merge, pytest.raises(error, match=said):
                merge.compute()
            assert names_in(root) == {*before, "other"}

    @pytest.mark.clause("SY-6", "MG-6")
    @pytest.mark.parametrize("execution", [WAYS["one thread"], WAYS["numba"]], ids=["numpy", "numba"])
    def test_blames_a_damaged_blob_before_the_numbers_in_it(self, root, inputs, execution):
        """The damage is a NaN: whoever reads the message has to get the file again, not to repair a checkpoint."""
        wanted, start, blobs = inputs
        last = max(wanted.contributions.values(), key=lambda manifest: manifest.id)
        with Checkpoint.open(blobs[last.tensors]) as blob:
            tensors = {name: blob.read(name).reshape(record.shape) for name, record in blob.records.items()}
        write_canonical(root / "nan.blob", with_value(tensors, "layer.0.bias", (0,), np.nan))
        damaged = blobs | {last.tensors: root / "nan.blob"}
        with pytest.raises(BlobDamaged, match=r"nan\.blob holds tensors with root"):
            resolve(wanted, start, damaged, root / "out", execution)
        other = write_folder(root / "other", with_value(base(), "mask", (0,), False))
        with pytest.raises(BaseMismatch, match="is not the base"):
            resolve(wanted, other, damaged, root / "out", execution)
        assert not (root / "out").exists()

    @pytest.mark.clause("LK-6")
    def test_computes_what_it_would_write(self, root, inputs):
        written = resolve(*inputs, root / "out", Execution("numpy"))
        before = names_in(root)
        with open_merge(*inputs, Execution("numpy", threads=1, block=3)) as merge:
            assert merge.compute() == written.lock
            assert merge.compute() == written.lock
        assert names_in(root) == before

    def test_shows_its_progress(self, root, inputs):
        steps = []
        resolve(*inputs, root / "out", Execution("numpy", 1, 16, lambda *step: steps.append(step)))
        assert {name for name, *_ in steps} == {"merge"}
        for _, group in itertools.groupby(steps, key=lambda step: step[0]):
            counts = [(done, total) for _, done, total in group]
            assert counts == sorted(counts)
            assert counts[-1][0] == counts[-1][1] == counts[0][1]

    def test_ends_at_once_when_progress_raises(self, root, inputs):
        def interrupt(*_):
            raise KeyboardInterrupt

        before = names_in(root)
        for threads in (1, 3):
            with pytest.raises(KeyboardInterrupt):
                resolve(*inputs, root / "out", Execution("numpy", threads, 8, interrupt))
        assert names_in(root) == before


def rewrite(path: Path) -> None:
    """Other values in the same file, as a trainer writes its next checkpoint."""
    last = path.read_bytes()[-1]
    with path.open("r+b") as file:  # never shorter: other threads are reading it
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(1, 1))  # a clock may be too coarse to tell


def at_last(path: Path) -> Execution:
    """Rewrite a file when the last block has been read."""
    return Execution(
        "numpy", 1, progress=lambda what, done, of: rewrite(path) if (what, done) == ("merge", of) else None
    )


def at_first(path: Path, way: Execution) -> Execution:
    """Rewrite a file when the first tensor has been merged: the rest is read of another file than the beginning."""
    changed: list[bool] = []

    def progress(*_):
        if not changed:
            changed.append(True)
            rewrite(path)

    return replace(way, progress=progress)


class TestInputsThatChange:
    """A merge id names what was hashed; nothing is written under it of anything else."""

    @pytest.mark.clause("SY-6")
    @pytest.mark.parametrize("which", ["base", "blob"])
    def test_while_a_workspace_resolves(self, root, inputs, which):
        _, start, blobs = inputs
        file = start / "model.safetensors" if which == "base" else next(iter(blobs.values()))
        with pytest.raises(CheckpointError, match=rf"{file} changed while it was read; run it again"):
            resolve(*inputs, root / "out", at_last(file))
        assert not (root / "out").exists()

    @pytest.mark.clause("SY-6")
    @pytest.mark.parametrize("way", [WAYS["one thread"], WAYS["numba, three threads"]], ids=["numpy", "numba"])
    @pytest.mark.parametrize("which", ["base", "blob"])
    def test_in_the_middle_of_a_merge(self, root, inputs, which, way):
        """Nobody is told to delete a blob, or that the base is another: it is enough to run it again."""
        _, start, blobs = inputs
        file = start / "model.safetensors" if which == "base" else next(iter(blobs.values()))
        with pytest.raises(CheckpointError, match=rf"^{file} changed while it was read; run it again$"):
            resolve(*inputs, root / "out", at_first(file, way))
        assert not (root / "out").exists()

    @pytest.mark.clause("SY-6")
    @pytest.mark.parametrize("which", ["base", "blob"])
    def test_by_becoming_shorter(self, root, inputs, which):
        _, start, blobs = inputs
        file = start / "model.safetensors" if which == "base" else next(iter(blobs.values()))

        def shorten(*_):
            os.truncate(file, 300)

        whole = file.read_bytes()
        for threads in (1, 3):
            file.write_bytes(whole)
            with pytest.raises(CheckpointError, match=rf"^{file}.*(became shorter after|changed while it was read)"):
                resolve(*inputs, root / "out", Execution("numba", threads, block=8, progress=shorten))
        assert not (root / "out").exists()

    @pytest.mark.parametrize("which", ["base/model.safetensors", "ft0.safetensors", "ft1.safetensors"])
    def test_while_checkpoints_are_merged(self, root, which):
        models = [Model(root / "ft0.safetensors"), Model(root / "ft1.safetensors")]
        with pytest.raises(CheckpointError, match=f"{which} changed while it was read"):
            merge_checkpoints(root / "base", models, TIES, root / "out", at_last(root / which))
        assert not (root / "out").exists()

    @pytest.mark.clause("LK-6")
    def test_while_a_merge_is_computed_again(self, root, inputs):
        file = next(iter(inputs[2].values()))
        with (
            open_merge(*inputs, at_last(file)) as merge,
            pytest.raises(CheckpointError, match=f"{file} changed while it was read"),
        ):
            merge.compute()


class TestOneShot:
    @pytest.mark.clause("RC-8", "OS-11", "MG-10")
    def test_is_what_a_workspace_gives(self, root, inputs):
        models = [Model(root / "ft1.safetensors"), Model(root / "ft0.safetensors", "1.000")]
        once = merge_checkpoints(root / "base", models, RECIPE, root / "once")
        resolve(*inputs, root / "out")
        assert once.merge_id == inputs[0].merge_id
        for path in (root / "out").iterdir():
            if path.name != "README.md":  # it calls models by their paths [LK-8]
                assert path.read_bytes() == (root / "once" / path.name).read_bytes(), path.name

    @pytest.mark.clause("MG-8", "TI-1")
    @pytest.mark.parametrize("recipe", [TIES, ma.Mean(), ma.TaskArithmetic()], ids=lambda recipe: recipe.name)
    def test_does_not_depend_on_the_order(self, root, recipe):
        models = [Model(root / f"ft{n}.safetensors", text) for n, text in enumerate(("1", "0.3", "7"))]
        locks = [
            merge_checkpoints(root / "base", order, recipe, root / str(i)).lock
            for i, order in enumerate(itertools.permutations(models))
        ]
        assert all(lock == locks[0] for lock in locks)

    @pytest.mark.clause("RC-8")
    def test_refuses_a_contribution_that_stands_twice(self, root):
        same = write_sharded(root / "same", fine_tune(0))
        models = [Model(root / "ft0.safetensors"), Model(root / "ft1.safetensors"), Model(same)]
        with pytest.raises(
            RecipeError, match=r"same and .*ft0.safetensors are the same contribution, which counts once"
        ):
            merge_checkpoints(root / "base", models, TIES, root / "out")
        with pytest.raises(RecipeError, match="the same contribution"):
            merge_checkpoints(root / "base", [models[0], Model(same, "1.0")], TIES, root / "out")
        merge_checkpoints(root / "base", [models[0], Model(same, "0.5")], TIES, root / "out")
        assert ma.verify(root / "out").ok

    @pytest.mark.clause("MG-11", "RC-7")
    def test_of_no_model_is_an_error(self, root):
        with pytest.raises(NothingVisible):
            merge_checkpoints(root / "base", [], TIES, root / "out")

    @pytest.mark.clause("TV-1", "TV-7", "TV-8", "RC-6")
    def test_names_the_model_that_does_not_fit(self, root):
        fewer = {name: array for name, array in fine_tune(2).items() if name != "spare"}
        bad = {
            NamesError: fewer,
            ShapeError: {name: array.reshape(*array.shape, 1) for name, array in fine_tune(2).items()},
            IntegerTensorChanged: with_value(fine_tune(2), "positions", (0,), 5),
        }
        for error, tensors in bad.items():
            models = [Model(root / "ft0.safetensors"), Model(write_file(root / "bad.safetensors", tensors))]
            with pytest.raises(error, match=r"bad\.safetensors"):
                merge_checkpoints(root / "base", models, TIES, root / "out")
        for error, text in {CoefficientError: "-1", DecimalError: "one"}.items():
            with pytest.raises(error, match=r"ft1\.safetensors: coefficient"):
                models = [Model(root / "ft0.safetensors"), Model(root / "ft1.safetensors", text)]
                merge_checkpoints(root / "base", models, TIES, root / "out")
        assert not (root / "out").exists()

    def test_names_paths_on_one_line(self, root):
        twice = write_file(root / "a\nb.safetensors", fine_tune(0))
        for error, models in {
            RecipeError: [Model(root / "ft0.safetensors"), Model(twice)],
            DecimalError: [Model(twice, "one")],
        }.items():
            with pytest.raises(error, match=r"^[^\n]*a\\nb.safetensors[^\n]*$"):
                merge_checkpoints(root / "base", models, TIES, root / "out")

    @pytest.mark.clause("CT-5")
    def test_of_integers_alone_is_an_error(self, root):
        integers = {name: array for name, array in base().items() if name not in FLOATS}
        with pytest.raises(NamesError, match="no float tensor"):
            merged(root / "x", [integers], integers)

    def test_closes_every_file(self, root):
        descriptors = Path("/proc/self/fd")
        before = len(list(descriptors.iterdir()))
        models = [Model(root / "ft0.safetensors"), Model(root / "ft1.safetensors")]
        merge_checkpoints(root / "base", models, TIES, root / "out")
        with pytest.raises(OutputError):
            merge_checkpoints(root / "base", models, TIES, root / "out")
        with pytest.raises(RecipeError):
            merge_checkpoints(root / "base", [models[0], models[0]], TIES, root / "again")
        assert len(list(descriptors.iterdir())) == before
        assert tensors_of(root / "out").keys() == base().keys()
