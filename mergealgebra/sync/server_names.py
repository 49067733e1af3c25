"""What servers are called in signed requests: HOST:PORT as a client addresses one [PR-20]."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from mergealgebra.errors import AddressError
from mergealgebra.text import shown

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


def server_name(host: str, port: int) -> str:
    """The name of a server at a host, which may be the number of an address, and a port.

    >>> server_name("Models.Example", 443), server_name("0:0::1", 8790)
    ('models.example:443', '[::1]:8790')
    """
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return f"{host.lower()}:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def names_of(arrived: tuple[str, int] | None) -> frozenset[str]:
    """The names of a server that was told none: where the connection arrived; on loopback that has three names."""
    if arrived is None:
        return frozenset()
    host, port = arrived
    return frozenset(server_name(one, port) for one in (_LOOPBACK if host in _LOOPBACK else (host,)))


def bound_names(host: str) -> tuple[str, ...]:
    """The names of a server that is bound to a host: the name, unless that is an address; see `names_of` for those.

    >>> bound_names("alice.example"), bound_names("0.0.0.0")
    (('alice.example',), ())
    """
    with suppress(ValueError):
        ip_address(host)
        return ()
    return () if host in _LOOPBACK else (host,)


def told_names(texts: Iterable[str], port: int) -> frozenset[str]:
    """The names that whoever serves gives: HOST, or HOST:PORT. Raises AddressError.

    >>> sorted(told_names(["models.example", "m.example:443"], 8790))
    ['m.example:443', 'models.example:8790']
    """
    return frozenset(_told(text, port) for text in texts)


def _told(text: str, port: int) -> str:
    try:
        found = urlsplit(f"//{text}")
        named = found.port
    except ValueError:
        named = -1
    host = text.rpartition(":")[0] if named else text
    if named == -1 or not _HOST.fullmatch(host):
        raise AddressError(f"{shown(text)} is not the name of a server: write HOST or HOST:PORT, as in its address")
    return server_name(host, named or port)
