"""The output folder: written once, hashed on the way, and there whole or not at all [LK-1, EN-18]."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mergealgebra.encoding import TensorHasher
from mergealgebra.engine.run import Piece
from mergealgebra.errors import CheckpointError, OutputError
from mergealgebra.tensors.safetensors_file import Entry, canonical_header, index_bytes, shard_names, shards

#: Kept free beside the tensors, for the small files.
_SPARE_BYTES = 1 << 22
_NO_FOLDER_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def refuse_occupied(out: Path) -> None:
    """Raise OutputError if something stands at `out` that is not an empty folder: nothing is overwritten."""
    with _reporting(out):
        if out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
            raise OutputError(f"{out} exists and is not an empty folder; remove it or choose another name")
        if out.resolve().is_mount():
            raise OutputError(f"{out} is where a disk is mounted, so it cannot be renamed to; name a new folder in it")


def write_model(
    out: Path,
    entries: list[Entry],
    pieces: Iterable[Piece],
    finish: Callable[[Mapping[str, str]], Mapping[str, bytes]],
    copies: Iterable[Path],
) -> None:
    """Write a model folder: the tensors in name order, copies of files, and what `finish` makes of the roots.

    entries: the tensors in name order. pieces: their elements in the same order. finish: from name -> root to
    file name -> bytes, called when all tensors are written. Raises OutputError; then nothing stands at `out`.
    """
    refuse_occupied(out)
    with _reporting(out):
        out = out.resolve()  # "." has no name to rename to
        if not out.parent.is_dir():
            out.parent.mkdir(parents=True, exist_ok=True)
        _check_space(out, entries)
        with _temporary(out) as folder:
            for source in copies:
                _write(folder / source.name, [_content(source)])
            roots: dict[str, str] = {}
            _write_tensors(folder, shards(entries), hashed(entries, pieces, roots))
            for name, data in finish(roots).items():
                _write(folder / name, [data])
            _sync_folder(folder)
            folder.replace(out)
    try:
        _sync_folder(out.parent)
    except OSError as error:
        raise OutputError(f"{out} is written and whole, but not yet safe on the disk: {error.strerror}") from error


def hashed(entries: Iterable[Entry], pieces: Iterable[Piece], roots: dict[str, str]) -> Iterator[memoryview]:
    """The bytes of the pieces as they come; each tensor's root is added to `roots` when it is complete."""
    coming = iter(pieces)
    for name, _, _, nbytes in entries:
        hasher, left = TensorHasher(), nbytes
        while left:
            data = np.ascontiguousarray(next(coming).data).view(np.uint8).data
            hasher.update(data)
            left -= len(data)
            yield data
        roots[name] = hasher.root()


def _write_tensors(folder: Path, cut: list[list[Entry]], data: Iterator[memoryview]) -> None:
    for file, shard in zip(shard_names(len(cut)), cut, strict=True):
        _write(folder / file, _shard_bytes(shard, data))
    for _ in data:  # what is left of it is the roots of empty tensors
        raise OutputError("more elements than the model has")
    if len(cut) > 1:
        _write(folder / "model.safetensors.index.json", [index_bytes(cut)])


def _shard_bytes(shard: list[Entry], data: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    yield canonical_header(shard)
    left = sum(nbytes for *_, nbytes in shard)
    while left:
        part = next(data)
        left -= len(part)
        yield part


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_space(out: Path, entries: Iterable[Entry]) -> None:
    needed = sum(nbytes for *_, nbytes in entries) + _SPARE_BYTES
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise OutputError(f"{out} needs {needed:,} bytes and its disk has {free:,} free; make room, or write elsewhere")


#: The temporary folders that this process is writing to.
_WRITING: set[Path] = set()


@contextlib.contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, gone at the end. Those that dead processes of this machine left go too."""
    prefix = f".{out.name}.{socket.gethostname()}."
    for old in out.parent.glob(f"{glob.escape(prefix)}*"):
        if _is_abandoned(old, old.name.removeprefix(prefix)):
            shutil.rmtree(old, ignore_errors=True)
    folder = out.parent / f"{prefix}{os.getpid()}"
    folder.mkdir()
    _WRITING.add(folder)
    try:
        yield folder
    finally:
        _WRITING.discard(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path, process: str) -> bool:
    """Whether no living process writes to it. In containers, a new process often has the number of a dead one."""
    if not process.isdecimal() or folder in _WRITING:
        return False
    try:
        return int(process) == os.getpid() or not _alive(int(process))
    except OverflowError:  # no process has such a number
        return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def _content(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror}; check its permissions") from error


def _sync_folder(folder: Path) -> None:
    """Flush a folder, so that a rename in it survives a power cut; some network file systems cannot."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FSYNC:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reporting(out: Path) -> Iterator[Any]:
    """What the operating system refuses, as one clear error."""
    try:
        yield
    except OSError as error:
        place = error.filename or out
        raise OutputError(f"{place} cannot be written: {error.strerror}; nothing was left at {out}") from error
