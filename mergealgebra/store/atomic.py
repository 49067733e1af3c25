"""How bytes reach the disk: a file appears whole or not at all, whenever the process dies [SY-2, SY-8].

Every write, flush, rename and new folder of a store is one of the four calls made here: `os.write`, `os.fsync`,
`os.replace`, `os.mkdir`. So a test can count them, and kill the process at each.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.errors import OutputError
from mergealgebra.tensors.files import place

#: No write hands the operating system more than this at once.
PIECE_BYTES: Final = 1 << 20
#: A temporary file that nobody has written to for so long was left by a process that died.
STALE_SECONDS: Final = 24 * 60 * 60

_SUFFIX: Final = ".part"
_NO_FOLDER_FSYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_ADVICE: Final = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "get write permission for the folder, or choose another",
    errno.EPERM: "get write permission for the folder, or choose another",
    errno.ENOENT: "the folder went away while it was written to; run it again",
}


def write_atomically(path: Path, data: bytes, *, tmp: Path) -> None:
    """Put a file in place, replacing what is there; no one ever sees a part of it [SY-2].

    tmp: a folder of the same file system, made when it is missing. Raises OutputError.
    """
    with staged(tmp) as file:
        file.write(data)
        file.place(path)


class StagedFile:
    """A file that is being written under a temporary name; `place` gives it its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # 0o666 less the umask: an exchange folder may be shared by several users.
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError when the disk is full, or the file has been placed."""
        rest = memoryview(data).cast("B")
        with refused_as_output(self._path):
            while len(rest):
                rest = rest[os.write(self._open(), rest[:PIECE_BYTES]) :]

    def place(self, path: Path) -> None:
        """Flush the file to the disk, then let it appear as `path`, once. Raises OutputError."""
        with refused_as_output(path):
            os.fsync(self._open())
            self._close()
            os.replace(self._path, path)  # noqa: PTH105 - one of the four calls
            _fsync_folder(path.parent)

    def discard(self) -> None:
        """Leave nothing behind but what was placed."""
        self._close()
        with suppress(OSError):
            self._path.unlink()

    def _open(self) -> int:
        if self._descriptor is None:
            raise OutputError(f"{place(self._path)} has been placed and takes no more bytes; start another file")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


@contextmanager
def staged(tmp: Path) -> Iterator[StagedFile]:
    """A new file under `tmp`, removed at the end unless it was placed, also when the body raises [SY-2].

    Raises OutputError when none can be made.
    """
    make_folder(tmp)
    with refused_as_output(tmp):
        file = StagedFile(tmp / f"{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}")
    try:
        yield file
    finally:
        file.discard()


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there; another process may be doing the same.

    Raises OutputError.
    """
    with refused_as_output(path):
        if path.is_dir():
            return
        make_folder(path.parent)
        try:
            os.mkdir(path)  # noqa: PTH102 - one of the four calls
        except FileExistsError:
            if not path.is_dir():
                raise
        _fsync_folder(path.parent)


def sweep(tmp: Path) -> None:
    """Remove the temporary files of processes that died more than a day ago; what cannot be removed stays."""
    with suppress(OSError):
        for path in tmp.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > STALE_SECONDS:
                    path.unlink()


@contextmanager
def refused_as_output(path: Path) -> Iterator[None]:
    """What the operating system refuses leaves as an OutputError: one line with the path and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
        raise OutputError(f"{place(path)} cannot be written: {error.strerror}; {advice}") from error


def _fsync_folder(path: Path) -> None:
    """Flush a folder, so that a rename in it survives a power cut; some network file systems cannot."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FSYNC:
            raise
    finally:
        os.close(descriptor)
