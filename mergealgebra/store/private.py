"""The private key of a workspace, by which it knows its own cache again [SY-9].

It follows from two files that only their owner can read, and that are no part of the cache, so that who may write there
does not choose it. One is the workspace's. The other is the user's, outside all workspaces: a workspace that a stranger
hands over whole comes with a cache and a key of his, and with them nobody else's merges. Both come from the operating
system's random source alone. Without one, or where somebody else can read it, there is a new one: what was kept is then
made again. So nothing needs to be the first or the last of several that are made at once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.disk import make_folder, read_all
from mergealgebra.engine.seals import KEY_BYTES
from mergealgebra.errors import OutputError
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.text import place

KEY: Final = "cache.key"


def private_key(store: Path) -> bytes:
    """The key of the workspace in a folder, for this user; the files that it follows from are made if need be.

    Raises OutputError when one cannot be made, or its disk keeps no file private.
    """
    return hashlib.blake2b(_key(store), key=_key(_users_folder()), digest_size=KEY_BYTES, person=b"workspace").digest()


def _users_folder() -> Path:
    """Where the user's own key is, by the rules of freedesktop.org: a path that is not absolute does not count."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        folder = state if state.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise OutputError("this user has no home, where his key would be; set XDG_STATE_HOME") from error
    make_folder(folder / "mergealgebra")
    return folder / "mergealgebra"


def _key(folder: Path) -> bytes:
    """What the key file in a folder holds."""
    entry = Entry(folder, ROOT, KEY)
    key = _read(entry)
    if key is None:
        write_atomically(entry, secrets.token_bytes(KEY_BYTES), mode=0o600)
        key = _read(entry)
    if key is None:
        raise OutputError(f"{place(entry.path)} is not kept from other users by its disk; use another disk")
    return key


def _read(entry: Entry) -> bytes | None:
    """The key in a file; None unless it is one, and nobody else's to read."""
    with suppress(OSError), entry.opened() as descriptor:
        if _is_private(os.fstat(descriptor)):
            key = read_all(descriptor, KEY_BYTES, KEY)
            return key if len(key) == KEY_BYTES else None
    return None


def _is_private(told: os.stat_result) -> bool:
    return told.st_uid == os.geteuid() and not told.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
