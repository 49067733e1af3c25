"""The calls by which bytes reach a disk, and how its refusals are told: one line with the path and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.errors import OutputError
from mergealgebra.text import place

#: No write hands the operating system more than this at once.
PIECE_BYTES: Final = 1 << 20

_NO_FOLDER_FSYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_ADVICE: Final = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "get write permission for the folder, or choose another",
    errno.EPERM: "get write permission for the folder, or choose another",
    errno.ENOENT: "the folder went away while it was written to; run it again",
    errno.EAGAIN: "another process is at work there; run it again",
}


@contextmanager
def refused_as_output(path: Path) -> Iterator[None]:
    """What the operating system refuses leaves as an OutputError: one line with the path and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
        raise OutputError(f"{place(path)} cannot be written: {error.strerror}; {advice}") from error


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes, in as many calls as it takes. Raises OSError."""
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[os.write(descriptor, rest[:PIECE_BYTES]) :]


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there; another process may be doing the same.

    Raises OutputError; then nothing was made.
    """
    with folder_made(path):
        pass


@contextmanager
def folder_made(path: Path) -> Iterator[None]:
    """A folder for the body to write into, made as by `make_folder`; what was made goes again if the body raises."""
    made: list[Path] = []
    try:
        for folder in reversed((path, *path.parents)):
            with refused_as_output(folder):
                if not folder.is_dir():
                    _make(folder, made)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def _make(folder: Path, made: list[Path]) -> None:
    try:
        os.mkdir(folder)  # noqa: PTH102 - as in the other calls, `os` is what tests look at
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        made.append(folder)
    fsync_folder(folder.parent)


def fsync_folder(path: Path) -> None:
    """Flush a folder, so that a rename in it survives a power cut; some network file systems cannot. Raises OSError."""
    with folder_descriptor(path) as descriptor:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_FSYNC:
                raise


@contextmanager
def folder_descriptor(path: Path) -> Iterator[int]:
    """A folder, open while the body runs. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
