"""`mergealgebra [-C WORKSPACE] retract ID...`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import json_option, note_option
from mergealgebra.cli.report import report, say, warn


@click.command()
@click.argument("contributions", metavar="[ID]...", nargs=-1)
@click.option("--missing", is_flag=True, help="Take back all contributions whose tensors are not here.")
@note_option
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    contributions: tuple[str, ...],
    missing: bool,
    note: str | None,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Take back the contributions ID, each of which may be the beginning of an id. All can be contributed again."""
    from mergealgebra.history import not_mine
    from mergealgebra.ids import SHORT, short_ids
    from mergealgebra.workspace import Workspace

    if not contributions and not missing:
        raise click.UsageError("name the contributions to take back, or --missing for those whose tensors are not here")
    opened = Workspace.open(workspace)
    state = opened.state  # read once: of a thousand operations that takes longer than all the rest
    wanted = [*contributions, *(opened.missing(state) if missing else [])]
    signer = signer_in(opened, key, passphrase_fd)
    done = opened.retract_all(wanted, note=note, key=signer, state=state)
    warnings, merge_id = not_mine(done.before, done.contributions, opened.as_name), done.after.merge_id
    short = short_ids([*done.before.visible(), *done.gone])
    standing = done.after.visible().keys() & set(done.contributions)
    warnings += [f"contribution {short[id_]} stays visible: somebody else added it too" for id_ in sorted(standing)]
    warnings += [f"contribution {short[id_]} was taken back already" for id_ in done.gone]
    if as_json:
        report({"retracted": list(done.contributions), "merge_id": merge_id, "warnings": warnings})
    else:
        for id_ in done.contributions:
            say(f"retracted  {short[id_]}")
        say(f"merge id   {merge_id[:SHORT]}")
    for text in warnings:
        warn(text)
