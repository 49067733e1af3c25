"""`mergealgebra [-C WORKSPACE] set-base PATH`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.options import MODEL, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, tell


@click.command("set-base")
@click.argument("base", metavar="PATH", type=MODEL)
@json_option
@click.pass_obj
def command(workspace: str, base: Path, as_json: bool) -> None:
    """Say where the base is on this machine now: the same model, moved."""
    from mergealgebra.ids import SHORT
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar() as show:
        opened.set_base(base, progress=show)
    root = opened.store.genesis.base
    if as_json:
        report({"base": root, "path": str(opened.base)})
    else:
        tell({"base": root[:SHORT], "is at": str(opened.base)})
