"""The folder of a kept aggregate: a header, and the file of pages that it names.

    aggregate/header    aggregate/TOKEN.bin

The header appears last, in one piece, so it names pages that were all written. Whatever is odd about it or the pages
only means that there is no aggregate. So nothing is flushed to the disk, either. Everything goes by the descriptor of
the folder, which is not opened through a link: nothing else is ever read, written or removed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from mergealgebra.disk import lock, open_file, read_file, write_all
from mergealgebra.engine.sources import Block
from mergealgebra.incremental.header import Entry, Header
from mergealgebra.incremental.pages import RECORD, Bytes, Layout, Pages
from mergealgebra.incremental.seals import Seal

HEADER: Final = "header"
_TOKEN: Final = re.compile("([0-9a-f]{16})[.](bin|new)")
_NEW: Final = os.O_CREAT | os.O_EXCL


@dataclass(frozen=True)
class Home:
    """Where a workspace keeps an aggregate.

    folder: opens it, not through a link, and makes it if it is missing. key: finds the private key. Both may raise
    OSError or OutputError, and so does `opened`. always: whether it is kept where it saves nothing, too.
    """

    folder: Callable[[], AbstractContextManager[int]]
    key: Callable[[], bytes]
    always: bool = False

    @contextmanager
    def opened(self, most: int) -> Iterator[Folder]:
        """The folder, open while the body runs. most: bytes of a header that is of use."""
        seal = Seal(self.key())
        with self.folder() as descriptor:
            yield Folder(descriptor, seal, most)


@dataclass(frozen=True)
class Folder:
    """The folder of an aggregate, open. seal: that of its workspace. most: as in `Home.opened`."""

    descriptor: int
    seal: Seal
    most: int

    @property
    def free(self) -> int:
        """How many bytes its disk has free. Raises OSError."""
        return shutil.disk_usage(self.descriptor).free

    @property
    def header(self) -> Header | None:
        """The header that is there, if it is sound and of use."""
        try:
            return Header.decode(read_file(HEADER, self.most, within=self.descriptor), self.seal)
        except OSError:
            return None

    @contextmanager
    def pages(self, header: Header) -> Iterator[Pages | None]:
        """The pages that a header names, open while the body runs; None when they are not there in full."""
        try:
            descriptor = open_file(f"{header.token}.bin", within=self.descriptor)
        except (OSError, ValueError):
            yield None
            return
        try:
            whole = os.fstat(descriptor).st_size == header.layout.nbytes
            yield Pages(descriptor, header.layout, header.table, header.token, self.seal) if whole else None
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove the aggregate; what a living process is writing stays. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(HEADER, dir_fd=self.descriptor)
        self.sweep()

    def sweep(self) -> None:
        """Remove the files of earlier aggregates, and of processes that died: those that nobody locks or names."""
        with suppress(OSError):
            names = os.listdir(self.descriptor)  # noqa: PTH208 - no path, but an open folder
            for token in {match[1] for name in names if (match := _TOKEN.fullmatch(name))}:
                with suppress(OSError):
                    self._sweep(token)

    def _sweep(self, token: str) -> None:
        with suppress(FileNotFoundError):
            descriptor = open_file(f"{token}.bin", within=self.descriptor)
            try:
                lock(descriptor)
                header = self.header  # only now: whoever held the lock may have placed one
                if header is not None and header.token == token:
                    return
                os.unlink(f"{token}.bin", dir_fd=self.descriptor)
            finally:
                os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(f"{token}.new", dir_fd=self.descriptor)


class Draft:
    """The pages of an aggregate that is being written; `place` lets it appear. problem: why it cannot; empty if it may.

    Its file is locked, so that nobody sweeps it away. Raises OSError when it cannot be made.
    """

    def __init__(self, folder: Folder, layout: Layout) -> None:
        self.token, self.problem = secrets.token_hex(8), ""
        self._folder, self._layout = folder, layout
        self._descriptor = os.open(self._name("bin"), os.O_RDWR | _NEW, 0o666, dir_fd=folder.descriptor)
        lock(self._descriptor)
        self._pages = Pages(self._descriptor, layout, _empty_table(layout), self.token, folder.seal)
        self._placed = False

    def write(self, page: Block, memory: Bytes, inputs: int) -> None:
        """Write a page, unless one could not be written; a merge does not end because its cache is full."""
        if not self.problem:
            try:
                self._pages.write(page, memory, inputs)
            except OSError as error:
                self.problem = _reason(error)

    def commit(self, recipe: str, entries: tuple[Entry, ...], least: int) -> None:
        """Let the aggregate appear in place of the one that is there; on failure, say so in `problem`."""
        if self.problem:
            return
        header = Header(recipe, entries, least, self._layout, self.token, self._pages.table)
        folder = self._folder.descriptor
        try:
            self._write(header.encode(self._folder.seal))
            os.replace(self._name("new"), HEADER, src_dir_fd=folder, dst_dir_fd=folder)
            self._placed = True
        except OSError as error:
            self.problem = _reason(error)
            self._remove("new")
        self._folder.sweep()

    def close(self) -> None:
        """Leave nothing behind but what was placed."""
        os.close(self._descriptor)
        if not self._placed:
            self._remove("bin")

    def _name(self, ending: str) -> str:
        return f"{self.token}.{ending}"

    def _write(self, data: bytes) -> None:
        descriptor = os.open(self._name("new"), os.O_WRONLY | _NEW, 0o666, dir_fd=self._folder.descriptor)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def _remove(self, ending: str) -> None:
        with suppress(OSError):
            os.unlink(self._name(ending), dir_fd=self._folder.descriptor)


def _empty_table(layout: Layout) -> Bytes:
    return np.zeros((layout.pages, RECORD), np.uint8)


def _reason(error: OSError) -> str:
    return f"it cannot be written: {error.strerror}"
