"""The files of a share, or of a store like a bucket's, behind any web server: only read [PR-17].

A web server lists nothing in a way that all agree on, so packs are found by the index. Redirections are not followed,
and sizes and times are bounded as with a live peer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mergealgebra.errors import PeerError
from mergealgebra.sync.http_peer import HttpCarrier
from mergealgebra.sync.object_store import NotThere, Opened, paced
from mergealgebra.sync.peer import Unserved

#: Statuses of a file that is not there, or is not given.
_NOT_THERE: Final = (403, 404, 410)


class HttpFiles:
    """The files below an address. Raises AddressError for what is not one of http or https."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._carrier = HttpCarrier(address)

    def close(self) -> None:
        """Close the connection."""
        self._carrier.close()

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """As in ObjectStore."""
        try:
            with self._carrier.body(f"/{key}") as (nbytes, read):
                yield Opened(nbytes, paced(read, self.name))
        except Unserved as error:
            if error.status in _NOT_THERE:
                raise NotThere(f"{self.name} has no file {key}") from error
            raise

    def put(self, key: str, data: bytes) -> None:
        """As in ObjectStore: it takes nothing."""
        raise PeerError(f"{self.name} takes nothing, it is served as files for reading only")

    def list(self, folder: str) -> None:
        """As in ObjectStore: there is no list."""

    def delete(self, key: str) -> None:
        """As in ObjectStore: it takes nothing."""
        self.put(key, b"")
