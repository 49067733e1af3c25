"""Serving a store to others: over HTTP, until somebody ends it, or over the standard streams [PR-13, PR-14, PR-16]."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergealgebra.errors import NotInstalled, OutputError
from mergealgebra.store.objects import Store
from mergealgebra.sync.replica import base_of, fits_by
from mergealgebra.sync.service import Service
from mergealgebra.sync.streams import serve_streams

if TYPE_CHECKING:
    from uvicorn import Server

LOOPBACK: Final = "127.0.0.1"
#: Connections at one time; one more is answered 503.
_CONNECTIONS: Final = 512
_BACKLOG: Final = 128
#: How long a connection without a question is kept, and how long questions may take when the server is ended.
_KEEP_SECONDS: Final = 60
_GRACE_SECONDS: Final = 5


def serve_http(
    store: Store,
    host: str,
    port: int,
    *,
    writes: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[str], object],
) -> None:
    """Serve a store until an interrupt. ready: told the address, once connections are taken.

    host, port: where; a free port if it is 0. certificate, key: PEM files, for https. Raises NotInstalled without the
    extra `net`, and OutputError for an address that cannot be had.
    """
    with _listening(host, port) as listening, _service(store, writes) as service:
        server = http_server(service, certificate, key)
        shown_host = f"[{host}]" if ":" in host else host
        ready(f"{'https' if certificate else 'http'}://{shown_host}:{listening.getsockname()[1]}")
        server.run(sockets=[listening])


def http_server(service: Service, certificate: Path | None = None, key: Path | None = None) -> Server:
    """The server of a service. Raises NotInstalled without the extra `net`, OutputError for a bad certificate."""
    try:
        import uvicorn

        from mergealgebra.sync.http_server import application
    except ImportError as error:
        raise NotInstalled(
            f"serve needs starlette and uvicorn, and {error.name} is not installed: pip install starlette uvicorn"
        ) from error
    config = uvicorn.Config(
        application(service),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except OSError as error:
        raise OutputError(
            f"{certificate} and {key} cannot be used: {error.strerror or error}; give a certificate and its key as PEM"
        ) from error
    return uvicorn.Server(config)


def serve_stdio(store: Store, *, writes: bool = False) -> None:
    """Serve a store over the standard streams, until the other side ends. Raises PeerError for what is no question."""
    with _service(store, writes) as service:
        serve_streams(service, sys.stdin.buffer, sys.stdout.buffer)


@contextmanager
def _service(store: Store, writes: bool) -> Iterator[Service]:
    with base_of([store]) as base:
        yield Service(store, writes=writes, fits=fits_by(base), base=base)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"nothing can be served at {host} port {port}: {said}; choose another --port") from error
