"""The output folder: there whole or not at all, equal for equal models, and readable by everyone else."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, NonFinite, OutputError
from mergealgebra.model_folder import output
from mergealgebra.model_folder.leftovers import unfinished_in
from mergealgebra.one_shot import Model, merge_checkpoints
from mergealgebra.resolve import Execution
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import TIES, WAYS, merged, names_in, tensors_of
from tests.models import DTYPES, base, fine_tune, with_value, write_file, write_folder, write_sharded

INPUTS = {"base", "ft0.safetensors", "ft1.safetensors", "ft2.safetensors"}
DESCRIBED = {"config.json", "tokenizer.json", "LICENSE"}
OURS = {"merge.lock", "README.md"}
INDEX = "model.safetensors.index.json"
RACE = "out exists now: another merge, or somebody else, wrote it .* choose another name and run this again"
#: What the name of an unfinished model ends with.
TOKEN = "0123456789abcdef.unfinished"


def read_by_package(folder):
    """The tensors of a model folder, found as `from_pretrained` finds them and read by the `safetensors` package."""
    index = folder / INDEX
    if index.exists():
        weight_map = json.loads(index.read_bytes())["weight_map"]
    else:
        with safe_open(folder / "model.safetensors", "np") as file:
            weight_map = dict.fromkeys(file.keys(), "model.safetensors")
    tensors = {}
    for name, shard in weight_map.items():
        with safe_open(folder / shard, "np") as file:
            assert file.metadata() == {"format": "pt"}
            tensors[name] = file.get_tensor(name)
    return tensors


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert (array.dtype, array.shape) == (theirs[name].dtype, theirs[name].shape), name
        assert array.tobytes() == theirs[name].tobytes(), name


def merged_again(root):
    """Merge what `merged` wrote below `root`, and leave it untouched."""
    models = [Model(root / f"ft{number}.safetensors") for number in range(3)]
    return merge_checkpoints(root / "base", models, TIES, root / "out", WAYS["one thread"])


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


@pytest.mark.clause("LK-1")
class TestFailure:
    """Whatever goes wrong, nothing is left: no output, no temporary folder."""

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    @pytest.mark.parametrize("call", ["write", "fsync", "replace"])
    def test_of_the_system_or_the_user(self, tmp_path, monkeypatch, call, error):
        real, calls = getattr(os, call), []

        def stand(*arguments, **named):
            calls.append(arguments)
            if len(calls) == (1 if call == "replace" else 3):
                raise error
            return real(*arguments, **named)

        monkeypatch.setattr(os, call, stand)
        expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError
        with pytest.raises(expected) as raised:
            merged(tmp_path)
        assert names_in(tmp_path) == INPUTS
        if expected is OutputError:
            assert f"{tmp_path / 'out'} cannot be written: No space left on device; free some" in str(raised.value)

    def test_in_the_numbers(self, tmp_path):
        """The result at the last element of the last tensor overflows; everything before it has been written."""
        start = {"a": np.zeros(5000, np.float16), "b": np.full(5, 65504, np.float16)}
        tuned = {"a": np.ones(5000, np.float16), "b": start["b"] + np.float16([0, 0, 0, 0, -65504])}
        with pytest.raises(NonFinite, match=r"tensor 'b' at index \[4\]"):
            merged(tmp_path, [tuned], start, ma.Ties(lambda_="-1"), Execution("numpy", threads=1, block=100))
        assert names_in(tmp_path) == {"base", "ft0.safetensors"}

    def test_of_a_checkpoint_that_becomes_shorter(self, tmp_path, monkeypatch):
        real = output.write_tensors

        def shorten(folder, cut, data):
            os.truncate(tmp_path / "ft1.safetensors", 700)
            real(folder, cut, data)

        monkeypatch.setattr(output, "write_tensors", shorten)
        with pytest.raises(CheckpointError, match=r"ft1.safetensors.*: the file became shorter after it was opened"):
            merged(tmp_path, recipe=ma.Mean())
        assert names_in(tmp_path) == INPUTS

    def test_of_a_file_of_the_base_that_cannot_be_copied(self, tmp_path, monkeypatch):
        """It is told before the long work begins, and by its name."""
        real = os.open

        def open_(path, *arguments, **named):
            if path == "tokenizer.json":
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, "open", open_)
        monkeypatch.setattr(output, "write_tensors", lambda *_: pytest.fail("the tensors were written first"))
        with pytest.raises(CheckpointError, match=r"base/tokenizer.json cannot be read: Permission denied; check"):
            merged(tmp_path)
        assert names_in(tmp_path) == INPUTS

    def test_above_the_output(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match=r"file cannot be written: File exists; check the path"):
            merged(tmp_path, out="file/out")

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_leaves_no_folder_above_the_output_that_was_not_there(self, tmp_path, monkeypatch, error):
        def fail(folder, cut, data):
            raise error

        monkeypatch.setattr(output, "write_tensors", fail)
        (tmp_path / "theirs").mkdir()
        for out in ("a/b/out", "theirs/b/out"):
            with pytest.raises((OutputError, KeyboardInterrupt)):
                merged(tmp_path, out=out)
        assert names_in(tmp_path) == {*INPUTS, "theirs"}
        assert names_in(tmp_path / "theirs") == set()

    def test_leaves_folders_above_the_output_that_others_use_by_now(self, tmp_path, monkeypatch):
        def fail(folder, cut, data):
            (tmp_path / "a" / "theirs").write_bytes(b"")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(output, "write_tensors", fail)
        with pytest.raises(OutputError):
            merged(tmp_path, out="a/b/out")
        assert names_in(tmp_path / "a") == {"theirs"}

    def test_leaves_no_thread(self, tmp_path):
        before = threading.active_count()
        tuned = with_value(fine_tune(0), "layer.0.bias", (1,), np.nan)
        with pytest.raises(NonFinite):
            merged(tmp_path, [tuned], execution=WAYS["blocks of seven"])
        assert threading.active_count() == before

    def test_of_the_disk_leaves_no_thread_either(self, tmp_path, monkeypatch):
        """Even while the error, and with it all that it came through, is held."""
        real, calls, before = os.write, [], threading.active_count()

        def write(*arguments):
            calls.append(arguments)
            if len(calls) == 8:  # after the copies, the header, and a few blocks
                raise OSError(errno.EIO, "I/O error")
            return real(*arguments)

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(OutputError) as held:
            merged(tmp_path, execution=WAYS["blocks of seven"])
        assert threading.active_count() == before
        assert "I/O error" in str(held.value)

    def test_to_flush_the_finished_folder_is_told_as_it_is(self, tmp_path, monkeypatch):
        """The model is whole, and its name may yet be lost in a power cut."""
        real = output.fsync_folder

        def sync(folder):
            if folder == tmp_path:
                raise OSError(errno.EIO, "Input/output error")
            real(folder)

        monkeypatch.setattr(output, "fsync_folder", sync)
        with pytest.raises(OutputError, match="out is written and whole, but not yet safe on the disk"):
            merged(tmp_path)
        assert ma.verify(tmp_path / "out").ok

    def test_of_a_folder_that_cannot_be_flushed_is_none(self, tmp_path, monkeypatch):
        """Some network file systems flush files but not folders."""
        real = os.fsync

        def fsync(descriptor):
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        merged(tmp_path)
        assert ma.verify(tmp_path / "out").ok


_KILLED_HALFWAY = """
import os, signal, sys
from pathlib import Path
from mergealgebra.model_folder import output
from tests.engine.scenes import merged
output.write_tensors = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
merged(Path(sys.argv[1]))
"""

_HELD_HALFWAY = """
import os, socket, sys
from pathlib import Path
from mergealgebra.model_folder import output
from tests.engine.scenes import merged
os.getpid = lambda: int(sys.argv[2])
socket.gethostname = lambda: sys.argv[3]
real = output.write_tensors
def held(folder, cut, data):
    print("writing", flush=True)
    sys.stdin.read()
    real(folder, cut, data)
output.write_tensors = held
try:
    merged(Path(sys.argv[1]))
except output.OutputError:
    sys.exit(3)
"""


@pytest.mark.clause("LK-1")
class TestKilled:
    def test_folder_stays_until_somebody_asks_for_its_removal(self, tmp_path):
        root = Path(__file__).parent.parent.parent
        killed = subprocess.run([sys.executable, "-c", _KILLED_HALFWAY, tmp_path], cwd=root, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        (left,) = names_in(tmp_path) - INPUTS
        assert re.fullmatch(r"\.out\.[0-9a-f]{16}\.unfinished", left)
        (warning,) = merged(tmp_path).warnings
        assert names_in(tmp_path) == {*INPUTS, "out", left}
        nbytes = sum((tmp_path / "base" / name).stat().st_size for name in DESCRIBED)
        nbytes += len("\0".join(DESCRIBED))  # in the mark
        assert warning == (
            f"{tmp_path} holds an unfinished model of a killed merge, {nbytes:,} bytes; "
            f"`mergealgebra gc --delete {tmp_path}` removes what is left"
        )
        (found,) = unfinished_in(tmp_path)
        found.remove()
        assert merged(tmp_path, out="second").warnings == []
        assert names_in(tmp_path) == {*INPUTS, "out", "second"}

    def test_folder_of_a_living_process_stays_although_all_its_names_are_ours(self, tmp_path):
        """Two containers on one disk may have one host name, and give their processes the same numbers."""
        command = [sys.executable, "-c", _HELD_HALFWAY, tmp_path, str(os.getpid()), socket.gethostname()]
        root = Path(__file__).parent.parent.parent
        with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
            assert living.stdout.readline() == b"writing\n"
            written = {path for path in tmp_path.rglob("*") if path.parent.name.startswith(".out.")}
            assert written
            assert merged_again(tmp_path).warnings == []
            assert all(path.exists() for path in written)
            living.communicate(timeout=60)
            assert living.returncode == 3  # there is a model in its place now
        assert names_in(tmp_path) == {*INPUTS, "out"}
        assert ma.verify(tmp_path / "out").ok

    def test_what_stands_under_such_names_makes_nobody_wait(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # a socket's path is short
        names = [f".out.{number:016x}.unfinished" for number in range(4)]
        os.mkfifo(names[0])
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(names[1])
        Path(names[2]).write_bytes(b"mine")
        Path(names[3]).symlink_to("base")
        assert merged(tmp_path).warnings == []
        assert names_in(tmp_path) == {*INPUTS, "out", *names}

    def test_takes_a_name_as_long_as_the_system_does(self, tmp_path):
        merged(tmp_path, out="o" * 255)
        with pytest.raises(OutputError, match="cannot be written: File name too long"):
            merge_checkpoints(tmp_path / "nowhere", [Model(tmp_path / "x")], TIES, tmp_path / ("o" * 256))

    def test_nothing_when_two_threads_merge_to_one_place(self, tmp_path, monkeypatch):
        """The first to end stays, the other is refused."""
        merged(tmp_path, out="first")
        real = output.write_tensors

        def write(folder, cut, data):
            monkeypatch.setattr(output, "write_tensors", real)
            merged_again(tmp_path)
            real(folder, cut, data)

        monkeypatch.setattr(output, "write_tensors", write)
        with pytest.raises(OutputError, match=RACE):
            merged(tmp_path)
        assert names_in(tmp_path) == {*INPUTS, "first", "out"}
        assert ma.verify(tmp_path / "out").ok


class TestTensors:
    @pytest.mark.clause("EN-17", "MG-7")
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_have_names_dtypes_and_shapes_of_the_base(self, tmp_path, dtype):
        """Also where the fine-tunes have other dtypes."""
        others = [name for name in DTYPES if name != dtype]
        merged(tmp_path, [fine_tune(number, other) for number, other in enumerate(others)], base(dtype))
        expected, found = base(dtype), read_by_package(tmp_path / "out")
        assert {name: (a.dtype, a.shape) for name, a in found.items()} == {
            name: (a.dtype, a.shape) for name, a in expected.items()
        }
        assert_equal(tensors_of(tmp_path / "out"), found)
        assert any(found[name].tobytes() != array.tobytes() for name, array in expected.items())

    @pytest.mark.clause("MG-2")
    def test_that_are_not_float_are_passed_on(self, tmp_path):
        integers = {f"i.{dtype}": np.arange(-3, 3).astype(dtype) for dtype in ("i1", "i2", "i4", "i8")}
        unsigned = {f"u.{dtype}": np.arange(250, 256).astype(dtype) for dtype in ("u1", "u2", "u4", "u8")}
        others = integers | unsigned | {"b": np.array([[True], [False]]), "z": np.zeros((2, 0), np.int32)}
        merged(tmp_path, [fine_tune(0) | others, fine_tune(1) | others], base() | others)
        found = read_by_package(tmp_path / "out")
        assert_equal({name: found[name] for name in others}, others)

    @pytest.mark.clause("MG-2")
    def test_that_nobody_holds_are_copied_with_their_nan(self, tmp_path):
        start = base() | {"old": np.float32([np.nan, -0.0, np.inf, 1])}
        tuned = [fine_tune(n) | {"old": start["old"]} for n in range(2)]
        workspace = ma.Workspace.init(tmp_path / "w", base=write_folder(tmp_path / "base", start), recipe=TIES)
        for number, tensors in enumerate(tuned):
            workspace.contribute(write_file(tmp_path / f"{number}.safetensors", tensors), leave=["old"])
        workspace.resolve(tmp_path / "out")
        assert tensors_of(tmp_path / "out")["old"].tobytes() == start["old"].tobytes()
        merged(tmp_path / "unchanged", tuned, start)
        assert tensors_of(tmp_path / "unchanged" / "out")["old"].tobytes() == start["old"].tobytes()

    @pytest.mark.clause("EN-6", "MG-7")
    def test_without_elements_or_dimensions_are_there(self, tmp_path):
        start = {
            "a.none": np.zeros((0,), np.float32),
            "b.scalar": np.array(1.5, ml_dtypes.bfloat16),
            "c.none": np.zeros((2, 0, 3), np.float16),
            "d": np.float32([1, 2, 3]),
            "e.count": np.array(7),
            "f.none": np.zeros((0, 5), np.float64),
        }
        tuned = start | {"b.scalar": np.array(2.5, ml_dtypes.bfloat16), "d": np.float32([2, 2, 2])}
        for name, way in WAYS.items():
            merged(tmp_path / name, [tuned], start, ma.Ties(density="0.75"), way)
            assert_equal(read_by_package(tmp_path / name / "out"), tuned | {"d": np.float32([2, 2, 2])})

    def test_may_all_be_empty(self, tmp_path):
        start = {"a": np.zeros((0,), np.float32), "b": np.zeros((0, 2), np.int64)}
        result = merged(tmp_path, [start], start)
        assert result.lock.achieved_density == "0.000000"
        assert_equal(read_by_package(tmp_path / "out"), start)

    @pytest.mark.clause("EN-17")
    def test_have_any_name_that_a_file_can_hold(self, tmp_path):
        names = ["", "\u00e9", "e\u0301", 'quo"te', "back\\slash", "new\nline", "\u0001", "\U0001f600", "a/b", ".."]
        start = {name: np.float32([1, 2]) for name in names}
        merged(tmp_path, [{name: np.float32([2, 2]) for name in names}], start)
        assert_equal(read_by_package(tmp_path / "out"), {name: np.float32([2, 2]) for name in names})
        assert ma.verify(tmp_path / "out").ok


@pytest.mark.clause("EN-18", "EN-19")
class TestShards:
    @pytest.mark.parametrize("limit", [1, 64, 200, 400, 10_000])
    def test_are_read_by_the_package_and_verify(self, tmp_path, monkeypatch, limit):
        whole = merged(tmp_path)
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
        result = merged(tmp_path, out="sharded", execution=WAYS["blocks of seven"])
        assert result.model_root == whole.model_root
        assert_equal(read_by_package(tmp_path / "sharded"), read_by_package(tmp_path / "out"))
        assert ma.verify(tmp_path / "sharded").ok
        shards = sorted(path.name for path in (tmp_path / "sharded").glob("*.safetensors"))
        count = len(shards)
        if count == 1:
            assert shards == ["model.safetensors"]
            assert not (tmp_path / "sharded" / INDEX).exists()
        else:
            assert shards == [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
        assert (count == 1) == (limit == 10_000)

    def test_have_an_index_as_others_write_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 200)
        merged(tmp_path)
        index = json.loads((tmp_path / "out" / INDEX).read_bytes())
        assert list(index) == ["metadata", "weight_map"]
        assert index["metadata"] == {"total_size": sum(array.nbytes for array in base().values())}
        assert list(index["weight_map"]) == sorted(base(), key=str.encode)
        for name in base():
            with safe_open(tmp_path / "out" / index["weight_map"][name], "np") as file:
                assert name in file.keys()  # noqa: SIM118 - the package's object is no mapping

    def test_of_the_base_leave_no_trace(self, tmp_path):
        """A base of many shards and one of a single file give the same folder, to the last byte."""
        merged(tmp_path)
        sharded = write_sharded(tmp_path / "sharded" / "base", base(), 3)
        models = [Model(tmp_path / f"ft{number}.safetensors") for number in range(3)]
        merge_checkpoints(sharded, models, TIES, tmp_path / "again", WAYS["one thread"])
        assert names_in(tmp_path / "out") == names_in(tmp_path / "again")
        for path in (tmp_path / "out").iterdir():
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name

    @pytest.mark.parametrize("limit", [64, 10_000])
    def test_are_equal_files_for_equal_models(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
        folders = []
        for name, way in WAYS.items():
            merged(tmp_path / name, execution=way)
            folders.append(tmp_path / name / "out")
        for folder in folders[1:]:
            assert names_in(folder) == names_in(folders[0])
            for path in folders[0].iterdir():
                ours, theirs = path.read_bytes(), (folder / path.name).read_bytes()
                assert ours == re.sub(rb'"backend": "(torch|numba)"', b'"backend": "numpy"', theirs), path
