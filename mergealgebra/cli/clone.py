"""`mergealgebra clone PEER DIR --base B`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.init import report_workspace
from mergealgebra.cli.options import PATH, json_option


@click.command()
@click.argument("peer", type=PATH)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--base", type=PATH, required=True, help="Where the same base is here.")
@json_option
def command(peer: Path, folder: Path, base: Path, as_json: bool) -> None:
    """Make DIR a new replica of the workspace that PEER holds."""
    from mergealgebra.workspace import Workspace

    report_workspace(Workspace.clone(peer, folder, base=base), as_json)
