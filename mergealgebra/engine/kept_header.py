"""The folder of a kept aggregate: a header, and the file of pages that it names.

    aggregate/header    aggregate/TOKEN.bin

The header appears last, in one piece, so it names pages that were all written. It is never trusted: whatever is odd
about it or the pages only means that there is no aggregate. So nothing is flushed to the disk, either.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import xxhash

from mergealgebra.algebra.exact import LIMITS
from mergealgebra.crdt.genesis import SPEC
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.disk import write_all
from mergealgebra.encoding import decode, encode
from mergealgebra.engine.kept_pages import RECORD, VOTES, Bytes, Layout, Pages
from mergealgebra.engine.plan import Block
from mergealgebra.errors import MergeAlgebraError

HEADER: Final = "header"
_FORMAT: Final = 1
_DIGEST_BYTES: Final = 16
#: No header is larger; a larger file is none of ours.
_MAX_BYTES: Final = 1 << 30
_TOKEN: Final = re.compile("([0-9a-f]{16})[.](bin|new)")


@dataclass(frozen=True)
class Entry:
    """A contribution that is in an aggregate: how many of its elements trim kept, and its packed thresholds."""

    manifest: Manifest
    kept: int
    thresholds: bytes

    @classmethod
    def of(cls, value: Any) -> Self:
        """The entry that a decoded value is. Raises OperationError or ValueError."""
        match value:
            case [manifest, int(kept), bytes(thresholds)]:
                return cls(Manifest.from_map(manifest), kept, thresholds)
        raise ValueError(value)


@dataclass(frozen=True)
class Header:
    """What an aggregate is the aggregate of, and where its pages are.

    recipe: its id. entries: in any order; their manifests name the base. least: the biased exponent of the least grid
    of any coefficient that ever was in it. token: names its file. table: a record for each page.
    """

    recipe: str
    entries: tuple[Entry, ...]
    least: int
    layout: Layout
    token: str
    table: Bytes

    def encode(self) -> bytes:
        """The file: a digest, then the canonical encoding."""
        value = {
            "contributions": [[entry.manifest.to_map(), entry.kept, entry.thresholds] for entry in self.entries],
            "format": _FORMAT,
            "least": self.least,
            "pages": self.table.tobytes(),
            "recipe": self.recipe,
            "spec": SPEC,
            "tensors": self.layout.tensors,
            "token": self.token,
            "votes": self.layout.votes,
        }
        data = encode(value)
        return xxhash.xxh3_128_digest(data) + data

    @classmethod
    def decode(cls, data: bytes) -> Header | None:
        """The inverse; None for anything else."""
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if xxhash.xxh3_128_digest(body) != digest:
            return None
        with suppress(MergeAlgebraError, ArithmeticError, LookupError, TypeError, ValueError):
            return cls._made(decode(body, max_bytes=_MAX_BYTES))
        return None

    @classmethod
    def _made(cls, value: Any) -> Header | None:
        if (value["format"], value["spec"]) != (_FORMAT, SPEC) or value["votes"] not in VOTES:
            return None
        if not 0 <= value["least"] < LIMITS.size:
            return None
        entries = tuple(Entry.of(entry) for entry in value["contributions"])
        layout = Layout(tuple((str(name), int(size)) for name, size in value["tensors"]), value["votes"])
        table = np.frombuffer(value["pages"], np.uint8).reshape(layout.pages, RECORD)
        return cls(value["recipe"], entries, int(value["least"]), layout, str(value["token"]), table)


class Draft:
    """The pages of an aggregate that is being written; `place` lets it appear. problem: why it cannot; empty if it may.

    Its file is locked, so that nobody sweeps it away. Raises OSError when it cannot be made.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.token, self.problem = secrets.token_hex(8), ""
        self._folder, self._path, self._layout = folder, folder / f"{self.token}.bin", layout
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _lock(self._descriptor)
        self._pages = Pages(self._descriptor, layout, np.zeros((layout.pages, RECORD), np.uint8))
        self._placed = False

    def write(self, page: Block, memory: Bytes, inputs: int) -> None:
        """Write a page, unless one could not be written; a merge does not end because its cache is full."""
        if not self.problem:
            try:
                self._pages.write(page, memory, inputs)
            except OSError as error:
                self.problem = _reason(error)

    def place(self, recipe: str, entries: tuple[Entry, ...], least: int) -> None:
        """Let the aggregate appear in place of the one that is there; on failure, say so in `problem`."""
        if self.problem:
            return
        header = Header(recipe, entries, least, self._layout, self.token, self._pages.table)
        staged = self._path.with_suffix(".new")
        try:
            _write(staged, header.encode())
            os.replace(staged, self._folder / HEADER)  # noqa: PTH105 - what tests of crashes look at
            self._placed = True
        except OSError as error:
            self.problem = _reason(error)
            with suppress(OSError):
                staged.unlink()

    def close(self) -> None:
        """Leave nothing behind but what was placed."""
        os.close(self._descriptor)
        if not self._placed:
            with suppress(OSError):
                self._path.unlink()


def read_header(folder: Path) -> Header | None:
    """The header of the aggregate in a folder, if there is a sound one."""
    path = folder / HEADER
    try:
        readable = path.is_file() and path.stat().st_size <= _MAX_BYTES  # before opening: a pipe would block
        return Header.decode(path.read_bytes()) if readable else None
    except OSError:
        return None


@contextmanager
def opened_pages(folder: Path, header: Header) -> Iterator[Pages | None]:
    """The pages that a header names, open while the body runs; None when they are not there in full."""
    try:
        descriptor = os.open(folder / f"{header.token}.bin", os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block
    except (OSError, ValueError):
        yield None
        return
    try:
        whole = os.fstat(descriptor).st_size == header.layout.nbytes
        yield Pages(descriptor, header.layout, header.table) if whole else None
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the files of earlier aggregates, and of processes that died: those that nobody locks or names."""
    with suppress(OSError):
        for token in {match[1] for path in folder.iterdir() if (match := _TOKEN.fullmatch(path.name))}:
            with suppress(OSError):
                _sweep(folder, token)


def _sweep(folder: Path, token: str) -> None:
    path = folder / f"{token}.bin"
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block
        try:
            _lock(descriptor)
            header = read_header(folder)  # only now: whoever held the lock may have placed one
            if header is not None and header.token == token:
                return
            path.unlink()
        finally:
            os.close(descriptor)
    with suppress(FileNotFoundError):
        path.with_suffix(".new").unlink()


def _lock(descriptor: int) -> None:
    """Take the lock of a file, if its file system has locks: without them, the worst is a merge in full.

    Raises BlockingIOError when somebody else holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return f"it cannot be written: {error.strerror}"
