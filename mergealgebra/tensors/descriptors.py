"""Descriptors: many files can be read while few are open, and each is checked to be the file whose header was read.

A merge reads from all its contributions at once, and a process may often have only 1024 files open.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from mergealgebra.disk import open_file, read_at
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.files import Identity, identity
from mergealgebra.text import location

#: The most files that a process can usually have open, where the system cannot be asked.
_OPEN_FILES: Final = 512


def _most_open_files() -> int:
    """How many files this process may have open."""
    try:
        import resource  # not everywhere
    except ImportError:
        return _OPEN_FILES
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


#: The most files that stay open, of all checkpoints together: at most a quarter of what the process may have open.
LIMIT: Final = max(1, min(128, _most_open_files() // 4))


class File:
    """A file that threads read from. It is opened when it is needed, and may be closed in between.

    identity: what the system told of it when its header was read. It must hold whenever the file is opened, and when
    `refuse_changed` asks.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path = path
        self._identity = identity
        self._readers = 0

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read so many bytes as the buffer holds, from an offset on; returns how many there were.

        Raises CheckpointError when the file is another one than the header's, and OSError.
        """
        descriptor = self._borrow()
        try:
            filled = 0
            while filled < len(buffer) and (count := read_at(descriptor, buffer[filled:], offset + filled)):
                filled += count
            return filled
        finally:
            with _LOCK:
                self._readers -= 1

    def refuse_changed(self) -> None:
        """Raise CheckpointError unless the file is still what it was, and OSError when it cannot be opened."""
        descriptor = self._borrow()
        try:
            self._identify(descriptor)
        finally:
            with _LOCK:
                self._readers -= 1

    def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        with _LOCK:
            if self in _OPEN:
                os.close(_OPEN.pop(self))

    def _borrow(self) -> int:
        """The shared descriptor, which stays open while somebody reads."""
        with _LOCK:
            if self not in _OPEN:
                self._open()
            _OPEN.move_to_end(self)
            self._readers += 1
            return _OPEN[self]

    def _open(self) -> None:
        idle = [file for file in _OPEN if not file._readers] if len(_OPEN) >= LIMIT else []
        for file in idle[: len(_OPEN) - LIMIT + 1]:
            file.close()
        descriptor = open_file(self.path)
        try:
            self._identify(descriptor)
        except CheckpointError:
            os.close(descriptor)
            raise
        _OPEN[self] = descriptor

    def _identify(self, descriptor: int) -> None:
        if identity(descriptor) != self._identity:
            raise CheckpointError(f"{location(self.path)} changed while it was read; run it again")


#: The shared descriptors, the one used last at the end.
_OPEN: Final[OrderedDict[File, int]] = OrderedDict()
_LOCK: Final = threading.RLock()  # a forgotten checkpoint may be collected, and closed, while its own thread holds it
