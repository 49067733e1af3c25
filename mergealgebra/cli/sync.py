"""`mergealgebra [-C WORKSPACE] sync PEER [--create[=group]]`"""

from __future__ import annotations

import click

from mergealgebra.cli.options import PATH_TEXT, ValueLeftOut, json_option, share_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report


@click.command(cls=ValueLeftOut)
@click.argument("peer", type=PATH_TEXT)
@share_option("--create", "Make a shared folder at PEER first, if nothing is there")
@json_option
@click.pass_obj
def command(workspace: str, peer: str, create: str | None, as_json: bool) -> None:
    """Exchange contributions with PEER, both ways: a workspace, or a shared folder."""
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar() as show:
        result = opened.sync(peer, create="group" if create == "group" else create is not None, progress=show)
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
