"""Serving a store to others: over HTTP, until somebody ends it, or over the standard streams [PR-13, PR-14, PR-16]."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mergealgebra.errors import MergeAlgebraError, NotInstalled, OutputError
from mergealgebra.store.objects import Store
from mergealgebra.sync.admittance import Admittance
from mergealgebra.sync.certificates import check_certificate
from mergealgebra.sync.replica import base_of, fits_by
from mergealgebra.sync.server_names import bound_names, told_names
from mergealgebra.sync.service import Service
from mergealgebra.sync.streams import refuse_streams, serve_streams
from mergealgebra.sync.terms import Terms

if TYPE_CHECKING:
    from uvicorn import Server

_BACKLOG: Final = 128
#: Connections at one time after which one more is answered 503; before that the slowest give way.
_CONNECTIONS: Final = 512
#: How long a connection without a question is kept, and how long questions may take when the server is ended.
_KEEP_SECONDS: Final = 60
_GRACE_SECONDS: Final = 5
#: What the system says of a host that is another machine, or none.
_NO_ADDRESS_OF_OURS: Final = (errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL)


def serve_http(
    store: Store,
    host: str,
    port: int,
    *,
    terms: Terms,
    names: Sequence[str] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[str], object],
) -> None:
    """Serve a store until an interrupt. ready: told the address, once connections are taken.

    host, port: where; a free port if it is 0. terms: who may read and write. names: of this server in the addresses
    that clients know, HOST or HOST:PORT, where it stands behind another name [PR-20]. certificate, key: PEM files, for
    https. Raises NotInstalled without the extra `net`, AddressError for what is not a name, and OutputError for an
    address that cannot be had.
    """
    with _listening(host, port) as listening, _service(store, terms.takes) as service:
        known = told_names(names or bound_names(host), listening.getsockname()[1])
        server = http_server(service, terms, known, certificate, key)
        shown_host = f"[{host}]" if ":" in host else host
        ready(f"{'https' if certificate else 'http'}://{shown_host}:{listening.getsockname()[1]}")
        server.run(sockets=[listening])


def http_server(
    service: Service,
    terms: Terms,
    names: Collection[str] = (),
    certificate: Path | None = None,
    key: Path | None = None,
) -> Server:
    """The server of a service. Raises NotInstalled without the extra `net`, OutputError for a bad certificate."""
    try:
        import uvicorn

        from mergealgebra.sync.http_connections import Connections, Watched
        from mergealgebra.sync.http_guard import Guard
        from mergealgebra.sync.http_server import application
        from mergealgebra.sync.http_tls import secured, tls_context
    except ImportError as error:
        raise NotInstalled(
            f"serve needs starlette and uvicorn, and {error.name} is not installed: pip install starlette uvicorn"
        ) from error
    if certificate is not None and key is not None:
        check_certificate(certificate, key)
    connections = Connections()
    admittance = Admittance.of(service.store.genesis, service.state, terms, names)
    protocol: Callable[..., Any] = partial(Watched, connections)
    try:
        if certificate is not None:
            protocol = secured(protocol, connections, tls_context(certificate, key))
    except OSError as error:
        raise OutputError(
            f"{certificate} and {key} cannot be used: {error.strerror or error}; give a certificate and its key as PEM"
        ) from error
    config = uvicorn.Config(
        Guard(application(service, connections), admittance, connections),
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def serve_stdio(folder: Path, *, writes: bool = False) -> None:
    """Serve a store over the standard streams, until the other side ends. Raises PeerError for what is no question.

    Where there is none, the other side is told why, which says it to whoever is there. Raises as `Store.open` does
    where a person sees it.
    """
    try:
        store = Store.open(folder)
    except MergeAlgebraError as error:
        if sys.stdin.isatty():
            raise
        refuse_streams(error, sys.stdin.buffer, sys.stdout.buffer)
        raise SystemExit(1) from None
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
        elsewhere = getattr(error, "errno", None) in _NO_ADDRESS_OF_OURS
        other = "choose a --host that is an address of this machine" if elsewhere else "choose another --port"
        raise OutputError(f"nothing can be served at {host} port {port}: {said}; {other}") from error
