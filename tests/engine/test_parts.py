"""Models of parts are merged as one, and written as they came: part by part, each with its own files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import mergealgebra as ma
from mergealgebra.errors import OutputError
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.lock import Lock
from mergealgebra.model_folder.leftovers import unfinished_in
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import tree
from tests.crash import kill_points
from tests.engine.scenes import WAYS, names_in, tensors_of
from tests.models import write_file
from tests.part_folders import ENCODER, PIPELINE, values, whole, write_encoder, write_pipeline

pytestmark = pytest.mark.clause("EN-20")

TIES = ma.Ties(density="0.5")


@dataclass(frozen=True)
class Library:
    """How a library saves such a model. files: of a merged one, without what is copied. copied: that."""

    shapes: Any
    write: Any
    files: frozenset[str]
    copied: frozenset[str]

    def made(self, root: Path) -> list[Model]:
        """Write a base and two fine-tunes."""
        for number, name in enumerate(("base", "ft0", "ft1")):
            self.write(root / name, values(self.shapes, number))
        return [Model(root / "ft0"), Model(root / "ft1")]


LIBRARIES = {
    "diffusers": Library(
        PIPELINE,
        write_pipeline,
        frozenset(
            {
                "text_encoder/model.safetensors",
                "unet/diffusion_pytorch_model.safetensors",
                "vae/diffusion_pytorch_model.safetensors",
            }
        ),
        frozenset(
            {
                *("model_index.json", "scheduler/scheduler_config.json", "tokenizer/merges.txt"),
                *("tokenizer/vocab.json", "text_encoder/config.json", "unet/config.json", "vae/config.json"),
            }
        ),
    ),
    "sentence-transformers": Library(
        ENCODER,
        write_encoder,
        frozenset({"model.safetensors", "2_Dense/model.safetensors"}),
        frozenset(
            {
                *("modules.json", "config_sentence_transformers.json", "config.json", "tokenizer.json"),
                *("1_Pooling/config.json", "2_Dense/config.json"),
            }
        ),
    ),
}


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES)
def library(request):
    return request.param


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_output_lies_as_the_base_does(tmp_path, library):
    result = merge_checkpoints(tmp_path / "base", library.made(tmp_path), TIES, tmp_path / "out")
    assert files_in(tmp_path / "out") == library.files | library.copied | {"merge.lock", "README.md"}
    for name in library.copied:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "base" / name).read_bytes()
    for part, shapes in library.shapes.items():
        (file,) = (tmp_path / "out" / part).glob("*.safetensors")
        assert {name: array.shape for name, array in load_file(file).items()} == shapes
    assert not [line for line in result.warnings if "came from another base" not in line]
    assert ma.verify(tmp_path / "out").ok
    assert {name.partition("/")[0] for name in result.lock.tensors} >= set(library.shapes) - {""}


def test_all_are_one_task_vector_to_the_bits_of_one_file(tmp_path, library):
    """The trim looks at the whole model; a file with the same names and tensors gives the same."""
    merge_checkpoints(tmp_path / "base", library.made(tmp_path), TIES, tmp_path / "out", WAYS["blocks of seven"])
    for number, name in enumerate(("base", "ft0", "ft1")):
        write_file(tmp_path / f"{name}.safetensors", whole(values(library.shapes, number)))
    files = [Model(tmp_path / f"ft{number}.safetensors") for number in range(2)]
    one = merge_checkpoints(tmp_path / "base.safetensors", files, TIES, tmp_path / "one", WAYS["one thread"])
    assert Lock.read(tmp_path / "out") == one.lock


def test_workspaces_hold_them(tmp_path, library):
    models = library.made(tmp_path)
    workspace = ma.Workspace.init(tmp_path / "w", base=tmp_path / "base", recipe=TIES)
    for model in models:
        workspace.contribute(model.path)
    lock = workspace.resolve(tmp_path / "out").lock
    assert lock == merge_checkpoints(tmp_path / "base", models, TIES, tmp_path / "once").lock
    assert ma.verify(tmp_path / "out", against=tmp_path / "w").ok


def test_a_task_vector_has_their_names(tmp_path, library):
    library.made(tmp_path)
    vector = ma.TaskVector.between(tmp_path / "base", tmp_path / "ft0")
    start, tuned = (whole(values(library.shapes, number)) for number in range(2))
    assert {name: array.tolist() for name, array in vector.items()} == {
        name: (tuned[name] - start[name]).tolist() for name in start
    }
    assert vector.apply(tmp_path / "base").keys() == start.keys()


def test_parts_that_are_not_looked_at_stay_as_they_are(tmp_path):
    models = LIBRARIES["diffusers"].made(tmp_path)
    merge_checkpoints(tmp_path / "base", models, ma.Mean(), tmp_path / "out", take=["unet/*"])
    before, after = tensors_of(tmp_path / "base"), tensors_of(tmp_path / "out")
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert changed == {f"unet/{name}" for name in PIPELINE["unet"]}


@pytest.mark.clause("EN-18")
@pytest.mark.parametrize("limit", [1, 20, 30])
def test_each_part_is_cut_by_itself(tmp_path, monkeypatch, library, limit):
    """Tensors of the model's own folder come before and behind those of its parts, in the order of names."""
    models = library.made(tmp_path)
    whole_root = merge_checkpoints(tmp_path / "base", models, TIES, tmp_path / "whole").model_root
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
    result = merge_checkpoints(tmp_path / "base", models, TIES, tmp_path / "out")
    assert result.model_root == whole_root
    assert ma.verify(tmp_path / "out").ok
    for part in library.shapes:
        stem = "diffusion_pytorch_model" if part in ("unet", "vae") else "model"
        shards = sorted(path.name for path in (tmp_path / "out" / part).glob("*.safetensors"))
        if len(shards) > 1:
            assert shards == [f"{stem}-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
            index = json.loads((tmp_path / "out" / part / f"{stem}.safetensors.index.json").read_bytes())
            assert index["weight_map"].keys() == library.shapes[part].keys()
    assert limit != 1 or len(list((tmp_path / "out").rglob("*.index.json"))) == len(library.shapes)


@pytest.mark.clause("EN-18")
def test_a_part_named_by_itself_is_a_model_with_files_of_the_same_names(tmp_path):
    LIBRARIES["diffusers"].made(tmp_path)
    merge_checkpoints(tmp_path / "base" / "unet", [Model(tmp_path / "ft0" / "unet")], ma.Mean(), tmp_path / "out")
    assert names_in(tmp_path / "out") == {
        *("diffusion_pytorch_model.safetensors", "config.json", "merge.lock", "README.md")
    }


def test_what_no_list_names_is_left_and_told(tmp_path):
    models = LIBRARIES["sentence-transformers"].made(tmp_path)
    for name in ("onnx/model.onnx", "openvino/openvino_model.bin", "2_Dense/pytorch_model.bin", "2_Dense/more/x.txt"):
        (tmp_path / "base" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "base" / name).write_bytes(b"x")
    write_file(tmp_path / "base" / "checkpoint-500" / "model.safetensors", {"w": np.float32([1])})
    result = merge_checkpoints(tmp_path / "base", models, TIES, tmp_path / "out")
    assert [line for line in result.warnings if "came from another base" not in line] == [
        "left out of the merged model: checkpoint-500/, onnx/, openvino/, 2_Dense/more/ and 2_Dense/pytorch_model.bin "
        "of the base; copy what loading it takes"
    ]
    assert names_in(tmp_path / "out").isdisjoint({"checkpoint-500", "onnx", "openvino"})
    with Checkpoint.open(tmp_path / "base") as checkpoint:
        assert not any(name.startswith("checkpoint") for name in checkpoint.records)


@pytest.mark.clause("LK-9")
def test_one_file_cannot_hold_them(tmp_path, library):
    models = library.made(tmp_path)
    for recipe in (TIES, ma.Ties(dialect="mergekit-0.1.5")):
        with pytest.raises(OutputError, match=r"x\.safetensors asks for one file, and .*base is a model of parts"):
            merge_checkpoints(tmp_path / "base", models, recipe, tmp_path / "x.safetensors")
    assert names_in(tmp_path) == {"base", "ft0", "ft1"}


@pytest.mark.clause("LK-1", "LK-7")
class TestUnfinished:
    def test_is_whole_or_removed_by_gc_wherever_it_was_killed(self, tmp_path):
        before, library = tmp_path / "before", LIBRARIES["sentence-transformers"]
        models = [model.path.name for model in library.made(before)]

        def merge(root):
            found = [Model(root / name) for name in models]
            merge_checkpoints(root / "base", found, TIES, root / "out", Execution("numpy", threads=1))

        ends = set()
        for moment, folder in kill_points(before, merge, tmp_path / "scratch"):
            for left in unfinished_in(folder):
                left.remove()
            names = names_in(folder) - {"base", "ft0", "ft1"}
            names -= {name for name in names if name.endswith(".unfinished") and not any((folder / name).iterdir())}
            assert "out" not in names or ma.verify(folder / "out").ok, moment
            ends.add(frozenset(names))
        assert ends == {frozenset(), frozenset({"out"})}

    def test_goes_when_the_merge_fails(self, tmp_path, monkeypatch, library):
        models = library.made(tmp_path)

        def replace(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(OutputError, match="No space left on device"):
            merge_checkpoints(tmp_path / "base", models, TIES, tmp_path / "out")
        assert names_in(tmp_path) == {"base", "ft0", "ft1"}

    STRANGERS = {  # noqa: RUF012 - a table
        "a folder that is not told of": lambda left: (left / "photos").mkdir(),
        "a file that is not told of": lambda left: (left / "unet" / "thesis.txt").write_bytes(b"mine"),
        "weights of others": lambda left: (left / "unet" / "pytorch_model.bin").write_bytes(b"mine"),
        "a folder in a part": lambda left: (left / "unet" / "config.json").mkdir(),
        "a link for a part": lambda left: (left / "vae").symlink_to("../mine"),
    }

    @pytest.mark.parametrize("put", [None, *STRANGERS.values()], ids=["nothing", *STRANGERS])
    def test_with_anything_of_others_in_it_stays(self, tmp_path, put):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "config.json").write_bytes(b"mine")
        left = tmp_path / ".out.0123456789abcdef.unfinished"
        (left / "unet").mkdir(parents=True)
        (left / ".unfinished").write_bytes(b"unet/\0vae/\0model_index.json\0unet/x.json\0vae/config.json")
        for name in ("model_index.json", "unet/x.json", "unet/diffusion_pytorch_model-00001-of-00002.safetensors"):
            (left / name).write_bytes(bytes(10))
        if put is not None:
            put(left)
        before = tree(tmp_path)
        found = unfinished_in(tmp_path)
        assert [model.nbytes for model in found] == ([85] if put is None else [])
        for model in found:
            model.remove()
        assert tree(tmp_path) == (before if put else {"mine": "folder", "mine/config.json": b"mine"})
