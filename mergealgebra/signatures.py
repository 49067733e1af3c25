"""Ed25519 keys and signatures: which bytes are a key, and which signature is valid, the same on every machine [SG-1].

The library decides the equation of RFC 8032 without the cofactor, and compares R as bytes. It also takes keys of small
order, under which anybody can sign, and some that have a second encoding. So keys are looked at first.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
#: How an OpenSSH line of such a key begins.
ALGORITHM: Final = "ssh-ed25519"

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_Y8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
_SIGN: Final = 1 << 255
_DOMAIN: Final = b"mergealgebra/1/signature\x00"


def is_key(data: object) -> bool:
    """Whether a value is the bytes of a key: the one encoding of its y, and not of small order [SG-1].

    >>> is_key(bytes([2]) * 32), is_key(bytes([1]) + bytes(31)), is_key(b"\\xee" + b"\\xff" * 30 + b"\\x7f")
    (True, False, False)
    """
    if not isinstance(data, bytes) or len(data) != KEY_BYTES:
        return False
    y = int.from_bytes(data, "little") % _SIGN
    return y < _P and y not in _SMALL_ORDER


def message(body: bytes) -> bytes:
    """What is signed of an operation. body: the encoding of its body [SG-2]."""
    return _DOMAIN + body


def is_valid(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature of these bytes is valid for a key [SG-2]."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not is_key(key) or len(signature) != SIGNATURE_BYTES or not is_key(signature[:KEY_BYTES]):
        return False
    if int.from_bytes(signature[KEY_BYTES:], "little") >= _L:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: a library may refuse what is not a point when it is read
        return False
    return True


def fingerprint(key: str) -> str:
    """A key, in 64 hexadecimal digits, as OpenSSH shows it to people [SG-13].

    >>> fingerprint("02" * 32)
    'SHA256:baqJQcVDEweKmw1OiZxGooCG2MGxYtwsQQzzOstxmiA'
    """
    digest = hashlib.sha256(_wire(bytes.fromhex(key))).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def openssh_line(key: str) -> str:
    """A key, in 64 hexadecimal digits, as the line that OpenSSH has of it, without a comment."""
    return f"{ALGORITHM} {base64.b64encode(_wire(bytes.fromhex(key))).decode()}"


def from_openssh_line(line: str) -> str | None:
    """The key of an OpenSSH line, in 64 hexadecimal digits; None where that is not a line of a sound Ed25519 key.

    >>> from_openssh_line(openssh_line("02" * 32) + " ada@laptop") == "02" * 32
    True
    """
    words = line.split(maxsplit=2)
    if len(words) < 2 or words[0] != ALGORITHM:
        return None
    try:
        wire = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    key = wire[-KEY_BYTES:]
    return key.hex() if is_key(key) and wire == _wire(key) else None


def _wire(key: bytes) -> bytes:
    """The two strings of a public key as SSH sends them, each after its length."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (ALGORITHM.encode(), key))
