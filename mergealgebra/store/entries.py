"""Where the files of a store lie, and how they are reached: through open folders, and never through a link [SY-10].

Others may write to a store that is shared. If they put a link in place of one of its folders, our reads and writes
would go where the link leads. So each folder is opened without following links, and files are named relative to it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from mergealgebra.disk import fsync_opened, open_file, opened_folder, read_file

GENESIS: Final = "genesis"
LOCAL: Final = "local.json"
INCOMPLETE: Final = "incomplete.json"
OPERATIONS: Final = "operations"
PACKS: Final = "packs"
BLOBS: Final = "blobs"
TMP: Final = "tmp"
PARTIAL: Final = "partial"
BLOB_SUFFIX: Final = ".safetensors"

#: The mode of a folder that a group shares: new files in it are the group's too, whoever writes them.
FOLDER_OF_GROUP: Final = stat.S_ISGID | stat.S_IRWXG
#: The same of a file.
FILE_OF_GROUP: Final = stat.S_IRGRP | stat.S_IWGRP

#: What stands for the folder of the store itself, which may be a link: its owner named it.
ROOT: Final = ""


@dataclass(frozen=True)
class Entry:
    """A file of a store, there or not. part: the folder that it is in, such as "cache/thresholds", or ROOT.

    Every call raises OSError for what the system refuses, NotAFile and NotAFolder among it.
    """

    store: Path
    part: str
    name: str

    @property
    def path(self) -> Path:
        """Where it is: for messages, and for reading files that the store's owner wrote."""
        return self.store / self.part / self.name

    def is_there(self) -> bool:
        """Whether anything has this name: a file, or what stands in its place."""
        with suppress(FileNotFoundError), opened_part(self.store, self.part) as folder:
            os.stat(self.name, dir_fd=folder, follow_symlinks=False)
            return True
        return False

    def size(self) -> int | None:
        """The bytes of the file; None when nothing has this name."""
        with suppress(FileNotFoundError), self.opened() as descriptor:
            return os.fstat(descriptor).st_size
        return None

    def read(self, most: int) -> bytes:
        """All bytes of the file, at most so many."""
        with opened_part(self.store, self.part) as folder:
            return read_file(self.name, most, within=folder)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the file, for reading, open while the body runs."""
        with opened_part(self.store, self.part) as folder:
            descriptor = open_file(self.name, within=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_young(self) -> None:
        """Set the file's time to now."""
        with opened_part(self.store, self.part) as folder:
            os.utime(self.name, dir_fd=folder, follow_symlinks=False)

    def remove(self) -> None:
        """Remove what has this name, if anything has; of a link, the link alone."""
        with suppress(FileNotFoundError), opened_part(self.store, self.part) as folder:
            os.unlink(self.name, dir_fd=folder)


@contextmanager
def opened_part(store: Path, part: str) -> Iterator[int]:
    """A descriptor of a folder of a store, open while the body runs. Raises NotAFolder for a link, and OSError."""
    with ExitStack() as opened:
        folder = opened.enter_context(opened_folder(store))
        for name in filter(None, part.split("/")):
            folder = opened.enter_context(opened_folder(name, within=folder))
        yield folder


@contextmanager
def made_part(store: Path, part: str) -> Iterator[int]:
    """The same, and the folder is made when it is missing, as in a copy that left out empty ones."""
    with ExitStack() as opened:
        folder = opened.enter_context(opened_folder(store))
        mode = os.fstat(folder).st_mode
        for name in filter(None, part.split("/")):
            made = _make(name, folder)
            folder = opened.enter_context(opened_folder(name, within=folder))
            if made and is_of_group(mode):
                os.fchmod(folder, os.fstat(folder).st_mode | FOLDER_OF_GROUP)
        yield folder


def _make(name: str, folder: int) -> bool:
    """Make a folder in an open one, unless something is there; whether this process did."""
    made = False
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(name, dir_fd=folder)
            made = True
        fsync_opened(folder)
    return made


# Stores that a group shares


def is_of_group(mode: int) -> bool:
    """Whether a store whose folder has this mode is its group's: all its members may write there [SY-16]."""
    return mode & FOLDER_OF_GROUP == FOLDER_OF_GROUP


def open_to_group(store: Path) -> bool:
    """Make the folder of a store, in which nothing is yet, one of its group's; False if the system does not keep that.

    Raises OSError.
    """
    store.chmod(store.stat().st_mode | FOLDER_OF_GROUP)
    return is_of_group(store.stat().st_mode)  # it leaves the bit out for who is not in the group


class Told(NamedTuple):
    """What tells a file from another, or from itself after a change."""

    mode: int
    inode: int
    nbytes: int
    written: int
    changed: int


def told_in(store: Path, part: str, names: Iterable[str] | None = None) -> dict[str, Told]:
    """What the system tells of whatever has these names, or any, in a folder of a store, sorted by name.

    What is not there is left out, and all when the folder is missing. Raises OSError.
    """
    found = {}
    with suppress(FileNotFoundError), opened_part(store, part) as folder:
        for name in sorted(os.listdir(folder) if names is None else names):  # noqa: PTH208 - of an open folder
            with suppress(FileNotFoundError):
                told = os.stat(name, dir_fd=folder, follow_symlinks=False)
                found[name] = Told(told.st_mode, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns)
    return found


def files_in(store: Path, part: str) -> dict[str, os.stat_result]:
    """What the system tells of the regular files in a folder of a store, by name; none when it is missing.

    Raises OSError.
    """
    found = {}
    with suppress(FileNotFoundError), opened_part(store, part) as folder:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - of an open folder
            with suppress(FileNotFoundError):
                told = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(told.st_mode):
                    found[name] = told
    return found


def names_in(store: Path, part: str) -> list[str]:
    """The names in a folder of a store, sorted; none when it is missing. Raises OSError."""
    with suppress(FileNotFoundError), opened_part(store, part) as folder:
        return sorted(os.listdir(folder))  # noqa: PTH208 - of an open folder
    return []
