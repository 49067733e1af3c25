"""`mergealgebra [-C WORKSPACE] set-name NAME`"""

from __future__ import annotations

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, tell


@click.command("set-name")
@click.argument("name", required=False)
@click.option("--none", "nameless", is_flag=True, help="Contribute under no name from now on.")
@json_option
@click.pass_obj
def command(workspace: str, name: str | None, nameless: bool, as_json: bool) -> None:
    """Say under which NAME you contribute, take back and merge from now on.

    Everybody who syncs with you can read it, and nothing proves it. What is written already keeps the name it has.
    """
    from mergealgebra.workspace import Workspace

    if (name is None) != nameless:
        raise click.UsageError("give a NAME, or --none for no name any more")
    opened = Workspace.open(workspace)
    opened.set_name(name)
    if as_json:
        report({"name": name, "path": str(opened.store.path)})
    else:
        tell({"you": name or "without a name", "workspace": str(opened.store.path)})
