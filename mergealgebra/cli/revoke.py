"""`mergealgebra [-C WORKSPACE] revoke KEY`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import json_option, note_option
from mergealgebra.cli.report import report, say, tell


@click.command()
@click.argument("public", metavar="KEY")
@note_option
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str, public: str, note: str | None, key: Path | None, passphrase_fd: int | None, as_json: bool
) -> None:
    """Let the owner of KEY contribute no more, as a maintainer of a signed workspace.

    KEY is an OpenSSH line, a file of one, or a fingerprint. What they did that is here stays as it is; what they did
    and nobody brought here yet does not count. `retract` takes back what should go.
    """
    from mergealgebra.cli.words import count, news
    from mergealgebra.crdt.authority import Keep, Revoke
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    before = opened.state
    said = opened.revoke(public, note=note, signed_by=signer_in(opened, key, passphrase_fd))
    after = before | said
    grants = [name for one in said.operations if isinstance(one.payload, Revoke) for name in one.names]
    kept = [name for one in said.operations if isinstance(one.payload, Keep) for name in one.names]
    was, is_ = before.visible().keys(), after.visible().keys()
    if as_json:
        changed = {"appeared": sorted(is_ - was), "disappeared": sorted(was - is_)}
        report({"grants": sorted(grants), "kept": sorted(kept), **changed, "merge_id": after.merge_id})
        return
    tell({"revoked": count(len(grants), "grant"), "kept": count(len(kept), "operation")})
    for line in news(before, after):
        say(f"  {line}")
    if was == is_:
        say("What is visible stays as it is. Sync, so that the others know.")
