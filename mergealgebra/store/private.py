"""The private key of a workspace, by which it knows its own cache again [SY-9].

It is in a file that only its owner can read. It is not in the cache: those who may write to the cache must not choose
it. Its bytes come from the operating system's random source. When the file is missing, or somebody else can read it, a
new key is made, and what was cached is computed again. So it does not matter which of several keys, made at the same
moment, stays.

A workspace may come from a stranger as an archive, with a key file whose bytes the stranger knows. So the key is made
from the bytes of the file, and from its number and time in the file system, which its maker cannot choose.
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
    """The key of the workspace in a folder; it is made unless a private one is there.

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
    """The same key, or None unless a private one is there; nothing is made."""
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
