"""A peer over HTTP or HTTPS, asked with what Python has [PR-13].

Nothing that it answers takes more memory than was allowed, nor more time: a watch closes the connection.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from typing import Final
from urllib.parse import urlsplit

from mergealgebra.addresses import refuse_id, without_secrets
from mergealgebra.errors import AddressError, PeerError, PeerRefused
from mergealgebra.sync import calls
from mergealgebra.sync.calls import Run
from mergealgebra.sync.certificates import advice_on_trust
from mergealgebra.sync.challenges import SCHEME
from mergealgebra.sync.http_paths import BLOBS_PATH, PREFIX
from mergealgebra.sync.http_signing import Signing, SigningConnection, SigningSecureConnection
from mergealgebra.sync.identity import NOBODY, Identity
from mergealgebra.sync.leaf_frames import Fill, exact
from mergealgebra.sync.peer import Read, Unserved
from mergealgebra.sync.server_names import server_name
from mergealgebra.text import one_line, shortened, shown

#: How long a peer may be silent, and how long one whole answer may take.
IDLE_SECONDS: Final = 60.0
CALL_SECONDS: Final = 180.0
#: The fewest bytes a second of leaves, on the average after the first minute.
_LEAST_RATE: Final = 4096
_PIECE_BYTES: Final = 1 << 20
_MOST_REASON_BYTES: Final = 2000


class HttpCarrier:
    """Carries calls to `mergealgebra serve` at an address, on one connection that is opened again when it was closed.

    Raises AddressError for what is not such an address.
    """

    def __init__(self, address: str, identity: Identity = NOBODY) -> None:
        self.name = address
        self._secure, self._host, self._port, self._path = _parts(address)
        self._connection: HTTPConnection | None = None
        server = server_name(self._host, self._port or (443 if self._secure else 80))
        self._signing = Signing(identity, address, server, self._path)
        self._was_cut = False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """As in Carrier."""
        method = "GET" if call == calls.GENESIS else "POST"
        return self._whole(method, f"{PREFIX}/{call}", asked, most)

    def blob_map(self, root: str, most: int) -> bytes:
        """As in Carrier."""
        return self._whole("GET", f"{BLOBS_PATH}/{root}/map", b"", most)

    def put_map(self, root: str, data: bytes, most: int) -> bytes:
        """As in Carrier."""
        return self._whole("PUT", f"{BLOBS_PATH}/{root}/map", data, most)

    def cut(self) -> None:
        """As in Carrier."""
        self._was_cut = True
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _whole(self, method: str, path: str, asked: bytes, most: int) -> bytes:
        with self._failures(), self._watched():
            response = self._asked(method, path, asked)
            found = _read(response, most)
        if len(found) > most:
            self.close()
            raise PeerError(f"{self.name} gives an answer of more than {most} bytes; sync with another peer")
        return found

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Fill]:
        """As in Carrier."""
        with self._failures(), self._watched():
            response = self._asked("GET", f"{_leaves_path(run)}/{packing}", b"")
        started, nbytes = time.monotonic(), 0

        def read(buffer: memoryview) -> int:
            nonlocal nbytes
            with self._failures():
                count = _read_into(response, buffer)
            nbytes += count
            passed = time.monotonic() - started - IDLE_SECONDS
            if passed > 0 and nbytes < passed * _LEAST_RATE:
                raise PeerError(f"{self.name} sends too slowly; sync with another peer, or later")
            return count

        try:
            yield exact(self.name, read)
            with self._failures():
                if not _is_over(response):
                    raise PeerError(f"{self.name} sends more than was asked for; sync with another peer")
        finally:
            if not response.isclosed():  # what is left of it is nobody's answer
                self.close()

    @contextmanager
    def body(self, path: str) -> Iterator[tuple[int | None, Read]]:
        """What is at a path below the address: its length, if that is said, and its bytes. Raises as `call` does."""
        with self._failures(), self._watched():
            response = self._asked("GET", path, b"")

        def read(most: int) -> bytes:
            with self._failures():
                piece = response.read1(min(most, _PIECE_BYTES))
                _end(response)
            return piece

        try:
            yield response.length, read
        finally:
            if not response.isclosed():  # what is left of it is nobody's answer
                self.close()

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """As in Carrier."""
        with self._failures():
            connection = self._opened()
            connection.putrequest("PUT", self._path + _leaves_path(run))
            connection.putheader("Content-Length", str(sum(map(len, frames))))
            connection.endheaders()
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have refused already
                for frame in frames:
                    connection.send(frame)
            with self._watched():
                _read(self._checked(connection.getresponse()), 0)

    def _asked(self, method: str, path: str, asked: bytes) -> HTTPResponse:
        """The response to a request; once more where the peer had closed the connection since the last one."""
        again, self._was_cut = self._connection is not None, False
        try:
            return self._checked(self._sent(method, path, asked))
        except (HTTPException, ConnectionError):
            self.close()
            if not again or self._was_cut:
                raise
        return self._checked(self._sent(method, path, asked))

    def _sent(self, method: str, path: str, asked: bytes) -> HTTPResponse:
        connection = self._opened()
        connection.request(method, self._path + path, body=None if method == "GET" else asked)
        return connection.getresponse()

    def _checked(self, response: HTTPResponse) -> HTTPResponse:
        """The response, if it is an answer. Raises PeerError with the peer's reason."""
        if response.status == 200:
            return response
        reason = one_line(_read(response, _MOST_REASON_BYTES)[:_MOST_REASON_BYTES].decode(errors="replace"))
        self.close()
        if reason and (response.status in (400, 408, 500) or _is_ours(response, reason)):
            advice = self._signing.advice(response.status) if response.status in (401, 403) else ""
            says = f"{self.name} refuses: {shortened(reason, calls.MOST_REASON)}"
            raise PeerRefused(f"{says}; {advice}" if advice else says)
        raise Unserved(
            f"{self.name} answers {response.status} {shown(response.reason)}: check the address, and that "
            "`mergealgebra serve` runs there",
            response.status,
        )

    def _opened(self) -> HTTPConnection:
        if self._connection is None:
            if self._secure:
                context = ssl.create_default_context()
                secure = SigningSecureConnection(self._host, self._port, timeout=IDLE_SECONDS, context=context)
                self._connection = secure.signing_as(self._signing)
            else:
                plain = SigningConnection(self._host, self._port, timeout=IDLE_SECONDS)
                self._connection = plain.signing_as(self._signing)
            self._connection.connect()
        return self._connection

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Close the connection if the body takes too long, however often a byte comes."""

        watch = threading.Timer(CALL_SECONDS, self.cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """What the network refuses becomes a PeerError that names the peer."""
        try:
            yield
        except (OSError, HTTPException) as error:
            self.close()
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise PeerError(
                f"{self.name} cannot be reached, or ended the connection: {shortened(one_line(said), 200)}; "
                f"{_advice(error, secure=self._secure)}"
            ) from error


def _advice(error: Exception, *, secure: bool) -> str:
    """What helps when a connection was not made, or broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return advice_on_trust(error)
    if isinstance(error, ssl.SSLError):
        return "what answers there speaks another TLS, or none: try http:// in place of https://"
    if isinstance(error, RemoteDisconnected) and not secure:
        return "check the address, and that `mergealgebra serve` runs there; where it has a certificate, write https://"
    return "check the address, and that `mergealgebra serve` runs there"


def _is_ours(response: HTTPResponse, reason: str) -> bool:
    """Whether a refusal for want of a right is one of `serve`, and not of something that stands before it."""
    if response.status == 401:
        return (response.getheader("WWW-Authenticate") or "").startswith(SCHEME)
    return response.status == 403 and not reason.startswith("<")  # as the pages of web servers do


def _read(response: HTTPResponse, most: int) -> bytes:
    """The body of a response, or so much of it that it is seen to be longer than so many bytes."""
    pieces, nbytes = [], 0
    while nbytes <= most and (piece := response.read1(_PIECE_BYTES)):
        pieces.append(piece)
        nbytes += len(piece)
    _end(response)
    if nbytes <= most and response.length:
        raise ConnectionResetError("the answer ends before its end")
    return b"".join(pieces)


def _read_into(response: HTTPResponse, buffer: memoryview) -> int:
    """Read what is there of a body into a buffer, in one call of the system where its length was said."""
    if response.chunked or response.length is None:
        piece = response.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
    count = response.fp.readinto1(buffer[: response.length]) if response.length else 0
    response.length -= count
    return count


def _is_over(response: HTTPResponse) -> bool:
    """Whether a body is at its end; then the connection can take the next request."""
    if response.chunked:
        return not response.read1(1)
    _end(response)
    return response.isclosed()


def _leaves_path(run: Run) -> str:
    return f"{BLOBS_PATH}/{run.root}/leaves/{run.first}/{run.count}"


def _end(response: HTTPResponse) -> None:
    """Let the connection take the next request, where all of a response was read."""
    if response.length == 0:
        response.read()


def _parts(address: str) -> tuple[bool, str, int | None, str]:
    """Whether it is secure, host, port and path of an address. Raises AddressError."""
    refuse_id(address)
    try:
        found = urlsplit(address)
        host, port = found.hostname, found.port
    except ValueError as error:
        why = "it has no port" if "@" in address else str(error)  # which repeats what may be a password
        raise AddressError(f"{shown(without_secrets(address))} is not an address: {why}") from None
    plain = address.isascii() and address.isprintable() and " " not in address
    if not plain or not host or "@" in found.netloc or found.query or found.fragment:
        raise AddressError(
            f"{shown(without_secrets(address))} is not the address of a peer: write http://HOST:PORT or "
            "https://HOST:PORT, perhaps with a path; without a user, a password or a question mark"
        )
    return found.scheme == "https", host, port, found.path.rstrip("/")
