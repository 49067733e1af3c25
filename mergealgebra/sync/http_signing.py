"""Connections that sign what they ask, where a server wants to know that a member asks [PR-20].

Whoever sends a request over one need not know of that: the header is added as it goes, for every path. What writes is
signed from the start; what reads once the server has refused it without.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final, Self

from mergealgebra.errors import WrongWorkspace
from mergealgebra.signatures import openssh_line
from mergealgebra.sync.admittance import is_reading
from mergealgebra.sync.challenges import ANSWER_BYTES, Asked, SignedHeader, read_challenge
from mergealgebra.sync.http_paths import CHALLENGE_PATH
from mergealgebra.sync.identity import Identity
from mergealgebra.sync.peer import naming
from mergealgebra.text import naming_a_key

#: Of the time for which a challenge is valid, how much is used.
_USED: Final = 0.75
_HEADER: Final = "Authorization"


@dataclass
class Signing:
    """What is known of a server that wants signatures.

    peer: its address, for messages. server: its name in what is signed. prefix: what stands before the paths of the
    protocol. always: whether reading is signed too.
    """

    identity: Identity
    peer: str
    server: str
    prefix: str
    always: bool = False
    _challenge: bytes = b""
    _workspace: bytes = b""
    _until: float = field(default=0.0)

    def wants(self, method: str, path: str) -> bool:
        """Whether a request is signed."""
        if self.identity.signer is None or path == CHALLENGE_PATH:
            return False
        return self.always or not is_reading(method, path.partition("?")[0])

    def advice(self, status: int) -> str:
        """What to do where the server refuses with this status to let us in; none where its reason says that."""
        signer = self.identity.signer
        if signer is None:
            return (
                f"name your private key with {naming_a_key()}; who has none makes one with `mergealgebra keygen FILE`, "
                "and asks a maintainer for `mergealgebra -C WORKSPACE grant FILE.pub --name YOU`"
            )
        if status == 403:
            line = openssh_line(signer.key)
            return f"ask a maintainer for `mergealgebra -C WORKSPACE grant '{line}' --name YOU`, then sync again"
        if not self._until:
            return f"your key cannot sign for it, as {CHALLENGE_PATH} is not answered: whoever serves lets it through"
        return ""

    def forget(self) -> None:
        """Ask for another challenge before the next signature."""
        self._until = 0.0

    def renew(self, ask: Callable[[], bytes | None]) -> None:
        """Have a challenge that is still valid. ask: what the server answers to whoever wants one, None for nothing.

        Raises PeerError for what is not a challenge, and WrongWorkspace for one of another workspace.
        """
        if time.monotonic() < self._until:
            return
        data = ask()
        if data is None:  # an older server, or one of an open workspace: it will say itself what it wants
            return
        with naming(self.peer):
            self._challenge, seconds, self._workspace = read_challenge(data)
        meant = self.identity.workspace
        if meant not in (None, self._workspace.hex()):
            raise WrongWorkspace(
                f"{self.peer} holds workspace {self._workspace.hex()}, not {meant}: choose another peer"
            )
        self._until = time.monotonic() + seconds * _USED

    def header(self, method: str, path: str, body: bytes) -> str | None:
        """The header of a request; None where nothing can be signed."""
        signer = self.identity.signer
        if signer is None or not self._until:
            return None
        asked = Asked(self._workspace, self.server, method, path, body)
        return SignedHeader.sign(asked, self._challenge, signer).text


class _Signs(HTTPConnection):
    """Adds the header to each request that is to be signed; asks once more what was refused without."""

    signing: Signing

    def signing_as(self, signing: Signing) -> Self:
        """The same connection, once it knows as whom it asks."""
        self.signing = signing
        return self

    _now: tuple[str, str, bytes | None] | None = None

    def connect(self) -> None:
        """Connect; another process may answer now, which knows nothing of former challenges."""
        self.signing.forget()
        super().connect()

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Begin a request, once there is a challenge for it."""
        path = url.removeprefix(self.signing.prefix)
        if self.signing.wants(method, path):
            if self.sock is None:
                self.connect()
            self.signing.renew(self._challenge)
        self._now = method, path, None
        super().putrequest(method, url, *args, **kwargs)

    def endheaders(self, message_body: Any = None, **kwargs: Any) -> None:
        """End the head with the signature, if there is one, and send it."""
        if self._now is not None:
            method, path, _ = self._now
            body = message_body if message_body and method != "PUT" else b""
            if self.signing.wants(method, path) and (header := self.signing.header(method, path, body)):
                self.putheader(_HEADER, header)
            self._now = method, path, body if method in ("GET", "POST") else None
        super().endheaders(message_body, **kwargs)

    def getresponse(self) -> HTTPResponse:
        """The response; where a signature was wanted, or another challenge, that to the same request with it."""
        response = super().getresponse()
        method, path, body = self._now or ("", "", None)
        if response.status != 401 or body is None or self.signing.identity.signer is None:
            return response
        _finish(response, self)
        self.signing.always = self.signing.always or is_reading(method, path.partition("?")[0])
        self.signing.forget()
        self.request(method, self.signing.prefix + path, body=body if method == "POST" else None)
        return super().getresponse()

    def _challenge(self) -> bytes | None:
        """What the server answers to whoever wants a challenge."""
        super().putrequest("GET", self.signing.prefix + CHALLENGE_PATH)
        super().endheaders()
        response = super().getresponse()
        found = _finish(response, self)
        return found if response.status == 200 else None


class SigningConnection(_Signs):
    """One over HTTP."""


class SigningSecureConnection(_Signs, HTTPSConnection):
    """One over HTTPS."""


def _finish(response: HTTPResponse, connection: HTTPConnection) -> bytes:
    """So much of a short body as it may have; the connection is closed where there is more."""
    found = response.read(ANSWER_BYTES + 1)
    if not response.isclosed() and response.read(1 << 16):
        connection.close()
    return found
