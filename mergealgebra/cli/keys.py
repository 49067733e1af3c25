"""Keys and passphrases at the command line [SG-15]."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mergealgebra.cli.options import PATH, Decorated
from mergealgebra.errors import KeyFileError

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Signer
    from mergealgebra.key_files import PrivateKey
    from mergealgebra.workspace import Workspace

#: A passphrase is shorter.
_MOST_BYTES: Final = 1 << 10


def _check_open(_context: click.Context, _param: click.Parameter, descriptor: int | None) -> int | None:
    """Refuse a descriptor that is not open, also where no passphrase is asked for in the end."""
    if descriptor is not None:
        try:
            os.fstat(descriptor)
        except OSError:
            raise click.BadParameter(
                f"there is no descriptor {descriptor}: open it, as in `--passphrase-fd {descriptor} {descriptor}<FILE`"
            ) from None
    return descriptor


passphrase_option = click.option(
    "--passphrase-fd",
    type=click.IntRange(min=0),
    metavar="N",
    callback=_check_open,
    help="Read the key's passphrase from this descriptor.",
)


def key_options(command: Decorated) -> Decorated:
    """The options by which somebody names their private key."""
    named = click.option(
        "--key", type=PATH, metavar="FILE", help="Your private key; else MERGEALGEBRA_KEY, else that of set-key."
    )
    return named(passphrase_option(command))


def signer_in(workspace: Workspace, key: Path | None, descriptor: int | None) -> Signer | None:
    """Who signs in a workspace, asked for a passphrase where the key has one."""
    return workspace.signer(key, asker(descriptor))


def signer_when_needed(workspace: Workspace | None, key: Path | None, descriptor: int | None) -> Signer | None:
    """Who signs what is asked of servers; a passphrase is asked for only once something is signed [PR-20]."""
    from mergealgebra import signing

    return signing.signer_when_needed(workspace.store if workspace else None, key, asker(descriptor))


def private_key(path: Path, descriptor: int | None) -> PrivateKey:
    """The private key in a file, asked for its passphrase where it has one."""
    from mergealgebra.key_files import PrivateKey

    return PrivateKey.read(path, asker(descriptor))


def asker(descriptor: int | None) -> Callable[[], bytes]:
    """Asks for a passphrase: at the terminal, or of a descriptor."""
    return _asked if descriptor is None else partial(passphrase_from, descriptor)


def _asked() -> bytes:
    """A passphrase typed at the terminal, which does not show it."""
    if not sys.stdin.isatty():
        raise KeyFileError("the key has a passphrase: run it at a terminal, or give it with --passphrase-fd N")
    return str(click.prompt("passphrase of your key", hide_input=True, err=True)).encode()


def new_passphrase() -> bytes:
    """A passphrase for a new key, typed twice at the terminal; empty for none, and where there is no terminal."""
    if not sys.stdin.isatty():
        return b""
    asked = "passphrase of the new key (empty for none)"
    return str(
        click.prompt(asked, hide_input=True, default="", show_default=False, confirmation_prompt=True, err=True)
    ).encode()


def passphrase_from(descriptor: int) -> bytes:
    """The first line that an open descriptor gives, without its line feed. Raises KeyFileError."""
    found = b""
    try:
        while len(found) < _MOST_BYTES and b"\n" not in found and (piece := os.read(descriptor, _MOST_BYTES)):
            found += piece
    except OSError as error:
        raise KeyFileError(f"descriptor {descriptor} gives no passphrase: {error.strerror}") from None
    if not (passphrase := found.partition(b"\n")[0]):
        raise KeyFileError(
            f"descriptor {descriptor} gives no passphrase, its first line is empty: write one there, or leave "
            "--passphrase-fd out for a key without one"
        )
    return passphrase
