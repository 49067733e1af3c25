"""A store of objects that answers no questions: a bucket, or the files of a web server [PR-17, PR-18].

Objects have keys like `packs/NAME`. Four calls are all that is asked of it: nothing needs a part of an object, a
condition, or a list, and whether it checks who asks does not matter: all that is read is checked here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from mergealgebra.addresses import live_scheme
from mergealgebra.errors import PeerError
from mergealgebra.sync.peer import Read
from mergealgebra.text import fsck_repair

#: How long a store may be silent, and the fewest bytes a second on the average after that, as of a live peer [PR-13].
IDLE_SECONDS: Final = 60.0
LEAST_RATE: Final = 4096
_PIECE_BYTES: Final = 1 << 20
#: A list is refused when it is longer.
MOST_LISTED: Final = 1 << 20


class NotThere(PeerError):
    """A store has no object of a key, or does not give it."""


class TooLong(PeerError):
    """An object is longer than one of its kind can be."""


class Listed(NamedTuple):
    """What a store's list says of an object. modified: when it was last written, in seconds, by the store's clock."""

    nbytes: int
    modified: float


class Opened(NamedTuple):
    """An object that is being read: how many bytes it has, if the store says that, and the next of them."""

    nbytes: int | None
    read: Read


class ObjectStore(Protocol):
    """A store of objects. Every call raises PeerError, which names the store, for whatever goes wrong."""

    @property
    def name(self) -> str:
        """Its address, for messages and for what is written down of syncs."""
        ...

    def opened(self, key: str) -> AbstractContextManager[Opened]:
        """An object, while the body runs. Raises NotThere."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole; one that is there is replaced."""
        ...

    def list(self, folder: str) -> Mapping[str, Listed] | None:
        """The objects below `FOLDER/`, by the rest of their keys; None where nothing can be listed."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        ...


def get(objects: ObjectStore, key: str, most: int) -> bytes | None:
    """An object of at most so many bytes; None if it is not there. Raises TooLong, and PeerError."""
    try:
        with objects.opened(key) as (nbytes, read):
            pieces, left = list[bytes](), most
            while (nbytes or 0) <= most and left >= 0 and (piece := read(min(left + 1, _PIECE_BYTES))):
                pieces.append(piece)
                left -= len(piece)
    except NotThere:
        return None
    if (nbytes or 0) > most or left < 0:
        raise TooLong(f"{objects.name} has an object {key} of more than {most} bytes; delete it there")
    data = b"".join(pieces)
    if nbytes is not None and len(data) != nbytes:
        raise PeerError(f"{objects.name} ends the object {key} before its end; sync again")
    return data


def has(objects: ObjectStore, key: str) -> bool:
    """Whether an object is there; it is not read."""
    try:
        with objects.opened(key):
            return True
    except NotThere:
        return False


def paced(read: Read, name: str, clock: Callable[[], float] = time.monotonic) -> Read:
    """The same bytes; whoever sends them too slowly is cut off. Raises PeerError."""
    started, nbytes = clock(), 0

    def next_bytes(most: int) -> bytes:
        nonlocal nbytes
        piece = read(most)
        nbytes += len(piece)
        passed = clock() - started - IDLE_SECONDS
        if passed > 0 and nbytes < passed * LEAST_RATE:
            raise PeerError(f"{name} sends too slowly; sync with another peer, or later")
        return piece

    return next_bytes


def mended_in_folder(store: str) -> str | None:
    """Who mends what is damaged in the files of a web server, to which nobody writes; None for another store's name."""
    if live_scheme(store) is None:
        return None
    return f"whoever has the folder that is served runs `{fsck_repair('FOLDER', 'WORKSPACE')}`"
