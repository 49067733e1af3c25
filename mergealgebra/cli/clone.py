"""`mergealgebra clone PEER[#WORKSPACE_ID] DIR --base B [--as YOU] [--yes]`"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mergealgebra.cli.init import report_workspace
from mergealgebra.cli.keys import key_options, signer_when_needed
from mergealgebra.cli.options import MODEL, PATH, PEER, as_option, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import say
from mergealgebra.errors import WrongWorkspace

if TYPE_CHECKING:
    from mergealgebra.crdt.genesis import Genesis

_ID_DIGITS: Final = 64


@click.command()
@click.argument("peer", metavar="PEER[#ID]", type=PEER)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--base", type=MODEL, required=True, help="Where the same base is here.")
@click.option("--yes", is_flag=True, help="Without #ID, take whatever workspace PEER holds, and do not ask.")
@as_option
@key_options
@json_option
def command(
    peer: str,
    folder: Path,
    base: Path,
    yes: bool,
    as_name: str | None,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Make DIR a new replica of the workspace that PEER holds.

    With #ID behind PEER, the 64 digits of a workspace's id from somebody you trust, no other workspace is cloned.
    Without it you see the id and whose keys maintain the workspace, and are asked whether it is the one you mean.
    """
    from mergealgebra.creation import genesis_of
    from mergealgebra.workspace import Workspace

    path, workspace_id = _parts(peer)
    signer = signer_when_needed(None, key, passphrase_fd)
    if workspace_id is None and not yes:
        again = partial(_command, folder=folder, base=base, as_name=as_name, key=key)
        workspace_id = _confirmed(genesis_of(path, None, signer), path, again)
    with progress_bar() as show:
        made = Workspace.clone(
            path, folder, base=base, workspace_id=workspace_id, as_name=as_name, key=signer, progress=show
        )
    report_workspace(made.store, as_json)
    if yes and not as_json:
        say("Anybody can make a workspace of this name: compare its id and its recipe with what a colleague has.")
        safe = _command(f"{path}#{made.store.genesis.workspace_id}", folder=Path("DIR"), base=base)
        say(f"Next time, this clones no other: {safe}")


def _confirmed(genesis: Genesis, peer: str, again: Callable[..., str]) -> str:
    """The id of a workspace, if somebody at a terminal says that they mean it [SY-12]. Raises WrongWorkspace."""
    from mergealgebra.signatures import fingerprint

    known = f"{peer}#{genesis.workspace_id}"
    maintainers = ", ".join(map(fingerprint, genesis.maintainers)) or "nobody: whoever can write there can change it"
    if not sys.stdin.isatty():
        raise WrongWorkspace(
            f"nobody said that the workspace there, maintained by {maintainers}, is the one that is meant: if a "
            f"colleague's has the same id, `{again(known)}` takes it and no other; "
            f"`{again(peer, yes=True)}` takes whatever is there"
        )
    lines = {"workspace": genesis.name or "without a name", "id": genesis.workspace_id, "maintainers": maintainers}
    for label, text in lines.items():
        say(f"{label:<11}  {text}", err=True)
    if not click.confirm("Do a colleague's `status` and `members` show the same?", err=True):
        raise WrongWorkspace(f"nothing was cloned; ask for the id of the workspace, then `{again(f'{peer}#ID')}`")
    return genesis.workspace_id


def _command(
    peer: str, *, folder: Path, base: Path, as_name: str | None = None, key: Path | None = None, yes: bool = False
) -> str:
    """The command that clones a peer, to be typed."""
    options = {"--base": base, "--as": as_name, "--key": key}
    words = [peer, folder, *(word for name, value in options.items() if value is not None for word in (name, value))]
    return shlex.join(["mergealgebra", "clone", *map(str, words), *(["--yes"] if yes else [])])


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
