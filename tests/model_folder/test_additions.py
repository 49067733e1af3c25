"""What is written beside the weights that the base does not have, or has otherwise."""

from __future__ import annotations

import json

import pytest

from mergealgebra.errors import CheckpointError, OutputError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.model_folder.additions import Additions
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import TIES, names_in
from tests.model_folder.folders import DESCRIBED, OURS
from tests.models import base, fine_tune, write_file, write_folder

MORE = Additions(
    {"vocab_size": 3, "text_config.vocab_size": 4}, {"NOTICE": b"new", "more.txt": b"x"}, frozenset({"a.txt"})
)


def merge(tmp_path, config, additions=MORE, out="out"):
    folder = write_folder(tmp_path / "base", base())
    for name in ("NOTICE", "a.txt", "b.txt"):
        (folder / name).write_text(f"the base's {name}")
    (folder / "config.json").write_text(config) if config is not None else (folder / "config.json").unlink()
    tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0))
    return merge_checkpoints(folder, [Model(tuned)], TIES, tmp_path / out, additions=additions)


@pytest.mark.clause("LK-10")
class TestAdditions:
    def test_replace_values_and_files_and_leave_others_out(self, tmp_path):
        merge(tmp_path, '{"é": 1e-05, "vocab_size": 2, "text_config": {"vocab_size": 2, "z": null}}')
        out = tmp_path / "out"
        assert names_in(out) == {"model.safetensors", "config.json", "NOTICE", "more.txt", "b.txt", *DESCRIBED, *OURS}
        text = (out / "config.json").read_text("utf-8")
        assert json.loads(text) == {"é": 1e-05, "vocab_size": 3, "text_config": {"vocab_size": 4, "z": None}}
        assert "é" in text and "1e-05" in text
        assert [(out / name).read_bytes() for name in ("NOTICE", "more.txt")] == [b"new", b"x"]
        assert (tmp_path / "base" / "NOTICE").read_text() == "the base's NOTICE"

    def test_of_one_file_are_named_and_not_written(self, tmp_path):
        told = merge(tmp_path, "{}", out="out.safetensors").warnings
        assert "not written, as one file holds the tensors alone: NOTICE, config.json and more.txt" in told[-1]
        assert not list(tmp_path.glob("*.txt"))

    def test_say_so_where_there_is_no_configuration(self, tmp_path):
        told = merge(tmp_path, None, Additions({"vocab_size": 3})).warnings
        assert "the base has no config.json to say so in: vocab_size is now 3" in told[-1]

    BROKEN = {  # noqa: RUF012
        "no JSON": ("{", "config.json is not JSON that can be changed"),
        "an array": ("[]", "config.json is not a JSON object"),
        "no such object": ('{"text_config": 1}', "config.json has no object 'text_config'"),
    }

    @pytest.mark.parametrize(("config", "message"), BROKEN.values(), ids=BROKEN)
    def test_are_refused_where_the_configuration_cannot_take_them(self, tmp_path, config, message):
        with pytest.raises(CheckpointError, match=message):
            merge(tmp_path, config)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        "name", ["../x", "a/b", ".x", "README.md", "merge.lock", "model.safetensors", "config.json"]
    )
    def test_have_names_of_files_beside_a_model(self, name):
        with pytest.raises(OutputError, match="cannot be the name of a file"):
            Additions(files={name: b""})

    def test_the_later_ones_win(self):
        one = Additions({"a": 1, "b": 1}, {"x": b"1"}, frozenset({"y", "z"}))
        assert one | Additions({"b": 2}, {"y": b"2"}) == Additions(
            {"a": 1, "b": 2}, {"x": b"1", "y": b"2"}, frozenset({"z"})
        )


def test_a_model_that_is_open_is_merged_like_its_path(tmp_path):
    folder = write_folder(tmp_path / "base", base())
    tuned = write_file(tmp_path / "ft.safetensors", fine_tune(0))
    with Checkpoint.open(folder) as start, Checkpoint.open(tuned) as held:
        one = merge_checkpoints(start, [Model(tuned, held=held)], TIES, tmp_path / "one")
    assert one.lock.to_bytes() == merge_checkpoints(folder, [Model(tuned)], TIES, tmp_path / "two").lock.to_bytes()
