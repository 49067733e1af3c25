"""Paths and addresses that people write: what is not a path is never made a folder here [SY-7]."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from mergealgebra.errors import AddressError
from mergealgebra.text import printable, shown

PathLike = str | os.PathLike[str]

_SERVICE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_AT_HOST: Final = re.compile(r"[^/@]+@([^/:]+):")
#: Two letters and more: one is a drive.
_HOST: Final = re.compile(r"([^/:]{2,}):")
#: An address with a slash too few, and a host with its port: slips of who means a peer.
_FEW_SLASHES: Final = re.compile(r"(https?|ssh|s3):/?(?!/)(.+)", re.IGNORECASE | re.DOTALL)
_HOST_PORT: Final = re.compile(r"(?:[A-Za-z0-9._-]{2,}|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}(?![0-9A-Za-z._-])[^?#]*")
#: What may be a user, a password or a token.
_SECRET: Final = re.compile(r"(?<=://).*@|(?<=[?#]).*", re.DOTALL)

_HUB_PART: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
#: What may be a model on the Hugging Face hub: its owner and name, and a revision; a path may look so too [HB-1].
HUB: Final = re.compile(
    rf"((?P<owner>{_HUB_PART})/{_HUB_PART}(?<!\.json)(?<!\.safetensors))(?:@([A-Za-z0-9_][A-Za-z0-9_./-]{{0,250}}))?"
)

#: Schemes of peers that answer questions, and of stores that answer none.
LIVE: Final = ("http", "https", "ssh")
STORES: Final = ("s3",)


def peer_scheme(peer: PathLike) -> str | None:
    """The scheme of the address of a peer, live or a store; None for a path, and for an address of others.

    >>> peer_scheme("s3://bucket/x"), peer_scheme("ftp://host/x")
    ('s3', None)
    """
    found = _SERVICE.match(os.fspath(peer))
    return found[1].lower() if found and found[1].lower() in (*LIVE, *STORES) else None


def live_scheme(peer: PathLike) -> str | None:
    """The scheme of the address of a peer that answers questions; None for a path, and for an address of others.

    >>> live_scheme("https://host/x"), live_scheme("share")
    ('https', None)
    """
    scheme = peer_scheme(peer)
    return scheme if scheme in LIVE else None


def without_secrets(address: PathLike) -> str:
    """An address that is refused, as it may be shown and written down.

    >>> without_secrets("http://user:pw@host/x?token=y")
    'http://***@host/x?***'
    """
    return _SECRET.sub(lambda found: "***" + "@" * found[0].endswith("@"), os.fspath(address))


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


def whole_path(path: PathLike) -> Path:
    """A path from the root, without `..`, unless that leads elsewhere because a link is before it.

    >>> whole_path("/srv/../usr")
    PosixPath('/usr')
    """
    whole, plain = Path(path).absolute(), Path(os.path.abspath(path))  # noqa: PTH100 - pathlib keeps the `..`
    return plain if ".." not in whole.parts or os.path.realpath(plain) == os.path.realpath(whole) else whole


def parts_of_address(address: PathLike) -> tuple[Path, Path | None]:
    """The model that an address names, and the adapter behind a `+`; None where it names none [AD-1].

    What is there under the whole name is a model, whatever stands in it.

    >>> parts_of_address("models/base+adapters/code")
    (PosixPath('models/base'), PosixPath('adapters/code'))
    """
    text = os.fspath(address)
    model, _, adapter = text.rpartition("+")
    if not (model and adapter) or os.path.lexists(text):
        return Path(text), None
    return Path(model), Path(adapter)


def beside(folder: Path, address: str) -> Path:
    """An address that a file in this folder gives: its paths are relative to the folder, `~` is somebody's home.

    What may be a model on the Hub stays as it is, where neither it nor its owner is in the folder [HB-1]. Raises
    RuntimeError where nobody has that home, and ValueError for what can be no path.
    """
    os.fsencode(address)
    whole = folder / Path(address).expanduser()
    model, plus, adapter = address.rpartition("+")
    if not (model and adapter) or os.path.lexists(whole):
        return Path(address) if _is_of_hub(address, whole) and not os.path.lexists(whole) else whole
    return Path(f"{beside(folder, model)}{plus}{beside(folder, adapter)}")


def _is_of_hub(address: str, whole: Path) -> bool:
    """Whether an address means the Hub, whatever is in the current folder. whole: what it is as a path."""
    return HUB.fullmatch(address) is not None and not whole.parent.is_dir() and not os.path.lexists(address)


def peer_path(path: PathLike) -> Path:
    """The path of a peer that is a folder.

    Raises AddressError as `local_path` does, and for `HOST:...` if nothing is there.
    """
    if not os.path.lexists(path):
        _refuse_slip(os.fspath(path))
    _refuse_host(_HOST, os.fspath(path))
    return local_path(path)


def refuse_id(address: str) -> None:
    """Raise AddressError for an address with the id of a workspace behind it."""
    if "#" in address and "@" not in address:  # else what is before the # may be part of a password
        plain = printable(without_secrets(address.partition("#")[0]))
        raise AddressError(
            f"{shown(without_secrets(address))} is not the address of a peer: write {plain}; only `clone` takes a # "
            "and the id of a workspace behind it"
        )


def _refuse_slip(text: str) -> None:
    if found := _FEW_SLASHES.fullmatch(text):
        scheme, rest = found[1].lower(), found[2]
        raise AddressError(
            f"an address of {scheme} begins with {scheme}://, and this one with fewer slashes: "
            f"write {printable(without_secrets(f'{scheme}://{rest}'))}"
        )
    if found := _HOST_PORT.match(text):
        server = printable(found[0])
        raise AddressError(
            f"{shown(found[0])} is not there as a folder, and looks like the host and port of a server: write "
            f"http://{server}, or https://{server} where it has a certificate"
        )


def _refuse_host(form: re.Pattern[str], text: str) -> None:
    if (found := form.match(text)) and not _SERVICE.match(text) and not os.path.lexists(text):
        _refuse(text, f"a path on the machine {found[1]}")


def _refuse(text: str, what: str) -> None:
    raise AddressError(
        f"{shown(without_secrets(text))} looks like {what}, and only folders of this machine are reached here: mount "
        "it (sshfs, rclone, NFS) and name the folder where it is mounted; or write the whole path of a folder here "
        "that has such a name. "
        "`sync` and `clone` also reach http://, https://, ssh://HOST/PATH and s3://BUCKET/PREFIX"
    )
