"""The output folder: written once, and there whole or not at all [LK-1, EN-18]."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from mergealgebra.disk import PIECE_BYTES, folder_made, fsync_folder, opened_folder, refused_as_output, write_all
from mergealgebra.engine.pieces import Piece
from mergealgebra.errors import OutputError
from mergealgebra.tensors.files import opened
from mergealgebra.tensors.safetensors_file import Entry, canonical_header, index_bytes, shard_names, shards

#: Kept free beside the tensors, for the small files.
_SPARE_BYTES: Final = 1 << 22
#: So much is written before it is brought to the disk.
_FLUSH_BYTES: Final = 1 << 26
#: What the name of a temporary folder ends with.
_TOKEN: Final = re.compile("[0-9a-f]{16}")


def refuse_occupied(out: Path) -> None:
    """Raise OutputError if something stands at `out` that is not an empty folder: nothing is overwritten."""
    with refused_as_output(out):
        if out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
            raise OutputError(f"{out} exists and is not an empty folder; remove it or choose another name")
        if out.resolve().is_mount():
            raise OutputError(f"{out} is where a disk is mounted, so it cannot be renamed to; name a new folder in it")


def write_model(
    out: Path,
    entries: list[Entry],
    pieces: Iterable[Piece],
    finish: Callable[[], Mapping[str, bytes]],
    copies: Iterable[Path],
) -> None:
    """Write a model folder: the tensors in name order, copies of files, and what `finish` makes of the roots.

    entries: the tensors in name order. pieces: their elements in the same order. finish: gives more files, name ->
    bytes, when all tensors are written. Raises OutputError; then nothing stands at `out`.
    """
    refuse_occupied(out)
    with refused_as_output(out):
        out = out.resolve()  # "." has no name to rename to
        with folder_made(out.parent):
            _check_space(out, entries)
            with _temporary(out) as folder:
                for source in copies:
                    _write(folder / source.name, _content(source))
                _write_tensors(folder, shards(entries), (piece.data.view(np.uint8).data for piece in pieces))
                for name, data in finish().items():
                    _write(folder / name, [data])
                fsync_folder(folder)
                folder.replace(out)
    try:
        fsync_folder(out.parent)
    except OSError as error:
        raise OutputError(f"{out} is written and whole, but not yet safe on the disk: {error.strerror}") from error


def _write_tensors(folder: Path, cut: list[list[Entry]], data: Iterator[memoryview]) -> None:
    for file, shard in zip(shard_names(len(cut)), cut, strict=True):
        _write(folder / file, _shard_bytes(shard, data))
    for _ in data:  # nothing is left, but what comes at the end of all pieces may be an error
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
        unsafe = 0
        for part in parts:
            write_all(descriptor, part)
            unsafe += len(part)
            if unsafe >= _FLUSH_BYTES:  # while workers compute what comes next, so that nobody waits for it at the end
                os.fsync(descriptor)
                unsafe = 0
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_space(out: Path, entries: Iterable[Entry]) -> None:
    needed = sum(nbytes for *_, nbytes in entries) + _SPARE_BYTES
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise OutputError(f"{out} needs {needed:,} bytes and its disk has {free:,} free; make room, or write elsewhere")


@contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, locked while the body runs and gone at the end. Abandoned ones go too."""
    _sweep(out)
    folder = out.parent / f".{out.name}.{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        with opened_folder(folder) as descriptor:
            _lock(descriptor)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(out: Path) -> None:
    """Remove the temporary folders that dead processes left beside `out`: those whose lock nobody holds."""
    prefix = f".{out.name}."
    for old in out.parent.glob(f"{glob.escape(prefix)}*"):
        if _TOKEN.fullmatch(old.name.removeprefix(prefix)):
            with suppress(OSError), opened_folder(old) as descriptor:
                if _lock(descriptor):
                    shutil.rmtree(old, ignore_errors=True)


def _lock(descriptor: int) -> bool:
    """Take the lock of a folder until its descriptor is closed; False on a file system without locks.

    Raises BlockingIOError when somebody else holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _content(source: Path) -> Iterator[bytes]:
    with opened(source) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
