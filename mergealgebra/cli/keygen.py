"""`mergealgebra keygen FILE`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import new_passphrase, passphrase_from, passphrase_option
from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.report import report, tell


@click.command()
@click.argument("file", type=PATH)
@click.option("--comment", default="", help="A word behind the public key, such as your name.")
@passphrase_option
@json_option
def command(file: Path, comment: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Make a key: the private one in FILE, for nobody else to see, and the public one in FILE.pub, to give to others.

    A key that you have already does as well, if it is an Ed25519 key of OpenSSH's. At a terminal it asks for a
    passphrase.
    """
    from mergealgebra.key_files import PrivateKey
    from mergealgebra.signatures import fingerprint, openssh_line
    from mergealgebra.text import location

    passphrase = new_passphrase() if passphrase_fd is None else passphrase_from(passphrase_fd)
    made = PrivateKey.make(file, passphrase, comment)
    public = file.with_name(file.name + ".pub")
    if as_json:
        found = {"private": str(file), "public": str(public), "key": openssh_line(made.key)}
        report({**found, "fingerprint": fingerprint(made.key), "encrypted": bool(passphrase)})
        return
    tell(
        {
            "private key": location(file) + ("" if passphrase else ", without a passphrase"),
            "public key": location(public),
            "to give to others": openssh_line(made.key),
            "fingerprint": fingerprint(made.key),
        }
    )
