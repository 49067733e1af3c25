"""The cache of a replica: what can always be computed again, kept to save time [SY-9]. It may be deleted at any moment.

Nothing here is trusted: thresholds are proved by the merge that uses them, and what cannot be read is not there. Nor is
anything reached through a link: in place of a folder it means that nothing is kept.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.disk import make_within, opened_within, read_file, write_all
from mergealgebra.store.objects import TMP

CACHE: Final = "cache"
#: No entry is larger; a larger file is none of ours.
_MAX_BYTES: Final = 1 << 24


class Cache(MutableMapping[str, bytes]):
    """Entries by name, each a file of its own. A full or read-only disk only means that nothing is kept."""

    def __init__(self, store: Path, kind: str) -> None:
        self._store, self._names = store, (CACHE, kind)

    def __getitem__(self, name: str) -> bytes:
        try:
            with opened_within(self._store, *self._names) as folder:
                return read_file(name, _MAX_BYTES, within=folder)
        except OSError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, data: bytes) -> None:
        with suppress(OSError):
            put(self._store, self._names, name, data)

    def __delitem__(self, name: str) -> None:
        with suppress(OSError), opened_within(self._store, *self._names) as folder:
            os.unlink(name, dir_fd=folder)

    def __iter__(self) -> Iterator[str]:
        with suppress(OSError):
            with opened_within(self._store, *self._names) as folder:
                names = os.listdir(folder)  # noqa: PTH208 - no path, but an open folder
            yield from sorted(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def put(store: Path, names: Sequence[str], name: str, data: bytes, mode: int = 0o666) -> None:
    """Put a file into a folder below a store, in place of what is there, whole or not at all [SY-2].

    names: of the folders on the way, made if they are missing; none is reached through a link. mode: that of the file
    from the beginning. Raises OSError.
    """
    make_within(store, TMP)
    make_within(store, *names)
    part = f"{os.getpid()}-{secrets.token_hex(8)}.part"
    with opened_within(store, TMP) as tmp, opened_within(store, *names) as folder:
        try:
            _write(part, data, tmp, mode)
            os.replace(part, name, src_dir_fd=tmp, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=tmp)
            raise


def _write(name: str, data: bytes, folder: int, mode: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)  # else a power cut may leave a key of zeros
    finally:
        os.close(descriptor)
