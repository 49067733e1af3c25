"""The packs of object stores that a replica has read: what they hold, so that none is fetched twice [PK-9, SY-9].

An entry for each pack of a store, sealed. The name of a pack stands for its bytes, so what is written down stays true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import EncodingError
from mergealgebra.store.cache import MOST_BYTES, SEEN
from mergealgebra.store.sealed import SealedCache

#: Changes whenever a program checks operations otherwise, or keeps something else of them.
_VERSION: Final = 1
_ID: Final = 32
#: Digits of what tells stores apart, in the name of an entry.
_STORE_DIGITS: Final = 16


class Seen(NamedTuple):
    """What a pack holds, ascending by id, its bytes, and what it replaces.

    foreign: why operations can never enter the set of this workspace, by id [SG-7]. outside: those that were not
    admissible when the operations of maintainers that were here had the root `judged` [SG-10].
    """

    ids: tuple[str, ...]
    nbytes: int
    replaces: tuple[str, ...]
    foreign: Mapping[str, str]
    outside: frozenset[str]
    judged: bytes


class SeenPacks(MutableMapping[str, Seen]):
    """What was seen in one object store, by the names of packs."""

    def __init__(self, store: Path, workspace: str, peer: str) -> None:
        self._entries = SealedCache(store, SEEN)
        self._start = f"{hash_id('peer', encode([workspace, peer]))[:_STORE_DIGITS]}-"

    def __getitem__(self, name: str) -> Seen:
        with suppress(EncodingError):
            version, *rest = decode(self._entries[self._start + name], max_bytes=MOST_BYTES)
            if version == _VERSION:
                ids, nbytes, replaces, foreign, outside, judged = rest
                apart = dict(map(_reason, foreign))
                return Seen(_ids(ids), nbytes, _ids(replaces), apart, frozenset(_ids(outside)), judged)
        raise KeyError(name)

    def __setitem__(self, name: str, seen: Seen) -> None:
        foreign = [[bytes.fromhex(id_), said] for id_, said in sorted(seen.foreign.items())]
        fields = [_joined(seen.ids), seen.nbytes, _joined(seen.replaces), foreign, _joined(sorted(seen.outside))]
        with suppress(EncodingError):  # what is too large is read again
            self._entries[self._start + name] = encode([_VERSION, *fields, seen.judged])

    def __delitem__(self, name: str) -> None:
        del self._entries[self._start + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._start) for name in self._entries if name.startswith(self._start))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _reason(entry: list[bytes | str]) -> tuple[str, str]:
    id_, said = entry
    return bytes(id_).hex() if isinstance(id_, bytes) else id_, str(said)


def _ids(joined: bytes) -> tuple[str, ...]:
    return tuple(joined[at : at + _ID].hex() for at in range(0, len(joined), _ID))


def _joined(ids: tuple[str, ...] | list[str]) -> bytes:
    return b"".join(map(bytes.fromhex, ids))
