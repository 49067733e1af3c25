"""The folder beside OUT in which a model is written: its name, its mark, and the lock that says that its writer lives.

A model in one file is written in such a folder too, and then gets a name beside it, as its lock does [LK-9].

OUT may be in a folder that others can write to: at any moment they may move ours away, or put another in its place. So
it is opened once, and everything is written and removed by its descriptor [LK-7].
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.disk import fsync_opened, lock, opened_folder, read_file, write_all
from mergealgebra.errors import OutputError
from mergealgebra.tensors.single_file import lock_beside
from mergealgebra.text import location

#: A file that is in such a folder until it has OUT's name. Whoever renames our other folders puts none in them.
#: It holds the names of the files that are copied, with NUL between them, as those may have any name; PART/ for parts.
MARK: Final = ".unfinished"

_NAME: Final = re.compile(r"\..+\.([0-9a-f]{16})\.unfinished", re.DOTALL)
#: The most bytes of OUT's name that go into its name: a system that took OUT's name then takes this one too.
_NAME_BYTES: Final = 200
#: Names for a hundred thousand files; a model that copies more is not known by its mark.
_MARK_BYTES: Final = 1 << 24
#: How systems say that a file can have one name only.
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL

#: Called with the path where a folder will be; what it returns stays open until the folder is gone.
Noted = Callable[[Path], AbstractContextManager[object]]


def token_of(name: str) -> str | None:
    """The random part of the name of such a folder; None for any other name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


@dataclass
class UnfinishedFolder:
    """Such a folder, open and locked. parent: the folder that it and OUT are in, open."""

    path: Path
    out: Path
    parent: int
    descriptor: int
    committed: bool = False

    def __post_init__(self) -> None:
        self._made: dict[str, os.stat_result] = {}
        self._parts: dict[str, int] = {}
        self._opened = ExitStack()

    def close(self) -> None:
        """Close the folders of parts."""
        self._opened.close()

    def make_part(self, part: str) -> None:
        """A folder in it, for files called PART/NAME. Raises OSError."""
        os.mkdir(part, dir_fd=self.descriptor)
        self._parts[part] = self._opened.enter_context(opened_folder(part, within=self.descriptor))

    def new_file(self, name: str, mode: int = 0o666) -> int:
        """A descriptor of a new file in it, to be written; of PART/NAME in a part. Raises OSError."""
        part, _, file = name.rpartition("/")
        descriptor = os.open(file, _NEW, mode, dir_fd=self._parts[part] if part else self.descriptor)
        self._made[name] = os.fstat(descriptor)
        return descriptor

    def announce(self, names: Iterable[str]) -> None:
        """Write into the mark which files are going to be copied here, and PART/ for parts. Raises OSError."""
        descriptor = os.open(MARK, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=self.descriptor)
        try:
            write_all(descriptor, b"\0".join(map(os.fsencode, names)))
        finally:
            os.close(descriptor)

    def commit(self) -> None:
        """Give the folder, now whole, the name of OUT.

        Raises OSError when something else has that name, and OutputError when it is not this folder that has it then.
        """
        for descriptor in (*self._parts.values(), self.descriptor):
            fsync_opened(descriptor)
        os.replace(self.path.name, self.out.name, src_dir_fd=self.parent, dst_dir_fd=self.parent)
        self.committed = True
        with suppress(OSError):  # only now: whoever dies before leaves what `gc` knows
            os.unlink(MARK, dir_fd=self.descriptor)
        if not self._is_at(self.out):
            raise OutputError(
                f"{location(self.out)} is not the model that was written: somebody moves folders there; write elsewhere"
            )

    def commit_files(self, model: str, lock: str) -> None:
        """Give two of its files, now whole, the names of OUT and of OUT's lock [LK-9].

        The lock comes first, so that a model without one is never ours. Raises OSError when one of the names is taken;
        then neither is given.
        """
        beside = lock_beside(self.out).name
        try:
            self._give(lock, beside)
            fsync_opened(self.parent)
            self._give(model, self.out.name)
        except BaseException:
            if not is_same(self.parent, self.out.name, self._made[model]):
                remove_same(self.parent, beside, self._made[lock])
            raise

    def _give(self, name: str, outer: str) -> None:
        """Give a file the name of nothing else, beside the folder. Raises OSError, FileExistsError among it."""
        try:
            os.link(name, outer, src_dir_fd=self.descriptor, dst_dir_fd=self.parent)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._claim(name, outer)

    def _claim(self, name: str, outer: str) -> None:
        """The same where there are no links: an empty file takes the name first."""
        descriptor = os.open(outer, _NEW, dir_fd=self.parent)
        try:
            os.replace(name, outer, src_dir_fd=self.descriptor, dst_dir_fd=self.parent)
        except BaseException:
            remove_same(self.parent, outer, os.fstat(descriptor))
            raise
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove it and its files, unless it is OUT by now; what has its name instead stays."""
        if self.committed or self._is_at(self.out):  # an interrupt may come right after the rename
            return
        with suppress(OSError):
            for part, descriptor in self._parts.items():
                for name in os.listdir(descriptor):  # noqa: PTH208 - of an open folder
                    os.unlink(name, dir_fd=descriptor)
                os.rmdir(part, dir_fd=self.descriptor)
            names = os.listdir(self.descriptor)  # noqa: PTH208 - of an open folder
            for name in sorted(names, key=MARK.__eq__):  # the mark last: whoever dies before leaves what `gc` knows
                os.unlink(name, dir_fd=self.descriptor)
            os.rmdir(self.path.name, dir_fd=self.parent)

    def _is_at(self, path: Path) -> bool:
        with suppress(OSError):
            return os.path.samestat(path.lstat(), os.fstat(self.descriptor))
        return False


@contextmanager
def unfinished_folder(out: Path, noted: Noted) -> Iterator[UnfinishedFolder]:
    """A new folder beside `out`, locked while the body runs and gone at the end, unless it was committed.

    Raises OSError, and OutputError when somebody puts something else in its place.
    """
    path = out.parent / f".{_beginning(out.name)}.{os.urandom(8).hex()}.unfinished"
    with noted(path), opened_folder(out.parent) as parent:
        os.mkdir(path.name, dir_fd=parent)
        try:
            with opened_folder(path.name, within=parent) as descriptor:
                if os.listdir(descriptor):  # noqa: PTH208 - of an open folder
                    raise OutputError(f"{location(path)} is not the folder that was just made: write to another folder")
                lock(descriptor)
                folder = UnfinishedFolder(path, out, parent, descriptor)
                try:
                    os.close(folder.new_file(MARK))
                    yield folder
                finally:
                    folder.remove()
                    folder.close()
        except BaseException:
            with suppress(OSError):  # it is gone, or is not ours
                os.rmdir(path.name, dir_fd=parent)
            raise


def is_same(folder: int, name: str, file: os.stat_result) -> bool:
    """Whether a name in an open folder is that of a file."""
    with suppress(OSError):
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), file)
    return False


def remove_same(folder: int, name: str, file: os.stat_result) -> None:
    """Take a name in an open folder away from a file, if it has it."""
    if is_same(folder, name, file):
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


def announced(descriptor: int) -> set[str]:
    """The files that the mark of an open folder says are copied to it. Raises OSError."""
    return {os.fsdecode(name) for name in read_file(MARK, _MARK_BYTES, within=descriptor).split(b"\0") if name}


def _beginning(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= _NAME_BYTES:
        return name
    return encoded[:_NAME_BYTES].decode(errors="ignore") or "model"  # not every name is text
