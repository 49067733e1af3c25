"""The private key of a workspace, by which it knows its own cache again [SY-9].

It is a file that only its owner can read, and no part of the cache, so that who may write there does not choose it. It
comes from the operating system's random source alone. Without it, or where somebody else can read it, there is a new
one: what was kept is then made again. So nothing needs to be the first or the last of several that are made at once.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from mergealgebra.disk import open_file, opened_folder, read_all
from mergealgebra.engine.seals import KEY_BYTES
from mergealgebra.store.cache import put

KEY: Final = "cache.key"


def private_key(store: Path) -> bytes:
    """The key of the workspace in a folder, made if there is none that is private.

    Raises OSError when none can be made, or its disk keeps no file private.
    """
    with opened_folder(store) as folder:
        key = _read(folder)
        if key is None:
            put(store, (), KEY, secrets.token_bytes(KEY_BYTES), mode=0o600)
            key = _read(folder)
    if key is None:
        raise PermissionError(errno.EPERM, "its disk keeps nothing from other users", KEY)
    return key


def _read(folder: int) -> bytes | None:
    """The key in a folder; None unless it is one, and nobody else's to read."""
    try:
        descriptor = open_file(KEY, within=folder)
        try:
            key = read_all(descriptor, KEY_BYTES, KEY) if _is_private(os.fstat(descriptor)) else b""
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _is_private(told: os.stat_result) -> bool:
    return told.st_uid == os.geteuid() and not told.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
