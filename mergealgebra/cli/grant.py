"""`mergealgebra [-C WORKSPACE] grant KEY --name NAME`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, tell


@click.command()
@click.argument("public", metavar="KEY")
@click.option("--name", required=True, help="What its owner is called here.")
@key_options
@json_option
@click.pass_obj
def command(workspace: str, public: str, name: str, key: Path | None, passphrase_fd: int | None, as_json: bool) -> None:
    """Let the owner of KEY contribute, as a maintainer of a signed workspace.

    KEY is an OpenSSH line, a file of one, such as FILE.pub, or the fingerprint of somebody known here.
    """
    from mergealgebra.signatures import fingerprint
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    id_ = opened.grant(public, name, signed_by=signer_in(opened, key, passphrase_fd))
    granted = next(one for one in opened.members() if id_ in one.live)
    if as_json:
        report({"grant": id_, "key": fingerprint(granted.key), "name": name})
    else:
        tell({"granted": name, "key": fingerprint(granted.key), "next": "sync, so that the others know"})
