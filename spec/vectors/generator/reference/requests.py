"""Challenges and signed requests [PR-19 to PR-21], by the clauses alone."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Any

from generator.reference import ed25519
from generator.reference.canonical import encode
from generator.reference.refused import Refused

FORM = re.compile(r"Mergealgebra ([!-~]+) ([0-9a-f]{304})")


def challenge(key: bytes, workspace: bytes, nonce: bytes, end: int) -> bytes:
    said = nonce + end.to_bytes(8, "big")
    return said + hmac.new(key, b"mergealgebra/1/challenge\0" + workspace + said, sha256).digest()


def message(workspace: bytes, server: str, method: str, path: str, body: bytes, given: bytes) -> bytes:
    digest = sha256(b"" if method == "PUT" else body).digest()
    said = {"body": digest, "challenge": given, "method": method, "path": path, "server": server}
    return b"mergealgebra/1/request\0" + encode({**said, "workspace": workspace})


def header(seed: bytes, server: str, given: bytes, signed: bytes) -> str:
    return f"Mergealgebra {server} {(ed25519.public_key(seed) + given + ed25519.sign(seed, signed)).hex()}"


def check(x: dict[str, Any], text: str, key: bytes, members: list[bytes], names: list[str], now: int) -> None:
    """PR-21. x: workspace, method, path and body of what is asked. Raises Refused."""
    found = FORM.fullmatch(text)
    if found is None or found[1] not in names:
        raise Refused("SignatureRefused")
    parts = bytes.fromhex(found[2])
    author, given, signature = parts[:32], parts[32:88], parts[88:]
    end = int.from_bytes(given[16:24], "big")
    if given != challenge(key, x["workspace"], given[:16], end) or now >= end:
        raise Refused("SignatureRefused")
    if author not in members:
        raise Refused("NotMember")
    if not ed25519.verify(author, signature, message(server=found[1], given=given, **x)):
        raise Refused("SignatureRefused")
