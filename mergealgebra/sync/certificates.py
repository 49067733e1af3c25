"""The certificate of a server: what is wrong with its files, and what helps who does not trust it [PR-13]."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import OutputError
from mergealgebra.text import location, shown

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


#: What OpenSSL's verification says of a certificate that is out of its time, and of one for other names or addresses.
_OUT_OF_TIME: Final = (9, 10)
_OTHER_NAMES: Final = (62, 64)


def advice_on_trust(error: ssl.SSLCertVerificationError) -> str:
    """What helps where the certificate of a server was refused."""
    if error.verify_code in _OTHER_NAMES:
        return "name the server as its certificate does, or ask whoever runs it for a certificate with this name"
    if error.verify_code in _OUT_OF_TIME:
        return (
            "ask whoever runs it for a new certificate, or, if `date` shows another day here, set this machine's clock"
        )
    return (
        "its certificate is not one that this machine trusts: check the address; if it is your colleague's own, get "
        f"its file from them, and set SSL_CERT_FILE to it{_trusted_now()}"
    )


def _trusted_now() -> str:
    """What SSL_CERT_FILE is, where it is set: a file that is of no use is passed over by OpenSSL without a word."""
    trusted = os.environ.get("SSL_CERT_FILE", "")
    if not trusted:
        return ""
    if not Path(trusted).is_file():
        return f" (it is {shown(trusted)} now, which is no file)"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(trusted)
    except OSError:  # as errors of TLS are
        return f" (it is {shown(trusted)} now, which holds no certificate as PEM)"
    return f" (it is {shown(trusted)} now, which does not hold it)"
