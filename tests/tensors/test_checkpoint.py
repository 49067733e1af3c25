"""Checkpoints: which files are one, what is refused with advice, and reading by blocks."""

import gc
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.encoding import LEAF_BYTES, encode, hash_id, merkle_root
from mergealgebra.errors import CheckpointError, DuplicateName, HeaderError, NamesError, ShapeError
from mergealgebra.tensors import descriptors, safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.safetensors_file import index_bytes, shard_names, shards
from tests.models import write_canonical

TENSORS = {
    "b.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.weight": np.arange(6).astype(ml_dtypes.bfloat16),
    "a.bias": np.array(0.5, np.float64),
    "ids": np.array([[1, 2]], np.int64),
    "mask": np.array([True, False, True]),
    "none": np.zeros((0, 3), np.float16),
}
FIRST = {name: TENSORS[name] for name in ("a.bias", "b.weight", "mask")}
SECOND = {name: TENSORS[name] for name in ("a.weight", "ids", "none")}
ONE, TWO = shard_names(2)
INDEX = "model.safetensors.index.json"


def write_sharded(folder, weight_map=None, index=None, first=FIRST, second=SECOND):
    """A folder of two shards; what a test wants wrong is given."""
    folder.mkdir(exist_ok=True)
    write_canonical(folder / ONE, first)
    write_canonical(folder / TWO, second)
    true_map = dict.fromkeys(FIRST, ONE) | dict.fromkeys(SECOND, TWO)
    content = {"metadata": {"total_size": 1}, "weight_map": true_map if weight_map is None else weight_map(true_map)}
    (folder / INDEX).write_text(json.dumps(content) if index is None else index)
    return folder


def assert_holds(checkpoint, tensors):
    assert list(checkpoint.records) == sorted(tensors, key=str.encode)
    for name, array in tensors.items():
        read = checkpoint.read(name)
        assert read.dtype == array.dtype
        assert read.tobytes() == array.tobytes()
        assert read.shape == (array.size,)
        assert checkpoint.records[name].shape == array.shape


@pytest.fixture
def single(tmp_path):
    write_canonical(tmp_path / "single.safetensors", TENSORS)
    with Checkpoint.open(tmp_path / "single.safetensors") as checkpoint:
        yield checkpoint


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


# Reading


def test_blocks_are_read_in_elements(single):
    np.testing.assert_array_equal(single.read("b.weight", 5, 7), np.array([5, 6], np.float32))
    np.testing.assert_array_equal(single.read("b.weight", 10), np.array([10, 11], np.float32))
    assert single.read("b.weight", 12).size == 0
    assert single.read("none").size == 0
    block = single.read("ids")
    block[:] = 7  # a block is the caller's own
    assert single.read("ids").tolist() == [1, 2]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 13), (13, None), (3, 2), (0, -1)])
def test_a_range_outside_the_tensor_is_refused(single, start, stop):
    with pytest.raises(ShapeError, match=r"tensor 'b\.weight' has 12 elements"):
        single.read("b.weight", start, stop)


def test_an_unknown_tensor_is_refused(single):
    for read in (single.read, single.tensor_root):
        with pytest.raises(NamesError, match=r"single\.safetensors has no tensor 'c'"):
            read("c")


def test_a_file_that_became_shorter_is_named(tmp_path):
    path = tmp_path / "m.safetensors"
    write_canonical(path, {"v": np.zeros(4), "w": np.zeros(4)})
    checkpoint = Checkpoint.open(path)
    assert checkpoint.read("v").size == 4  # and the file stays open
    os.truncate(path, path.stat().st_size - 8)
    assert checkpoint.read("w", 0, 3).size == 3
    for read in (checkpoint.read, checkpoint.tensor_root):
        with pytest.raises(CheckpointError, match=r"m\.safetensors: tensor 'w': the file became shorter"):
            read("w")


def test_a_file_that_is_gone_is_named(tmp_path):
    write_canonical(tmp_path / "m.safetensors", {"w": np.zeros(4)})
    checkpoint = Checkpoint.open(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"m\.safetensors: tensor 'w' cannot be read: No such file"):
        checkpoint.read("w")


def rewrite(path):
    """Other bytes in the same file, later."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(1, 1))  # a clock may be too coarse to tell


def replace(path):
    """The same bytes in another file, with the same times."""
    times = path.stat()
    shutil.copyfile(path, path.with_name("new"))
    path.with_name("new").replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


CHANGES = {
    "rewritten in place": rewrite,
    "rewritten, and its time put back": lambda path: (time.sleep(0.05), path.write_bytes(bytes(path.stat().st_size))),
    "longer": lambda path: os.truncate(path, path.stat().st_size + 1),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 1),
    "replaced": replace,
    "gone": Path.unlink,
}


def close_the_shared():
    """What many other files do to those that were not used lately."""
    for file in list(descriptors._OPEN):
        file.close()


READ_BEFORE = {
    "not": lambda checkpoint: None,  # its header was read, and nothing else
    "and open": lambda checkpoint: checkpoint.read("b.weight"),
    "and to be opened again": lambda checkpoint: (checkpoint.read("b.weight"), close_the_shared()),
}


@pytest.mark.parametrize("before", READ_BEFORE)
@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changed_after_its_header_was_read_is_refused(case, before, single):
    READ_BEFORE[before](single)
    kept_open = before == "and open"
    times = single.path.stat()
    CHANGES[case](single.path)
    if "put back" in case:
        os.utime(single.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    wanted = r"cannot be read: No such file" if case == "gone" and not kept_open else "changed while it was read; run"
    # While a file is open, only `refuse_changed` asks: once at the end, not at each of thousands of reads.
    for use in (single.refuse_changed, *([] if kept_open else [lambda: single.read("ids"), single.root])):
        with pytest.raises(CheckpointError, match=rf"single\.safetensors.* {wanted}"):
            use()


def test_a_file_that_nobody_changed_is_not_refused(tmp_path):
    with Checkpoint.open(write_sharded(tmp_path)) as checkpoint:
        checkpoint.read("ids")
        close_the_shared()
        (tmp_path / TWO).read_bytes()
        checkpoint.refuse_changed()
        assert_holds(checkpoint, TENSORS)


def test_reads_that_the_system_cuts_short_are_continued(single, monkeypatch):
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset: whole(fd, [buffers[0][:5]], offset))
    assert_holds(single, TENSORS)


def open_descriptors(folder):
    links = (Path("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd"))  # noqa: PTH208
    return sum(str(folder) in str(link.readlink()) for link in links if link.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_each_shard_is_opened_once_when_it_is_first_read(tmp_path):
    checkpoint = Checkpoint.open(write_sharded(tmp_path))
    assert open_descriptors(tmp_path) == 0
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(checkpoint.read, list(FIRST) * 20))
    assert open_descriptors(tmp_path) == 1
    checkpoint.roots(2)
    assert open_descriptors(tmp_path) == 2
    checkpoint.close()
    checkpoint.close()
    assert open_descriptors(tmp_path) == 0
    with pytest.raises(CheckpointError, match="is closed: open it again"):
        checkpoint.read("ids")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_forgotten_checkpoint_closes_its_files(tmp_path):
    checkpoint = Checkpoint.open(write_sharded(tmp_path))
    checkpoint.read("ids")
    assert open_descriptors(tmp_path) == 1
    del checkpoint
    gc.collect()
    assert open_descriptors(tmp_path) == 0


#: Merges two hundred contributions, and reads them in turns, in a process that may open 64 files.
FEW_DESCRIPTORS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from pathlib import Path
import mergealgebra as ma
from mergealgebra.one_shot import Model, merge_checkpoints
from mergealgebra.resolve import Execution
from mergealgebra.tensors.checkpoint import Checkpoint
root = Path(sys.argv[1])
paths = [root / f"{number}.safetensors" for number in range(1, 201)]
checkpoints = [Checkpoint.open(path) for path in paths]
assert [int(c.read("w")[0]) for _ in range(2) for c in checkpoints] == [*range(1, 201)] * 2
models = [Model(path) for path in paths]
merge_checkpoints(root / "base.safetensors", models, ma.TaskArithmetic(), root / "out", Execution(sys.argv[2], 2))
print(int(Checkpoint.open(root / "out").read("w")[0]))
"""


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_more_files_are_read_than_may_be_open(tmp_path, backend):
    write_canonical(tmp_path / "base.safetensors", {"w": np.zeros(3, np.float32)})
    for number in range(1, 201):
        write_canonical(tmp_path / f"{number}.safetensors", {"w": np.full(3, number, np.float32)})
    result = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS, tmp_path, backend], check=False, capture_output=True, text=True
    )
    assert (result.stdout, result.returncode) == ("20100\n", 0), result.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_descriptor_in_use_outlives_those_that_others_open(tmp_path, monkeypatch):
    """Three files take turns on one shared descriptor, in eight threads; what is too much goes at the next opening."""
    monkeypatch.setattr(descriptors, "LIMIT", 1)
    for number in range(4):
        write_canonical(tmp_path / f"{number}", {"w": np.full(1000, number, np.uint8)})
    checkpoints = [Checkpoint.open(tmp_path / f"{number}") for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda i: set(checkpoints[i % 3].read("w").tolist()), range(3000)))
    assert values == [{i % 3} for i in range(3000)]
    assert open_descriptors(tmp_path) <= 3
    checkpoints[3].read("w")
    assert open_descriptors(tmp_path) == 1


def test_threads_read_what_one_thread_reads(tmp_path):
    tensors = {f"t{i:02}": np.random.default_rng(i).standard_normal(10_000).astype(np.float32) for i in range(16)}
    write_canonical(tmp_path / "m.safetensors", tensors)
    start = threading.Barrier(8)
    with Checkpoint.open(tmp_path / "m.safetensors") as checkpoint, ThreadPoolExecutor(8) as pool:

        def read(name):
            if name < "t08":
                start.wait(timeout=30)
            return checkpoint.read(name).tobytes()

        assert list(pool.map(read, tensors)) == [array.tobytes() for array in tensors.values()]


# Roots


def tensor_root(array):
    data = array.tobytes()
    leaves = [data[begin : begin + LEAF_BYTES] for begin in range(0, len(data), LEAF_BYTES)]
    return hash_id("tensor", merkle_root(leaves))


@pytest.mark.clause("EN-6")
@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 3 * LEAF_BYTES, 3 * LEAF_BYTES + 5])
def test_a_tensor_root_is_of_its_bytes(size, tmp_path):
    array = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    write_canonical(tmp_path / "m.safetensors", {"before": np.zeros(3, np.uint8), "w": array})
    with Checkpoint.open(tmp_path / "m.safetensors") as checkpoint:
        assert checkpoint.tensor_root("w") == tensor_root(array)


@pytest.mark.clause("EN-7", "EN-8")
def test_one_file_and_many_shards_have_one_root(single, tmp_path):
    names = {"a.bias": "F64", "a.weight": "BF16", "b.weight": "F32", "ids": "I64", "mask": "BOOL", "none": "F16"}
    roots = {name: tensor_root(TENSORS[name]) for name in sorted(TENSORS)}
    leaves = [encode([n, names[n], list(TENSORS[n].shape), bytes.fromhex(root)]) for n, root in roots.items()]
    assert list(single.roots().items()) == list(roots.items())
    assert single.root() == hash_id("model", merkle_root(leaves))
    with Checkpoint.open(write_sharded(tmp_path / "sharded")) as sharded:
        assert sharded.root(threads=3) == single.root()
        assert list(sharded.roots(threads=2).items()) == list(roots.items())


@pytest.mark.clause("EN-7")
def test_a_root_tells_dtype_shape_and_name(tmp_path):
    array = np.arange(4, dtype=np.int16)
    variants = {
        "plain": {"w": array},
        "name": {"v": array},
        "shape": {"w": array.reshape(2, 2)},
        "dtype": {"w": array.view(np.uint16)},
        "bytes": {"w": array + np.int16(1)},
        "empty": {"w": array, "z": array[:0]},
    }
    roots = set()
    for name, tensors in variants.items():
        write_canonical(tmp_path / name, tensors)
        with Checkpoint.open(tmp_path / name) as checkpoint:
            roots.add(checkpoint.root())
    assert len(roots) == len(variants)


def test_a_root_is_streamed(tmp_path):
    write_canonical(tmp_path / "m.safetensors", {"w": np.zeros(40 * LEAF_BYTES, np.uint8)})
    with Checkpoint.open(tmp_path / "m.safetensors") as checkpoint:
        tracemalloc.start()
        try:
            checkpoint.root()
            assert tracemalloc.get_traced_memory()[1] < 3 * LEAF_BYTES
        finally:
            tracemalloc.stop()


def test_a_root_that_cannot_be_had_says_why(tmp_path):
    write_canonical(tmp_path / "m.safetensors", {f"t{i}": np.zeros(4) for i in range(9)})
    with Checkpoint.open(tmp_path / "m.safetensors") as checkpoint:
        checkpoint.read("t0")
        os.truncate(tmp_path / "m.safetensors", checkpoint.records["t5"].offset)
        with pytest.raises(CheckpointError, match="tensor 't5'"):
            checkpoint.root(threads=2)


# Special files

SPECIAL = {
    "pipe": (os.mkfifo, "it is a pipe, not a file"),
    "socket": (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "it is a socket, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "folder": (os.mkdir, "it is a folder, not a file"),
}


@pytest.mark.parametrize(("make", "says"), SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("name", [INDEX, "model.safetensors", ONE])
def test_what_is_not_a_file_is_named_at_once(name, make, says, tmp_path, monkeypatch):
    monkeypatch.chdir(write_sharded(tmp_path))  # the path of a socket must be short
    for other in (INDEX, ONE, TWO) if name == "model.safetensors" else (name,):
        Path(other).unlink()
    make(Path(name))
    with pytest.raises(CheckpointError, match=rf"{re.escape(name)} cannot be read: {says}"):
        Checkpoint.open(".")


def test_a_pipe_that_took_the_place_of_an_open_file_is_named_at_once(tmp_path):
    write_canonical(tmp_path / "m.safetensors", {"w": np.zeros(4)})
    checkpoint = Checkpoint.open(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").unlink()
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"m\.safetensors: tensor 'w' cannot be read: it is a pipe, not a file"):
        checkpoint.read("w")
