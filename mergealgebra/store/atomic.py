"""How bytes reach a store: a file appears whole or not at all, whenever the process dies [SY-2, SY-8].

Every write, flush, rename and new folder of a store is one of five calls, made here and in `disk`: `os.write`,
`os.fsync`, `os.replace`, `os.link`, `os.mkdir`. So a test can count them, and kill the process at each.
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

from mergealgebra.disk import fsync_folder, make_folder, refused_as_output, write_all
from mergealgebra.errors import OutputError
from mergealgebra.text import place

#: A temporary file that nobody has written to for so long was left by a process that died.
STALE_SECONDS: Final = 24 * 60 * 60

_SUFFIX: Final = ".part"
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def write_atomically(path: Path, data: bytes, *, tmp: Path) -> None:
    """Put a file in place, replacing what is there; no one ever sees a part of it [SY-2].

    tmp: a folder of the same file system, made when it is missing. Raises OutputError.
    """
    with staged(tmp) as file:
        file.write(data)
        file.place(path)


def create_atomically(path: Path, data: bytes, *, tmp: Path) -> None:
    """Put a file in place as `write_atomically` does, unless one is there: of several writers, the first wins [SY-7].

    Raises OutputError.
    """
    with staged(tmp) as file:
        file.write(data)
        file.place_first(path)


class StagedFile:
    """A file that is being written under a temporary name; `place` gives it its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # 0o666 less the umask: an exchange folder may be shared by several users.
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError when the disk is full, or the file has been placed."""
        with refused_as_output(self._path):
            write_all(self._open(), data)

    def place(self, path: Path) -> None:
        """Flush the file to the disk, then let it appear as `path`, once. Raises OutputError."""
        with refused_as_output(path):
            os.fsync(self._open())
            self._close()
            os.replace(self._path, path)  # noqa: PTH105 - one of the five calls
            fsync_folder(path.parent)

    def place_first(self, path: Path) -> None:
        """Flush the file to the disk, then let it appear as `path`, unless a file is there: that one stays.

        Raises OutputError.
        """
        with refused_as_output(path), suppress(FileExistsError):
            os.fsync(self._open())
            self._close()
            _link_or_claim(self._path, path)
            fsync_folder(path.parent)

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


def _link_or_claim(source: Path, path: Path) -> None:
    """Give a file a second name that nothing has yet. Raises FileExistsError.

    Where there are no links, the name is claimed by an empty file first, and a death right then leaves that.
    """
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        os.replace(source, path)  # noqa: PTH105 - one of the five calls


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


def sweep(tmp: Path) -> None:
    """Remove the temporary files of processes that died more than a day ago; what cannot be removed stays."""
    with suppress(OSError):
        for path in tmp.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > STALE_SECONDS:
                    path.unlink()
