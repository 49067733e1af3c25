"""How bytes reach a store: a file appears whole or not at all, whenever the process dies [SY-2, SY-8].

Every write, flush, rename and new folder of a store is one of five calls, made here, in `entries` and in `disk`:
`os.write`, `os.fsync`, `os.replace`, `os.link`, `os.mkdir`. So a test can count them, and kill the process at each.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.disk import fsync_opened, make_folder, opened_folder, refused_as_output, write_all
from mergealgebra.errors import OutputError
from mergealgebra.store.entries import FILE_OF_GROUP, TMP, Entry, is_of_group, made_part, opened_part
from mergealgebra.store.refusals import refused_in_store
from mergealgebra.text import location

#: How long an empty file may stand for one that somebody is about to put in its place.
CLAIM_SECONDS: Final = 2.0

#: The mode of a file: an exchange folder may be shared by several users.
SHARED: Final = 0o666
_SUFFIX: Final = ".part"
#: The call by which Linux lets a file share the blocks of another.
_FICLONE: Final = 0x40049409
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def write_atomically(entry: Entry, data: bytes, mode: int = SHARED) -> None:
    """Put a file in place, replacing what is there; no one ever sees a part of it [SY-2]. Raises OutputError.

    mode: that of the file from its creation, less the umask.
    """
    with staged(entry.store, mode) as file:
        file.write(data)
        file.commit(entry)


def create_atomically(entry: Entry, data: bytes) -> None:
    """Put a file in place as `write_atomically` does, unless one is there: of several writers, the first wins [SY-7].

    An empty file is not there: where there are no links, whoever died between claiming a name and giving it its file
    left one. Raises OutputError.
    """
    with staged(entry.store) as file:
        file.write(data)
        file.commit_first(entry)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file of the user's in place, whole or not at all; it is staged beside its place. Raises OutputError."""
    make_folder(path.parent)
    with refused_as_output(path.parent), opened_folder(path.parent) as folder, _staged_in(folder, path.parent) as file:
        file.write(data)
        with refused_as_output(path):
            file.move(folder, path.name)


class StagedFile:
    """A file that is being written under a temporary name; `commit` gives it its own."""

    def __init__(self, folder: int, path: Path, mode: int) -> None:
        self._folder, self._path = folder, path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        self._descriptor: int | None = os.open(path.name, flags, mode, dir_fd=folder)

    def open_to_group(self) -> None:
        """Let the group of its folder read and write it. Raises OSError."""
        descriptor = self._open()
        os.fchmod(descriptor, os.fstat(descriptor).st_mode | FILE_OF_GROUP)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError when the disk is full, or the file has its own name already."""
        with refused_as_output(self._path):
            write_all(self._open(), data)

    def lengthen(self, nbytes: int) -> int:
        """Give the file its length before its bytes come; a descriptor of it. Raises OutputError."""
        descriptor = self._open()
        with refused_as_output(self._path):
            os.ftruncate(descriptor, nbytes)
        return descriptor

    def clone(self, source: int) -> int | None:
        """Have the bytes of an open file without a copy; a descriptor of the result, None where that cannot be done.

        Raises OutputError when the file has its own name already.
        """
        descriptor = self._open()
        return descriptor if clone_file(source, descriptor) else None

    def commit(self, entry: Entry) -> None:
        """Flush the file to the disk, then let it appear as an entry, once. Raises OutputError."""
        with refused_in_store(entry.path), made_part(entry.store, entry.part) as folder:
            self.move(folder, entry.name)

    def commit_first(self, entry: Entry) -> None:
        """Flush the file to the disk, then let it appear as an entry, unless one is there: that one stays.

        Raises OutputError.
        """
        with refused_in_store(entry.path), made_part(entry.store, entry.part) as folder:
            os.fsync(self._open())
            self._close()
            if self._link_or_claim(folder, entry.name):
                fsync_opened(folder)

    def move(self, folder: int, name: str) -> None:
        """Flush the file to the disk, then give it a name in an open folder, once. Raises OSError."""
        os.fsync(self._open())
        self._close()
        self._replace(folder, name)
        fsync_opened(folder)

    def discard(self) -> None:
        """Leave nothing under the temporary name."""
        self._close()
        with suppress(OSError):
            os.unlink(self._path.name, dir_fd=self._folder)

    def _link_or_claim(self, folder: int, name: str) -> bool:
        """Give the file a second name that nothing but an abandoned claim has; False if another file has it."""
        try:
            os.link(self._path.name, name, src_dir_fd=self._folder, dst_dir_fd=folder)
        except FileExistsError:
            if not _is_abandoned(folder, name):
                return False
            self._replace(folder, name)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._claim(folder, name)
        return True

    def _claim(self, folder: int, name: str) -> bool:
        """The same where there are no links: an empty file claims the name first, and a death right then leaves it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            os.close(os.open(name, flags, SHARED, dir_fd=folder))
        except FileExistsError:
            if not _is_abandoned(folder, name):
                return False
        self._replace(folder, name)
        return True

    def _replace(self, folder: int, name: str) -> None:
        os.replace(self._path.name, name, src_dir_fd=self._folder, dst_dir_fd=folder)

    def _open(self) -> int:
        if self._descriptor is None:
            raise OutputError(f"{location(self._path)} has its own name and takes no more bytes; start another file")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _is_abandoned(folder: int, name: str) -> bool:
    """Whether a name stays an empty file's for as long as nobody takes to put the right one in its place."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while os.stat(name, dir_fd=folder, follow_symlinks=False).st_size == 0:
        if time.monotonic() > deadline:
            return True
        time.sleep(CLAIM_SECONDS / 100)
    return False


@contextmanager
def staged(store: Path, mode: int = SHARED) -> Iterator[StagedFile]:
    """A new file under a store's `tmp`, removed at the end unless it was committed, also when the body raises [SY-2].

    mode: that of the file, less the umask; where a group shares the store, it may read and write the file, whatever the
    umask is [SY-16]. Raises OutputError when none can be made.
    """
    path = store / TMP
    with ExitStack() as opened:
        with refused_in_store(path):
            folder = opened.enter_context(made_part(store, TMP))
            shared = mode == SHARED and is_of_group(store.stat().st_mode)
        file = opened.enter_context(_staged_in(folder, path, mode))
        if shared:
            with refused_in_store(path):
                file.open_to_group()
        yield file


@contextmanager
def set_aside(entry: Entry) -> Iterator[os.stat_result | None]:
    """An entry under a temporary name, and what the system tells of it; None if nothing has its name.

    When the body ends it is removed, and when it raises it gets its name back. Raises OSError.
    """
    with opened_part(entry.store, entry.part) as folder, made_part(entry.store, TMP) as tmp:
        aside = _temporary_name()
        try:
            os.replace(entry.name, aside, src_dir_fd=folder, dst_dir_fd=tmp)
        except FileNotFoundError:
            yield None
            return
        try:
            yield os.stat(aside, dir_fd=tmp, follow_symlinks=False)
        except BaseException:
            os.utime(aside, dir_fd=tmp)  # young, like one that was put in its place meanwhile
            os.replace(aside, entry.name, src_dir_fd=tmp, dst_dir_fd=folder)
            raise
        os.unlink(aside, dir_fd=tmp)


@contextmanager
def _staged_in(folder: int, path: Path, mode: int = SHARED) -> Iterator[StagedFile]:
    with refused_in_store(path):
        file = StagedFile(folder, path / _temporary_name(), mode)
    try:
        yield file
    finally:
        file.discard()


def _temporary_name() -> str:
    return f"{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}"


def clone_file(source: int, target: int) -> bool:
    """Let an open file have the bytes of another without a copy; False where the system or the disk cannot.

    The two share blocks until one of them is written to: then that one alone changes.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # not everywhere, as for locks

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True
