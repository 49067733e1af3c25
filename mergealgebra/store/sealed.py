"""A cache whose entries nothing proves, so each is sealed with the workspace's private key [SY-9].

Others may be able to write to the cache. An entry without our seal, or of another name or folder, counts as missing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from mergealgebra.encoding import encode
from mergealgebra.errors import OutputError
from mergealgebra.incremental.seals import HEADER_BYTES, Seal
from mergealgebra.store.cache import Cache
from mergealgebra.store.private import known_key, private_key


class SealedCache(MutableMapping[str, bytes]):
    """Entries by name, as in `Cache`; what another wrote is not there. The key is made with the first entry."""

    def __init__(self, store: Path, part: str) -> None:
        self._store, self._part, self._entries = store, part, Cache(store, part)

    def __getitem__(self, name: str) -> bytes:
        sealed, key = self._entries[name], known_key(self._store)
        data = sealed[HEADER_BYTES:]
        if key is None or not hmac.compare_digest(self._seal(key, name, data), sealed[:HEADER_BYTES]):
            raise KeyError(name)
        return data

    def __setitem__(self, name: str, data: bytes) -> None:
        with suppress(OSError, OutputError):
            self._entries[name] = self._seal(private_key(self._store), name, data) + data

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _seal(self, key: bytes, name: str, data: bytes) -> bytes:
        return Seal(key).of_entry(encode([self._part, name]) + data)
