"""`mergealgebra [-C WORKSPACE] sync PEER [--create]`"""

from __future__ import annotations

import click

from mergealgebra.cli.options import PATH_TEXT, json_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report


@click.command()
@click.argument("peer", type=PATH_TEXT)
@click.option("--create", is_flag=True, help="Make a shared folder at PEER first, if nothing is there.")
@json_option
@click.pass_obj
def command(workspace: str, peer: str, create: bool, as_json: bool) -> None:
    """Exchange contributions with PEER, both ways: a workspace, or a shared folder."""
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar() as show:
        result = opened.sync(peer, create=create, progress=show)
    moved: dict[str, list[str]] = {
        "taken_operations": list(result.taken_operations),
        "taken_blobs": list(result.taken_blobs),
        "given_operations": list(result.given_operations),
        "given_blobs": list(result.given_blobs),
        "mended": list(result.mended),
        "ignored": list(result.ignored),
    }
    if as_json:
        report({**moved, "merge_id": opened.merge_id}, as_json)
        return
    counts: dict[str, object] = {name: len(ids) for name, ids in moved.items() if ids}
    report(counts | {"merge_id": opened.merge_id}, as_json)
