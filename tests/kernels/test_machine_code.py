"""Machine code is compiled once for a machine, kept, and never trusted to be what it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mergealgebra.engine import backends
from mergealgebra.errors import BackendError
from mergealgebra.kernels import cpu, machine_code

#: Loads an entry, counts a block with it, and says what that took.
_USE = """
import json, sys
from pathlib import Path
import numpy as np
from mergealgebra.algebra.trim import ALL
from mergealgebra.kernels import machine_code
machine_code._folder = lambda: Path(sys.argv[1])
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.fused import table
from mergealgebra.kernels.calls import CompiledCode

told = []
code = CompiledCode(lambda *step: told.append(step))
tau, counts = np.float32([1, -1, 2]), np.zeros(ALL.bins + 1, np.int64)
assert code.count(tau, Part(tau, "task_vector", 1.0), ALL, counts)
print(json.dumps({"told": told, "numba": "numba" in sys.modules, "ones": int(counts[0x3F80])}))
"""
COMPILED = [["compiling kernels, once for this machine", done, 1] for done in (0, 1)]


def use(folder: Path) -> dict[str, object]:
    """What a new process says that keeps its machine code in a folder."""
    command = [sys.executable, "-c", _USE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert found["ones"] == 2
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder, and what the first process said that used it."""
    folder = tmp_path_factory.mktemp("machine-code")
    return folder, use(folder)


def test_the_first_process_has_it_compiled_and_says_so(kept):
    folder, first = kept
    assert first["numba"] is False
    assert first["told"] == COMPILED
    assert [path.suffix for path in folder.iterdir()] == [".machine-code"]


def test_later_ones_do_not_even_import_numba(kept):
    later = use(kept[0])
    assert later["numba"] is False
    assert later["told"] == []


def test_damaged_code_is_compiled_again(kept):
    (path,) = kept[0].iterdir()
    sound = path.read_bytes()
    for damaged in (sound[:-1], sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:], b""):
        path.write_bytes(damaged)
        assert machine_code._kept(path) is None
    assert use(kept[0])["told"] == COMPILED
    assert machine_code._kept(path) is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path):
    tmp_path.chmod(0o500)
    assert use(tmp_path)["told"] == COMPILED
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder_only_costs_time(tmp_path):
    (tmp_path / "file").write_text("here")
    assert use(tmp_path / "file")["told"] == COMPILED


def test_it_is_compiled_here_where_no_other_process_can_be_had(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    code = dict(machine_code._compile(["count_block"]))["count_block"]
    assert code.partition(b"\0")[2].startswith(b"\x7fELF")


@pytest.mark.parametrize("avx512", [True, False])
def test_the_compiler_may_fill_the_widest_vectors(monkeypatch, avx512):
    host = machine_code.llvm.get_host_cpu_features()
    host.update({"avx512f": avx512, "prefer-256-bit": True})
    monkeypatch.setattr(machine_code.llvm, "get_host_cpu_features", lambda: host)
    assert ("-prefer-256-bit" in machine_code._settings()["NUMBA_CPU_FEATURES"].split(",")) == avx512


def test_the_compiler_has_the_users_settings(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert machine_code._settings()["NUMBA_CPU_NAME"] == "generic"


def test_other_sources_settings_and_processors_have_other_code(tmp_path, monkeypatch):
    (tmp_path / "entries.py").write_text("x = 1")
    monkeypatch.setattr(machine_code, "_SOURCES", tmp_path)
    keys = [machine_code._key()]
    (tmp_path / "entries.py").write_text("x = 2")
    keys.append(machine_code._key())
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    keys.append(machine_code._key())
    monkeypatch.setattr(machine_code.llvm, "get_host_cpu_name", lambda: "another")
    keys.append(machine_code._key())
    assert len(set(keys)) == 4


def test_code_asks_nothing_of_the_compilers_runtime_but_what_is_refused(kept):
    """Allocations and exceptions would need Numba; the names for those lead to `abort`."""
    kernel = cpu.NumbaKernel()
    assert kernel.name == "numba"
    (path,) = kept[0].iterdir()
    code = machine_code._kept(path)
    assert code is not None
    names = set(filter(None, code.partition(b"\0")[2].split(b"\0")))
    runtime = {name.decode() for name in names if name.startswith((b"NRT_", b"numba_")) and name.isascii()}
    runtime -= {"NRT_incref", "NRT_decref"}  # which the object file has itself
    assert runtime <= set(machine_code._RUNTIME)
    assert all(machine_code.llvm.address_of_symbol(name) for name in runtime)


# Warming up


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A folder for machine code that costs nothing to make, in a process that has loaded none."""
    folder = tmp_path / "kept"
    monkeypatch.setattr(machine_code, "_folder", lambda: folder)
    monkeypatch.setattr(machine_code, "_loaded", {})
    monkeypatch.setattr(machine_code, "_in_memory", lambda code: (len, code))
    monkeypatch.setattr(machine_code, "_compile", lambda names: ((name, name.encode()) for name in names))
    return folder


@pytest.mark.clause("CL-6")
def test_all_that_is_ever_loaded_is_compiled_ahead_and_counted(stand_in, monkeypatch):
    told: list[tuple[str, int, int]] = []
    folder, compiled = backends.warm_up(lambda *step: told.append(step))
    assert (folder, compiled) == (stand_in, list(machine_code.ENTRIES))
    assert told == [
        ("compiling kernels, once for this machine", done, len(machine_code.ENTRIES))
        for done in range(len(machine_code.ENTRIES) + 1)
    ]
    for name in machine_code.ENTRIES:  # as another process would
        monkeypatch.setattr(machine_code, "_loaded", {})
        machine_code.load([name], lambda *told: pytest.fail("it is compiled again"))


@pytest.mark.clause("CL-6")
def test_what_is_kept_is_not_compiled_again(stand_in):
    backends.warm_up()
    assert backends.warm_up(lambda *told: pytest.fail("it is compiled again")) == (stand_in, [])
    next(path for path in stand_in.iterdir() if path.name.startswith("count_block")).unlink()
    machine_code._loaded.clear()
    assert backends.warm_up() == (stand_in, ["count_block"])


@pytest.mark.clause("CL-6")
def test_warming_up_where_nothing_can_be_kept_is_refused(stand_in):
    stand_in.mkdir()
    stand_in.chmod(0o777)
    with pytest.raises(
        BackendError, match=r"cannot be kept in .*kept, so each merge compiles them again: let XDG_CACHE"
    ):
        backends.warm_up()


@pytest.mark.clause("CL-6")
def test_warming_up_without_numba_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(BackendError, match="backend 'numba' is not installed; pip install numba"):
        backends.warm_up()


def test_every_entry_is_one_that_is_compiled_ahead():
    source = (Path(cpu.__file__).parent / "fused" / "entries.py").read_text()
    assert sorted(machine_code.ENTRIES) == sorted(re.findall("^def ([a-z_]+_block)", source, re.M))


# Whose it is


@pytest.fixture
def written(tmp_path):
    """A file of machine code in a folder that only its user writes."""
    tmp_path.chmod(0o700)
    path = tmp_path / "x.machine-code"
    machine_code._keep(path, b"code")
    assert machine_code._kept(path) == b"code"
    return path


#: What lets others have written the code, which would run in this process.
OTHERS = {
    "a folder that all write": lambda path: path.parent.chmod(0o1777),
    "a folder that a group writes": lambda path: path.parent.chmod(0o770),
    "a file that all write": lambda path: path.chmod(0o666),
    "a folder of somebody else": lambda path: os.chown(path.parent, 12345, -1),
    "a file of somebody else": lambda path: os.chown(path, 12345, -1),
    "a link": lambda path: path.symlink_to(path.rename(path.with_name("file"))),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a file without an end": lambda path: os.truncate(path, 1 << 40),
}


@pytest.mark.parametrize("others", OTHERS)
def test_code_that_others_may_have_written_is_not_loaded(others, written):
    if "somebody else" in others and os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    OTHERS[others](written)
    assert machine_code._kept(written) is None


def test_nothing_is_kept_where_others_write(tmp_path):
    tmp_path.chmod(0o1777)
    machine_code._keep(tmp_path / "x.machine-code", b"code")
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_private(tmp_path):
    before = os.umask(0)
    try:
        machine_code._keep(tmp_path / "new" / "x.machine-code", b"code")
    finally:
        os.umask(before)
    (path,) = (tmp_path / "new").iterdir()
    assert [p.stat().st_mode & 0o777 for p in (path.parent, path)] == [0o700, 0o600]


#: XDG_CACHE_HOME -> the folder, where the one beside the code is not the user's own.
FOLDERS = {
    "/somewhere": "/somewhere/mergealgebra",
    "cache": "/home/me/.cache/mergealgebra",
    "": "/home/me/.cache/mergealgebra",
}


@pytest.mark.parametrize("value", FOLDERS)
def test_it_is_never_kept_in_the_current_folder(value, monkeypatch):
    monkeypatch.setattr(machine_code, "_is_private", lambda told: False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert machine_code._folder() == Path(FOLDERS[value])
