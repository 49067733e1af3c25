"""Reading checkpoints: by blocks, by threads, of files that change meanwhile; and their roots."""

import gc
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

import numpy as np
import pytest

from mergealgebra.encoding import LEAF_BYTES, encode, hash_id, merkle_root
from mergealgebra.errors import CheckpointError, NamesError, ShapeError
from mergealgebra.tensors import descriptors
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.models import write_canonical
from tests.tensors.sharded import FIRST, INDEX, ONE, TENSORS, TWO, assert_holds, write_sharded

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
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.execution import Execution
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
