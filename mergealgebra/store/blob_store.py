"""The blobs of a store, each a file under the root of its tensors [SY-1, SY-2, CT-6]."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.disk import NotAFile, fill_at, refused_as_output
from mergealgebra.encoding import LEAF_BYTES
from mergealgebra.errors import BlobDamaged, BlobMissing, OutputError, WorkspaceError
from mergealgebra.progress import More, untold
from mergealgebra.store.atomic import StagedFile, staged, write_atomically
from mergealgebra.store.blobs import (
    Admit,
    Records,
    admit_opened,
    anything,
    damaged,
    discard,
    once,
    opened_blob,
    stream_blob,
    stream_opened,
)
from mergealgebra.store.entries import BLOB_SUFFIX, BLOBS, Entry, names_in
from mergealgebra.store.refusals import refused_as
from mergealgebra.text import location

#: Ends the name of a report: a file that says that the blob beside it was found to be damaged.
REPORT_SUFFIX: Final = f"{BLOB_SUFFIX}.damaged"

#: A smaller file is read at once, however little room it takes.
_LARGE_BYTES: Final = 1 << 24
#: The unit in which systems count what a file takes.
_BLOCK_BYTES: Final = 512
#: Left free on a disk beside a blob, for operations.
_SPARE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class BlobStore:
    """The blobs of a store at a path. It keeps no state of its own, so what other processes add is seen at once."""

    path: Path

    def blob(self, root: str) -> Entry:
        """Where the blob of these tensors lies, if it is here [SY-1]."""
        return Entry(self.path, BLOBS, f"{root}{BLOB_SUFFIX}")

    def blob_path(self, root: str) -> Path:
        """The same as a path."""
        return self.blob(root).path

    def has_blob(self, root: str) -> bool:
        """Whether there is a file under this root; `check_blob` says whether it is good. Raises WorkspaceError."""
        entry = self.blob(root)
        with refused_as(WorkspaceError, entry.path), suppress(NotAFile):
            return entry.size() is not None
        return False

    def blob_bytes(self, root: str) -> int | None:
        """The size of the file under this root, None when there is none. Raises WorkspaceError for anything else."""
        entry = self.blob(root)
        with refused_as(WorkspaceError, entry.path):
            return entry.size()

    def check_blob(self, root: str, admit: Admit = anything, more: More = untold) -> None:
        """Read a blob to its end and check it [CT-6]. admit: judges its header, before the rest is read.

        more: told the bytes that have been read.

        Raises BlobMissing or BlobDamaged, naming the file, and what `admit` raises.
        """
        stream_blob(self.blob(root), root, discard, admit, more)

    def import_blob(self, source: Entry, root: str, admit: Admit = anything, more: More = untold) -> None:
        """Copy a blob from another store; it appears only when all that was copied has been checked [SY-4, CT-6].

        Where the disk can, the copy shares the blocks of the source [SY-14]. admit: judges its header. That, and the
        room on this disk, come before the first byte is written. more: told the bytes that have been read.
        Raises BlobMissing or BlobDamaged, naming the source, OutputError, and what `admit` raises.
        """

        judge = once(admit)

        def admit_here(path: Path, records: Records) -> None:
            judge(path, records)
            self.check_room(path.name, sum(record.nbytes for record in records.values()))

        with self.blob_writer() as blob:
            if not blob.clone(source, root, judge, more):
                stream_blob(source, root, blob.write, admit_here, more)
            blob.commit(root)

    def receive_blob(
        self, root: str, nbytes: int, read: Callable[[int], bytes], admit: Admit = anything, more: More = untold
    ) -> None:
        """Take a blob of so many bytes from somebody who sends it; it appears only when all of it was checked [PR-18].

        read: the next bytes, at most so many. admit: judges the header, before the rest is read; the room on this disk
        comes before the first byte. more: told the bytes that came. Raises BlobDamaged, OutputError, and what `admit`
        and `read` raise.
        """
        self.check_room(root, nbytes)
        with self.blob_writer() as blob:
            blob.receive(read, nbytes, root, admit, more)
            blob.commit(root)

    def check_room(self, name: str, nbytes: int) -> None:
        """Refuse what its disk has no room for. Raises OutputError."""
        needed = nbytes + _SPARE_BYTES
        with refused_as_output(self.path):
            free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OutputError(
                f"{location(self.path)} needs {needed:,} bytes for {name} and its disk has {free:,} free; make room"
            )

    @contextmanager
    def reading(self, root: str) -> Iterator[Callable[[int, int], memoryview]]:
        """Reads from an offset of a blob's file so many bytes, into memory of their own; they are not checked.

        Raises BlobMissing or BlobDamaged where they cannot be read.
        """
        entry = self.blob(root)
        with opened_blob(entry) as descriptor:

            def read(offset: int, nbytes: int) -> memoryview:
                data = memoryview(bytearray(nbytes))
                if not fill_at(descriptor, data, offset):
                    raise damaged(entry.path, f"it ends before byte {offset + nbytes}")
                return data

            yield read

    def is_sparse(self, root: str) -> bool:
        """Whether a blob is large and most of it takes no room: what cost its maker nothing is read for hours."""
        with suppress(OSError), self.blob(root).opened() as descriptor:
            told = os.fstat(descriptor)
            return told.st_size > _LARGE_BYTES and told.st_blocks * _BLOCK_BYTES < told.st_size // 2
        return False

    def report_damage(self, root: str) -> None:
        """Write down beside a blob that it is damaged, so that others mend it [SY-4]. Raises OutputError."""
        if not self.is_reported(root):
            write_atomically(self._report(root), b"damaged\n")

    def is_reported(self, root: str) -> bool:
        """Whether somebody reported this store's blob as damaged; it may be good all the same.

        A report that is not a file does not count: nobody could remove it.
        """
        with suppress(OSError):
            return self._report(root).size() is not None
        return False

    def forget_report(self, root: str) -> None:
        """Remove that report."""
        with suppress(OSError):
            self._report(root).remove()

    def _report(self, root: str) -> Entry:
        return Entry(self.path, BLOBS, f"{root}{REPORT_SUFFIX}")

    @contextmanager
    def blob_writer(self) -> Iterator[BlobWriter]:
        """A new blob to stream into, whose root is known only at its end; it goes unless it is committed [SY-2].

        Raises OutputError.
        """
        with staged(self.path) as file:
            yield BlobWriter(self, file)

    # What is here

    def blob_roots(self) -> tuple[str, ...]:
        """The roots under which there are files, ascending [SY-1]."""
        return tuple(root for name in self.names(BLOBS) if (root := root_of(name)) is not None)

    def names(self, part: str) -> list[str]:
        """The names in a folder of the store, sorted. Raises WorkspaceError."""
        with refused_as(WorkspaceError, self.path / part):
            return names_in(self.path, part)


class BlobWriter:
    """A blob being written: the bytes of EN-17 for its tensors, in order, then `commit` [SY-2]."""

    def __init__(self, store: BlobStore, file: StagedFile) -> None:
        self._store = store
        self._file = file
        self._nbytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OutputError."""
        self._file.write(data)
        self._count(data)

    def clone(self, source: Entry, root: str, admit: Admit, more: More = untold) -> bool:
        """Take all of another store's blob without a copy; False where that cannot be done, and nothing was taken.

        The source may be changed in place at any moment, so what is checked is what was taken [SY-14]. Raises as
        `stream_blob` does, naming the source.
        """
        with opened_blob(source) as descriptor:
            admit_opened(descriptor, source.path, admit)
            taken = self._file.clone(descriptor)
        if taken is None:
            return False
        with refused_as_output(self._store.path):
            stream_opened(taken, source.path, root, self._count, admit, more)
        return True

    def receive(self, read: Callable[[int], bytes], nbytes: int, root: str, admit: Admit, more: More) -> None:
        """Take bytes as they come, the header first; what was written is what is checked. Raises as `receive_blob`."""
        from mergealgebra.tensors.safetensors_file import LENGTH_BYTES, MAX_HEADER_BYTES

        path = Path(f"{root}{BLOB_SUFFIX}")
        descriptor = self._file.lengthen(nbytes)
        first = b""
        while len(first) < min(nbytes, LENGTH_BYTES):
            first += self._take(read, LENGTH_BYTES - len(first), path, more)
        length, head = int.from_bytes(first, "little"), len(first)
        if length <= min(nbytes - head, MAX_HEADER_BYTES):  # or it is refused without its header
            head += self._pass(read, length, path, more)
        with refused_as_output(self._store.path):
            os.lseek(descriptor, 0, os.SEEK_SET)
            admit_opened(descriptor, path, admit)
            os.lseek(descriptor, head, os.SEEK_SET)
        self._pass(read, nbytes - head, path, more)
        with refused_as_output(self._store.path):
            stream_opened(descriptor, path, root, self._count)

    def _pass(self, read: Callable[[int], bytes], nbytes: int, path: Path, more: More) -> int:
        """Write so many of the next bytes, piece by piece; how many they are."""
        left = nbytes
        while left:
            left -= len(self._take(read, min(left, LEAF_BYTES), path, more))
        return nbytes

    def _take(self, read: Callable[[int], bytes], nbytes: int, path: Path, more: More) -> bytes:
        """Write the next bytes, so many or fewer."""
        piece = read(nbytes)
        if not piece and nbytes:
            raise BlobDamaged(f"{path} ends before its end; sync again")
        self._file.write(piece)
        more(len(piece))
        return piece

    def _count(self, data: bytes | memoryview) -> None:
        self._nbytes += len(data)

    def commit(self, root: str) -> Path:
        """Let the blob appear under the root of the tensors that were written, and say where.

        The caller vouches for the root. A good blob that is there already stays; a damaged one is replaced.
        Raises OutputError.
        """
        entry = self._store.blob(root)
        if not self._already_good(root):
            self._file.commit(entry)
        return entry.path

    def _already_good(self, root: str) -> bool:
        """Whether the blob is there, young from now on; it is not read when its size is not that of what was written.

        A young blob is not freed, so the `add` that names it can follow [SY-13].
        """
        try:
            if self._store.blob_bytes(root) != self._nbytes:
                return False
            self._store.check_blob(root)
            self._store.blob(root).make_young()
        except (BlobMissing, BlobDamaged, WorkspaceError, OSError):
            return False
        return True


def is_blob_name(name: str) -> bool:
    """Whether a name in the folder of blobs promises something [SY-1]."""
    return root_of(name) is not None or (name.endswith(REPORT_SUFFIX) and is_id(name.removesuffix(REPORT_SUFFIX)))


def root_of(name: str) -> str | None:
    """The root that the name of a blob's file promises; None for other names [SY-1]."""
    root = name.removesuffix(BLOB_SUFFIX)
    return root if root != name and is_id(root) else None
