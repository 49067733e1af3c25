"""Checkpoints: which files are one, and what is refused with advice."""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from mergealgebra.errors import CheckpointError, DuplicateName, HeaderError
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.safetensors_file import index_bytes, shard_names, shards
from tests.models import write_canonical
from tests.tensors.sharded import FIRST, INDEX, ONE, SECOND, TENSORS, TWO, assert_holds, write_sharded

# What is a checkpoint


@pytest.mark.clause("EN-15")
def test_a_file_is_a_checkpoint(single, tmp_path):
    assert_holds(single, TENSORS)
    assert single.path == tmp_path / "single.safetensors"
    assert single.folder is None


@pytest.mark.clause("EN-15")
def test_a_folder_with_a_model_file_is_a_checkpoint(tmp_path):
    write_canonical(tmp_path / "model.safetensors", TENSORS)
    with Checkpoint.open(str(tmp_path)) as checkpoint:
        assert_holds(checkpoint, TENSORS)
        assert checkpoint.folder == checkpoint.path == tmp_path


@pytest.mark.clause("EN-15", "EN-16")
def test_a_folder_of_shards_is_a_checkpoint(tmp_path):
    with Checkpoint.open(write_sharded(tmp_path)) as checkpoint:
        assert_holds(checkpoint, TENSORS)
        assert {record.path.name for record in checkpoint.records.values()} == {ONE, TWO}


@pytest.mark.clause("EN-15")
@pytest.mark.parametrize("name", [INDEX, "unet.safetensors.index.json", "diffusion.safetensors.index.fp16.json"])
@pytest.mark.parametrize("by_itself", [False, True])
def test_any_index_is_a_checkpoint_by_its_folder_and_by_itself(tmp_path, name, by_itself):
    (write_sharded(tmp_path) / INDEX).rename(tmp_path / name)
    with Checkpoint.open(tmp_path / name if by_itself else tmp_path) as checkpoint:
        assert_holds(checkpoint, TENSORS)
        assert checkpoint.folder == (None if by_itself else tmp_path)


@pytest.mark.clause("EN-15")
def test_the_index_of_a_relative_path_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(write_sharded(tmp_path))
    with Checkpoint.open(INDEX) as checkpoint:
        assert_holds(checkpoint, TENSORS)


@pytest.mark.clause("EN-15")
@pytest.mark.parametrize("content", [FIRST, TENSORS], ids=["half", "all"])
def test_one_of_two_models_in_a_folder_can_be_named(tmp_path, content):
    """A folder of shards in which somebody left a file of before, or the other way round."""
    write_canonical(write_sharded(tmp_path) / "model.safetensors", content)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds more than one model, 'model.safetensors' and '{INDEX}': remove what is stale, or name the "
        f"one that is meant, such as {tmp_path}/model.safetensors"
    )
    for name, expected in {"model.safetensors": content, INDEX: TENSORS}.items():
        with Checkpoint.open(tmp_path / name) as checkpoint:
            assert_holds(checkpoint, expected)


@pytest.mark.clause("EN-15")
def test_the_model_beside_an_adapter_can_be_named(tmp_path):
    write_canonical(tmp_path / "model.safetensors", TENSORS)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=rf"or name {tmp_path}/model\.safetensors to leave the adapter out$"):
        Checkpoint.open(tmp_path)
    with Checkpoint.open(tmp_path / "model.safetensors") as checkpoint:
        assert_holds(checkpoint, TENSORS)


@pytest.mark.clause("EN-15")
@pytest.mark.parametrize("sharded", [False, True], ids=["one file", "shards"])
def test_the_snapshot_of_a_hugging_face_cache_is_a_checkpoint(sharded, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    if sharded:
        write_sharded(blobs)
    else:
        blobs.mkdir()
        write_canonical(blobs / "model.safetensors", TENSORS)
    for file in sorted(blobs.iterdir()):
        hashed = file.rename(blobs / hashlib.sha256(file.name.encode()).hexdigest())
        (snapshot / file.name).symlink_to(Path("../../blobs", hashed.name))
    with Checkpoint.open(snapshot) as checkpoint:
        assert_holds(checkpoint, TENSORS)


@pytest.mark.clause("EN-18", "EN-16")
def test_what_is_written_in_shards_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 24)
    names = {"float32": "F32", "bfloat16": "BF16", "float64": "F64", "int64": "I64", "bool": "BOOL", "float16": "F16"}
    cut = shards((name, names[a.dtype.name], a.shape, a.nbytes) for name, a in TENSORS.items())
    for file, shard in zip(shard_names(len(cut)), cut, strict=True):
        write_canonical(tmp_path / file, {name: TENSORS[name] for name, *_ in shard})
    (tmp_path / INDEX).write_bytes(index_bytes(cut))
    with Checkpoint.open(tmp_path) as checkpoint:
        assert len({record.path for record in checkpoint.records.values()}) == len(cut) == 3
        assert_holds(checkpoint, TENSORS)


def test_an_index_of_nothing_is_an_empty_model(tmp_path):
    (tmp_path / INDEX).write_text('{"weight_map": {}}')
    assert not Checkpoint.open(tmp_path).records


# What is not, and what to do about it


def cache(folder, snapshots=("aaa", "bbb"), main="bbb"):
    for name in ("refs", "snapshots", *(f"snapshots/{snapshot}" for snapshot in snapshots)):
        (folder / name).mkdir()
    if main is not None:
        (folder / "refs/main").write_text(main)


def files(*names):
    return lambda folder: [(folder / name).write_bytes(b"\x80\x04.") for name in names]


ADVICE = {
    "nothing": ("x", lambda folder: None, "name a model folder or a safetensors file"),
    "other tensors": (
        "x",
        files("z.safetensors", "ema.safetensors"),
        r"name one file in it instead, such as .*x/ema\.safetensors",
    ),
    "pickled model": ("x", files("config.json", "pytorch_model.bin"), r"save_pretrained\(safe_serialization=True\)"),
    "pt in a folder": ("x", files("consolidated.00.pt"), "pickled weights, which can run code"),
    "ckpt": ("x/m.ckpt", files("m.ckpt"), r"save_file or save_pretrained"),
    "bin": ("x/pytorch_model.bin", files("pytorch_model.bin"), "pickled weights"),
    "pth": ("x/m.pth", files("m.pth"), "pickled weights"),
    "adapter": (
        "x",
        files("adapter_model.safetensors", "adapter_config.json"),
        "LoRA adapter.* merge it into its model",
    ),
    "pickled adapter": ("x", files("adapter_model.bin"), "LoRA adapter"),
    "adapter file": ("x/adapter_model.safetensors", files("adapter_model.safetensors"), "LoRA adapter"),
    "cache": ("x", cache, r"name .*x/snapshots/bbb instead"),
    "cache without main": ("x", lambda folder: cache(folder, main=None), r"name .*x/snapshots/aaa instead"),
    "cache, main gone": ("x", lambda folder: cache(folder, main="ccc"), r"name .*x/snapshots/aaa instead"),
    "cache, main a pipe": (
        "x",
        lambda folder: (cache(folder, main=None), os.mkfifo(folder / "refs/main")),
        r"name .*x/snapshots/aaa instead",
    ),
    "cache, main endless": (
        "x",
        lambda folder: cache(folder, main="bbb" + " " * 2000),
        r"name .*x/snapshots/aaa instead",
    ),
    "cache, main outside": ("x", lambda folder: cache(folder, main="../.."), r"name .*x/snapshots/aaa instead"),
    "empty cache": ("x", lambda folder: cache(folder, snapshots=()), "download the model"),
    "a shard": (
        f"x/{ONE}",
        write_sharded,
        rf"one of several shards: name .*x, or .*x/{re.escape(INDEX)}, for the whole model",
    ),
    "a shard of diffusers": (
        f"x/diffusion_pytorch_{ONE}",
        files(f"diffusion_pytorch_{ONE}"),
        "one of several shards, and no index of them is beside it: get the whole folder",
    ),
    "a shard that is not there": (f"x/{ONE}", lambda folder: None, "No such file"),
    "shards without an index": ("x", files(ONE, TWO), f"shards of a model, such as '{ONE}', and no index of them"),
    "a shard beside a model": ("x", files("model.safetensors", TWO), rf"'model\.safetensors' and '{TWO}'"),
    "two indexes": (
        "x",
        lambda folder: (folder / "x.safetensors.index.json").write_bytes((write_sharded(folder) / INDEX).read_bytes()),
        rf"more than one model, '{INDEX}' and 'x\.safetensors\.index\.json'",
    ),
    "an adapter beside a model": (
        "x",
        files("model.safetensors", "adapter_model.safetensors"),
        r"holds a model, 'model\.safetensors', and a LoRA adapter, 'adapter_model\.safetensors': merge it",
    ),
    "an adapter beside shards": (
        "x",
        lambda folder: (write_sharded(folder) / "adapter_config.json").touch(),
        rf"holds a model, '{INDEX}', and a LoRA adapter, 'adapter_config\.json': merge it",
    ),
    "a folder of models": (
        "x",
        lambda folder: write_canonical((folder / "best").mkdir() or folder / "best" / "model.safetensors", {}),
        r"has no model of its own: name a folder in it instead, such as .*x/best$",
    ),
    "a GGUF": ("x", files("m.gguf"), r"holds weights for llama\.cpp"),
    "missing": ("x/none", lambda folder: None, "No such file"),
}


@pytest.mark.clause("EN-15")
@pytest.mark.parametrize("case", ADVICE)
def test_what_is_no_checkpoint_is_refused_with_advice(case, tmp_path):
    path, fill, advice = ADVICE[case]
    (tmp_path / "x").mkdir()
    fill(tmp_path / "x")
    with pytest.raises(CheckpointError, match=advice) as caught:
        Checkpoint.open(tmp_path / path)
    assert str(caught.value).startswith(str(tmp_path / path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(CheckpointError, match="is not a path"):
        Checkpoint.open(path)


def test_a_model_file_that_is_a_dangling_link_is_named(tmp_path):
    (tmp_path / "model.safetensors").symlink_to("nowhere")
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read: No such file"):
        Checkpoint.open(tmp_path)


def remap(**changes):
    return {"weight_map": lambda true: {name: file for name, file in (true | changes).items() if file is not None}}


DEEP = "[" * 10_000
BAD_INDEX = {
    "no json": (CheckpointError, {"index": "weight_map:"}, "is not JSON"),
    "empty": (CheckpointError, {"index": ""}, "is not JSON"),
    "an array": (CheckpointError, {"index": "[]"}, "expected an object"),
    "too deep": (CheckpointError, {"index": '{"weight_map":' + DEEP}, "deeper than 64"),
    "no weight_map": (CheckpointError, {"index": "{}"}, "None as its weight_map"),
    "weight_map an array": (CheckpointError, {"index": '{"weight_map": []}'}, r"\[\] as its weight_map"),
    "weight_map twice": (DuplicateName, {"index": '{"weight_map":{},"weight_map":{}}'}, "'weight_map' twice"),
    "name twice": (DuplicateName, {"index": r'{"weight_map":{"a":"x","\u0061":"y"}}'}, "'a' twice"),
    "metadata twice": (DuplicateName, {"index": '{"metadata":{},"metadata":{},"weight_map":{}}'}, "'metadata' twice"),
    "file a number": (CheckpointError, remap(ids=2), "tensor 'ids' is in 2, expected the name of a file"),
    "file empty": (CheckpointError, remap(ids=""), "tensor 'ids' is in ''"),
    "file in a folder": (CheckpointError, remap(ids=f"sub/{TWO}"), "tensor 'ids' is in 'sub/"),
    "file above": (CheckpointError, remap(ids=f"../{TWO}"), "tensor 'ids' is in '../"),
    "file absolute": (CheckpointError, remap(ids="/etc/passwd"), "tensor 'ids' is in '/etc"),
    "file with a backslash": (CheckpointError, remap(ids=f"..\\{TWO}"), "tensor 'ids' is in"),
    "file with a nul": (CheckpointError, remap(ids="a\0b"), "tensor 'ids' is in"),
    "the folder above": (CheckpointError, remap(ids=".."), r"tensor 'ids' is in '\.\.'"),
    "shard missing": (CheckpointError, remap(ids="three"), "names the shard 'three', which is missing: get it again"),
    "tensor missing": (CheckpointError, remap(ghost=TWO), f"{INDEX}: tensor 'ghost' is not in '{TWO}', nor in another"),
    "tensor unnamed": (CheckpointError, remap(ids=None), f"{TWO}: tensor 'ids' is not in '{INDEX}'"),
    "tensor in the other file": (CheckpointError, remap(ids=ONE), f"tensor 'ids' is in '{TWO}', not in '{ONE}'"),
    "tensor in two files": (
        DuplicateName,
        {"second": SECOND | {"a.bias": TENSORS["a.bias"]}},
        f"{TWO}: tensor 'a.bias' stands in the shard '{ONE}' too",
    ),
}


@pytest.mark.clause("EN-16")
@pytest.mark.parametrize("case", BAD_INDEX)
def test_a_bad_index_is_refused_by_name(case, tmp_path):
    error, wrong, says = BAD_INDEX[case]
    write_sharded(tmp_path, **wrong)
    with pytest.raises(error, match=says) as caught:
        Checkpoint.open(tmp_path)
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.clause("EN-16")
def test_other_keys_of_an_index_are_ignored_whatever_they_hold(tmp_path):
    index = {"weight_map": dict.fromkeys(FIRST, ONE) | dict.fromkeys(SECOND, TWO)}
    others = r'{"metadata":{"t":1,"t":"\ud800"},"x":[{"y":1,"y":1}],'
    with Checkpoint.open(write_sharded(tmp_path, index=others + json.dumps(index)[1:])) as checkpoint:
        assert_holds(checkpoint, TENSORS)


@pytest.mark.clause("EN-16")
def test_a_shard_that_is_damaged_is_named(tmp_path):
    write_sharded(tmp_path)
    (tmp_path / TWO).write_bytes(b"damaged")
    with pytest.raises(HeaderError, match=TWO):
        Checkpoint.open(tmp_path)
