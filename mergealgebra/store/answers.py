"""What merges found out, kept for the next: thresholds are proved by that, dot products are sealed [SY-9]."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path

from mergealgebra.engine.grams import DOTS as DOTS_PREFIX
from mergealgebra.store.cache import DOTS, THRESHOLDS, Cache
from mergealgebra.store.sealed import SealedCache


class KeptAnswers(MutableMapping[str, bytes]):
    """The answers that a replica keeps, by name."""

    def __init__(self, store: Path) -> None:
        self._proved, self._sealed = Cache(store, THRESHOLDS), SealedCache(store, DOTS)

    def __getitem__(self, name: str) -> bytes:
        return self._of(name)[name]

    def __setitem__(self, name: str, data: bytes) -> None:
        self._of(name)[name] = data

    def __delitem__(self, name: str) -> None:
        del self._of(name)[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._proved
        yield from self._sealed

    def __len__(self) -> int:
        return len(self._proved) + len(self._sealed)

    def _of(self, name: str) -> MutableMapping[str, bytes]:
        return self._sealed if name.startswith(DOTS_PREFIX) else self._proved
