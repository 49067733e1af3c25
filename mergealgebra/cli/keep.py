"""`mergealgebra [-C WORKSPACE] keep KEY [ID]...`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import key_options, signer_in
from mergealgebra.cli.options import json_option, note_option
from mergealgebra.cli.report import report, say, tell, warn


@click.command()
@click.argument("public", metavar="KEY")
@click.argument("operations", metavar="[ID]...", nargs=-1)
@note_option
@key_options
@json_option
@click.pass_obj
def command(
    workspace: str,
    public: str,
    operations: tuple[str, ...],
    note: str | None,
    key: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Let work count that a revoke hides, as a maintainer of a signed workspace.

    KEY is whose it is, as for `revoke`. ID is the beginning of a contribution's id, or of an operation's, as `log
    --json` lists them; without any, all of that key's that is here and hidden. The whole id of an operation may be that
    of one that is not here yet: its owner gives it to you, and then syncs.
    """
    from mergealgebra.cli.words import count, news
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    before = opened.state
    said = opened.keep(public, operations, note=note, signed_by=signer_in(opened, key, passphrase_fd))
    after = before | said
    kept = {name for one in said.operations for name in one.names}
    if as_json:
        appeared = sorted(after.visible().keys() - before.visible().keys())
        report({"kept": sorted(kept), "appeared": appeared, "merge_id": after.merge_id})
        return
    absent = [id_ for id_ in sorted(kept) if after.record(id_) is None]
    tell({"kept": count(len(kept), "operation"), "next": "sync, so that the others know"})
    for line in news(before, after):
        say(f"  {line}")
    if absent:
        are = "1 operation is" if len(absent) == 1 else f"{len(absent):,} operations are"
        warn(f"{are} not here yet, {absent[0][:12]} first, and will count once a sync brings what has that id")
