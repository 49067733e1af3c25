"""Challenges of a server, and requests that members sign over them: the bytes [PR-19, PR-20].

    challenge    16 random bytes    its end, 8 bytes    32 bytes that only this server can make
    header       Mergealgebra SERVER HEX    HEX: the key, the challenge, the signature

A server keeps nothing of the challenges that it gives. What is signed names the server, the workspace, the request and
the body, so that it opens nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any, Final, Self

from mergealgebra.crdt.fields import map_with_keys
from mergealgebra.crdt.operations import Signer
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import PeerError, SignatureRefused
from mergealgebra.signatures import KEY_BYTES, SIGNATURE_BYTES, is_valid
from mergealgebra.sync.message_fields import bytes_of, number_of
from mergealgebra.sync.ranges import ID_BYTES

#: The scheme of the header, as HTTP calls it.
SCHEME: Final = "Mergealgebra"
#: How long a challenge is valid.
SECONDS: Final = 300
#: What is answered to whoever asks for a challenge is no longer.
ANSWER_BYTES: Final = 1 << 8
#: A header is no longer, whatever the server is called.
HEADER_BYTES: Final = 1 << 10

_NONCE_BYTES: Final = 16
_END_BYTES: Final = 8
_MAC_BYTES: Final = 32
CHALLENGE_BYTES: Final = _NONCE_BYTES + _END_BYTES + _MAC_BYTES
_CHALLENGE_DOMAIN: Final = b"mergealgebra/1/challenge\x00"
_REQUEST_DOMAIN: Final = b"mergealgebra/1/request\x00"
_HEADER: Final = re.compile(
    rf"{SCHEME} ([!-~]{{1,300}}) ([0-9a-f]{{{2 * (KEY_BYTES + CHALLENGE_BYTES + SIGNATURE_BYTES)}}})", re.ASCII
)


@dataclass(frozen=True)
class Challenger:
    """Gives challenges for one workspace, and knows its own again [PR-19].

    key: drawn anew by each server that starts. clock: seconds that only go up; nobody else reads it.
    """

    workspace: bytes
    key: bytes
    clock: Callable[[], float] = monotonic

    @classmethod
    def new(cls, workspace: bytes) -> Self:
        """One with a key of its own."""
        return cls(workspace, secrets.token_bytes(_MAC_BYTES))

    def challenge(self, nonce: bytes | None = None) -> bytes:
        """A new challenge."""
        end = ceil(self.clock()) + SECONDS
        said = (nonce or secrets.token_bytes(_NONCE_BYTES)) + end.to_bytes(_END_BYTES)
        return said + self._mac(said)

    def answer(self) -> bytes:
        """What is answered to whoever asks for a challenge."""
        return encode({"challenge": self.challenge(), "seconds": SECONDS, "workspace": self.workspace})

    def check(self, challenge: bytes) -> None:
        """Raise SignatureRefused for a challenge that is not of this server, or has ended."""
        said, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(said)):
            raise SignatureRefused(
                "the challenge is not one of this server: sync again; if that is refused too, whoever serves lets one "
                "process alone answer at this address"
            )
        if self.clock() >= int.from_bytes(said[_NONCE_BYTES:]):
            raise SignatureRefused("the challenge has ended: sync again")

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self.key, _CHALLENGE_DOMAIN + self.workspace + said, "sha256")


def read_challenge(data: bytes) -> tuple[bytes, int, bytes]:
    """A challenge, for how many seconds it is valid, and the workspace that it is for. Raises PeerError."""
    value = decode(data, max_bytes=ANSWER_BYTES)
    found = map_with_keys(value, {"challenge", "seconds", "workspace"}, "the challenge", PeerError)
    challenge = bytes_of(found["challenge"], (CHALLENGE_BYTES,), "the challenge")
    seconds = number_of(found["seconds"], range(1, SECONDS + 1), "how long the challenge is valid")
    return challenge, seconds, bytes_of(found["workspace"], (ID_BYTES,), "the workspace of the challenge")


@dataclass(frozen=True)
class Asked:
    """What is asked of a server, as far as a signature names it [PR-20].

    server: HOST:PORT as the client addressed it. path: the target of the request from PREFIX on, with its query. body:
    empty where the path names what is brought.
    """

    workspace: bytes
    server: str
    method: str
    path: str
    body: bytes = b""

    def message(self, challenge: bytes) -> bytes:
        """What is signed."""
        said: dict[str, Any] = {
            "body": hashlib.sha256(self.body).digest(),
            "challenge": challenge,
            "method": self.method,
            "path": self.path,
            "server": self.server,
            "workspace": self.workspace,
        }
        return _REQUEST_DOMAIN + encode(said)


@dataclass(frozen=True)
class SignedHeader:
    """What a signed request carries. key: 32 bytes."""

    server: str
    key: bytes
    challenge: bytes
    signature: bytes

    @classmethod
    def sign(cls, asked: Asked, challenge: bytes, signer: Signer) -> Self:
        """The header for a request. Raises KeyFileError where the key cannot be read."""
        signature = signer.sign(asked.message(challenge))
        return cls(asked.server, bytes.fromhex(signer.key), challenge, signature)

    @property
    def text(self) -> str:
        """The header's value."""
        return f"{SCHEME} {self.server} {(self.key + self.challenge + self.signature).hex()}"

    @classmethod
    def read(cls, text: str) -> Self:
        """The same from its text; nothing is verified. Raises SignatureRefused."""
        found = _HEADER.fullmatch(text) if len(text) <= HEADER_BYTES else None
        if found is None:
            raise SignatureRefused(
                f"the header Authorization is not `{SCHEME} SERVER HEX`, as a member's is: use the version of "
                "mergealgebra that serves, and let no proxy change it"
            )
        data = bytes.fromhex(found[2])
        key, rest = data[:KEY_BYTES], data[KEY_BYTES:]
        return cls(found[1], key, rest[:CHALLENGE_BYTES], rest[CHALLENGE_BYTES:])

    def check(self, asked: Asked) -> None:
        """Raise SignatureRefused unless the key signed this request."""
        if not is_valid(self.key, self.signature, asked.message(self.challenge)):
            raise SignatureRefused(
                "the signature is not one of this request: another key, path, body or workspace; whoever serves has "
                "the proxy before it pass on what is asked as it is"
            )
