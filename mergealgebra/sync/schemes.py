"""Live peers by the scheme of their address: one row each [PR-13, PR-15]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import Final, Protocol

from mergealgebra.addresses import live_scheme
from mergealgebra.errors import AddressError
from mergealgebra.sync.identity import NOBODY, Identity
from mergealgebra.sync.peer import CarriedPeer, Carrier, Peer
from mergealgebra.text import shown


class _Closing(Carrier, Protocol):
    def close(self) -> None: ...


def _http(address: str, identity: Identity) -> _Closing:
    from mergealgebra.sync.http_peer import HttpCarrier  # with what Python has for HTTP and TLS

    return HttpCarrier(address, identity)


def _ssh(address: str, identity: Identity) -> _Closing:
    from mergealgebra.sync.ssh_peer import SshCarrier

    return SshCarrier(address)


#: What carries calls to an address of each scheme of `LIVE`.
CARRIERS: Final[Mapping[str, Callable[[str, Identity], _Closing]]] = MappingProxyType(
    {"http": _http, "https": _http, "ssh": _ssh}
)


@contextmanager
def live_peer(address: str, identity: Identity = NOBODY) -> Iterator[Peer]:
    """The peer at an address, while the body runs. identity: as whom it is asked, where it wants to know [PR-20].

    Raises AddressError for what is not one of a live peer.
    """
    scheme = live_scheme(address)
    if scheme is None:
        raise AddressError(f"{shown(address)} is not an address of {', '.join(CARRIERS)}")
    with closing(CARRIERS[scheme](address, identity)) as carrier:
        yield CarriedPeer(carrier)
