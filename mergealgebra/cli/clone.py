"""`mergealgebra clone PEER[#WORKSPACE_ID] DIR --base B [--as YOU]`"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from mergealgebra.cli.init import report_workspace
from mergealgebra.cli.options import PATH, PEER, as_option, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import say

_ID_DIGITS: Final = 64


@click.command()
@click.argument("peer", metavar="PEER[#ID]", type=PEER)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--base", type=PATH, required=True, help="Where the same base is here.")
@as_option
@json_option
def command(peer: str, folder: Path, base: Path, as_name: str | None, as_json: bool) -> None:
    """Make DIR a new replica of the workspace that PEER holds.

    With #ID behind PEER, the 64 digits of a workspace's id from somebody you trust, no other workspace is cloned.
    """
    from mergealgebra.workspace import Workspace

    path, workspace_id = _parts(peer)
    with progress_bar() as show:
        made = Workspace.clone(path, folder, base=base, workspace_id=workspace_id, as_name=as_name, progress=show)
    report_workspace(made.store, as_json)
    if workspace_id is None and not as_json:
        say("Anybody can make a workspace of this name: compare its id and its recipe with what a colleague has.")
        say(f"Next time, this clones no other: clone {path}#{made.store.genesis.workspace_id}")


def _parts(peer: str) -> tuple[str, str | None]:
    """The path, and the id behind the last #, unless there is a folder whose name has that # in it."""
    path, mark, id_ = peer.rpartition("#")
    if not mark or (len(id_) != _ID_DIGITS and Path(peer).exists()):
        return peer, None
    if not re.fullmatch(f"[0-9a-f]{{{_ID_DIGITS}}}", id_):
        raise click.BadParameter(
            f"{id_!r} behind the # is not the id of a workspace, {_ID_DIGITS} digits 0-9a-f; give all of them, as "
            "somebody could make another workspace whose id begins alike"
        )
    return path, id_
