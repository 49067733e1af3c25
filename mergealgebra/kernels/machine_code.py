"""The compiled code of `kernels.fused` as functions of C, kept as machine code from process to process.

Numba takes most of a second to be imported and to load its own cache; LLVM alone loads machine code in a tenth. So a
function is compiled once for a machine, by Numba, and later processes never import it. What is kept is found by a hash
of all that it depends on, and checked by a hash of itself. It runs in this process, so it is read only from a file and
a folder to which nobody but the user, or root, can write.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Final

import llvmlite.binding as llvm

from mergealgebra.children.process import ChildFailed, lines_of_module
from mergealgebra.disk import open_file, opened_folder, read_all, read_file, write_all
from mergealgebra.errors import BackendError
from mergealgebra.text import location

Entry = Callable[[int], int]
#: Called with how many entries have been compiled, and how many there are to compile.
Announce = Callable[[int, int], None]

#: All that are ever loaded.
ENTRIES: Final = (
    "reduce_block",
    "count_block",
    "update_block",
    "dots_block",
    "vectors_block",
    "sums_block",
    "apply_block",
    "elected_block",
    "centred_block",
    "shares_block",
    "divergences_block",
    "importances_block",
)

_PROTOTYPE: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64)  # it gives up the interpreter lock
_SOURCES: Final = Path(__file__).parent / "fused"
_MOST_BYTES: Final = 1 << 26  # a hundred times what a function has
_SECONDS: Final = 600  # that another process may take, which needs a tenth
_loaded: Final[dict[str, tuple[Entry, Any]]] = {}  # with what must outlive the function
_loading: Final = Lock()


def entry(name: str) -> Entry:
    """A function of `fused.entries`, by the address of a table; `load` has loaded it."""
    return _loaded[name][0]


def load(names: Iterable[str], announce: Announce) -> None:
    """Load entries, and compile those that were not kept. announce: called while that goes on, if there are any."""
    with _loading:
        new = [name for name in names if name not in _loaded]
        if not new:
            return
        paths = _paths(new)
        codes = {name: _kept(path) for name, path in paths.items()}
        missing = [name for name, code in codes.items() if code is None]
        if missing:
            announce(0, len(missing))
        for done, (name, code) in enumerate(_compile(missing), 1):
            codes[name] = code
            _keep(paths[name], code)
            announce(done, len(missing))
        _loaded.update({name: _in_memory(code) for name, code in codes.items() if code is not None})


def keep_all(announce: Announce) -> tuple[Path, list[str]]:
    """Compile the entries that were not kept: returns the folder in which all are now, and those that were compiled.

    Raises BackendError when they cannot be kept there.
    """
    paths = _paths(ENTRIES)
    missing = [name for name, path in paths.items() if _kept(path) is None]
    load(missing, announce)
    folder = paths[ENTRIES[0]].parent
    if any(_kept(path) is None for path in paths.values()):
        raise BackendError(
            f"the kernels cannot be kept in {location(folder)}, so each merge compiles them again: let XDG_CACHE_HOME "
            "name a folder in which you, and nobody else, can write"
        )
    return folder, missing


def _compile(names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each symbol, a zero byte, and the object file: by another process, or here if there can be none."""
    left = list(names)
    lines = lines_of_module("mergealgebra.kernels.fused.compiler", names, env=_settings(), seconds=_SECONDS)
    with suppress(OSError, ChildFailed, ValueError), closing(lines):
        for name, line in zip(names, lines if names else (), strict=True):
            code = bytes.fromhex(line.decode())
            left.remove(name)
            yield name, code
    if left:
        from mergealgebra.kernels.fused.compiler import machine_code

        yield from ((name, machine_code(name)) for name in left)


def _settings() -> dict[str, str]:
    """The environment of the compiler: LLVM may fill the widest vectors that the processor has.

    For processors with AVX-512 it would stop at half of that; here the whole is a fifth faster.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        features["prefer-256-bit"] = False
    processor = {"NUMBA_CPU_NAME": llvm.get_host_cpu_name(), "NUMBA_CPU_FEATURES": features.flatten()}
    return processor | os.environ


def _in_memory(code: bytes) -> tuple[Entry, Any]:
    symbol, _, object_file = code.partition(b"\0")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine(jit=True)
    )
    _refuse_calls()
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_file))
    engine.finalize_object()
    return _PROTOTYPE(engine.get_function_address(symbol.decode())), engine


def _refuse_calls() -> None:
    """Let what Numba's runtime would do, on paths that no entry takes, end the process instead."""
    abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
    for name in _RUNTIME:
        llvm.add_symbol(name, abort)


#: What object files name of Numba's runtime: for allocations and exceptions, of which there are none.
_RUNTIME: Final = (
    "NRT_Free",
    "NRT_MemInfo_call_dtor",
    "numba_attempt_nocopy_reshape",
    "numba_do_raise",
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_runtime_build_excinfo_struct",
    "numba_unpickle",
)


# Keeping it


def _paths(names: Iterable[str]) -> dict[str, Path]:
    """Where entries are kept, by name."""
    folder, key = _folder(), _key()
    return {name: folder / f"{name}-{key}.machine-code" for name in names}


def _key() -> str:
    """What machine code depends on: the sources, the compiler with its settings, and the processor."""
    key = hashlib.sha256()
    for path in sorted(_SOURCES.glob("*.py")):
        key.update(hashlib.sha256(read_file(path, _MOST_BYTES)).digest())
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    key.update(repr((_version("numba"), _version("llvmlite"), processor, settings)).encode())
    return key.hexdigest()[:32]


def _version(package: str) -> str:
    """Which version of a package is installed, as it says itself; else as its metadata says, which take longer."""
    found = find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        with suppress(OSError):
            return hashlib.sha256(read_file(Path(folder, "_version.py"), _MOST_BYTES)).hexdigest()
    from importlib.metadata import version

    return version(package)


def _folder() -> Path:
    """Beside the code if it is the user's own; else in the user's cache; nowhere for users without a home."""
    beside = Path(__file__).parent / "__pycache__"
    with suppress(OSError):
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK) and _is_private(beside.stat()):
            return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = cache if cache.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        folder = Path(os.devnull)
    return folder / "mergealgebra"


def _is_private(told: os.stat_result) -> bool:
    """Whether only the user, or root, can write to a file or a folder."""
    return told.st_uid in (os.geteuid(), 0) and not told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A descriptor of a private folder. Raises OSError for another."""
    with opened_folder(folder) as descriptor:
        if not _is_private(os.fstat(descriptor)):
            raise PermissionError(errno.EPERM, "others can write to it", str(folder))
        yield descriptor


def _kept(path: Path) -> bytes | None:
    """What was kept; None when there is nothing, it is damaged, or somebody else can have written it."""
    try:
        with _opened(path.parent) as folder:
            data = _private_file(path.name, folder)
    except OSError:
        return None
    return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None


def _private_file(name: str, folder: int) -> bytes:
    """What is in a file; nothing if somebody else can have written it. Raises OSError."""
    descriptor = open_file(name, within=folder)
    try:
        return read_all(descriptor, _MOST_BYTES, name) if _is_private(os.fstat(descriptor)) else b""
    finally:
        os.close(descriptor)


def _keep(path: Path, code: bytes) -> None:
    """Keep it, whole or not at all; where nothing can be written, the next process compiles again."""
    staged = f"{path.stem}.{os.urandom(8).hex()}"
    with suppress(OSError):
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with _opened(path.parent) as folder:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            try:
                write_all(descriptor, hashlib.sha256(code).digest() + code)
                os.replace(staged, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.close(descriptor)
                with suppress(FileNotFoundError):
                    os.unlink(staged, dir_fd=folder)
