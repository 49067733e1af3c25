"""Reading and writing: the calls of the system, and its refusals as one line with what to do.

Systems differ, and this module knows how. Where folders cannot be held open, as on Windows, a link could lead a write
elsewhere. There, files that the user names are read, and nothing that needs an open folder is done.

Reading always ends, whatever a stranger put in place of a file: it is opened without waiting, then looked at, and only
a regular file is read, up to the bytes that it may have. Writes are a few calls of `os`, so that tests can count
them and kill the process at each.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.errors import OutputError, SystemLacks
from mergealgebra.text import location

#: No write hands the operating system more than this at once, and no read asks for more.
PIECE_BYTES: Final = 1 << 20

_SEEKING: Final = threading.Lock()

#: What may stand where a file is expected, by the type in its mode.
_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
#: Without waiting for a pipe's other end or a device, without making a terminal ours, and every byte as it is.
_READ: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)

#: Whether a folder can be opened, and files be named relative to it, whatever becomes of its path. Asked once, while
#: these are the system's own calls: a stand-in of a test is not in that set.
FOLDERS_CAN_BE_HELD: Final = {os.open, os.stat, os.unlink}.issubset(os.supports_dir_fd)

_NO_FOLDER_FSYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_ADVICE: Final = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "get write permission for the folder, or choose another",
    errno.EPERM: "get write permission for the folder, or choose another",
    errno.EAGAIN: "another process is at work there; run it again",
}


@contextmanager
def refused_as_output(path: Path) -> Iterator[None]:
    """What the operating system refuses leaves as an OutputError: one line with the path and what to do."""
    try:
        yield
    except OSError as error:
        missing = error.errno == errno.ENOENT
        advice = _missing_folder(path) if missing else _ADVICE.get(error.errno or 0, "check the path and the disk")
        raise OutputError(f"{location(path)} cannot be written: {error.strerror}; {advice}") from error


def _missing_folder(path: Path) -> str:
    """What to do where a folder on the way to a path was not there."""
    if missing := [folder for folder in path.absolute().parents if not folder.exists()]:
        made = f"`mkdir -p {shlex.quote(location(path.parent))}`"
        return f"the folder {location(missing[-1])} is not there: check the path, or make it with {made}"
    return "its folder takes nothing new, or went away meanwhile; choose another, or run it again"


def reason(error: OutputError) -> str:
    """Why something cannot be written, without what to do: where nothing need be done.

    >>> reason(OutputError("w/tmp cannot be written: No space left on device; free some space and run it again"))
    'w/tmp cannot be written: No space left on device'
    """
    return str(error).partition("; ")[0]


# Reading


class NotAFile(OSError):
    """Something else stands where a file was expected. Its `strerror` names it.

    No user sees it, nor the two below: callers turn an OSError into an error of their own, with its `strerror`.
    """

    def __init__(self, kind: str, path: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}, not a file", path)


class NotAFolder(OSError):
    """Something else stands where a folder was expected. Its `strerror` names it."""

    def __init__(self, kind: str, path: str) -> None:
        super().__init__(errno.ENOTDIR, f"it is {kind}, not a folder", path)


class TooLarge(OSError):
    """A file has more bytes than it may have. Its `strerror` says how many are allowed."""

    def __init__(self, most: int, path: str) -> None:
        super().__init__(errno.EFBIG, f"it has more than {most:,} bytes", path)


def open_file(path: str | os.PathLike[str], *, within: int | None = None) -> int:
    """A descriptor of a regular file, for reading; whatever stands at the path, this does not wait.

    within: the descriptor of the folder that the path, a name, is in; links are followed without it, and not with it.
    Raises NotAFile for what is not a regular file, and OSError; the caller closes the descriptor.
    """
    text, follow = os.fspath(path), within is None
    _refuse_special(os.stat(text, dir_fd=within, follow_symlinks=follow).st_mode, text)  # opening a tape winds it
    descriptor = os.open(text, _READ | (0 if follow else _NO_LINK), dir_fd=within)
    try:
        _refuse_special(os.fstat(descriptor).st_mode, text)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_special(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        raise NotAFile(_KINDS.get(stat.S_IFMT(mode), "something else"), path)


def read_file(path: str | os.PathLike[str], most: int, *, within: int | None = None) -> bytes:
    """All bytes of a file, in memory in proportion to them. Raises TooLarge, and as `open_file` does."""
    descriptor = open_file(path, within=within)
    try:
        if os.fstat(descriptor).st_size > most:  # before reading: it may be sparse, and a disk can wait
            raise TooLarge(most, os.fspath(path))
        return read_all(descriptor, most, os.fspath(path))
    finally:
        os.close(descriptor)


def read_all(descriptor: int, most: int, path: str) -> bytes:
    """The rest of an open file, piece by piece: the size of some files is told as 0. Raises TooLarge and OSError."""
    pieces, left = [], most
    while piece := os.read(descriptor, min(PIECE_BYTES, left + 1)):
        if len(piece) > left:
            raise TooLarge(most, path)
        left -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Read from an offset on, into a buffer; returns how many bytes there were, 0 at the end. Threads may share a file.

    Raises OSError.
    """
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        piece = os.read(descriptor, min(len(buffer), PIECE_BYTES))
    buffer[: len(piece)] = piece
    return len(piece)


def fill_at(descriptor: int, buffer: memoryview, offset: int) -> bool:
    """Fill a buffer from an offset on; False where the file ends before. Raises OSError."""
    while len(buffer):
        count = read_at(descriptor, buffer, offset)
        if not count:
            return False
        buffer, offset = buffer[count:], offset + count
    return True


@contextmanager
def opened_folder(path: str | os.PathLike[str], *, within: int | None = None) -> Iterator[int]:
    """A descriptor of a folder, open while the body runs; links are followed as by `open_file`.

    Raises NotAFolder for anything else, OSError, and SystemLacks where folders cannot be held open [CL-7].
    """
    if not FOLDERS_CAN_BE_HELD:
        raise SystemLacks(
            f"{location(Path(path))}: this system cannot hold a folder open, so a link could lead a write elsewhere, "
            "and no merged model or workspace is written. On Windows, use WSL2; in Python, `ma.merge` of tensors, "
            "`ma.TaskVector.between` and `ma.verify` work"
        )
    flags = _READ | getattr(os, "O_DIRECTORY", 0) | (0 if within is None else _NO_LINK)
    try:
        descriptor = os.open(path, flags, dir_fd=within)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            _refuse_other(path, within)
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_other(path: str | os.PathLike[str], within: int | None) -> None:
    """Say what stands in place of a folder, if that can be told."""
    try:
        mode = os.stat(path, dir_fd=within, follow_symlinks=within is None).st_mode
    except OSError:
        return
    if not stat.S_ISDIR(mode):
        raise NotAFolder("a file" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else"), str(path))


# Writing


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes, in as many calls as it takes. Raises OSError."""
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[os.write(descriptor, rest[:PIECE_BYTES]) :]


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all bytes from an offset on. Threads may share a file. Raises OSError."""
    rest = memoryview(data).cast("B")
    while len(rest):
        written = os.pwrite(descriptor, rest[:PIECE_BYTES], offset)
        rest, offset = rest[written:], offset + written


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
    with opened_folder(path) as descriptor:
        fsync_opened(descriptor)


def fsync_opened(descriptor: int) -> None:
    """Flush an open folder, as `fsync_folder` does. Raises OSError."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FSYNC:
            raise


def lock(descriptor: int) -> bool:
    """Take the lock of an open file or folder until its descriptor is closed; False on a file system without locks.

    Raises BlockingIOError when somebody else holds it.
    """
    import fcntl  # not everywhere, and only who locks needs it

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
