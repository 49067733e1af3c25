"""Blobs in the making: leaves that came are kept until all are here, whatever dies on the way [BL-7, BL-8].

    partial/ROOT.map    partial/ROOT.part

The second is the blob's file, with holes. Nothing of it is trusted by another process: each leaf outside the holes is
hashed again before it counts, so whoever is killed loses none. No sync reads this folder.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergealgebra.disk import NotAFile, fill_at, fsync_opened, refused_as_output, write_at
from mergealgebra.encoding import LEAF_BYTES, leaf_digest
from mergealgebra.errors import BlobDamaged, OutputError
from mergealgebra.progress import More, untold
from mergealgebra.store.atomic import SHARED, write_atomically
from mergealgebra.store.blobs import Admit, admit_opened
from mergealgebra.store.entries import (
    BLOB_SUFFIX,
    BLOBS,
    FILE_OF_GROUP,
    PARTIAL,
    Entry,
    is_of_group,
    made_part,
    opened_part,
)
from mergealgebra.store.refusals import refused_in_store

if TYPE_CHECKING:
    from mergealgebra.store.blob_map import BlobMap, Leaf
    from mergealgebra.store.blob_store import BlobStore

#: Ends of names.
MAP: Final = ".map"
PART: Final = ".part"
BLOCK_BYTES: Final = 512
_OPEN: Final = os.O_RDWR | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK"))


def bitmap(numbers: Iterable[int], count: int) -> bytes:
    """Which of so many leaves: the bit i % 8 of byte i // 8, the least significant first [BL-11].

    >>> bitmap([0, 9], 10).hex()
    '0102'
    """
    found = bytearray(-(-count // 8))
    for number in numbers:
        found[number // 8] |= 1 << number % 8
    return bytes(found)


def numbers_in(bits: bytes, count: int) -> list[int]:
    """The leaves that a bitmap names, ascending.

    >>> numbers_in(bytes.fromhex("0102"), 10)
    [0, 9]
    """
    return [number for number in range(min(count, 8 * len(bits))) if bits[number // 8] >> number % 8 & 1]


class PartialBlob:
    """A blob of which this process has seen some leaves to be right. Threads may share it."""

    def __init__(self, store: BlobStore, root: str, blob_map: BlobMap) -> None:
        self.store, self.root, self.map = store, root, blob_map
        self._here: set[int] = set()
        self._lock = threading.RLock()
        self._file: tuple[int, int] | None = None

    @classmethod
    def begin(cls, store: BlobStore, root: str, blob_map: BlobMap, admit: Admit, more: More = untold) -> PartialBlob:
        """The blob of a map that was checked, with those leaves that an earlier process left in good order.

        admit: judges the header, before a leaf is asked for. The room on the disk comes before the first byte. more:
        told the bytes that are here. Raises OutputError, and what `admit` raises.
        """
        made = cls(store, root, blob_map)
        path = Path(f"{root}{BLOB_SUFFIX}")
        store.check_room(root, blob_map.nbytes - made._taken())
        with made._opened(os.O_CREAT) as descriptor:
            made._hold(descriptor)
            with refused_as_output(made.path):
                if os.fstat(descriptor).st_size != blob_map.nbytes:
                    os.ftruncate(descriptor, blob_map.nbytes)
                write_at(descriptor, blob_map.header, 0)
                try:
                    admit_opened(descriptor, path, admit)
                except BaseException:
                    made._forget()
                    raise
            if made._read(MAP, len(blob_map.encode())) != blob_map.encode():
                write_atomically(made._entry(MAP), blob_map.encode())
            made._look(descriptor, more)
        return made

    @property
    def path(self) -> Path:
        """Where its file is, until it is complete."""
        return self._entry(PART).path

    def lacking(self) -> list[int]:
        """The leaves that are not here, ascending."""
        with self._lock:
            return [number for number in range(self.map.leaves) if number not in self._here]

    def here(self) -> bytes:
        """The bitmap of the leaves that are here."""
        with self._lock:
            return bitmap(self._here, self.map.leaves)

    @contextmanager
    def opened(self) -> Iterator[PartialFile]:
        """Its file, to write leaves to. Raises OutputError, and FileNotFoundError when it is complete or removed."""
        with self._opened(0) as descriptor:
            yield PartialFile(self, descriptor)

    def is_current(self) -> bool:
        """Whether its file is still the one that the leaves were written to. Raises OutputError."""
        with suppress(FileNotFoundError), self._opened(0):
            return True
        return False

    def went_away(self) -> OutputError:
        """What to say where the file was removed, and the blob is not there either."""
        return OutputError(f"{self.path} went away while it was written to; run it again")

    def is_here(self, number: int) -> bool:
        """Whether a leaf is here."""
        return number in self._here

    def note(self, number: int) -> bool:
        """Count a leaf that was checked and written; whether it was lacking."""
        with self._lock:
            if number in self._here:
                return False
            self._here.add(number)
            return True

    def finish(self) -> bool:
        """Let the blob appear, if every leaf is here; whether it did [SY-2]. Raises OutputError."""
        with self._lock:
            if len(self._here) < self.map.leaves:
                return False
            entry = self.store.blob(self.root)
            with refused_in_store(entry.path), made_part(self.store.path, BLOBS) as blobs:
                self._appear(blobs, entry.name)
            self._forget()
            self._let_go()
            return True

    def _appear(self, blobs: int, name: str) -> None:
        try:
            with self._opened(0) as descriptor:
                os.fsync(descriptor)
            with opened_part(self.store.path, PARTIAL) as folder:
                os.replace(f"{self.root}{PART}", name, src_dir_fd=folder, dst_dir_fd=blobs)
                if _file_of(os.stat(name, dir_fd=blobs, follow_symlinks=False)) != self._file:
                    self._take_back(blobs, name, folder)
        except FileNotFoundError:
            if not self.store.has_blob(self.root):  # else another process was first, with the same bytes
                raise self.went_away() from None
        fsync_opened(blobs)

    def _take_back(self, blobs: int, name: str, folder: int) -> None:
        """Judge the file that appeared in place of this one's: another process made it meanwhile [BL-8]."""
        try:
            self.store.check_blob(self.root)
        except BlobDamaged:
            os.replace(name, f"{self.root}{PART}", src_dir_fd=blobs, dst_dir_fd=folder)
            raise self.went_away() from None

    def _hold(self, descriptor: int) -> None:
        """Remember which file it is, and keep it open: so no later file has the same number."""
        self._file = _file_of(os.fstat(descriptor))
        self._let_go = weakref.finalize(self, os.close, os.dup(descriptor))

    def _look(self, descriptor: int, more: More) -> None:
        """Hash the leaves that an earlier process wrote."""
        buffer = memoryview(bytearray(LEAF_BYTES))
        for number in range(self.map.leaves):
            leaf = self.map.leaf(number)
            if _lies_in_hole(descriptor, leaf):
                continue
            data = buffer[: leaf.nbytes]
            with refused_as_output(self.path):
                filled = fill_at(descriptor, data, leaf.offset)
            if filled and leaf_digest(data) == leaf.digest:
                self._here.add(number)
                more(leaf.nbytes)

    def _taken(self) -> int:
        """The bytes that its file takes on the disk."""
        with suppress(OSError), self._entry(PART).opened() as descriptor:
            return int(os.fstat(descriptor).st_blocks) * BLOCK_BYTES
        return 0

    def _read(self, suffix: str, most: int) -> bytes | None:
        with suppress(OSError):
            return self._entry(suffix).read(most)
        return None

    def _forget(self) -> None:
        for suffix in (PART, MAP):
            with suppress(OSError):
                self._entry(suffix).remove()

    def _entry(self, suffix: str) -> Entry:
        return Entry(self.store.path, PARTIAL, f"{self.root}{suffix}")

    @contextmanager
    def _opened(self, create: int) -> Iterator[int]:
        """A descriptor of its file. Raises OutputError, and FileNotFoundError where it is not there nor made.

        A file that another process began in its place counts as none: this one's leaves are not in it [BL-8].
        """
        try:
            with refused_in_store(self.path), made_part(self.store.path, PARTIAL) as folder:
                descriptor = _open(folder, f"{self.root}{PART}", create, of_group=_is_of_group(self.store.path))
        except OutputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from None
            raise
        try:
            if not create and _file_of(os.fstat(descriptor)) != self._file:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
            yield descriptor
        finally:
            os.close(descriptor)


class PartialFile:
    """The open file of a blob in the making."""

    def __init__(self, blob: PartialBlob, descriptor: int) -> None:
        self._blob, self._descriptor = blob, descriptor

    def write(self, number: int, leaf: Leaf, data: memoryview) -> bool:
        """Write a leaf whose digest was found to be the map's; whether it was lacking. Raises OutputError."""
        if self._blob.is_here(number):
            return False
        with refused_as_output(self._blob.path):
            write_at(self._descriptor, data, leaf.offset)
        return self._blob.note(number)


def _open(folder: int, name: str, create: int, *, of_group: bool) -> int:
    descriptor = os.open(name, _OPEN | create, SHARED, dir_fd=folder)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotAFile("something else", name)
        if create and of_group and mode & FILE_OF_GROUP != FILE_OF_GROUP:
            os.fchmod(descriptor, mode | FILE_OF_GROUP)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lies_in_hole(descriptor: int, leaf: Leaf) -> bool:
    """Whether nothing was ever written to a leaf's place, as far as the file system tells."""
    if not hasattr(os, "SEEK_DATA"):
        return False
    try:
        return os.lseek(descriptor, leaf.offset, os.SEEK_DATA) >= leaf.offset + leaf.nbytes
    except OSError as error:
        return error.errno == errno.ENXIO  # no data from there on


def _file_of(told: os.stat_result) -> tuple[int, int]:
    """What tells a file from all others that are there or held open."""
    return told.st_dev, told.st_ino


def _is_of_group(store: Path) -> bool:
    return is_of_group(store.stat().st_mode)
