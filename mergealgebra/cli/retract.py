"""`mergealgebra [-C WORKSPACE] retract ID`"""

from __future__ import annotations

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report


@click.command()
@click.argument("contribution", metavar="ID")
@click.option("--note", help="A line for the log.")
@json_option
@click.pass_obj
def command(workspace: str, contribution: str, note: str | None, as_json: bool) -> None:
    """Take back the contribution ID, which may be the beginning of its id. It can be contributed again."""
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    report({"retracted": opened.retract(contribution, note=note), "merge_id": opened.merge_id}, as_json)
