"""`mergealgebra clone PEER DIR --base B`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.init import report_workspace
from mergealgebra.cli.options import json_option


@click.command()
@click.argument("peer", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), required=True, help="Where the same base is here.")
@json_option
def command(peer: Path, folder: Path, base: Path, as_json: bool) -> None:
    """Make DIR a new replica of the workspace that PEER holds."""
    from mergealgebra.workspace import Workspace

    report_workspace(Workspace.clone(peer, folder, base=base), as_json)
