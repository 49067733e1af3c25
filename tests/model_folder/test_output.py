"""The output folder: there whole or not at all, equal for equal models, and readable by everyone else."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, OutputError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.model_folder import output
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import TIES, merged, names_in
from tests.model_folder.folders import (
    DESCRIBED,
    INPUTS,
    OURS,
    RACE,
    TOKEN,
)
from tests.models import base, fine_tune, write_file, write_folder


@pytest.mark.clause("LK-1")
class TestFolder:
    def test_holds_model_lock_card_and_the_files_of_the_base(self, tmp_path):
        merged(tmp_path)
        assert names_in(tmp_path / "out") == {"model.safetensors", *OURS, *DESCRIBED}
        for name in DESCRIBED:
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "base" / name).read_bytes()

    def test_of_a_single_file_has_no_other_files(self, tmp_path):
        start = write_file(tmp_path / "base.safetensors", base())
        tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        merge_checkpoints(start, [Model(tuned)], TIES, tmp_path / "out")
        assert names_in(tmp_path / "out") == {"model.safetensors", *OURS}

    COMPANIONS = (
        *("config.json", "generation_config.json", "tokenizer.model", "merges.txt", "chat_template.jinja"),
        *("modeling_x.py", "vocab.tiktoken", "LICENSE.md", "NOTICE", "Licence-2", "USE_POLICY.md"),
        *("notes.md", "tokenizer.json.bak", "setup.py", "notes.txt", "eval_results.json", "trainer_state.json"),
    )
    NO_COMPANIONS = (
        *("pytorch_model.bin", "other.safetensors", "pytorch_model.bin.index.json", ".hidden.json", "weights.pt"),
        *("merge.lock", "README.md", "optimizer.ckpt", ".modeling_x.py"),
    )

    def test_copies_all_small_files_and_no_other_weights(self, tmp_path):
        folder = write_folder(tmp_path / "base", base())
        for name in (*self.COMPANIONS, *self.NO_COMPANIONS):
            (folder / name).write_text(f"the base's {name}")
        (folder / "onnx.json").mkdir()
        merged(tmp_path)
        copied = {path.name for path in (tmp_path / "out").iterdir() if path.name not in {"model.safetensors", *OURS}}
        # `write_folder` wrote the configuration of `tests.models` over ours.
        assert copied == {*self.COMPANIONS, *DESCRIBED}
        assert (tmp_path / "out" / "tokenizer.model").read_text() == "the base's tokenizer.model"
        assert "A merged model" in (tmp_path / "out" / "README.md").read_text()

    def test_copies_files_and_no_links(self, tmp_path):
        folder = write_folder(tmp_path / "base", base())
        (folder / "vocabulary").write_text("vocabulary")
        (folder / "vocab.txt").symlink_to("vocabulary")
        (folder / "merges.txt").touch()
        merged(tmp_path)
        copy = tmp_path / "out" / "vocab.txt"
        assert copy.read_text() == "vocabulary"
        assert not copy.is_symlink()
        assert (tmp_path / "out" / "merges.txt").read_bytes() == b""

    MODES = {0o600: 0o600, 0o640: 0o640, 0o644: 0o644, 0o666: 0o664, 0o777: 0o664, 0o444: 0o644, 0o000: 0o600}  # noqa: RUF012

    @pytest.mark.parametrize(("mode", "copied"), MODES.items(), ids=map(oct, MODES))
    def test_lets_nobody_read_a_copy_who_may_not_read_the_original(self, tmp_path, mode, copied):
        if mode == 0 and os.geteuid() != 0:
            pytest.skip("only root may read a file that nobody may read")
        folder = write_folder(tmp_path / "base", base())
        (folder / "vocab.txt").write_text("a")
        (folder / "vocab.txt").chmod(mode)
        before = os.umask(0o002)
        try:
            merged(tmp_path)
        finally:
            os.umask(before)
        assert (tmp_path / "out" / "vocab.txt").stat().st_mode & 0o7777 == copied
        assert (tmp_path / "out" / "merge.lock").stat().st_mode & 0o7777 == 0o664

    @pytest.mark.parametrize("recipe", [TIES, ma.Ties(dialect="mergekit-0.1.5")], ids=["ties", "a dialect"])
    def test_is_refused_before_the_work_when_a_file_of_the_base_would_come_from_elsewhere(
        self, tmp_path, monkeypatch, recipe
    ):
        folder = write_folder(tmp_path / "base", base())
        (tmp_path / "id_ed25519").write_text("secret")
        (folder / "LICENSE-2").symlink_to("../id_ed25519")
        monkeypatch.setattr(Checkpoint, "_fill", lambda *_: pytest.fail("an element was read"))
        with pytest.raises(CheckpointError, match=r"base/LICENSE-2 is a link to .*/id_ed25519, outside the model's"):
            merged(tmp_path, recipe=recipe)
        assert names_in(tmp_path) == {*INPUTS, "id_ed25519"}

    def test_is_not_there_when_the_copies_grow_beyond_what_they_may_have_together(self, tmp_path, monkeypatch):
        folder = write_folder(tmp_path / "base", base())
        together = sum((folder / name).stat().st_size for name in DESCRIBED)
        monkeypatch.setattr(output, "MOST_BYTES", together)
        merged(tmp_path, out="just")
        monkeypatch.setattr(output, "MOST_BYTES", together - 1)
        with pytest.raises(CheckpointError, match=r"base/tokenizer.json has more bytes than its size says"):
            merged(tmp_path)
        assert names_in(tmp_path) == {*INPUTS, "just"}

    def test_copies_large_files_in_small_pieces(self, tmp_path):
        folder = write_folder(tmp_path / "base", base())
        (folder / "tokenizer.model").touch()
        os.truncate(folder / "tokenizer.model", 1 << 25)
        tracemalloc.start()
        try:
            merged(tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 1 << 24
        finally:
            tracemalloc.stop()
        assert (tmp_path / "out" / "tokenizer.model").stat().st_size == 1 << 25

    def test_may_have_been_an_empty_folder(self, tmp_path):
        (tmp_path / "out").mkdir()
        merged(tmp_path)
        assert ma.verify(tmp_path / "out").ok

    def test_may_be_the_empty_folder_that_one_stands_in(self, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        write_folder(tmp_path / "base", base())
        tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        merge_checkpoints(tmp_path / "base", [Model(tuned)], TIES, Path())
        assert ma.verify(tmp_path / "here").ok
        assert names_in(tmp_path) == {"base", "ft.safetensors", "here"}

    def test_makes_the_folders_above_it(self, tmp_path):
        merged(tmp_path, out="a/b/out")
        assert ma.verify(tmp_path / "a" / "b" / "out").ok

    OCCUPIED = {  # noqa: RUF012 - a table
        "a file": lambda out: out.write_bytes(b"x"),
        "a folder with a file": lambda out: (out.mkdir(), (out / "x").write_bytes(b"")),
        "a folder with a folder": lambda out: (out / "x").mkdir(parents=True),
        "a link to an empty folder": lambda out: (out.with_name("e").mkdir(), out.symlink_to("e")),
        "a link to nothing": lambda out: out.symlink_to("nowhere"),
        "a pipe": os.mkfifo,
    }

    @pytest.mark.parametrize("occupy", OCCUPIED.values(), ids=OCCUPIED)
    def test_never_takes_the_place_of_anything(self, tmp_path, occupy):
        occupy(tmp_path / "out")
        before = sorted(path.name for path in tmp_path.rglob("*"))
        with pytest.raises(OutputError, match=r"out exists and is not an empty folder; remove it"):
            merged(tmp_path)
        after = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
        assert after - INPUTS == {Path(name).parts[0] for name in before} - {"x"}

    def test_cannot_be_a_mount_point(self, tmp_path, monkeypatch):
        (tmp_path / "out").mkdir()
        monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "out")
        with pytest.raises(OutputError, match="name a new folder in it"):
            merged(tmp_path)

    def test_is_refused_before_anything_is_read(self, tmp_path):
        (tmp_path / "out").write_bytes(b"")
        with pytest.raises(OutputError, match="exists"):
            merge_checkpoints(tmp_path / "nowhere", [Model(tmp_path / "x")], TIES, tmp_path / "out")

    APPEARING = {  # noqa: RUF012 - a table
        "a folder": lambda out: (out.mkdir(), (out / "precious").write_bytes(b"mine")),
        "a file": lambda out: out.write_bytes(b"mine"),
        "a link": lambda out: (out.with_name("e").mkdir(), out.symlink_to("e")),
    }

    @pytest.mark.parametrize("appear", APPEARING.values(), ids=APPEARING)
    def test_that_appears_right_before_the_rename_is_told_and_stays(self, tmp_path, monkeypatch, appear):
        real = os.replace

        def replace(*names, **folders):
            appear(tmp_path / "out")
            return real(*names, **folders)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(OutputError, match=RACE):
            merged(tmp_path)
        assert not any(name.startswith(".") for name in names_in(tmp_path))
        assert not (tmp_path / "out" / "merge.lock").exists()
        assert not (tmp_path / "e" / "merge.lock").exists()

    def test_that_came_into_being_meanwhile_is_not_overwritten(self, tmp_path, monkeypatch):
        real = output.write_tensors

        def write(folder, cut, data):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "precious").write_bytes(b"")
            real(folder, cut, data)

        monkeypatch.setattr(output, "write_tensors", write)
        with pytest.raises(OutputError, match=RACE):
            merged(tmp_path)
        assert names_in(tmp_path / "out") == {"precious"}
        assert names_in(tmp_path) == {*INPUTS, "out"}


@pytest.mark.clause("LK-1")
class TestSpace:
    def test_is_looked_at_before_anything_is_written(self, tmp_path, monkeypatch):
        made = []
        monkeypatch.setattr(output, "unfinished_folder", lambda *arguments: made.append(arguments))
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4_194_304 + 10))
        with pytest.raises(
            OutputError, match=r"out needs [\d,]+ bytes and its disk has 4,194,314 free; make room.*elsewhere$"
        ):
            merged(tmp_path)
        assert made == []
        assert names_in(tmp_path) == INPUTS
        (tmp_path / f".x.{TOKEN}").mkdir()
        with pytest.raises(
            OutputError, match=r"elsewhere; `mergealgebra gc` with that folder shows what killed merges"
        ):
            merged(tmp_path)

    def test_counts_every_shard_and_copy(self, tmp_path, monkeypatch):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 64)
        folder = write_folder(tmp_path / "base", base())
        nbytes = sum(array.nbytes for array in base().values())
        nbytes += sum((folder / name).stat().st_size for name in DESCRIBED)
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=nbytes + (1 << 22) - 1))
        with pytest.raises(OutputError, match="make room"):
            merged(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=nbytes + (1 << 22)))
        merged(tmp_path)
