"""Descriptors: many files can be read while few are open, and each stays the file that was opened first.

A merge reads from all its contributions at once, and a process may often have only 1024 files open.
"""

from __future__ import annotations

import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mergealgebra.errors import CheckpointError
from mergealgebra.text import place

#: So many files are kept open, of all checkpoints together: at most a quarter of what the process may have.
LIMIT: Final = max(1, min(128, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))


class File:
    """A file that threads read from. It is opened when it is needed, and may be closed in between.

    What the system told of it at the first opening - which file, its size, its times - must hold at each later use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, ...] | None = None

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """A descriptor of one's own, to read from. Raises CheckpointError when the file has changed, and OSError."""
        with _LOCK:
            shared = self._shared()
            self._refuse_changed(os.fstat(shared))
            descriptor = os.dup(shared)  # the shared one may be closed at any time
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Keep the file open no longer. Closing twice is no error."""
        with _LOCK:
            if self in _OPEN:
                os.close(_OPEN.pop(self))

    def _shared(self) -> int:
        if self not in _OPEN:
            _OPEN[self] = os.open(self.path, os.O_RDONLY)
        _OPEN.move_to_end(self)
        while len(_OPEN) > LIMIT:
            os.close(_OPEN.popitem(last=False)[1])
        return _OPEN[self]

    def _refuse_changed(self, now: os.stat_result) -> None:
        identity = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
        self._identity = self._identity or identity
        if identity != self._identity:
            raise CheckpointError(f"{place(self.path)} changed while it was read; run it again")


#: The shared descriptors, the one used last at the end.
_OPEN: Final[OrderedDict[File, int]] = OrderedDict()
_LOCK: Final = threading.RLock()  # a forgotten checkpoint may be collected, and closed, while its own thread holds it
