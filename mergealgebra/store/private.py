"""The private key of a workspace, by which it knows its own cache again [SY-9].

It is a file that only its owner can read, and no part of the cache, so that who may write there does not choose it. It
comes from the operating system's random source alone. Without it, or where somebody else can read it, there is a new
one: what was kept is then made again. So nothing needs to be the first or the last of several that are made at once.

A workspace may come from a stranger as an archive, with the file of a key that he knows. So what the file holds is not
yet the key: it goes with what the system tells of the file, which nobody chooses who unpacks or copies it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_all
from mergealgebra.encoding import encode
from mergealgebra.errors import OutputError
from mergealgebra.incremental.seals import KEY_BYTES
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.text import location

KEY: Final = "cache.key"


def private_key(store: Path) -> bytes:
    """The key of the workspace in a folder, made if there is none that is private.

    Raises OutputError when none can be made, or its disk keeps no file private.
    """
    entry = Entry(store, ROOT, KEY)
    key = _read(entry)
    if key is None:
        write_atomically(entry, secrets.token_bytes(KEY_BYTES), mode=0o600)
        key = _read(entry)
    if key is None:
        raise OutputError(f"{location(entry.path)} is not kept from other users by its disk; use another disk")
    return key


def known_key(store: Path) -> bytes | None:
    """The same key, or None where there is none that is private; nothing is made."""
    return _read(Entry(store, ROOT, KEY))


def _read(entry: Entry) -> bytes | None:
    """The key that a file makes; None unless it is one, and nobody else's to read."""
    with suppress(OSError), entry.opened() as descriptor:
        told = os.fstat(descriptor)
        if _is_private(told):
            secret = read_all(descriptor, KEY_BYTES, KEY)
            return _bound(secret, told) if len(secret) == KEY_BYTES else None
    return None


def _bound(secret: bytes, told: os.stat_result) -> bytes:
    """The key of these bytes in this very file: its number, and when it was last changed, are the system's to say."""
    where = encode([told.st_ino, told.st_ctime_ns])
    return hashlib.blake2b(where, digest_size=KEY_BYTES, key=secret, person=b"key").digest()


def _is_private(told: os.stat_result) -> bool:
    return told.st_uid == os.geteuid() and not told.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
