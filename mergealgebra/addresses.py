"""Paths that people write: what names another machine or a service is refused, and never made a folder here [SY-7]."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from mergealgebra.errors import AddressError
from mergealgebra.text import shown

PathLike = str | os.PathLike[str]

_SERVICE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_AT_HOST: Final = re.compile(r"[^/@]+@([^/:]+):")
#: Two letters and more: one is a drive.
_HOST: Final = re.compile(r"([^/:]{2,}):")


def local_path(path: PathLike) -> Path:
    """A path on this machine. Raises AddressError for `NAME://...`, and for `USER@HOST:...` if nothing is there.

    >>> local_path("share/models")
    PosixPath('share/models')
    """
    text = os.fspath(path)
    if found := _SERVICE.match(text):
        _refuse(text, f"an address of {found[1]}")
    _refuse_host(_USER_AT_HOST, text)
    return Path(path)


def peer_path(path: PathLike) -> Path:
    """The path of a peer. Raises AddressError as `local_path` does, and for `HOST:...` if nothing is there."""
    _refuse_host(_HOST, os.fspath(path))
    return local_path(path)


def _refuse_host(form: re.Pattern[str], text: str) -> None:
    if (found := form.match(text)) and not _SERVICE.match(text) and not os.path.lexists(text):
        _refuse(text, f"a path on the machine {found[1]}")


def _refuse(text: str, what: str) -> None:
    raise AddressError(
        f"{shown(text)} looks like {what}, and only folders of this machine are reached: mount it (sshfs, rclone, NFS) "
        "and name the folder where it is mounted; or write the whole path of a folder here that has such a name"
    )
