"""Where this workspace's merges are writing: a record each, which stays when a merge is killed [LK-7].

    runs/TOKEN        the path of the folder `.OUT.TOKEN.unfinished`

A record is written before its folder is made. It is not trusted: it only says where to look. It is not flushed: after a
power cut, `gc` finds the folder when somebody names it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file, write_all
from mergealgebra.errors import OutputError
from mergealgebra.model_folder.leftovers import STALE_SECONDS
from mergealgebra.model_folder.unfinished import token_of
from mergealgebra.store.entries import made_part, opened_part

RUNS: Final = "runs"
#: No system has longer paths.
_MAX_BYTES: Final = 1 << 16


class Runs:
    """The records of a workspace. On a full or read-only disk there are none."""

    def __init__(self, store: Path) -> None:
        self._store = store

    @contextmanager
    def noted(self, folder: Path) -> Iterator[None]:
        """A record of the folder until the body ends; it stays if the folder does."""
        record = token_of(folder.name)
        if record is None:
            raise ValueError(folder)
        self._tidy()
        try:
            with suppress(OSError, OutputError), made_part(self._store, RUNS) as runs:
                _write(record, os.fsencode(folder.absolute()), runs)
            yield
        finally:
            if not os.path.lexists(folder):
                self._forget(record)

    def folders(self) -> list[Path]:
        """The folders that records name, whether they are there or not."""
        return sorted({folder for record in self._records() if (folder := self._read(record)) is not None})

    def _tidy(self) -> None:
        """Forget what is gone, or cannot be read, for more than a day: until then a merge may be about to make it."""
        for record in self._records():
            folder = self._read(record)
            if folder is None or not os.path.lexists(folder):
                with suppress(OSError), opened_part(self._store, RUNS) as runs:
                    status = os.stat(record, dir_fd=runs, follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > STALE_SECONDS:
                        os.unlink(record, dir_fd=runs)

    def _records(self) -> list[str]:
        with suppress(OSError), opened_part(self._store, RUNS) as runs:
            names = os.listdir(runs)  # noqa: PTH208 - names, not paths
            return [name for name in names if token_of(f".x.{name}.unfinished")]
        return []

    def _read(self, record: str) -> Path | None:
        """The folder that a record names; None if it is damaged."""
        try:
            with opened_part(self._store, RUNS) as runs:
                folder = Path(os.fsdecode(read_file(record, _MAX_BYTES, within=runs)))
        except OSError:
            return None
        sound = "\0" not in str(folder) and folder.is_absolute() and token_of(folder.name) == record
        return folder if sound else None

    def _forget(self, record: str) -> None:
        with suppress(OSError), opened_part(self._store, RUNS) as runs:
            os.unlink(record, dir_fd=runs)


def _write(name: str, data: bytes, within: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=within)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)
