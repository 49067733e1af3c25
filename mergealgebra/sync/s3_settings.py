"""The AWS_* variables that lead to a bucket: what is wrong with them is said before obstore reads them [PR-17].

It panics, on many lines, at some of what is refused here.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Final

from mergealgebra.addresses import without_secrets
from mergealgebra.errors import AddressError
from mergealgebra.text import one_line, shortened, shown

#: Where the server is; obstore reads each of them.
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
#: What goes into headers as it stands, and may be a secret.
_WORDS: Final = (*_KEYS, "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION")

_ENDPOINT: Final = re.compile(
    r"https?://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?"
)
_WORD: Final = re.compile("[!-~]*")
_MOST_SAID: Final = 200


def check_settings() -> None:
    """Raise AddressError for variables by which no bucket can be asked. No message repeats a key."""
    for name in _ENDPOINTS:
        if name in os.environ:
            _check_endpoint(name, os.environ[name])
    for name in _WORDS:
        if not _WORD.fullmatch(os.environ.get(name, "")):
            raise AddressError(f"{name} holds a space, a line end or a letter outside ASCII: set it again without")
    lacking = [name for name in _KEYS if not os.environ.get(name)]
    if len(lacking) == 1:
        (other,) = set(_KEYS) - set(lacking)
        raise AddressError(
            f"{other} is set, and {lacking[0]} is not: set both, or for a bucket that everybody may read "
            f"`unset {other}; export AWS_SKIP_SIGNATURE=true`"
        )


def is_plain() -> bool:
    """Whether the server is asked over http."""
    return any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)


def refused_settings(error: Exception) -> AddressError:
    """What the library said of the variables, with the name of the one that it quoted, if that can be told."""
    said = shortened(one_line(str(error).split("\n\nDebug source", maxsplit=1)[0]), _MOST_SAID)
    named = [name for name, value in os.environ.items() if name.startswith("AWS_") and _quotes(said, name, value)]
    advice = f"check {named[0]}, or `unset {named[0]}`" if named else "check the AWS_ variables"
    return AddressError(f"the AWS_ variables lead to no bucket: {said}; {advice}")


def _quotes(said: str, name: str, value: str) -> bool:
    return name not in _WORDS and (f'"{value}"' in said or (bool(value) and f": {value}." in said))


def _check_endpoint(name: str, text: str) -> None:
    if not text:
        raise AddressError(
            f"{name} is set, and empty: `unset {name}` for Amazon's server, or set it to http://HOST:PORT or "
            "https://HOST:PORT"
        )
    found = f"{name} is {shown(without_secrets(text))}"
    if "://" not in text:
        raise AddressError(f"{found}: write http:// or https:// in front of it")
    if not _is_endpoint(text):
        raise AddressError(
            f"{found}, which is not the address of a server: set it to http://HOST:PORT or https://HOST:PORT, perhaps "
            "with a path, without a user, a password or a question mark"
        )


def _is_endpoint(text: str) -> bool:
    if (found := _ENDPOINT.fullmatch(text)) is None or not 0 < int(found["port"] or 1) <= 0xFFFF:
        return False
    host = found["v6"] or found["host"]
    if not found["v6"] and not host.rstrip(".").rpartition(".")[2].isdigit():
        return host[0] != "."
    with suppress(ValueError):
        return isinstance(ip_address(host), IPv6Address) == bool(found["v6"])
    return False
