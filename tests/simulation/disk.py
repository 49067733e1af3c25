"""A disk that loses what was not flushed: the files are real, the power cut is not.

While a `PowerDisk` runs a command, its calls reach real files, and it is noted what a power cut would undo: the
bytes of a file until `os.fsync` of it, a new name (`os.replace`, `os.link`, `os.mkdir`) until `os.fsync` of its
folder. Real flushes are left out: they would only take time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.seams import replaced

#: The calls before which a command may die; it dies halfway through a write.
DEADLY = ("write", "fsync", "replace", "link", "mkdir")
#: The same where files are removed that others need, and blobs come leaf by leaf.
ALL_DEADLY = (*DEADLY, "unlink", "pwrite")


class PowerCut(BaseException):
    """The process dies here. No `except Exception` sees it, and nothing is written while it passes."""


@dataclass
class Unsafe:
    """What a power cut may undo. settled_by: the file or folder whose flush makes it safe."""

    settled_by: Path
    undo: Callable[[], object]


class PowerDisk:
    """The calls of `os` with which the product writes, counted, and what they did under `root` that is not safe yet."""

    def __init__(self, root: Path, deadly: tuple[str, ...] = DEADLY) -> None:
        self._root, self._deaths = root, deadly
        self._unsafe: list[Unsafe] = []
        self._opened: dict[int, Path] = {}
        self._calls_left: int | None = None
        self._dead = False
        self._visit: tuple[int, Callable[[], Any]] | None = None
        self._real = {name: getattr(os, name) for name in {*DEADLY, *deadly, "open", "close", "unlink", "rmdir"}}

    def run(self, command: Callable[[], Any], calls: int | None) -> bool:
        """Run a command that dies when it has made so many calls; None lets it live. Returns whether it lived."""
        self._calls_left = calls
        try:
            with self._standing_in():
                command()
        except PowerCut:
            return False
        finally:
            self._calls_left, self._dead, self._visit = None, False, None
        return True

    def limit(self, calls: int | None) -> int | None:
        """From now on a process runs that dies after so many calls; returns how many were left to the one before."""
        before, self._calls_left, self._dead = self._calls_left, calls, False
        return before

    def visit(self, opens: int, visitor: Callable[[], Any]) -> None:
        """Let another process run to its end when the next command has opened so many files."""
        self._visit = opens, visitor

    def cut(self, mask: int, within: Path | None = None) -> None:
        """Undo what is not safe, the latest first; what a bit of the mask spares has reached the disk by luck.

        within: a folder on the disk of whom the power failed; everybody's if None.
        """
        unsafe = [one for one in self._unsafe if within is None or one.settled_by.is_relative_to(within)]
        self._unsafe = [one for one in self._unsafe if one not in unsafe]
        for number, one in enumerate(reversed(unsafe)):
            if not mask >> number % 16 & 1:
                with suppress(FileNotFoundError):
                    one.undo()

    def forget(self, folder: Path) -> None:
        """A folder was thrown away: nothing in it can be undone any more."""
        self._unsafe = [one for one in self._unsafe if not one.settled_by.is_relative_to(folder)]

    def far(self) -> None:
        """The process asks another machine for something: it may die before that, and who has died asks nothing."""
        self._deadly("far", lambda: None)()

    @contextmanager
    def _standing_in(self) -> Iterator[None]:
        """In place of the calls of `os` while the body runs."""
        deadly = {name: self._deadly(name, getattr(self, f"_{name}")) for name in self._deaths}
        tidying = {name: self._tidying(name) for name in ("unlink", "rmdir") if name not in deadly}
        with replaced(os, open=self._open, close=self._close, **deadly, **tidying):
            yield

    # In place of the calls

    def _deadly(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **named: Any) -> Any:
            if self._calls_left == 0 and not self._dead:
                self._dead = True
                if name in ("write", "pwrite"):
                    descriptor, data, *offset = arguments
                    self._real[name](descriptor, bytes(data)[: len(data) // 2], *offset)
            if self._dead:
                raise PowerCut
            if self._calls_left is not None:
                self._calls_left -= 1
            return call(*arguments, **named)

        return stand_in

    def _tidying(self, name: str) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **named: Any) -> Any:
            if self._dead:  # who has died removes nothing
                raise PowerCut
            return self._real[name](*arguments, **named)

        return stand_in

    def _unlink(self, *arguments: Any, **named: Any) -> None:
        self._real["unlink"](*arguments, **named)  # at once: of names that go, the worst is that they are gone

    def _open(self, path: Any, *arguments: Any, **named: Any) -> int:
        if self._visit is not None:
            opens, visitor = self._visit
            self._visit = (opens - 1, visitor) if opens else None
            if not opens:
                visitor()
        descriptor: int = self._real["open"](path, *arguments, **named)
        self._opened[descriptor] = self._path(path, named.get("dir_fd"))
        return descriptor

    def _path(self, path: Any, folder: int | None) -> Path:
        """Where a name in an open folder lies."""
        return Path(path) if folder is None else self._opened[folder] / path

    def _close(self, descriptor: int) -> None:
        self._opened.pop(descriptor, None)
        self._real["close"](descriptor)

    def _write(self, descriptor: int, data: Any) -> int:
        path = self._opened.get(descriptor)
        if path is not None and not any(one.settled_by == path for one in self._unsafe):
            self._note(path, _Truncation(path, os.fstat(descriptor).st_size))
        return int(self._real["write"](descriptor, data))

    def _pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        path = self._opened.get(descriptor)
        if path is not None:
            with path.open("rb") as file:
                file.seek(offset)
                self._note(path, _Overwriting(path, offset, file.read(len(data))))
        return int(self._real["pwrite"](descriptor, data, offset))

    def _fsync(self, descriptor: int) -> None:
        path = self._opened.get(descriptor)
        self._unsafe = [one for one in self._unsafe if one.settled_by != path]

    def _replace(self, source: Any, target: Any, **named: Any) -> None:
        begin, end = self._path(source, named.get("src_dir_fd")), self._path(target, named.get("dst_dir_fd"))
        before = end.read_bytes() if end.is_file() else None
        self._real["replace"](begin, end)
        self._renamed(begin, end, before)

    def _link(self, source: Any, target: Any, **named: Any) -> None:
        begin, end = self._path(source, named.get("src_dir_fd")), self._path(target, named.get("dst_dir_fd"))
        self._real["link"](begin, end)
        self._renamed(begin, end, None)

    def _mkdir(self, path: Any, *arguments: Any, **named: Any) -> None:
        self._real["mkdir"](path, *arguments, **named)
        made = self._path(path, named.get("dir_fd"))
        self._note(made.parent, lambda: shutil.rmtree(made))

    def _renamed(self, source: Path, target: Path, before: bytes | None) -> None:
        """The unflushed bytes of a file go with it under its new name; that name itself is not safe yet."""
        for one in self._unsafe:
            if one.settled_by == source and isinstance(one.undo, _Truncation | _Overwriting):
                one.settled_by = one.undo.path = target
        self._note(target.parent, lambda: _put_back(target, before))

    def _note(self, settled_by: Path, undo: Callable[[], object]) -> None:
        if settled_by.is_relative_to(self._root):
            self._unsafe.append(Unsafe(settled_by, undo))


@dataclass
class _Truncation:
    """What was written behind these bytes never reached the disk."""

    path: Path
    size: int

    def __call__(self) -> None:
        os.truncate(self.path, self.size)


@dataclass
class _Overwriting:
    """What was written at this place of a file never reached the disk."""

    path: Path
    offset: int
    before: bytes

    def __call__(self) -> None:
        with self.path.open("r+b") as file:
            file.seek(self.offset)
            file.write(self.before)


def _put_back(path: Path, before: bytes | None) -> None:
    if before is not None:
        path.write_bytes(before)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
