"""TLS on connections that are counted since they were made: a handshake is one more wait for a client [PR-23].

The server's own way counts a connection only when its handshake has ended, and waits for that for a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

from uvicorn.protocols.utils import get_remote_addr

from mergealgebra.sync.http_connections import Client, Connections, Watched

#: How long a client may take for the handshake.
HANDSHAKE_SECONDS = 10.0


def tls_context(certificate: Path, key: Path | None) -> SSLContext:
    """What a server with a certificate needs, of PEM files. Raises OSError."""
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def secured(protocol: Callable[..., Watched], connections: Connections, context: SSLContext) -> Callable[..., Any]:
    """Makes protocols that speak another one inside TLS."""

    def make(**options: Any) -> asyncio.Protocol:
        return _Handshake(protocol(**options), connections, context)

    return make


class _Handshake(asyncio.Protocol):
    """A connection until its handshake has ended."""

    def __init__(self, inner: Watched, connections: Connections, context: SSLContext) -> None:
        self._inner, self._connections, self._context = inner, connections, context
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        if (client := get_remote_addr(transport)) is None:  # it has gone already
            transport.abort()
            return
        transport.pause_reading()  # what comes is for TLS
        self._connections.made(client, transport)
        self._task = asyncio.get_running_loop().create_task(self._secure(transport, client))

    async def _secure(self, transport: Any, client: Client) -> None:
        try:
            found = await asyncio.get_running_loop().start_tls(
                transport, self._inner, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:
            found = None
        if found is None:
            transport.abort()
            self._connections.lost(client)
        elif self._connections.secured(client, found):
            self._inner.begin_secured(found)
