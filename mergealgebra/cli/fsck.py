"""`mergealgebra [-C WORKSPACE] fsck [FOLDER] [--repair PEER] [--key K]`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import asker, key_options
from mergealgebra.cli.options import PEER, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say
from mergealgebra.errors import AddressError, StoreDamaged


@click.command()
@click.argument("folder", type=PEER, required=False)
@click.option(
    "--repair",
    metavar="PEER",
    type=PEER,
    help="Replace what is damaged or missing by good copies of this peer's: a folder, or an address.",
)
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    folder: str | None,
    repair: str | None,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Check every file of the workspace, or of FOLDER: a workspace or a shared folder.

    All of it is read, so that damage on the disk is found before somebody needs the file. A server that
    only members read asks for your key.
    """
    from mergealgebra.fsck import inspect
    from mergealgebra.text import fsck_repair

    if folder is not None:
        refuse_address(folder, repair or workspace)
    with progress_bar() as show:
        found = inspect(folder or workspace, repair=repair, progress=show, key=key, passphrase=asker(passphrase_fd))
    if as_json:
        report({"ok": found.ok, **vars(found)})
    else:
        from mergealgebra.cli.words import count

        good = f"{count(found.operations, 'operation')} and the tensors of {count(found.blobs, 'contribution')}"
        say(f"in good order: {good}")
        for title in ("mended", "damaged", "missing", "unnamed", "unused", "unfinished", "foreign"):
            for line in getattr(found, title):
                say(f"{title}: {line}")
    if not found.ok:
        wrong = len(found.damaged) + len(found.missing)
        advice = "" if repair else f"; name a replica that has good copies: `{fsck_repair(folder or workspace)}`"
        raise StoreDamaged(f"{'1 file is' if wrong == 1 else f'{wrong} files are'} damaged or missing{advice}")


def refuse_address(folder: str, workspace: str) -> None:
    """Raise AddressError for a store that is reached by an address, and say what mends it from a workspace."""
    from mergealgebra.addresses import peer_scheme, without_secrets
    from mergealgebra.sync.object_store import mended_in_folder
    from mergealgebra.text import sync_creating

    if peer_scheme(folder) is not None:
        own = Path(workspace) if peer_scheme(workspace) is None else None
        mends = mended_in_folder(folder) or f"`{sync_creating(folder, own)}` mends it"
        raise AddressError(
            f"{without_secrets(folder)} is not a folder of this machine, of which `fsck` reads all: {mends}"
        )
