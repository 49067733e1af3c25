"""The certificate of a server and its private key: what is wrong with which of the two files [PR-13]."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import OutputError
from mergealgebra.text import location

#: Files of chains of certificates are shorter.
_MOST_BYTES: Final = 1 << 20


def check_certificate(certificate: Path, key: Path) -> None:
    """Raise OutputError unless these PEM files hold a certificate and the private key that belongs to it."""
    _check_holds(certificate, b"-----BEGIN CERTIFICATE-----", "a certificate", "--certificate")
    _check_holds(key, b"PRIVATE KEY-----", "a private key", "--key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        if isinstance(error, ssl.SSLError) and error.reason in _MISFITS:
            raise OutputError(
                f"{location(key)} is not the key of {location(certificate)}: name with --key the one that the "
                "certificate was made for"
            ) from None
        raise OutputError(
            f"{location(certificate)} and {location(key)} cannot be used: {error}; give a certificate and its key, "
            "without a passphrase, as PEM"
        ) from None


#: What OpenSSL says of a key that is another certificate's, or of another kind than it.
_MISFITS: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def _check_holds(path: Path, mark: bytes, what: str, option: str) -> None:
    try:
        data = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise OutputError(f"{location(path)} cannot be read: {error.strerror}; check the path of {option}") from None
    if mark not in data:
        raise OutputError(f"{location(path)} holds nothing like {what} as PEM: name with {option} a file that does")


def _no_password() -> str:
    raise ValueError("the key has a passphrase")
